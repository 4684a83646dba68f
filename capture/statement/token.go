package statement

import (
	"bytes"
	"strings"
)

// tokenKind is what the lexer takes a token for.
type tokenKind uint8

const (
	endToken    tokenKind = iota // the end of the text
	wordToken                    // a word that may be a keyword or a name
	nameToken                    // a name: quoted, or behind a dot
	textToken                    // a string literal
	bitsToken                    // X'..' or B'..'
	numberToken                  // a number in decimal
	signToken                    // any other byte
)

// token is a piece of the text. raw is as written, with quotes, and is empty
// only for endToken.
type token struct {
	kind tokenKind
	raw  []byte
}

// is tells whether the token is a keyword, given in upper case.
func (t token) is(keyword string) bool {
	if t.kind != wordToken || len(t.raw) != len(keyword) {
		return false
	}
	for i, c := range t.raw {
		if upper(c) != keyword[i] {
			return false
		}
	}
	return true
}

// keyword gives a word in upper case, in buf, and nothing for any other token
// or a word too long to be a keyword.
func (t token) keyword(buf *[maxKeywordBytes]byte) []byte {
	if t.kind != wordToken || len(t.raw) > len(buf) {
		return nil
	}
	for i, c := range t.raw {
		buf[i] = upper(c)
	}
	return buf[:len(t.raw)]
}

// maxKeywordBytes bounds the verbs that a statement may start with.
const maxKeywordBytes = 16

func (t token) isSign(c byte) bool { return t.kind == signToken && t.raw[0] == c }

// name gives the identifier that the token spells.
func (t token) name() string {
	quote := string(t.raw[:1])
	if quote != "`" && quote != `"` {
		return string(t.raw)
	}
	return strings.ReplaceAll(string(inner(t.raw)), quote+quote, quote)
}

// text gives the value of a string literal.
func (t token) text(escapes bool) []byte {
	raw := t.raw
	if upper(raw[0]) == 'N' {
		raw = raw[1:]
	}
	quote, body := raw[0], inner(raw)
	value := make([]byte, 0, len(body))
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case i+1 == len(body):
		case c == '\\' && escapes:
			i++
			value = appendEscaped(value, body[i])
			continue
		case c == quote:
			i++
		}
		value = append(value, c)
	}
	return value
}

// appendEscaped appends what c means behind a backslash.
func appendEscaped(value []byte, c byte) []byte {
	const escapes, meant = `0bnrtZ`, "\x00\b\n\r\t\x1a"
	if i := strings.IndexByte(escapes, c); i >= 0 {
		return append(value, meant[i])
	}
	if c == '%' || c == '_' {
		value = append(value, '\\')
	}
	return append(value, c)
}

// inner strips the quotes from a quoted token, of which the last may lack.
func inner(raw []byte) []byte {
	return bytes.TrimSuffix(raw[1:], raw[:1])
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
