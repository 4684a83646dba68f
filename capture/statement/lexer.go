package statement

import "bytes"

// MariaDB takes an executable comment with a version in this range for one
// that means a feature of MySQL only, and does not run it.
const (
	mysqlOnlyFirst = 50700
	mysqlOnlyLast  = 99999
)

// lexer splits a text into tokens in the way of the servers' lexers. It never
// fails; at the end, malformed tells whether the text was well-formed.
type lexer struct {
	src       []byte
	pos       int
	opts      Options
	open      int  // executable comments entered and not yet left
	afterDot  bool // the last token was a dot, so that a word is a name
	malformed bool // a quote or a comment has no end
}

// next reads the next token. At the end of the text it gives endToken, again
// and again.
func (l *lexer) next() token {
	for l.pos < len(l.src) && l.skip() {
		continue
	}
	if l.pos >= len(l.src) {
		l.malformed = l.malformed || l.open > 0
		return token{}
	}
	start := l.pos
	kind := l.read()
	t := token{kind: kind, raw: l.src[start:l.pos]}
	l.afterDot = t.isSign('.')
	return t
}

// skip steps over one white space, one comment, or one mark of an executable
// comment, and reports whether there was any.
func (l *lexer) skip() bool {
	switch c := l.src[l.pos]; {
	case isSpace(c):
		l.pos++
	case c == '#':
		l.skipLine()
	case c == '-' && l.at(1) == '-' && isBlank(l.at(2)):
		l.skipLine()
	case c == '/' && l.at(1) == '*':
		l.comment()
	case c == '*' && l.at(1) == '/' && l.open > 0:
		l.open--
		l.pos += 2
	default:
		return false
	}
	return true
}

// skipLine steps over a comment to the end of its line. The servers end it at
// a NUL, too.
func (l *lexer) skipLine() {
	end := bytes.IndexAny(l.src[l.pos:], "\n\x00")
	if end < 0 {
		end = len(l.src) - l.pos
	}
	l.pos += end
}

// comment enters an executable comment or steps over any other. Whichever
// server ran the statement has defused the comments that it did not execute,
// by a blank over the exclamation mark, so that any version counts here.
func (l *lexer) comment() {
	mark := 3
	if l.opts.MariaDB && l.at(2) == 'M' {
		mark = 4
	}
	if l.at(mark-1) != '!' {
		l.skipComment(false)
		return
	}
	version, digits := l.version(mark)
	if l.opts.MariaDB && mark == 3 && version >= mysqlOnlyFirst && version <= mysqlOnlyLast {
		l.skipComment(true)
		return
	}
	l.open++
	l.pos += mark + digits
}

// version reads the version of an executable comment: five digits or six, or
// else there is none.
func (l *lexer) version(offset int) (version, digits int) {
	for digits < 6 && isDigit(l.at(offset+digits)) {
		version = version*10 + int(l.at(offset+digits)-'0')
		digits++
	}
	if digits < 5 {
		return 0, 0
	}
	return version, digits
}

// skipComment steps over a comment. One that is not executed may have one
// level of other comments in it.
func (l *lexer) skipComment(mayNest bool) {
	inner := false
	for l.pos += 2; l.pos < len(l.src); l.pos++ {
		switch {
		case mayNest && !inner && l.src[l.pos] == '/' && l.at(1) == '*':
			inner = true
			l.pos++
		case l.src[l.pos] != '*' || l.at(1) != '/':
			continue
		case inner:
			inner = false
			l.pos++
		default:
			l.pos += 2
			return
		}
	}
	l.pos = len(l.src)
	l.malformed = true
}

// read steps over one token and tells its kind.
func (l *lexer) read() tokenKind {
	switch c := l.src[l.pos]; {
	case c == '`', c == '"' && l.opts.ANSIQuotes:
		l.quoted(false)
		return nameToken
	case c == '"', c == '\'':
		l.quoted(!l.opts.NoBackslashEscapes)
		return textToken
	case l.at(1) == '\'' && !l.afterDot && (c|0x20 == 'x' || c|0x20 == 'b'):
		l.bits()
		return bitsToken
	case l.at(1) == '\'' && !l.afterDot && c|0x20 == 'n':
		l.pos++
		l.quoted(!l.opts.NoBackslashEscapes)
		return textToken
	case isWord(c):
		return l.word()
	}
	l.pos++
	return signToken
}

// quoted steps over a quoted token. A doubled quote does not end it, nor does
// one behind a backslash where there are escapes.
func (l *lexer) quoted(escapes bool) {
	quote := l.src[l.pos]
	for l.pos++; l.pos < len(l.src); l.pos++ {
		switch c := l.src[l.pos]; {
		case c == '\\' && escapes, c == quote && l.at(1) == quote:
			l.pos++
		case c == quote:
			l.pos++
			return
		}
	}
	l.pos = len(l.src)
	l.malformed = true
}

// bits steps over X'..' or B'..', which has no escapes at all.
func (l *lexer) bits() {
	l.pos += 2
	end := bytes.IndexByte(l.src[l.pos:], '\'')
	if end < 0 {
		l.pos = len(l.src)
		l.malformed = true
		return
	}
	l.pos += end + 1
}

// word steps over a word or a number. Digits alone are a number unless a dot
// comes before them; with a dot behind, the dot is the number's.
func (l *lexer) word() tokenKind {
	digits := true
	for ; isWord(l.at(0)); l.pos++ {
		digits = digits && isDigit(l.src[l.pos])
	}
	if l.afterDot {
		return nameToken
	}
	if !digits {
		return wordToken
	}
	if l.at(0) == '.' {
		l.pos++
		l.fraction()
	}
	return numberToken
}

// fraction steps over the digits behind a number's dot, and its exponent.
func (l *lexer) fraction() {
	l.digits()
	if l.at(0)|0x20 != 'e' {
		return
	}
	exponent := 1
	if l.at(1) == '+' || l.at(1) == '-' {
		exponent = 2
	}
	if isDigit(l.at(exponent)) {
		l.pos += exponent
		l.digits()
	}
}

func (l *lexer) digits() {
	for isDigit(l.at(0)) {
		l.pos++
	}
}

// at gives the byte at an offset from the current one, and 0 past the end.
func (l *lexer) at(offset int) byte {
	if l.pos+offset >= len(l.src) {
		return 0
	}
	return l.src[l.pos+offset]
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// isBlank tells whether c makes a comment of two dashes before it.
func isBlank(c byte) bool { return c <= ' ' || c == 0x7f }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isWord tells whether c may be in a word that is not quoted. All bytes of
// characters beyond ASCII may.
func isWord(c byte) bool {
	return c >= 0x80 || c == '_' || c == '$' || isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z'
}
