package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"cdcd/capture/binlog"
	"github.com/apache/arrow-go/v18/arrow/array"
	"pgregory.net/rapid"
)

// jsonMember is a member of a JSON object; objects are []jsonMember, for their order is the
// server's.
type jsonMember struct {
	key   string
	value any
}

// jsonOpaqueValue is a value of a type that JSON does not have.
type jsonOpaqueValue struct {
	kind binlog.ColumnType
	data []byte
}

// storeJSON is the binary form of a document, as the server's documentation defines it.
func storeJSON(v any, large bool) []byte {
	kind, data := storeJSONValue(v, large)
	return append([]byte{kind}, data...)
}

func storeJSONValue(v any, large bool) (kind byte, data []byte) {
	le := binary.LittleEndian
	switch v := v.(type) {
	case nil:
		return jsonLiteral, []byte{0}
	case bool:
		if v {
			return jsonLiteral, []byte{1}
		}
		return jsonLiteral, []byte{2}
	case int16:
		return jsonInt16, le.AppendUint16(nil, uint16(v))
	case uint16:
		return jsonUint16, le.AppendUint16(nil, v)
	case int32:
		return jsonInt32, le.AppendUint32(nil, uint32(v))
	case uint32:
		return jsonUint32, le.AppendUint32(nil, v)
	case int64:
		return jsonInt64, le.AppendUint64(nil, uint64(v))
	case uint64:
		return jsonUint64, le.AppendUint64(nil, v)
	case float64:
		return jsonDouble, le.AppendUint64(nil, math.Float64bits(v))
	case string:
		return jsonString, append(jsonLength(len(v)), v...)
	case jsonOpaqueValue:
		return jsonOpaque, append(append([]byte{byte(v.kind)}, jsonLength(len(v.data))...), v.data...)
	case []any:
		return storeJSONContainer(jsonSmallArray, nil, v, large)
	case []jsonMember:
		var keys []string
		var values []any
		for _, m := range v {
			keys, values = append(keys, m.key), append(values, m.value)
		}
		return storeJSONContainer(jsonSmallObject, keys, values, large)
	}
	panic(fmt.Sprintf("%T", v))
}

// jsonLength renders a length in seven bits a byte.
func jsonLength(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func storeJSONContainer(kind byte, keys []string, values []any, large bool) (byte, []byte) {
	wide := 2
	if large {
		kind, wide = kind+1, 4
	}
	number := func(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n))[:wide] }
	heap := 2*wide + len(keys)*(wide+2) + len(values)*(1+wide)
	head, tail := append([]byte(nil), number(len(values))...), []byte(nil)
	head = append(head, number(0)...)
	for _, k := range keys {
		head = append(append(head, number(heap+len(tail))...), byte(len(k)), byte(len(k)>>8))
		tail = append(tail, k...)
	}
	for _, v := range values {
		kind, data := storeJSONValue(v, large)
		head = append(head, kind)
		if inline := kind >= jsonLiteral && kind <= jsonUint16 || large && (kind == jsonInt32 || kind == jsonUint32); inline {
			head = append(head, append(data, 0, 0, 0)[:wide]...)
			continue
		}
		head = append(head, number(heap+len(tail))...)
		tail = append(tail, data...)
	}
	out := append(head, tail...)
	copy(out[wide:], number(len(out)))
	return kind, out
}

