package capture

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdcd/capture/statement"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// initial gives what the rows that were there before a column have in it: its default, or else
// NULL or, where there may be none, the server's own value for the type. It is nil for NULL.
func (s session) initial(c Column, d statement.Definition) (arrow.Array, error) {
	value := d.Default
	if value.Kind == statement.NoDefault {
		if d.Null == statement.NotNull {
			return s.implicit(c, d)
		}
		if c.Type == TypeTimestamp && d.Null != statement.NullAllowed {
			return nil, notTold("whether a TIMESTAMP without NULL or DEFAULT may be NULL is a setting of the server")
		}
		return nil, nil
	}
	if value.Kind == statement.NullValue {
		return nil, nil
	}
	text, err := s.constant(c, d)
	if err != nil {
		return nil, err
	}
	return s.parse(c, text)
}

// described gives a column's default as a row that is logged without the column was inserted
// with it; nil where that is not known.
func (s session) described(c Column, d statement.Definition) *Default {
	switch {
	case d.AutoValue || d.Generated || rounds(d):
		return nil
	case d.Default.Kind == statement.NullValue,
		d.Default.Kind == statement.NoDefault && c.Nullable && (c.Type != TypeTimestamp || d.Null == statement.NullAllowed):
		return &Default{Null: true}
	case d.Default.Kind == statement.NoDefault || d.Default.Kind == statement.Now:
		return nil
	}
	text, err := s.constant(c, d)
	if err != nil {
		return nil
	}
	return exactDefault(c, string(text))
}

// implicit gives the value for a column without default that may not be NULL.
func (s session) implicit(c Column, d statement.Definition) (arrow.Array, error) {
	switch c.Type {
	case TypeTinyInt, TypeSmallInt, TypeMediumInt, TypeInt, TypeBigInt, TypeFloat, TypeDouble, TypeYear:
		return s.parse(c, []byte("0"))
	case TypeDecimal:
		return s.parse(c, scaled("0", c.Scale))
	case TypeBit:
		return s.parse(c, make([]byte, (c.Size+7)/8))
	case TypeDate:
		return s.parse(c, []byte("0000-00-00"))
	case TypeDatetime:
		return s.parse(c, []byte("0000-00-00 00:00:00"))
	case TypeTime:
		return s.parse(c, withFraction("00:00:00", c.Fraction))
	case TypeBinary:
		return s.parse(c, make([]byte, c.Size))
	case TypeEnum:
		if strings.Contains(c.Elements[0], "?") || !s.keeps(d, []byte(c.Elements[0])) { // which may stand for another character
			return nil, notTold("what the first element is")
		}
		return s.parse(c, []byte(c.Elements[0]))
	case TypeChar, TypeVarchar, TypeText, TypeSet, TypeVarbinary, TypeBlob:
		return s.parse(c, nil)
	}
	return nil, notTold("what a new %s has that may not be NULL", c.SQLType())
}

// parse makes a value of a text, as the SELECT of the initial load gives it. A date that is none
// becomes what the options say.
func (s session) parse(c Column, text []byte) (arrow.Array, error) {
	dt, err := ArrowType(c, s.options)
	if err != nil {
		return nil, err
	}
	read := parseBytes
	if c.Charset == "" { // else it is UTF-8 already
		if read, err = columnParser(c, dt); err != nil {
			return nil, err
		}
	}
	v := newVector(dt, memory.DefaultAllocator)
	err = read(&v, text)
	switch {
	case err == nil:
		v.commit()
		return v.take(), nil
	case err == errNoDate && s.options.ZeroDateAsNull:
		return nil, nil
	case err == errNoDate:
		return nil, fmt.Errorf("its default is no date (types.zero_date: null reads such values as NULL)")
	}
	return nil, fmt.Errorf("its default is not understood: %w", err)
}

// keeps reports that a text of a statement is the same text in a column: beyond ASCII where the
// statement names a character set that has all of it. That of the table may lack it, and the server
// then takes another character.
func (s session) keeps(d statement.Definition, text []byte) bool {
	if asciiPrefix(text) == len(text) {
		return true
	}
	beyond := func(r rune) bool { return r > 0xffff }
	switch canonicalCharset(d.Charset) {
	case "utf8mb4", "utf16", "utf16le", "utf32":
		return !s.recoded
	case "utf8mb3", "ucs2":
		return !s.recoded && bytes.IndexFunc(text, beyond) < 0
	}
	return false
}

