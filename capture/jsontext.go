package capture

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"

	"cdcd/capture/binlog"
)

// MySQL's binary JSON: a type byte, then the value. Objects and arrays begin with their
// count and size, then one entry a key (offset, length), one entry a value (type, offset
// or the value itself where it is small), then the keys and values; offsets count from the
// container's start. "Large" containers use four bytes where small ones use two.
const (
	jsonSmallObject = 0
	jsonLargeObject = 1
	jsonSmallArray  = 2
	jsonLargeArray  = 3
	jsonLiteral     = 4
	jsonInt16       = 5
	jsonUint16      = 6
	jsonInt32       = 7
	jsonUint32      = 8
	jsonInt64       = 9
	jsonUint64      = 10
	jsonDouble      = 11
	jsonString      = 12
	jsonOpaque      = 15

	// maxJSONDepth is above the server's own limit of 100.
	maxJSONDepth = 110
	// maxJSONGrowth bounds the text's length by the document's: the worst case is a control
	// character, six characters for a byte.
	maxJSONGrowth = 12
)

var errBadJSON = errors.New("damaged binary JSON")

// appendJSON renders a stored JSON document as the text MySQL prints for it, to the byte.
func appendJSON(dst, b []byte) ([]byte, error) {
	if len(b) == 0 { // INSERT IGNORE of NULL into a NOT NULL column stores nothing
		return append(dst, "null"...), nil
	}
	return appendJSONValue(dst, b[0], b[1:], jsonBounds{end: len(dst) + maxJSONGrowth*(len(b)+1)})
}

// jsonBounds keeps damaged documents, whose offsets may share or repeat content, from
// growing without end.
type jsonBounds struct {
	depth int
	end   int // the longest text allowed
}

func appendJSONValue(dst []byte, kind byte, b []byte, bounds jsonBounds) ([]byte, error) {
	if bounds.depth > maxJSONDepth || len(dst) > bounds.end {
		return dst, errBadJSON
	}
	switch kind {
	case jsonSmallObject, jsonLargeObject, jsonSmallArray, jsonLargeArray:
		return appendJSONContainer(dst, kind, b, bounds)
	case jsonString:
		s, _, err := jsonBytes(b)
		if err != nil {
			return dst, err
		}
		return appendJSONString(dst, s), nil
	case jsonOpaque:
		return appendJSONOpaque(dst, b)
	}
	return appendJSONScalar(dst, kind, b)
}

func appendJSONScalar(dst []byte, kind byte, b []byte) ([]byte, error) {
	if kind < jsonLiteral || kind > jsonDouble {
		return dst, errBadJSON
	}
	width := [...]int{jsonLiteral: 1, jsonInt16: 2, jsonUint16: 2, jsonInt32: 4, jsonUint32: 4, jsonInt64: 8, jsonUint64: 8, jsonDouble: 8}
	if len(b) < width[kind] {
		return dst, errBadJSON
	}
	switch kind {
	case jsonLiteral:
		return appendJSONLiteral(dst, b[0])
	case jsonInt16:
		return strconv.AppendInt(dst, int64(int16(binary.LittleEndian.Uint16(b))), 10), nil
	case jsonUint16:
		return strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint16(b)), 10), nil
	case jsonInt32:
		return strconv.AppendInt(dst, int64(int32(binary.LittleEndian.Uint32(b))), 10), nil
	case jsonUint32:
		return strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint32(b)), 10), nil
	case jsonInt64:
		return strconv.AppendInt(dst, int64(binary.LittleEndian.Uint64(b)), 10), nil
	case jsonUint64:
		return strconv.AppendUint(dst, binary.LittleEndian.Uint64(b), 10), nil
	default:
		f := math.Float64frombits(binary.LittleEndian.Uint64(b))
		if math.IsInf(f, 0) || math.IsNaN(f) { // JSON has no such numbers
			return dst, errBadJSON
		}
		return appendJSONDouble(dst, f), nil
	}
}

func appendJSONLiteral(dst []byte, v byte) ([]byte, error) {
	switch v {
	case 0:
		return append(dst, "null"...), nil
	case 1:
		return append(dst, "true"...), nil
	case 2:
		return append(dst, "false"...), nil
	}
	return dst, errBadJSON
}

