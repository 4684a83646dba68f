package table

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cdcd/table/datafile"
	"cdcd/table/fileio"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table/dv"
)

// everyType is a schema with every Iceberg type that icebergType gives, and decimals of each
// way in which they are stored. All columns but the first may be NULL.
func everyType() *iceberg.Schema {
	p := iceberg.PrimitiveTypes
	types := []iceberg.Type{
		p.Int64, p.Bool, p.Int32, p.Int64, p.Float32, p.Float64, iceberg.DecimalTypeOf(9, 3), iceberg.DecimalTypeOf(18, 0), iceberg.DecimalTypeOf(38, 10),
		p.Date, p.Timestamp, p.TimestampTz, p.String, p.Binary,
	}
	fields := make([]iceberg.NestedField, len(types))
	for i, t := range types {
		fields[i] = iceberg.NestedField{ID: i + 1, Name: fmt.Sprint("c", i), Type: t, Required: i == 0}
	}
	return iceberg.NewSchemaWithIdentifiers(0, []int{1}, fields...)
}

// everyValue makes n rows of columns of the given types. A third of the values is NULL.
func everyValue(t *testing.T, schema *arrow.Schema, n int) arrow.RecordBatch {
	t.Helper()
	values := map[arrow.Type][]string{
		arrow.BOOL: {"true", "false"}, arrow.INT32: {"-2147483648", "0", "2147483647"}, arrow.INT64: {"-9223372036854775808", "7", "9223372036854775807"},
		arrow.FLOAT32: {"-0", "NaN", "1.5", "-Inf"}, arrow.FLOAT64: {"-0", "NaN", "1e300", "+Inf"}, arrow.DECIMAL128: {"-1", "0", "123456"},
		arrow.DATE32: {"0001-01-01", "1970-01-01", "9999-12-31"}, arrow.TIMESTAMP: {"1000-01-01 00:00:00.000001", "1969-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999"},
		arrow.STRING: {"", "é漢\U0001f9ca", strings.Repeat("long ", 50)}, arrow.BINARY: {"", "AP8=", "YWJj"},
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for row := range n {
		b.Field(0).(*array.Int64Builder).Append(int64(row))
		for i, f := range b.Fields()[1:] {
			of := values[f.Type().ID()]
			zone := ""
			if ts, ok := f.Type().(*arrow.TimestampType); ok && ts.TimeZone != "" {
				zone = "Z"
			}
			if (row+i)%3 == 0 {
				f.AppendNull()
			} else if err := f.AppendValueFromString(of[row%len(of)] + zone); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b.NewRecordBatch()
}

// TestEveryTypeIsRewritten rewrites columns of every type, with some rows deleted, and compares
// the values.
func TestEveryTypeIsRewritten(t *testing.T) {
	const rows = 1000
	ctx, mem := context.Background(), memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	layout, err := datafile.NewLayout(everyType(), *iceberg.UnpartitionedSpec, 3, datafile.DefaultCompression())
	if err != nil {
		t.Fatal(err)
	}
	location := "file://" + filepath.Join(t.TempDir(), "t")
	io := fileio.Disk{}.IO(ctx)
	record := everyValue(t, layout.Arrow(), rows)
	defer record.Release()
	written, err := layout.Write(io, location+"/data/in.parquet", record.Columns(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	deleted := dv.NewRoaringPositionBitmap()
	for pos := range uint64(rows) {
		if pos%5 == 2 {
			deleted.Set(pos)
		}
	}
	in := surveyed{file: LiveFile{Path: written.FilePath(), Rows: rows, Deleted: deleted.Cardinality(), Sequence: 9}, firstRowID: 70, vector: written, bits: deleted}
	s := &Survey{
		inputs: map[string]surveyed{in.file.Path: in}, layout: layout, store: fileio.Disk{}, location: location, mem: mem,
		specs: map[int32]iceberg.PartitionSpec{0: *iceberg.UnpartitionedSpec},
	}
	r, err := s.Rewrite(ctx, []string{in.file.Path}, RewriteOptions{Stem: NewStem(1, 99)})
	if err != nil {
		t.Fatal(err)
	}
	next := int64(0)
	for _, rows := range readAll(t, s, r.Output) {
		rec := rows.Record
		for i := range int(rec.NumRows()) {
			for deleted.Contains(uint64(next)) {
				next++
			}
			for k, c := range rec.Columns() {
				was := record.Column(k)
				if c.IsNull(i) != was.IsNull(int(next)) || c.ValueStr(i) != was.ValueStr(int(next)) {
					t.Fatalf("row %d, column %d is %s, want %s", next, k, c.ValueStr(i), was.ValueStr(int(next)))
				}
			}
			next++
		}
		rows.Release()
	}
	if r.Rows != rows-deleted.Cardinality() || next != rows {
		t.Errorf("%d rows, the last of %d", r.Rows, next)
	}
}
