package datafile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
)

// testSchema has a key of two columns, which are not the first.
func testSchema() *iceberg.Schema {
	return iceberg.NewSchema(
		0,
		iceberg.NestedField{ID: 7, Name: "amount", Type: iceberg.DecimalTypeOf(9, 2)},
		iceberg.NestedField{ID: 3, Name: "name", Type: iceberg.PrimitiveTypes.String},
		iceberg.NestedField{ID: 5, Name: "id", Type: iceberg.PrimitiveTypes.Int64, Required: true},
	)
}

func testLayout(t *testing.T) *Layout {
	t.Helper()
	l, err := NewLayout(testSchema(), *iceberg.UnpartitionedSpec, 3, DefaultCompression())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// testColumns has n rows with ids from 0; every third name is NULL, and of distinct names
// there are as many as asked for.
func testColumns(t *testing.T, n, distinct int) []arrow.Array {
	t.Helper()
	amounts := array.NewDecimal128Builder(memory.DefaultAllocator, &arrow.Decimal128Type{Precision: 9, Scale: 2})
	names, ids := array.NewStringBuilder(memory.DefaultAllocator), array.NewInt64Builder(memory.DefaultAllocator)
	for i := range n {
		amounts.Append(decimal128.FromI64(int64(i) - 5))
		ids.Append(int64(i))
		if i%3 == 2 {
			names.AppendNull()
			continue
		}
		names.Append(fmt.Sprint("name", i%distinct))
	}
	columns := []arrow.Array{amounts.NewArray(), names.NewArray(), ids.NewArray()}
	t.Cleanup(func() {
		for _, c := range columns {
			c.Release()
		}
	})
	return columns
}

func write(t *testing.T, columns []arrow.Array, rowIDs []int64) (iceberg.DataFile, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.parquet")
	df, err := testLayout(t).Write(iceio.LocalFS{}, path, columns, rowIDs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return df, path
}

func TestFilesTellWhatTheyHold(t *testing.T) {
	df, path := write(t, testColumns(t, 10, 10), nil)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if df.Count() != 10 || df.FileSizeBytes() != info.Size() || df.FilePath() != path || df.FileFormat() != iceberg.ParquetFile {
		t.Errorf("%d rows, %d bytes of %d at %s as %s", df.Count(), df.FileSizeBytes(), info.Size(), df.FilePath(), df.FileFormat())
	}
	if nulls := df.NullValueCounts(); nulls[3] != 3 || nulls[5] != 0 {
		t.Errorf("nulls %v", nulls)
	}
	for id, want := range map[int]string{5: "[0 0 0 0 0 0 0 0]"} {
		if got := fmt.Sprint(df.LowerBoundValues()[id]); got != want {
			t.Errorf("field %d begins at %s, want %s", id, got, want)
		}
	}
}

func TestKeysAreReadInTheOrderAskedFor(t *testing.T) {
	const n = readBatchRows + 10 // two records
	for name, rowIDs := range map[string][]int64{"without row ids": nil, "with row ids": slices.Repeat([]int64{41, -1}, n/2)} {
		t.Run(name, func(t *testing.T) {
			_, path := write(t, testColumns(t, n, n), rowIDs)
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			next := int64(0)
			err := ReadKeys(context.Background(), iceio.LocalFS{}, path, []int{5, 3}, mem, func(r arrow.RecordBatch, base int64, ids *array.Int64) error {
				if base != next || r.NumCols() != 2 || r.ColumnName(0) != "id" || r.ColumnName(1) != "name" || (ids == nil) != (rowIDs == nil) {
					return fmt.Errorf("record %v at %d, row ids %v", r.Schema(), base, ids != nil)
				}
				for i, id := range r.Column(0).(*array.Int64).Int64Values() {
					if id != base+int64(i) || ids != nil && ids.IsNull(i) != (rowIDs[id] < 0) || ids != nil && ids.IsValid(i) && ids.Value(i) != rowIDs[id] {
						return fmt.Errorf("row %d is %d", base+int64(i), id)
					}
				}
				next += r.NumRows()
				return nil
			})
			if err != nil || next != n {
				t.Errorf("%d rows, %v", next, err)
			}
		})
	}
}

func TestReadKeysReportsWhatIsWrong(t *testing.T) {
	_, path := write(t, testColumns(t, 10, 10), nil)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.parquet")
	if err := os.WriteFile(cut, content[:len(content)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	own := errors.New("visit failed")
	for name, c := range map[string]struct {
		path string
		ids  []int
		want string
	}{
		"no such field": {path, []int{5, 99}, "lacks field 99"},
		"no such file":  {path + "x", []int{5}, "no such file"},
		"cut off":       {cut, []int{5}, "open " + cut},
		"visitor":       {path, []int{5}, own.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			err := ReadKeys(context.Background(), iceio.LocalFS{}, c.path, c.ids, mem, func(arrow.RecordBatch, int64, *array.Int64) error { return own })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestStorageFollowsTheValues(t *testing.T) {
	for name, c := range map[string]struct {
		distinct   int
		dictionary bool
	}{"few names": {5, true}, "many names": {10_000, false}} {
		t.Run(name, func(t *testing.T) {
			_, path := write(t, testColumns(t, 10_000, c.distinct), nil)
			pf, err := file.OpenParquetFile(path, false)
			if err != nil {
				t.Fatal(err)
			}
			defer pf.Close()
			if got := pf.MetaData().Schema.Column(0).PhysicalType(); got != parquet.Types.Int32 {
				t.Errorf("DECIMAL(9,2) is stored as %s", got)
			}
			group := pf.RowGroup(0).MetaData()
			for i, want := range []bool{false, c.dictionary, false} {
				column, err := group.ColumnChunk(i)
				if err != nil {
					t.Fatal(err)
				}
				if column.HasDictionaryPage() != want {
					t.Errorf("column %d: dictionary %v", i, !want)
				}
			}
		})
	}
}

func TestLayoutsKnowTheirColumns(t *testing.T) {
	fields := func(change func([]arrow.Field)) *arrow.Schema {
		out := []arrow.Field{
			{Name: "amount", Type: &arrow.Decimal128Type{Precision: 9, Scale: 2}},
			{Name: "name", Type: arrow.BinaryTypes.String},
			{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		}
		change(out)
		return arrow.NewSchema(out, nil)
	}
	for name, c := range map[string]struct {
		schema *arrow.Schema
		want   string
	}{
		"the same":      {fields(func([]arrow.Field) {}), ""},
		"renamed":       {fields(func(f []arrow.Field) { f[1].Name = "x" }), "column 2 is x"},
		"retyped":       {fields(func(f []arrow.Field) { f[2].Type = arrow.PrimitiveTypes.Int32 }), "column 3 is id int32"},
		"other scale":   {fields(func(f []arrow.Field) { f[0].Type = &arrow.Decimal128Type{Precision: 9, Scale: 3} }), "column 1"},
		"other order":   {fields(func(f []arrow.Field) { f[0], f[1] = f[1], f[0] }), "column 1 is name"},
		"fewer columns": {arrow.NewSchema(nil, nil), "0 columns, the table has 3"},
	} {
		err := testLayout(t).Check(c.schema)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnwritableFilesAreErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "\x00", "f.parquet")
	if df, err := testLayout(t).Write(iceio.LocalFS{}, path, testColumns(t, 3, 3), nil, nil); err == nil {
		t.Errorf("wrote %v", df)
	}
}