// jsonBytes reads a length (seven bits a byte, least first) and as many bytes.
func jsonBytes(b []byte) (s []byte, size int, err error) {
	n := 0
	for k := range min(len(b), 5) {
		n |= int(b[k]&0x7f) << (7 * k)
		if b[k]&0x80 != 0 {
			continue
		}
		if n > len(b)-k-1 {
			return nil, 0, errBadJSON
		}
		return b[k+1 : k+1+n], k + 1 + n, nil
	}
	return nil, 0, errBadJSON
}

// jsonContainer is an object or array being rendered.
type jsonContainer struct {
	b     []byte
	wide  int // bytes of counts and offsets
	large bool
}

// number reads a count or offset; the caller has checked that it is inside b.
func (c *jsonContainer) number(at int) int {
	if c.large {
		return int(binary.LittleEndian.Uint32(c.b[at:]))
	}
	return int(binary.LittleEndian.Uint16(c.b[at:]))
}

// key gives the key whose entry is at the given place.
func (c *jsonContainer) key(at int) ([]byte, error) {
	offset, n := c.number(at), int(binary.LittleEndian.Uint16(c.b[at+c.wide:]))
	if offset+n > len(c.b) {
		return nil, errBadJSON
	}
	return c.b[offset : offset+n], nil
}

// inline reports whether a value of that kind stands in its entry rather than behind it.
func (c *jsonContainer) inline(kind byte) bool {
	return kind >= jsonLiteral && kind <= jsonUint16 || c.large && (kind == jsonInt32 || kind == jsonUint32)
}

// value renders the value whose entry is at the given place.
func (c *jsonContainer) value(dst []byte, at int, bounds jsonBounds) ([]byte, error) {
	kind := c.b[at]
	if c.inline(kind) {
		return appendJSONScalar(dst, kind, c.b[at+1:])
	}
	offset := c.number(at + 1)
	if offset > len(c.b) || offset <= at {
		return dst, errBadJSON // values stand behind their entries: no offset can loop
	}
	if short := c.b[offset:]; kind == jsonString && len(short) > 0 && int(short[0]) < min(len(short), 0x80) { // most strings: one byte of length
		return appendJSONString(dst, short[1:1+short[0]]), nil
	}
	bounds.depth++
	return appendJSONValue(dst, kind, c.b[offset:], bounds)
}

func appendJSONContainer(dst []byte, kind byte, b []byte, bounds jsonBounds) ([]byte, error) {
	c := jsonContainer{b: b, wide: 2}
	if kind == jsonLargeObject || kind == jsonLargeArray {
		c.wide, c.large = 4, true
	}
	if len(b) < 2*c.wide {
		return dst, errBadJSON
	}
	n := c.number(0)
	keySize, open, end := 0, byte('['), byte(']')
	if kind == jsonSmallObject || kind == jsonLargeObject {
		keySize, open, end = c.wide+2, '{', '}'
	}
	keyAt, valueSize := 2*c.wide, 1+c.wide
	valueAt := keyAt + n*keySize
	if n > len(b) || valueAt+n*valueSize > len(b) {
		return dst, errBadJSON
	}
	dst = append(dst, open)
	for i := range n {
		if len(dst) > bounds.end { // keys can share content as well as values
			return dst, errBadJSON
		}
		if i > 0 {
			dst = append(dst, ',', ' ')
		}
		if keySize > 0 {
			key, err := c.key(keyAt + i*keySize)
			if err != nil {
				return dst, err
			}
			dst = append(appendJSONString(dst, key), ':', ' ')
		}
		var err error
		if dst, err = c.value(dst, valueAt+i*valueSize, bounds); err != nil {
			return dst, err
		}
	}
	return append(dst, end), nil
}

// appendJSONOpaque renders a value of an SQL type that JSON does not have.
func appendJSONOpaque(dst, b []byte) ([]byte, error) {
	if len(b) == 0 {
		return dst, errBadJSON
	}
	data, _, err := jsonBytes(b[1:])
	if err != nil {
		return dst, err
	}
	switch kind := binlog.ColumnType(b[0]); kind {
	case binlog.ColumnDecimal:
		return appendJSONDecimal(dst, data)
	case binlog.ColumnDate, binlog.ColumnNewDate, binlog.ColumnDatetime, binlog.ColumnTimestamp, binlog.ColumnTime:
		if len(data) < 8 {
			return dst, errBadJSON
		}
		return appendJSONTemporal(dst, kind, int64(binary.LittleEndian.Uint64(data))), nil
	default:
		dst = append(dst, `"base64:type`...)
		dst = strconv.AppendUint(dst, uint64(kind), 10)
		dst = append(dst, ':')
		dst = base64.StdEncoding.AppendEncode(dst, data)
		return append(dst, '"'), nil
	}
}