// printJSON renders a document as the server does.
func printJSON(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case float64:
		return doublesAsPrinted[v]
	case string:
		return quoteJSON(v)
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, printJSON(e))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []jsonMember:
		var parts []string
		for _, m := range v {
			parts = append(parts, quoteJSON(m.key)+": "+printJSON(m.value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

func quoteJSON(s string) string {
	for _, pair := range []string{`\\\`, "\"\\\"", "\b\\b", "\f\\f", "\n\\n", "\r\\r", "\t\\t"} {
		s = strings.ReplaceAll(s, pair[:1], pair[1:])
	}
	for c := range 0x20 {
		s = strings.ReplaceAll(s, string(rune(c)), fmt.Sprintf(`\u%04x`, c))
	}
	return `"` + s + `"`
}

// doublesAsPrinted holds what MySQL 9.7 prints.
var doublesAsPrinted = map[float64]string{
	1e15: "1e15", 1e14: "100000000000000.0", 1e-15: "0.000000000000001", 1e-16: "1e-16", 1.5: "1.5", -2.5e-7: "-0.00000025",
	1.2345678901234568e17: "1.2345678901234568e17", math.MaxFloat64: "1.7976931348623157e308", math.SmallestNonzeroFloat64: "5e-324",
	1234567890123456: "1.234567890123456e15", 999999999999999.9: "999999999999999.9", 1e16: "1e16", 12345678901234.56: "12345678901234.56",
	100: "100.0", 9007199254740992: "9.007199254740992e15", 1234567890123456.8: "1234567890123456.8", 0.30000000000000004: "0.30000000000000004",
	0: "0.0", 1e300: "1e300", 0.1: "0.1", 123456789012345680000: "1.2345678901234568e20",
}

func TestJSONDoublesPrintAsTheServerPrintsThem(t *testing.T) {
	for f, want := range doublesAsPrinted {
		for sign, f := range map[string]float64{"": f, "-": -f} {
			if want[0] == '-' {
				continue
			}
			got, err := appendJSON(nil, storeJSON(f, false))
			if f == 0 && sign == "-" {
				got, err = appendJSON(nil, storeJSON(math.Copysign(0, -1), false))
			}
			if err != nil || string(got) != sign+want {
				t.Errorf("%g prints %s, %v; want %s%s", f, got, err, sign, want)
			}
		}
	}
}

func TestJSONValues(t *testing.T) {
	packed := func(whole, micros int64) []byte {
		return binary.LittleEndian.AppendUint64(nil, uint64(whole<<24+micros))
	}
	day := int64(2024*13+2)<<22 | 29<<17
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"null": {nil, "null"}, "true": {true, "true"}, "false": {false, "false"},
		"int16": {int16(-32768), "-32768"}, "uint16": {uint16(65535), "65535"},
		"int32": {int32(-1 << 31), "-2147483648"}, "uint32": {uint32(1<<32 - 1), "4294967295"},
		"int64": {int64(math.MinInt64), "-9223372036854775808"}, "uint64": {uint64(math.MaxUint64), "18446744073709551615"},
		"empty text": {"", `""`}, "long text": {strings.Repeat("x", 300), `"` + strings.Repeat("x", 300) + `"`},
		"escapes":      {"\"\\\b\f\n\r\t\x00\x1f\x7f/ñ🐬", `"\"\\\b\f\n\r\t\u0000\u001f` + "\x7f" + `/ñ🐬"`},
		"empty array":  {[]any{}, "[]"},
		"empty object": {[]jsonMember{}, "{}"},
		"decimal(66)":  {jsonOpaqueValue{binlog.ColumnDecimal, append([]byte{66, 30}, "\x80\xbc\x61\x4e\x35\xb7\xbf\x87\x35\x0e\x34\xc0\x2f\x07\x5f\x79\x07\x5b\xcd\x15\x00\xbc\x61\x4e\x35\xb7\xbf\x87\x03\x7a"...)}, "12345678901234567890123456789012345.123456789012345678901234567890"},
		"decimal":      {jsonOpaqueValue{binlog.ColumnDecimal, []byte{3, 3, 0x7e, 0x0b}}, "-0.500"},
		"date":         {jsonOpaqueValue{binlog.ColumnDate, packed(day, 0)}, `"2024-02-29"`},
		"datetime":     {jsonOpaqueValue{binlog.ColumnDatetime, packed(day|12<<12|34<<6|56, 500000)}, `"2024-02-29 12:34:56.500000"`},
		"timestamp":    {jsonOpaqueValue{binlog.ColumnTimestamp, packed(day, 1)}, `"2024-02-29 00:00:00.000001"`},
		"time":         {jsonOpaqueValue{binlog.ColumnTime, packed(12<<12, 0)}, `"12:00:00.000000"`},
		"minus time":   {jsonOpaqueValue{binlog.ColumnTime, packed(-(838<<12 | 59<<6 | 59), 0)}, `"-838:59:59.000000"`},
		"minus micros": {jsonOpaqueValue{binlog.ColumnTime, packed(0, -1)}, `"-00:00:00.000001"`},
		"bits":         {jsonOpaqueValue{binlog.ColumnVarchar, []byte{5}}, `"base64:type15:BQ=="`},
	} {
		t.Run(name, func(t *testing.T) {
			for text, v := range map[string]any{
				c.want: c.value, "[" + c.want + ", 1]": []any{c.value, int16(1)}, `{"k": ` + c.want + "}": []jsonMember{{"k", c.value}},
			} {
				small, err := appendJSON([]byte("before"), storeJSON(v, false))
				large, errLarge := appendJSON([]byte("before"), storeJSON(v, true))
				if err != nil || errLarge != nil || string(small) != "before"+text || string(large) != string(small) {
					t.Errorf("got %s, %v and %s, %v; want %s", small, err, large, errLarge, text)
				}
			}
		})
	}
	if got, err := appendJSON(nil, nil); err != nil || string(got) != "null" {
		t.Errorf("the empty document is %s, %v", got, err)
	}
}

// drawJSON draws a document of at most that depth.
func drawJSON(r *rapid.T, depth int) any {
	scalars := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int16().AsAny(), rapid.Uint16().AsAny(), rapid.Int32().AsAny(), rapid.Uint32().AsAny(),
		rapid.Int64().AsAny(), rapid.Uint64().AsAny(), rapid.String().AsAny(), rapid.SampledFrom([]float64{1e15, 0.1, 1e300, 100}).AsAny(),
	}
	kind := rapid.IntRange(0, 3).Draw(r, "kind")
	if depth == 0 || kind < 2 {
		return rapid.OneOf(scalars...).Draw(r, "scalar")
	}
	n := rapid.IntRange(0, 4).Draw(r, "members")
	array, object := make([]any, n), make([]jsonMember, n)
	for i := range n {
		array[i] = drawJSON(r, depth-1)
		object[i] = jsonMember{rapid.StringN(0, 20, 80).Draw(r, "key"), array[i]}
	}
	if kind == 2 {
		return array
	}
	return object
}

func TestRandomJSONPrintsAsItsModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		v, large := drawJSON(r, 4), rapid.Bool().Draw(r, "large")
		if got, err := appendJSON(nil, storeJSON(v, large)); err != nil || string(got) != printJSON(v) {
			r.Fatalf("got %s, %v\nwant %s", got, err, printJSON(v))
		}
	})
}

// nested is an array in an array ... of that depth.
func nested(depth int) any {
	v := any(int16(1))
	for range depth {
		v = []any{v}
	}
	return v
}

func TestJSONDepthIsBounded(t *testing.T) {
	want := strings.Repeat("[", 100) + "1" + strings.Repeat("]", 100) // the server's own limit
	if got, err := appendJSON(nil, storeJSON(nested(100), false)); err != nil || string(got) != want {
		t.Errorf("100 arrays: %s, %v", got, err)
	}
	for _, depth := range []int{maxJSONDepth + 2, 5_000} {
		if _, err := appendJSON(nil, storeJSON(nested(depth), true)); err == nil {
			t.Errorf("%d arrays are accepted", depth)
		}
	}
}

func TestDamagedJSONIsAnError(t *testing.T) {
	decimal := func(b ...byte) []byte { return storeJSON(jsonOpaqueValue{binlog.ColumnDecimal, b}, false) }
	for name, b := range map[string][]byte{
		"unknown kind":         {13},
		"unknown literal":      {jsonLiteral, 3},
		"number cut off":       {jsonInt32, 1, 2, 3},
		"infinite":             storeJSON(math.Inf(1), false),
		"minus infinite":       storeJSON(math.Inf(-1), false),
		"no number":            storeJSON(math.NaN(), false),
		"text too long":        {jsonString, 5, 'a'},
		"length without end":   {jsonString, 0xff, 0xff, 0xff, 0xff, 0xff, 0},
		"more than it holds":   {jsonSmallArray, 2, 0, 7, 0, jsonInt16, 1, 0},
		"endless count":        {jsonLargeArray, 0xff, 0xff, 0xff, 0xff, 9, 0, 0, 0},
		"key behind the end":   {jsonSmallObject, 1, 0, 11, 0, 200, 0, 1, 0, jsonLiteral, 0, 0},
		"value behind the end": {jsonSmallArray, 1, 0, 7, 0, jsonString, 200, 0},
		"value in its entry":   {jsonSmallArray, 1, 0, 7, 0, jsonSmallArray, 0, 0},
		"opaque without type":  {jsonOpaque},
		"short time":           storeJSON(jsonOpaqueValue{binlog.ColumnTime, make([]byte, 7)}, false),
		"short decimal":        decimal(10, 2),
		"decimal cut off":      decimal(10, 2, 0x80),
		"decimal too precise":  decimal(82, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		"decimal of all scale": decimal(2, 3, 0x80, 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := appendJSON(nil, b); err == nil {
				t.Errorf("prints %s", got)
			}
		})
	}
}

func TestCutOffJSONIsAnError(t *testing.T) {
	for _, v := range []any{
		[]jsonMember{{"a", []any{int16(1), int64(2), "three"}}, {"b", []jsonMember{{"c", 1e300}}}, {"d", "the last value"}},
		[]jsonMember{{"the last key", int16(1)}},
		[]any{jsonOpaqueValue{binlog.ColumnTime, make([]byte, 8)}},
		uint64(1),
	} {
		refuseCutJSON(t, storeJSON(v, false))
		refuseCutJSON(t, storeJSON(v, true))
	}
}

func refuseCutJSON(t *testing.T, b []byte) {
	t.Helper()
	for n := 1; n < len(b); n++ { // nothing at all is a document of its own
		if got, err := appendJSON(nil, b[:n]); err == nil {
			t.Errorf("%d of %d bytes print %s", n, len(b), got)
		}
	}
}

// sharing is an object of n members whose keys, or whose values, are all the same long text.
func sharing(n, size int, keys bool) []byte {
	const keyEntry, valueEntry = 6, 5
	heap := 8 + n*(keyEntry+valueEntry)
	b := binary.LittleEndian.AppendUint32([]byte{jsonLargeObject}, uint32(n))
	b = binary.LittleEndian.AppendUint32(b, 0)
	for range n {
		b = binary.LittleEndian.AppendUint32(b, uint32(heap))
		if !keys {
			b = append(b, 0, 0)
			continue
		}
		b = append(b, byte(size), byte(size>>8))
	}
	for range n {
		if keys {
			b = append(b, jsonLiteral, 1, 0, 0, 0)
			continue
		}
		b = binary.LittleEndian.AppendUint32(append(b, jsonString), uint32(heap))
	}
	return append(append(b, jsonLength(size)...), bytes.Repeat([]byte{1}, size)...)
}

func TestSharedJSONContentCannotGrowWithoutEnd(t *testing.T) {
	for name, keys := range map[string]bool{"keys": true, "values": false} {
		t.Run(name, func(t *testing.T) {
			b := sharing(2_000, 60_000, keys)
			if text, err := appendJSON(nil, b); err == nil || len(text) > 2*maxJSONGrowth*len(b) {
				t.Errorf("%d bytes print %d, %v", len(b), len(text), err)
			}
		})
	}
}

func TestJSONLengthsOfNoBytesAreRefused(t *testing.T) {
	for meta := range uint16(256) {
		_, _, err := decodeOne(t, Column{Type: TypeJSON}, binlog.TableMapColumn{Meta: meta}, make([]byte, 300))
		if ok := meta >= 1 && meta <= 4; ok != (err == nil) {
			t.Errorf("%d bytes of length: %v", meta, err)
		}
	}
	values, n, err := decodeOne(t, Column{Type: TypeJSON}, binlog.TableMapColumn{Meta: 4}, append([]byte{3, 0, 0, 0}, jsonInt16, 7, 0, 0xaa))
	if err != nil || n != 7 || values.(*array.String).Value(0) != "7" {
		t.Errorf("got %v, took %d, %v", values, n, err)
	}
}

// FuzzJSON checks that no document panics, runs for long or prints out of proportion, and
// that reading one again gives the same text.
func FuzzJSON(f *testing.F) {
	v := []jsonMember{{"a", []any{nil, true, int16(1), uint32(2), int64(3), 1e300, "text\n"}}, {"", []jsonMember{{"k", jsonOpaqueValue{binlog.ColumnTime, make([]byte, 8)}}}}}
	f.Add(storeJSON(v, false))
	f.Add(storeJSON(v, true))
	f.Add(storeJSON(nested(50), false))
	f.Add(storeJSON(jsonOpaqueValue{binlog.ColumnDecimal, []byte{3, 3, 0x7e, 0x0b}}, false))
	f.Add(sharing(20, 50, true))
	f.Add(storeJSON(math.Inf(1), false))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		text, err := appendJSON(nil, b)
		runtime.ReadMemStats(&after)
		if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<10+100*maxJSONGrowth*uint64(len(b)+1) {
			t.Errorf("%d bytes made it allocate %d", len(b), spent)
		}
		if limit := maxJSONGrowth*(len(b)+1) + 6*len(b) + 64; len(text) > limit {
			t.Errorf("%d bytes print %d, more than %d", len(b), len(text), limit)
		}
		again, err2 := appendJSON([]byte("x"), b)
		if (err == nil) != (err2 == nil) || err == nil && string(again) != "x"+string(text) {
			t.Errorf("%q, %v and then %q, %v", text, err, again, err2)
		}
	})
}
