package statement

import "unicode/utf8"

// parser reads a statement with one token of look-ahead. What it finds goes
// into out; what it does not understand clears out.Certain.
type parser struct {
	lex lexer
	tok token // the next token, not yet consumed
	out Statement
	// known has the names in out.Tables, once there are many.
	known map[Name]struct{}
	// ctes are the names that a WITH clause has bound.
	ctes map[string]struct{}
	// opaque is set where the rest of the text is a body not to be read.
	opaque bool
	// replaces is set behind CREATE OR REPLACE.
	replaces bool
	// alteration is what the clauses of an ALTER TABLE go into, nil where only its tables are
	// asked for.
	alteration *Alteration
}

// manyTables is the number of tables from which a map beats a search.
const manyTables = 16

func (p *parser) next() { p.tok = p.lex.next() }

// peek gives the token behind the next one.
func (p *parser) peek() token {
	ahead := p.lex
	return ahead.next()
}

// done tells whether the statement is read: at the end, or at a semicolon.
func (p *parser) done() bool { return p.tok.kind == endToken || p.sign(';') }

func (p *parser) sign(c byte) bool { return p.tok.isSign(c) }

func (p *parser) is(keyword string) bool { return p.tok.is(keyword) }

// oneOf tells whether the next token is one of the keywords.
func (p *parser) oneOf(keywords ...string) bool {
	for _, k := range keywords {
		if p.tok.is(k) {
			return true
		}
	}
	return false
}

// accept consumes the next token if it is one of the keywords.
func (p *parser) accept(keywords ...string) bool {
	if !p.oneOf(keywords...) {
		return false
	}
	p.next()
	return true
}

func (p *parser) acceptSign(c byte) bool {
	if !p.sign(c) {
		return false
	}
	p.next()
	return true
}

// acceptAll consumes keywords for as long as they are some of those given.
func (p *parser) acceptAll(keywords ...string) {
	for p.accept(keywords...) {
		continue
	}
}

func (p *parser) doubt() { p.out.Certain = false }

// unknown answers that the statement is not understood.
func (p *parser) unknown() {
	p.out.Kind = Unknown
	p.doubt()
}

// end doubts a statement that goes on where its grammar has it end.
func (p *parser) end() {
	if !p.done() {
		p.doubt()
	}
}

// finish steps over the rest of the text, and doubts it where it is malformed
// or has another statement in it.
func (p *parser) finish() {
	for !p.opaque && !p.done() {
		p.step()
	}
	for !p.opaque && p.acceptSign(';') {
		continue
	}
	if p.lex.malformed || !p.opaque && p.tok.kind != endToken {
		p.doubt()
	}
}

// step consumes a token, or all from a parenthesis to the one that closes it.
// One that closes nothing, or is not closed, makes the statement doubtful.
func (p *parser) step() {
	switch {
	case p.sign('('):
		p.next()
		p.skipToClose()
		if !p.acceptSign(')') {
			p.doubt()
		}
	case p.acceptSign(')'):
		p.doubt()
	default:
		p.next()
	}
}

// skipToClose steps to the parenthesis that closes the one just consumed.
func (p *parser) skipToClose() {
	for depth := 0; p.tok.kind != endToken; p.next() {
		if p.sign('(') {
			depth++
		}
		if !p.sign(')') {
			continue
		}
		if depth == 0 {
			return
		}
		depth--
	}
}

// skipParentheses steps over a list in parentheses, if there is one.
func (p *parser) skipParentheses() {
	if p.sign('(') {
		p.step()
	}
}

// atName tells whether the next token can be a name. A string is taken for
// one that was quoted under another sql_mode.
func (p *parser) atName() bool {
	switch p.tok.kind {
	case wordToken, nameToken:
		return true
	case textToken:
		return p.tok.raw[0] == '"'
	}
	return false
}

// identifier consumes one identifier. It is not ok if there is none.
func (p *parser) identifier() (name string, ok bool) {
	if !p.atName() {
		return "", false
	}
	name = p.tok.name()
	if p.tok.kind == textToken || !utf8.ValidString(name) {
		p.doubt()
	}
	p.next()
	return name, name != ""
}

// reference is a name as the text has it.
type reference struct {
	name      Name
	qualified bool // the text gives the schema
	star      bool // .* follows: a target of DELETE
}

// reference consumes a name with or without a schema: a, a.b, or .b, and .*
// behind any of them. It is not ok if there is none.
func (p *parser) reference() (r reference, ok bool) {
	r.name.Schema = p.lex.opts.DefaultSchema
	if !p.sign('.') {
		if r.name.Table, ok = p.identifier(); !ok {
			return reference{}, false
		}
	}
	for p.acceptSign('.') {
		if p.acceptSign('*') {
			r.star = true
			return r, r.name.Table != ""
		}
		if r.qualified {
			return reference{}, false
		}
		if r.name.Table != "" {
			r.name.Schema, r.qualified = r.name.Table, true
		}
		if r.name.Table, ok = p.identifier(); !ok {
			return reference{}, false
		}
	}
	return r, true
}

// name consumes the name of a table, and doubts the statement if there is
// none.
func (p *parser) name() (Name, bool) {
	r, ok := p.reference()
	if !ok || r.star {
		p.doubt()
		return Name{}, false
	}
	return r.name, true
}

// target consumes the name of a table that the statement may change.
func (p *parser) target() (Name, bool) {
	n, ok := p.name()
	if ok {
		p.addTarget(n)
	}
	return n, ok
}

// addTarget adds a name to the targets, once.
func (p *parser) addTarget(n Name) {
	if len(p.out.Tables) < manyTables {
		for _, t := range p.out.Tables {
			if t == n {
				return
			}
		}
		p.out.Tables = append(p.out.Tables, n)
		return
	}
	if p.known == nil {
		p.known = make(map[Name]struct{}, 2*manyTables)
		for _, t := range p.out.Tables {
			p.known[t] = struct{}{}
		}
	}
	if _, ok := p.known[n]; !ok {
		p.known[n] = struct{}{}
		p.out.Tables = append(p.out.Tables, n)
	}
}
