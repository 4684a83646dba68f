package statement

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
)

// Definition is a column as ALTER TABLE defines it.
type Definition struct {
	Type      string   // in upper case, of the words it takes: INT, DOUBLE PRECISION, NATIONAL VARCHAR
	Sizes     []int    // in parentheses behind it
	Elements  [][]byte // of ENUM and SET
	Unsigned  bool
	Charset   string // "" where none is named
	Binary    bool   // BYTE or CHARACTER SET binary: not text, but bytes
	Null      Nullability
	Default   Default
	AutoValue bool // AUTO_INCREMENT: the server numbers rows
	Generated bool // its values come out of an expression
}

// Nullability is what a definition says of NULL.
type Nullability uint8

// What a definition can say of NULL.
const (
	NullUnsaid Nullability = iota
	NullAllowed
	NotNull
)

// DefaultKind is what a DEFAULT clause gives.
type DefaultKind uint8

// The kinds of default.
const (
	NoDefault  DefaultKind = iota
	NullValue              // DEFAULT NULL
	Number                 // Text is a number in decimal
	Text                   // Text is a text as it was written, with nothing escaped
	Bits                   // Text is bytes, of X'..', 0x.., B'..' or 0b..
	Now                    // the time at which the statement ran
	Expression             // what is not known without running it
)

// Default is a DEFAULT clause.
type Default struct {
	Kind DefaultKind
	Text []byte
	// Introduced is set for a text with a character set before it, _latin1'..'.
	Introduced bool
}

// definition reads a column's type and attributes.
func (p *parser) definition() Definition {
	d := p.columnType()
	for p.alteration.Understood && p.attribute(&d) {
		continue
	}
	return d
}

// columnType reads the name of a type, and what stands in parentheses behind it.
func (p *parser) columnType() Definition {
	var d Definition
	if p.tok.kind != wordToken {
		p.lost()
		return d
	}
	d.Type = strings.ToUpper(string(p.tok.raw))
	p.next()
	p.longType(&d)
	if !p.acceptSign('(') {
		return d
	}
	for !p.acceptSign(')') {
		switch {
		case p.tok.kind == numberToken:
			n, err := strconv.Atoi(string(p.tok.raw))
			if err != nil {
				p.lost()
				return d
			}
			d.Sizes = append(d.Sizes, n)
		case p.tok.kind == textToken:
			d.Elements = append(d.Elements, p.tok.text(!p.lex.opts.NoBackslashEscapes))
		case !p.sign(','):
			p.lost()
			return d
		}
		p.next()
	}
	return d
}

// longType consumes the further words of a type.
func (p *parser) longType(d *Definition) {
	join := func(words ...string) {
		for _, w := range words {
			if p.accept(w) {
				d.Type += " " + w
				return
			}
		}
	}
	switch d.Type {
	case "DOUBLE":
		join("PRECISION")
	case "NATIONAL":
		join("CHAR", "CHARACTER", "VARCHAR")
		join("VARYING")
	case "CHAR", "CHARACTER", "NCHAR":
		join("VARYING", "VARCHAR")
	case "LONG":
		join("VARCHAR", "VARBINARY", "CHAR")
		join("VARYING")
	}
}

// attribute consumes one attribute, and tells whether there was one.
func (p *parser) attribute(d *Definition) bool {
	switch {
	case p.accept("UNSIGNED"):
		d.Unsigned = true
	case p.accept("ZEROFILL"):
		d.Unsigned = true
	case p.accept("NOT"):
		if p.accept("NULL") {
			d.Null = NotNull
		} else {
			p.need("ENFORCED")
		}
	case p.accept("NULL"):
		d.Null = NullAllowed
	case p.accept("DEFAULT"):
		d.Default = p.defaultValue()
	case p.accept("AUTO_INCREMENT"):
		d.AutoValue = true
	case p.accept("GENERATED", "ALWAYS", "AS", "VIRTUAL", "STORED", "PERSISTENT"):
		d.Generated = true
		p.skipParentheses()
	default:
		return p.textAttribute(d) || p.quietAttribute()
	}
	return true
}

// textAttribute consumes what concerns the character set.
func (p *parser) textAttribute(d *Definition) bool {
	switch {
	case p.accept("CHARSET"):
		d.Charset = p.charsetName()
	case p.is("CHARACTER") || p.is("CHAR"):
		p.next()
		p.need("SET")
		d.Charset = p.charsetName()
	case p.accept("COLLATE"):
		p.acceptSign('=')
		if name := p.charsetName(); d.Charset == "" {
			d.Charset = charsetOf(name)
		}
	case p.accept("ASCII"):
		d.Charset = "latin1"
	case p.accept("UNICODE"):
		d.Charset = "ucs2"
	case p.accept("BYTE"):
		d.Binary = true
	case p.accept("BINARY"): // a collation
	default:
		return false
	}
	d.Binary = d.Binary || d.Charset == "binary"
	return true
}

// charsetOf gives the character set of a collation, where its name begins with it.
func charsetOf(collation string) string {
	set, _, _ := strings.Cut(collation, "_")
	if set == "uca1400" || set == "default" {
		return ""
	}
	return set
}

