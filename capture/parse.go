package capture

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
)

// parser appends a value as the server's text protocol gives it to the open row of v. The
// SELECT of the initial load uses it; it must give what the column's decoder gives.
type parser func(v *vector, text []byte) error

// columnParser returns how c's text is read into vectors of type dt. The session is in
// UTC and gets stored bytes without conversion of character sets.
func columnParser(c Column, dt arrow.DataType) (parser, error) {
	switch c.Type {
	case TypeTinyInt, TypeSmallInt, TypeMediumInt, TypeInt, TypeBigInt, TypeYear:
		return integerParser(dt), nil
	case TypeFloat:
		return parseFloat, nil
	case TypeDouble:
		return parseDouble, nil
	case TypeDecimal:
		if c.Precision > maxDecimal {
			return parseLongDecimal, nil
		}
		scale := c.Scale
		return func(v *vector, text []byte) error { return parseDecimal(v, text, scale) }, nil
	case TypeBit:
		if c.Size == 1 {
			return parseBool, nil
		}
		return parseBytes, nil
	case TypeDate:
		return parseDate, nil
	case TypeDatetime, TypeTimestamp:
		return parseDatetime, nil
	case TypeTime, TypeJSON, TypeBinary, TypeVarbinary, TypeBlob, TypeGeometry, TypeVector, TypeUUID, TypeInet4, TypeInet6:
		return parseBytes, nil
	}
	decode := textDecoder(c.Charset)
	if decode == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnsupportedType, c.SQLType())
	}
	return func(v *vector, text []byte) error { return decode(&v.data, text) }, nil
}

func parseBytes(v *vector, text []byte) error {
	v.data.appendBytes(text)
	return nil
}

// parseLongDecimal takes a decimal number as text. ZEROFILL pads it where it is queried; the
// log has no padding.
func parseLongDecimal(v *vector, text []byte) error {
	for len(text) > 1 && text[0] == '0' && text[1] != '.' {
		text = text[1:]
	}
	return parseBytes(v, text)
}

func parseBool(v *vector, text []byte) error {
	v.appendBit(len(text) > 0 && text[len(text)-1] != 0)
	return nil
}

func integerParser(dt arrow.DataType) parser {
	switch dt.ID() {
	case arrow.INT32:
		return func(v *vector, text []byte) error {
			n, err := parseInt(text)
			v.appendInt32(int32(n))
			return err
		}
	case arrow.DECIMAL128:
		return func(v *vector, text []byte) error { return parseDecimal(v, text, 0) }
	}
	return func(v *vector, text []byte) error {
		n, err := parseInt(text)
		v.appendInt64(n)
		return err
	}
}

// parseInt reads a decimal number of up to 64 bits with sign.
func parseInt(text []byte) (int64, error) {
	digits, negative := bytes.CutPrefix(text, []byte{'-'})
	if len(digits) == 0 || len(digits) > 20 {
		return 0, strconv.ErrSyntax
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, strconv.ErrSyntax
		}
		n = n*10 + uint64(c-'0')
	}
	switch {
	case negative && n <= 1<<63:
		return -int64(n), nil
	case !negative && n <= math.MaxInt64:
		return int64(n), nil
	}
	return 0, errOverflow
}

// parseDecimal reads digits with exactly scale of them after the point.
func parseDecimal(v *vector, text []byte, scale int) error {
	digits, negative := bytes.CutPrefix(text, []byte{'-'})
	var hi, lo uint64
	point := -1
	for i, c := range digits {
		if c == '.' && point < 0 {
			point = len(digits) - i - 1
			continue
		}
		if c < '0' || c > '9' {
			return strconv.ErrSyntax
		}
		h, l := bits.Mul64(lo, 10)
		var carry uint64
		lo, carry = bits.Add64(l, uint64(c-'0'), 0)
		hi = hi*10 + h + carry
	}
	if max(point, 0) != scale || len(digits) > maxDecimal+len("0.") { // DECIMAL(38,38) has a digit more
		return strconv.ErrSyntax
	}
	if negative {
		var carry uint64
		lo, carry = bits.Add64(^lo, 1, 0)
		hi = ^hi + carry
	}
	v.appendInt128(int64(hi), lo)
	return nil
}

// parseFloat reads a FLOAT that the server has widened to DOUBLE: printed as FLOAT it
// would lose digits.
func parseFloat(v *vector, text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return strconv.ErrSyntax
	}
	if float64(float32(f)) != f {
		return fmt.Errorf("not a value of FLOAT")
	}
	v.appendInt32(int32(math.Float32bits(float32(f))))
	return nil
}

func parseDouble(v *vector, text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return strconv.ErrSyntax
	}
	v.appendInt64(int64(math.Float64bits(f)))
	return nil
}

// parseDay reads "2024-02-29" into days since the epoch.
func parseDay(text []byte) (int64, error) {
	if len(text) != 10 || text[4] != '-' || text[7] != '-' {
		return 0, strconv.ErrSyntax
	}
	year, err1 := number(text[:4])
	month, err2 := number(text[5:7])
	day, err3 := number(text[8:])
	if err1 != nil || err2 != nil || err3 != nil {
		return 0, strconv.ErrSyntax
	}
	days, ok := daysOf(int(year), int(month), int(day))
	if !ok {
		return 0, errNoDate
	}
	return days, nil
}

func parseDate(v *vector, text []byte) error {
	days, err := parseDay(text)
	if err == nil {
		v.appendInt32(int32(days))
	}
	return err
}

// parseDatetime reads "2024-02-29 23:59:59.123".
func parseDatetime(v *vector, text []byte) error {
	if len(text) < 19 || text[10] != ' ' || text[13] != ':' || text[16] != ':' {
		return strconv.ErrSyntax
	}
	days, err := parseDay(text[:10])
	if err != nil {
		return err
	}
	hour, err1 := number(text[11:13])
	minute, err2 := number(text[14:16])
	second, err3 := number(text[17:19])
	micros, err4 := parseMicros(text[19:])
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return strconv.ErrSyntax
	}
	v.appendInt64((days*secondsPerDay+hour*3600+minute*60+second)*microsPerSec + micros)
	return nil
}

// parseMicros reads "" or ".123" as microseconds.
func parseMicros(text []byte) (int64, error) {
	if len(text) == 0 {
		return 0, nil
	}
	if text[0] != '.' || len(text) > 7 {
		return 0, strconv.ErrSyntax
	}
	n, err := number(text[1:])
	for i := len(text); i < 7; i++ {
		n *= 10
	}
	return n, err
}
