package verify

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// expression renders a column on the server so that its text can be compared: text in
// UTF-8, bytes as hexadecimal digits, numbers in full.
func expression(c capture.Column) string {
	name := "`" + strings.ReplaceAll(c.Name, "`", "``") + "`"
	switch c.Type {
	case capture.TypeFloat:
		return "CAST(" + name + " AS DOUBLE)"
	case capture.TypeBit:
		return fmt.Sprintf("LPAD(HEX(%s), %d, '0')", name, 2*((c.Size+7)/8))
	case capture.TypeYear:
		return name + " + 0"
	case capture.TypeBinary, capture.TypeVarbinary, capture.TypeBlob, capture.TypeGeometry, capture.TypeVector:
		return "HEX(" + name + ")"
	}
	return "CAST(" + name + " AS CHAR CHARACTER SET utf8mb4)"
}

// sourceText brings the server's text into the form that both sides are compared in. null
// is true for a value that the lake holds as NULL.
func sourceText(c capture.Column, o capture.TypeOptions, text []byte) (out []byte, null bool) {
	switch c.Type {
	case capture.TypeFloat, capture.TypeDouble:
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return text, false
		}
		return floatText(f), false
	case capture.TypeDate, capture.TypeDatetime, capture.TypeTimestamp:
		return text, o.ZeroDateAsNull && !isDay(text)
	case capture.TypeTinyInt, capture.TypeSmallInt, capture.TypeMediumInt, capture.TypeInt, capture.TypeBigInt, capture.TypeDecimal:
		return trimZeros(text), false
	}
	return text, false
}

// trimZeros drops the zeros that ZEROFILL puts before a number.
func trimZeros(text []byte) []byte {
	for len(text) > 1 && text[0] == '0' && text[1] != '.' {
		text = text[1:]
	}
	return text
}

// isDay reports whether text begins with a day that exists.
func isDay(text []byte) bool {
	if len(text) < len(time.DateOnly) {
		return false
	}
	_, err := time.Parse(time.DateOnly, string(text[:len(time.DateOnly)]))
	return err == nil
}

// floatText renders a number so that equal numbers, and only those, have equal text.
func floatText(f float64) []byte {
	if f == 0 && math.Signbit(f) {
		f = 0 // the server's text does not keep the sign of zero in every version
	}
	return strconv.AppendFloat(nil, f, 'g', -1, 64)
}

// lakeText renders a value of the lake as the server renders it.
func lakeText(c capture.Column, a arrow.Array, i int) ([]byte, error) {
	switch a := a.(type) {
	case *array.Boolean:
		if a.Value(i) {
			return []byte("01"), nil
		}
		return []byte("00"), nil
	case *array.Int32:
		return strconv.AppendInt(nil, int64(a.Value(i)), 10), nil
	case *array.Int64:
		return strconv.AppendInt(nil, a.Value(i), 10), nil
	case *array.Float32:
		return floatText(float64(a.Value(i))), nil
	case *array.Float64:
		return floatText(a.Value(i)), nil
	case *array.Decimal128:
		return []byte(a.Value(i).ToString(int32(a.DataType().(*arrow.Decimal128Type).Scale))), nil
	case *array.Date32:
		return []byte(dayText(time.Unix(int64(a.Value(i))*86400, 0).UTC())), nil
	case *array.Timestamp:
		return timeText(time.UnixMicro(int64(a.Value(i))).UTC(), c.Fraction), nil
	case *array.String:
		return []byte(a.Value(i)), nil
	case *array.LargeString:
		return []byte(a.Value(i)), nil
	case *array.Binary:
		return fmt.Appendf(nil, "%X", a.Value(i)), nil
	case *array.LargeBinary:
		return fmt.Appendf(nil, "%X", a.Value(i)), nil
	}
	return nil, fmt.Errorf("column %q: a lake column of type %s cannot be compared", c.Name, a.DataType())
}

func dayText(t time.Time) string {
	return fmt.Sprintf("%04d-%02d-%02d", t.Year(), t.Month(), t.Day())
}

func timeText(t time.Time, digits int) []byte {
	out := fmt.Appendf(nil, "%s %02d:%02d:%02d", dayText(t), t.Hour(), t.Minute(), t.Second())
	if digits > 0 {
		micros := fmt.Sprintf("%06d", t.Nanosecond()/1000)
		out = append(append(out, '.'), micros[:digits]...)
	}
	return out
}

// keyComparison compares a key column with its text in a way that can use the index.
func keyComparison(c capture.Column) string {
	name := "`" + strings.ReplaceAll(c.Name, "`", "``") + "`"
	switch c.Type {
	case capture.TypeBinary, capture.TypeVarbinary, capture.TypeBlob:
		return name + " = UNHEX(?)"
	case capture.TypeBit:
		return name + " = CAST(CONV(?, 16, 10) AS UNSIGNED)"
	case capture.TypeYear:
		return name + " = LPAD(?, 4, '0')" // '0' is the year 2000
	}
	return name + " = ?"
}
