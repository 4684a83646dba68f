package capture

import (
	"fmt"
	"slices"
)

// convertible tells why the log does not show what an ALTER TABLE made of a column's values,
// nil where every row keeps the value that it had, as the lake reads it. named says that the
// statement named the new character set.
func (s session) convertible(old, now Column, named bool) error {
	changed := func() error { return notTold("%s becomes %s", old.SQLType(), now.SQLType()) }
	if old.Nullable && !now.Nullable && !s.strict {
		return notTold("NULL becomes another value, in a session without strict sql_mode")
	}
	if old.Nullable && !now.Nullable && now.Type == TypeTimestamp {
		return notTold("NULL may become the time of the statement")
	}
	switch {
	case isInteger(old.Type) && isInteger(now.Type):
		if !now.holds(old) && !s.strict {
			return notTold("%s becomes %s, in a session without strict sql_mode", old.SQLType(), now.SQLType())
		}
	case old.Type == TypeYear && isInteger(now.Type) && now.Type != TypeTinyInt:
	case old.Type == TypeDecimal && now.Type == TypeDecimal:
		if now.Scale != old.Scale || now.Precision < old.Precision || now.Unsigned && !old.Unsigned && !s.strict {
			return changed()
		}
	case isFloating(old.Type) && isFloating(now.Type) && now.Unsigned && !old.Unsigned && !s.strict:
		return notTold("%s becomes %s, in a session without strict sql_mode", old.SQLType(), now.SQLType())
	case old.Type == TypeFloat && now.Type == TypeDouble:
	case old.Type == TypeBit && now.Type == TypeBit:
		if now.Size < old.Size || (now.Size+7)/8 != (old.Size+7)/8 {
			return changed()
		}
	case old.isText() && now.isText():
		return s.convertibleText(old, now, named)
	case old.Type == TypeJSON && now.Type == TypeText && now.Size == 4 && now.Charset == "utf8mb4" && (named || s.strict):
	case old.isBytes() && now.isBytes():
		if now.Type == TypeBinary && (old.Type != TypeBinary || now.Size != old.Size) || now.capacity() < old.capacity() {
			return changed()
		}
	case old.Type != now.Type, old.Type == TypeVector && old.Size != now.Size:
		return changed()
	case old.Type == TypeTime && old.Fraction != now.Fraction, now.Fraction < old.Fraction:
		return changed()
	}
	return nil
}

// convertibleText is convertible for texts. A text that the new character set lacks ends the
// statement in a strict session.
func (s session) convertibleText(old, now Column, named bool) error {
	changed := func() error { return notTold("%s becomes %s", old.SQLType(), now.SQLType()) }
	if !s.strict && !(named && containsCharset(now.Charset, old.Charset)) {
		return notTold("%s becomes %s, in a session without strict sql_mode", old.SQLType(), now.SQLType())
	}
	if old.Type == TypeChar && now.Type != TypeChar && s.padsChar {
		return notTold("a CHAR with blanks up to its length")
	}
	switch {
	case now.Type == TypeEnum:
		if old.Type != TypeEnum || slices.ContainsFunc(old.Elements, func(e string) bool { return !slices.Contains(now.Elements, e) }) {
			return changed()
		}
	case now.Type == TypeSet:
		if old.Type != TypeSet || !inOrder(old.Elements, now.Elements) {
			return changed()
		}
	case now.Type == TypeChar && old.Type != TypeChar && old.Type != TypeEnum:
		return changed() // without the blanks at its end
	case now.capacity() < old.capacity():
		return changed()
	}
	return nil
}

// convert gives a text column another character set, "" for one that is not told.
func (s session) convert(c *Column, charset string) error {
	charset = canonicalCharset(charset)
	if charset != "" && textDecoder(charset) == nil {
		return fmt.Errorf("%w: character set %s", ErrUnsupportedType, charset)
	}
	if !s.strict && !containsCharset(charset, c.Charset) {
		return notTold("a text becomes %s, in a session without strict sql_mode", charset)
	}
	if charset == "" {
		return nil
	}
	switch c.Type {
	case TypeChar, TypeVarchar:
		c.Size = c.Size / charsetWidth(c.Charset) * charsetWidth(charset)
	case TypeText:
		if charsetWidth(charset) > charsetWidth(c.Charset) && c.Size < 4 {
			c.Size++ // so that as many characters fit
		}
	}
	c.Charset = charset
	return nil
}

// containsCharset reports that every text of one character set is one of another.
func containsCharset(set, other string) bool {
	if set == other {
		return true
	}
	switch set {
	case "utf8mb4":
		return other != ""
	case "utf8mb3", "latin1":
		return other == "ascii" || set == "utf8mb3" && other == "latin1"
	}
	return false
}

// inOrder reports that all of part is in whole, in the same order.
func inOrder(part, whole []string) bool {
	for _, e := range part {
		i := slices.Index(whole, e)
		if i < 0 {
			return false
		}
		whole = whole[i+1:]
	}
	return true
}

func isInteger(t Type) bool { return integerBits(t) > 0 }

func isFloating(t Type) bool { return t == TypeFloat || t == TypeDouble }

// computedAlike reports that an expression of a column has the value that it had, where the column
// has become another one and keeps its own values.
func (c Column) computedAlike(now Column) bool {
	switch {
	case isInteger(c.Type) && isInteger(now.Type), c.Type == TypeDecimal && now.Type == TypeDecimal:
		return c.Unsigned == now.Unsigned
	case len(c.Elements) > 0: // which have numbers, too
		return now.Type == c.Type && len(now.Elements) >= len(c.Elements) && slices.Equal(c.Elements, now.Elements[:len(c.Elements)]) && sameBytes(c.Charset, now.Charset)
	case c.isText() && now.isText():
		return sameBytes(c.Charset, now.Charset)
	case c.isBytes() && now.isBytes():
		return true
	}
	now.Name = c.Name
	return c.equal(now)
}

// sameBytes reports that every text of one character set has the same bytes in another.
func sameBytes(was, now string) bool {
	return was == now || was == "utf8mb3" && now == "utf8mb4" || was == "ascii" && (now == "utf8mb3" || now == "utf8mb4")
}

// integerBits is the size of an integer type; 0 for others.
func integerBits(t Type) int {
	switch t {
	case TypeTinyInt:
		return 8
	case TypeSmallInt:
		return 16
	case TypeMediumInt:
		return 24
	case TypeInt:
		return 32
	case TypeBigInt:
		return 64
	}
	return 0
}

// holds reports that an integer column has room for every value of another.
func (c Column) holds(o Column) bool {
	if c.Unsigned == o.Unsigned {
		return integerBits(c.Type) >= integerBits(o.Type)
	}
	return !c.Unsigned && integerBits(c.Type) > integerBits(o.Type)
}

func (c Column) isText() bool { return c.Charset != "" }

func (c Column) isBytes() bool {
	return c.Type == TypeBinary || c.Type == TypeVarbinary || c.Type == TypeBlob
}

// capacity is how many characters of text, or bytes, a column has room for.
func (c Column) capacity() int {
	switch c.Type {
	case TypeText:
		return (1<<(8*c.Size) - 1) / charsetWidth(c.Charset)
	case TypeBlob:
		return 1<<(8*c.Size) - 1
	case TypeEnum:
		n := 0
		for _, e := range c.Elements {
			n = max(n, len(e))
		}
		return n
	case TypeSet:
		n := 0
		for _, e := range c.Elements {
			n += len(e) + 1
		}
		return n
	case TypeChar, TypeVarchar:
		return c.Size / charsetWidth(c.Charset)
	}
	return c.Size
}
