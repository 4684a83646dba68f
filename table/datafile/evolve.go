package datafile

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/scalar"
	"github.com/apache/iceberg-go"
)

// widen gives a column as another type, to which its own promotes.
func widen(a arrow.Array, to arrow.DataType, mem memory.Allocator) (arrow.Array, error) {
	if arrow.TypeEqual(a.DataType(), to) {
		a.Retain()
		return a, nil
	}
	switch a := a.(type) {
	case *array.Decimal128:
		data := array.NewData(to, a.Len(), a.Data().Buffers(), nil, a.NullN(), a.Data().Offset())
		defer data.Release()
		return array.MakeFromData(data), nil
	case *array.Int32:
		b := array.NewInt64Builder(mem)
		defer b.Release()
		b.Reserve(a.Len())
		for i := range a.Len() {
			appendOrNull(a, i, func() { b.UnsafeAppend(int64(a.Value(i))) }, b.AppendNull)
		}
		return b.NewArray(), nil
	case *array.Float32:
		b := array.NewFloat64Builder(mem)
		defer b.Release()
		b.Reserve(a.Len())
		for i := range a.Len() {
			appendOrNull(a, i, func() { b.UnsafeAppend(float64(a.Value(i))) }, b.AppendNull)
		}
		return b.NewArray(), nil
	}
	return nil, fmt.Errorf("%s is not read as %s", a.DataType(), to)
}

func appendOrNull(a arrow.Array, i int, value, null func()) {
	if a.IsNull(i) {
		null()
		return
	}
	value()
}

// repeat gives a column of n times the one value of an array.
func repeat(value arrow.Array, n int, mem memory.Allocator) (arrow.Array, error) {
	s, err := scalar.GetScalar(value, 0)
	if err != nil {
		return nil, err
	}
	return scalar.MakeArrayFromScalar(s, n, mem)
}

// The forms in which dates and times stand in metadata.
const (
	dayForm    = "2006-01-02"
	momentForm = "2006-01-02T15:04:05.000000"
	zoneForm   = "+00:00"
)

// Floating gives a floating number as it has to stand in JSON: readers refuse one that looks
// like a whole number.
func Floating(v float64) json.Number {
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return json.Number(text)
}

// DefaultOf gives the one value of an array as it stands in a schema's JSON: whole numbers as
// floating ones, as which they are read back.
func DefaultOf(value arrow.Array) (any, error) {
	switch a := value.(type) {
	case *array.Boolean:
		return a.Value(0), nil
	case *array.Int32:
		return float64(a.Value(0)), nil
	case *array.Int64:
		return float64(a.Value(0)), nil
	case *array.Float32:
		return Floating(float64(a.Value(0))), nil
	case *array.Float64:
		return Floating(a.Value(0)), nil
	case *array.Decimal128:
		return a.Value(0).ToString(a.DataType().(*arrow.Decimal128Type).Scale), nil
	case *array.Date32:
		return a.Value(0).ToTime().Format(dayForm), nil
	case *array.Timestamp:
		text := time.UnixMicro(int64(a.Value(0))).UTC().Format(momentForm)
		if a.DataType().(*arrow.TimestampType).TimeZone != "" {
			text += zoneForm
		}
		return text, nil
	case *array.String:
		return a.Value(0), nil
	case *array.Binary:
		return hex.EncodeToString(a.Value(0)), nil
	}
	return nil, fmt.Errorf("a default of type %s has no form in metadata", value.DataType())
}

// initialArray reads a field's initial default, nil where it is NULL.
func initialArray(f iceberg.NestedField, dt arrow.DataType) (arrow.Array, error) {
	if f.InitialDefault == nil {
		return nil, nil
	}
	b := array.NewBuilder(memory.DefaultAllocator, dt)
	defer b.Release()
	ok := false
	switch v := f.InitialDefault.(type) {
	case bool:
		ok = appendBool(b, v)
	case float64:
		ok = appendNumber(b, v)
	case json.Number:
		n, err := v.Float64()
		ok = err == nil && appendNumber(b, n)
	case string:
		ok = appendText(b, v)
	}
	if !ok {
		return nil, fmt.Errorf("field %d: its initial default is no %s", f.ID, dt)
	}
	return b.NewArray(), nil
}

func appendBool(b array.Builder, v bool) bool {
	to, ok := b.(*array.BooleanBuilder)
	if ok {
		to.Append(v)
	}
	return ok
}

func appendNumber(b array.Builder, v float64) bool {
	switch b := b.(type) {
	case *array.Int32Builder:
		b.Append(int32(v))
		return float64(int32(v)) == v
	case *array.Int64Builder:
		b.Append(int64(v))
		return float64(int64(v)) == v
	case *array.Float32Builder:
		b.Append(float32(v))
		return true
	case *array.Float64Builder:
		b.Append(v)
		return true
	}
	return false
}

func appendText(b array.Builder, v string) bool {
	switch b := b.(type) {
	case *array.StringBuilder:
		b.Append(v)
		return true
	case *array.BinaryBuilder:
		raw, err := hex.DecodeString(v)
		b.Append(raw)
		return err == nil
	case *array.Decimal128Builder:
		t := b.Type().(*arrow.Decimal128Type)
		n, err := decimal128.FromString(v, t.Precision, t.Scale)
		b.Append(n)
		return err == nil
	case *array.Date32Builder:
		day, err := ParseDay(v)
		b.Append(day)
		return err == nil
	case *array.TimestampBuilder:
		moment, err := ParseMoment(v)
		b.Append(moment)
		return err == nil
	}
	return false
}

// ParseDay reads a date in the form that it has in metadata.
func ParseDay(text string) (arrow.Date32, error) {
	at, err := time.Parse(dayForm, text)
	return arrow.Date32FromTime(at), err
}

// ParseMoment reads a timestamp, with a zone or without, in the form that it has in metadata, in
// microseconds.
func ParseMoment(text string) (arrow.Timestamp, error) {
	at, err := time.Parse("2006-01-02T15:04:05.999999", strings.TrimSuffix(text, zoneForm))
	return arrow.Timestamp(at.UnixMicro()), err
}