// quietAttribute consumes what changes no value.
func (p *parser) quietAttribute() bool {
	switch {
	case p.accept("PRIMARY", "UNIQUE", "KEY", "SIGNED", "VISIBLE", "INVISIBLE", "ENFORCED"):
	case p.accept("COMMENT", "COLUMN_FORMAT", "STORAGE", "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE"):
		p.acceptSign('=')
		p.next()
	case p.accept("ON"):
		p.need("UPDATE")
		p.defaultValue()
	case p.accept("CONSTRAINT"):
		if !p.is("CHECK") {
			p.column()
		}
		p.need("CHECK")
		p.skipParentheses()
	case p.accept("CHECK"):
		p.skipParentheses()
	case p.accept("REFERENCES"):
		p.references()
	default:
		return false
	}
	return true
}

// references steps over the foreign key of a column, which InnoDB of MySQL passes over.
func (p *parser) references() {
	p.name()
	p.skipParentheses()
	for {
		switch {
		case p.accept("MATCH"):
			p.next()
		case p.accept("ON"):
			p.next()
			if p.oneOf("CASCADE", "SET") {
				p.add(Clause{Kind: Beyond, Name: "FOREIGN KEY ... " + strings.ToUpper(string(p.tok.raw))})
			}
			if !p.accept("CASCADE", "RESTRICT") {
				p.next()
				p.next()
			}
		default:
			return
		}
	}
}

// defaultValue reads behind DEFAULT. A literal in parentheses is an expression that is known.
func (p *parser) defaultValue() Default {
	if !p.sign('(') {
		return p.literal()
	}
	saved := *p
	understood := p.alteration.Understood
	p.next()
	d := p.literal()
	if p.acceptSign(')') && d.Kind != Now && d.Kind != Expression {
		return d
	}
	*p = saved
	p.alteration.Understood = understood
	p.skipParentheses()
	return Default{Kind: Expression}
}

// literal reads a constant, or the call of a function.
func (p *parser) literal() Default {
	sign := ""
	for p.sign('-') || p.sign('+') {
		if p.sign('-') {
			sign = "-"
		}
		p.next()
	}
	t := p.tok
	switch {
	case t.kind == numberToken:
		p.next()
		return Default{Kind: Number, Text: append([]byte(sign), t.raw...)}
	case sign != "":
		p.lost()
		return Default{}
	case t.kind == textToken:
		return p.textDefault(false)
	case t.kind == bitsToken:
		p.next()
		return bitsDefault(t.raw[0]|0x20, inner(t.raw[1:]))
	case t.kind == wordToken:
		return p.wordDefault()
	}
	p.lost()
	return Default{}
}

// wordDefault reads a default that begins with a word.
func (p *parser) wordDefault() Default {
	t := p.tok
	p.next()
	switch {
	case t.is("NULL"):
		return Default{Kind: NullValue}
	case t.is("TRUE"):
		return Default{Kind: Number, Text: []byte("1")}
	case t.is("FALSE"):
		return Default{Kind: Number, Text: []byte("0")}
	case t.is("CURRENT_TIMESTAMP"), t.is("NOW"), t.is("LOCALTIME"), t.is("LOCALTIMESTAMP"):
		p.skipParentheses()
		return Default{Kind: Now}
	case t.raw[0] == '_' && p.tok.kind == textToken:
		return p.textDefault(true)
	case t.raw[0] == '_' && p.tok.kind == bitsToken:
		p.next()
		return Default{Kind: Expression}
	case len(t.raw) > 2 && t.raw[0] == '0' && (t.raw[1] == 'x' || t.raw[1] == 'b'):
		return bitsDefault(t.raw[1], t.raw[2:])
	}
	if _, err := strconv.ParseFloat(string(t.raw), 64); err == nil && isDigit(t.raw[0]) && !p.sign('-') && !p.sign('+') {
		return Default{Kind: Number, Text: bytes.Clone(t.raw)}
	}
	p.skipParentheses()
	return Default{Kind: Expression}
}

// textDefault reads a text, which may be in pieces.
func (p *parser) textDefault(introduced bool) Default {
	d := Default{Kind: Text, Text: []byte{}, Introduced: introduced}
	for p.tok.kind == textToken {
		if upper(p.tok.raw[0]) == 'N' {
			d.Introduced = true
		}
		d.Text = append(d.Text, p.tok.text(!p.lex.opts.NoBackslashEscapes)...)
		p.next()
	}
	return d
}

// bitsDefault reads digits of base 16 or 2.
func bitsDefault(base byte, digits []byte) Default {
	if base == 'x' {
		if len(digits)%2 == 1 {
			digits = append([]byte("0"), digits...)
		}
		b := make([]byte, hex.DecodedLen(len(digits)))
		if _, err := hex.Decode(b, digits); err != nil {
			return Default{Kind: Expression}
		}
		return Default{Kind: Bits, Text: b}
	}
	out := make([]byte, (len(digits)+7)/8)
	for i, c := range digits {
		if c != '0' && c != '1' {
			return Default{Kind: Expression}
		}
		at := len(digits) - 1 - i
		out[len(out)-1-at/8] |= (c - '0') << (at % 8)
	}
	return Default{Kind: Bits, Text: out}
}