// constant gives a default as the server would print a row's value.
func (s session) constant(c Column, definition statement.Definition) ([]byte, error) {
	d := definition.Default
	unknown := notTold("a default that is not one value known from the text")
	switch d.Kind {
	case statement.Expression:
		return nil, unknown
	case statement.Now:
		if c.Type == TypeTimestamp && c.Fraction == 0 { // in UTC, whatever the session's time zone
			return []byte(s.began.UTC().Format("2006-01-02 15:04:05")), nil
		}
		return nil, notTold("the time in the session's time zone, or a part of a second")
	}
	text := d.Text
	if d.Kind == statement.Text && len(text) == 0 && s.emptyIsNull {
		return nil, notTold("an empty text, which is NULL in the session's sql_mode")
	}
	switch c.Type {
	case TypeTinyInt, TypeSmallInt, TypeMediumInt, TypeInt, TypeBigInt, TypeYear:
		return integerText(c, d)
	case TypeDecimal, TypeFloat, TypeDouble:
		return numberText(c, d)
	case TypeBit:
		return bitText(c, d)
	case TypeDate, TypeDatetime, TypeTimestamp, TypeTime:
		return temporalText(c, d)
	case TypeBinary, TypeVarbinary, TypeBlob:
		if d.Kind == statement.Text && asciiPrefix(text) < len(text) || d.Kind == statement.Number {
			return nil, unknown // in the character set of the client
		}
		if c.Type == TypeBinary {
			text = append(bytes.Clone(text), make([]byte, max(0, c.Size-len(text)))...)
		}
		return text, nil
	case TypeChar, TypeVarchar, TypeText, TypeEnum, TypeSet:
		fits := s.strict && !s.recoded && len(c.Elements) == 0 // else the statement would have failed
		if !fits && !s.keeps(definition, text) {
			return nil, unknown
		}
		return textText(c, d)
	}
	return nil, unknown
}

// lossless is the largest integer up to which metadata keep every one: readers take a number in
// JSON for a floating one.
const lossless = 1 << 53

func integerText(c Column, d statement.Default) ([]byte, error) {
	text := strings.TrimSpace(string(d.Text))
	if d.Kind == statement.Bits {
		if len(d.Text) > 6 {
			return nil, notTold("a default of more than 48 bits")
		}
		n := uint64(0)
		for _, b := range d.Text {
			n = n<<8 | uint64(b)
		}
		text = strconv.FormatUint(n, 10)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, notTold("a default that is no whole number")
	}
	if n < -lossless || n > lossless {
		return nil, notTold("a default that metadata do not keep exactly")
	}
	if c.Type == TypeYear && (n < 1901 || n > 2155) && (n != 0 || d.Kind == statement.Text && text != "0000") {
		return nil, notTold("a year of two digits")
	}
	return strconv.AppendInt(nil, n, 10), nil
}

func numberText(c Column, d statement.Default) ([]byte, error) {
	text := strings.TrimSpace(string(d.Text))
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || d.Kind == statement.Bits {
		return nil, notTold("a default that is no number")
	}
	switch c.Type {
	case TypeFloat:
		return strconv.AppendFloat(nil, float64(float32(f)), 'g', -1, 64), nil
	case TypeDouble:
		return strconv.AppendFloat(nil, f, 'g', -1, 64), nil
	}
	out := scaled(text, c.Scale)
	if out == nil {
		return nil, notTold("a default with more digits than the column")
	}
	return out, nil
}