func appendJSONDecimal(dst, data []byte) ([]byte, error) {
	if len(data) < 3 {
		return dst, errBadJSON
	}
	precision, scale := int(data[0]), int(data[1])
	if precision > maxJSONPrecision || scale > precision || decimalBytes(precision, scale) > len(data)-2 {
		return dst, errBadJSON
	}
	return appendDecimal(dst, data[2:], precision, scale), nil
}

// appendJSONTemporal renders a packed time, date or date and time: 24 bits of microseconds
// below the fields.
func appendJSONTemporal(dst []byte, kind binlog.ColumnType, packed int64) []byte {
	dst = append(dst, '"')
	negative := packed < 0
	if negative {
		packed = -packed
	}
	micros, x := packed&0xffffff, packed>>24
	if kind == binlog.ColumnTime {
		dst = appendTime(dst, negative, x>>12&0x3ff, x>>6&63, x&63, micros, 6)
		return append(dst, '"')
	}
	yearMonth := x >> 22
	dst = appendPadded(dst, uint64(yearMonth/13), 4)
	dst = append(dst, '-')
	dst = appendPadded(dst, uint64(yearMonth%13), 2)
	dst = append(dst, '-')
	dst = appendPadded(dst, uint64(x>>17&31), 2)
	if kind != binlog.ColumnDate && kind != binlog.ColumnNewDate {
		dst = append(dst, ' ')
		dst = appendTime(dst, false, x>>12&31, x>>6&63, x&63, micros, 6)
	}
	return append(dst, '"')
}

// appendJSONString quotes s as MySQL does: only quotes, backslashes and control characters
// are escaped.
func appendJSONString(dst, s []byte) []byte {
	if jsonPlain(s) {
		dst = slices.Grow(dst, len(s)+2)
		n := len(dst)
		dst = dst[:n+len(s)+2]
		dst[n], dst[len(dst)-1] = '"', '"'
		copy(dst[n+1:], s)
		return dst
	}
	dst = append(dst, '"')
	for _, c := range s {
		if jsonEscaped(c) {
			dst = appendJSONEscape(dst, c)
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

func jsonEscaped(c byte) bool { return c < 0x20 || c == '"' || c == '\\' }

// jsonPlain reports that nothing in s is escaped. It may say no of a string whose bytes are
// all plain: a byte is looked at by itself then.
func jsonPlain(s []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		x := binary.LittleEndian.Uint64(s)
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		// The highest bit of a byte is set where the byte is below 0x20, or zero.
		if ((x-ones*0x20)&^x|(quote-ones)&^quote|(slash-ones)&^slash)&highs != 0 {
			return false
		}
	}
	for _, c := range s {
		if jsonEscaped(c) {
			return false
		}
	}
	return true
}

func appendJSONEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// appendJSONDouble prints the shortest digits that read back the same, in MySQL's choice
// of notation: plain for exponents from -15 to 14 (15 with all 17 digits), else with an
// unpadded exponent.
func appendJSONDouble(dst []byte, f float64) []byte {
	if f == 0 {
		if math.Signbit(f) {
			return append(dst, "-0.0"...)
		}
		return append(dst, "0.0"...)
	}
	var buf [32]byte
	text := strconv.AppendFloat(buf[:0], f, 'e', -1, 64) // d.ddde±xx, or de±xx
	if text[0] == '-' {
		dst, text = append(dst, '-'), text[1:]
	}
	e := bytes.IndexByte(text, 'e')
	exponent, _ := strconv.Atoi(string(text[e+1:])) // written by AppendFloat: always a number
	if digits := e - 1; exponent < -15 || exponent > 15 || exponent == 15 && digits <= 16 {
		dst = append(append(dst, text[:e]...), 'e')
		return strconv.AppendInt(dst, int64(exponent), 10)
	}
	if e > 1 { // take the point out
		text[1] = text[0]
		text, e = text[1:], e-1
	}
	return appendPlain(dst, text[:e], exponent)
}

// appendPlain renders digits with the point behind the first exponent+1 of them.
func appendPlain(dst, digits []byte, exponent int) []byte {
	if exponent < 0 {
		dst = append(dst, '0', '.')
		for range -exponent - 1 {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	whole := exponent + 1
	if whole < len(digits) {
		dst = append(append(dst, digits[:whole]...), '.')
		return append(dst, digits[whole:]...)
	}
	dst = append(dst, digits...)
	for range whole - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, '.', '0')
}
