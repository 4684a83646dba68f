package table

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"

	"cdcd/capture"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
)

// arrowOf gives the Arrow type in which a column of an Iceberg type comes.
func arrowOf(t *testing.T, typ string) arrow.DataType {
	t.Helper()
	types := map[string]arrow.DataType{
		"boolean": arrow.FixedWidthTypes.Boolean, "int": arrow.PrimitiveTypes.Int32, "long": arrow.PrimitiveTypes.Int64,
		"string": arrow.BinaryTypes.String, "binary": arrow.BinaryTypes.Binary, "decimal(38, 2)": &arrow.Decimal128Type{Precision: 38, Scale: 2},
		"date": arrow.FixedWidthTypes.Date32, "timestamp": &arrow.TimestampType{Unit: arrow.Microsecond}, "timestamptz": arrow.FixedWidthTypes.Timestamp_us,
	}
	if types[typ] == nil {
		t.Fatal(typ)
	}
	return types[typ]
}

// appendValue appends a value as the test data has it.
func appendValue(t *testing.T, b array.Builder, text string) {
	t.Helper()
	bytes, _ := hex.DecodeString(text)
	n, _ := strconv.ParseInt(text, 10, 64)
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(text == "True")
	case *array.Int32Builder:
		b.Append(int32(n))
	case *array.Int64Builder:
		b.Append(n)
	case *array.Date32Builder:
		b.Append(arrow.Date32(n))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(n))
	case *array.StringBuilder:
		b.Append(string(bytes))
	case *array.BinaryBuilder:
		b.Append(bytes)
	case *array.Decimal128Builder:
		n, ok := new(big.Int).SetString(text, 10)
		if !ok {
			t.Fatal(text)
		}
		b.Append(decimal128.FromBigInt(n))
	default:
		t.Fatalf("%T", b)
	}
}

// valueText shows a partition's value as the test data has it.
func valueText(v any) string {
	switch v := v.(type) {
	case bool:
		return map[bool]string{true: "True", false: "False"}[v]
	case string:
		return hex.EncodeToString([]byte(v))
	case []byte:
		return hex.EncodeToString(v)
	case iceberg.Decimal:
		return v.Val.BigInt().String()
	case iceberg.Date:
		return strconv.Itoa(int(v))
	case iceberg.Timestamp:
		return strconv.FormatInt(int64(v), 10)
	}
	return fmt.Sprint(v)
}

// literalValue gives a value in one form: decimals are read as literals.
func literalValue(v any) any {
	if l, ok := v.(iceberg.Literal); ok {
		return l.Any()
	}
	return v
}

// TestTransforms compares what rows are partitioned by with what another implementation makes of
// the same values (integration/engines/transforms.py).
func TestTransforms(t *testing.T) {
	text, err := os.ReadFile("testdata/transforms.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		transform, err := iceberg.ParseTransform(f[1])
		if err != nil {
			t.Fatal(err)
		}
		b := array.NewBuilder(memory.DefaultAllocator, arrowOf(t, f[0]))
		appendValue(t, b, f[2])
		b.AppendNull()
		column := b.NewArray()
		schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: column.DataType(), Nullable: true}}, nil)
		batch := &capture.Batch{Record: array.NewRecordBatch(schema, []arrow.Array{column}, 2)}
		p := &partitioner{fields: []partitionColumn{{field: 1000, transform: transform}}}
		parts, err := p.split([]int{1, 0}, []rowset.Ref{{Row: 0}, {Row: 1}}, []*capture.Batch{batch})
		if err != nil || len(parts) != 2 || parts[0].values[1000] != nil {
			t.Fatalf("%q: %v, %v", f, parts, err)
		}
		if got := valueText(parts[1].values[1000]); got != f[3] {
			t.Errorf("%q: %s", f, got)
		}
		n++
	}
	if n < 400 {
		t.Error(n, "values")
	}
}