// scaled renders a decimal number with so many digits after the point, or gives nil where it
// has others.
func scaled(text string, scale int) []byte {
	digits, negative := strings.CutPrefix(text, "-")
	digits = strings.TrimPrefix(digits, "+")
	whole, part, _ := strings.Cut(digits, ".")
	for len(part) > scale && strings.HasSuffix(part, "0") {
		part = part[:len(part)-1]
	}
	if len(part) > scale || strings.Trim(whole+part, "0123456789") != "" {
		return nil
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	out := whole
	if scale > 0 {
		out += "." + part + strings.Repeat("0", scale-len(part))
	}
	if negative && strings.Trim(out, "0.") != "" {
		out = "-" + out
	}
	return []byte(out)
}

func bitText(c Column, d statement.Default) ([]byte, error) {
	out := make([]byte, (c.Size+7)/8)
	from := d.Text
	if d.Kind == statement.Number {
		n, err := strconv.ParseUint(string(d.Text), 10, 63)
		if err != nil {
			return nil, notTold("a default that is no whole number")
		}
		from = []byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	} else if d.Kind != statement.Bits {
		return nil, notTold("a text as the default of bits")
	}
	from = bytes.TrimLeft(from, "\x00")
	if len(from) > len(out) {
		return nil, notTold("a default with more bits than the column")
	}
	copy(out[len(out)-len(from):], from)
	return out, nil
}

// temporalText takes dates and times as the server prints them, and no other of the many forms
// that it reads.
func temporalText(c Column, d statement.Default) ([]byte, error) {
	unknown := notTold("a default that is no date or time in full")
	text := string(d.Text)
	if d.Kind == statement.Number && text == "0" {
		text = map[Type]string{TypeDate: "0000-00-00", TypeDatetime: "0000-00-00 00:00:00", TypeTimestamp: "0000-00-00 00:00:00", TypeTime: "00:00:00"}[c.Type]
	} else if d.Kind != statement.Text {
		return nil, unknown
	}
	zero := strings.HasPrefix(text, "0000-00-00")
	switch c.Type {
	case TypeDate:
		if len(text) != len("2024-02-29") {
			return nil, unknown
		}
	case TypeTimestamp:
		if !zero {
			return nil, notTold("a TIMESTAMP in the session's time zone")
		}
		fallthrough
	case TypeDatetime:
		if len(text) == len("2024-02-29") {
			text += " 00:00:00"
		}
		if _, part, _ := strings.Cut(text, "."); len(part) > c.Fraction {
			return nil, unknown
		}
	case TypeTime:
		if len(text) != len("00:00:00") || text[2] != ':' || text[5] != ':' || strings.Trim(text, "0123456789:") != "" {
			return nil, unknown
		}
		return withFraction(text, c.Fraction), nil
	}
	return []byte(text), nil
}

// withFraction adds the digits of a second that a TIME has.
func withFraction(text string, digits int) []byte {
	if digits > 0 {
		text += "." + strings.Repeat("0", digits)
	}
	return []byte(text)
}

func textText(c Column, d statement.Default) ([]byte, error) {
	text := d.Text
	ascii := asciiPrefix(text) == len(text)
	if d.Kind == statement.Bits && !ascii || d.Introduced && !ascii {
		return nil, notTold("a default in a character set of its own")
	}
	switch {
	case d.Kind != statement.Number:
	case c.Type == TypeEnum || c.Type == TypeSet:
		return nil, notTold("a default by its number")
	case !asPrinted(text):
		return nil, notTold("a number that the server writes in another way")
	}
	if err := readUTF8(&growable{mem: memory.DefaultAllocator}, text); err != nil {
		return nil, notTold("a default that is no text")
	}
	switch c.Type {
	case TypeChar, TypeEnum:
		text = bytes.TrimRight(text, " ")
	case TypeSet:
		if len(text) > 0 && !inOrder(strings.Split(string(text), ","), c.Elements) {
			return nil, notTold("a default that is not of the elements, in their order")
		}
	}
	if c.Type == TypeEnum && !slices.Contains(c.Elements, string(text)) {
		return nil, notTold("a default that is none of the elements")
	}
	return text, nil
}

// asPrinted reports that a number is written as the server makes a text of it.
func asPrinted(number []byte) bool {
	whole, part, fraction := strings.Cut(strings.TrimPrefix(string(number), "-"), ".")
	switch {
	case strings.Trim(whole+part, "0") == "" && number[0] == '-': // which loses its sign
		return false
	case strings.Trim(whole+part, "0123456789") != "", whole == "", fraction && part == "":
		return false
	}
	return whole == "0" || whole[0] != '0'
}
