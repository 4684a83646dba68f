package datafile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
)

// TestLongValues writes values that are of no use as bounds and larger than a page: a file is about
// as large as what it holds, the others of its columns keep their bounds, and each value is a page.
func TestLongValues(t *testing.T) {
	const rows, size = 4, 4 << 20
	amounts := array.NewDecimal128Builder(memory.DefaultAllocator, &arrow.Decimal128Type{Precision: 9, Scale: 2})
	names, ids := array.NewStringBuilder(memory.DefaultAllocator), array.NewInt64Builder(memory.DefaultAllocator)
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, size)
	for i := range rows {
		for k := range text {
			text[k] = byte(' ' + random.IntN(64))
		}
		amounts.Append(decimal128.FromI64(int64(i)))
		names.Append(string(text))
		ids.Append(int64(i))
	}
	df, path := write(t, []arrow.Array{amounts.NewArray(), names.NewArray(), ids.NewArray()}, nil)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(rows * size); info.Size() > most {
		t.Errorf("%d bytes of values became %d", most, info.Size())
	}
	if got := fmt.Sprint(len(df.LowerBoundValues()[3]), df.LowerBoundValues()[5], df.NullValueCounts()[3], df.ValueCounts()[3]); got != "0 [0 0 0 0 0 0 0 0] 0 4" {
		t.Errorf("bounds and counts: %s", got)
	}
	pf, err := file.OpenParquetFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer pf.Close()
	pages, err := pf.RowGroup(0).GetColumnPageReader(1)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for pages.Next() {
		n++
	}
	if n != rows || pages.Err() != nil {
		t.Errorf("%d pages, %v", n, pages.Err())
	}
}
