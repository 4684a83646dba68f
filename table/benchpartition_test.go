package table

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"cdcd/table/keyindex"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// BenchmarkLookUpInPartitions looks keys up in tables of one and of 2,000 partitions, a live file
// each, and tells which rows are live. The keys of a partition are spread over all keys.
func BenchmarkLookUpInPartitions(b *testing.B) {
	const rows, asked = 4_000_000, 50_000
	for _, partitions := range []int{1, 2000} {
		dir := fastDir(b)
		defer os.RemoveAll(dir)
		l := newLab(b, dir, testSource(false), memory.DefaultAllocator)
		defer l.cat.Close()
		l.pretend(b, rows, partitions)
		keys := make([]rowset.Key, 0, asked)
		for i := range asked {
			keys = append(keys, benchKey(i*79%rows))
		}
		slices.SortFunc(keys, rowset.Key.Compare)
		b.Run(fmt.Sprint(partitions), func(b *testing.B) {
			for b.Loop() {
				found, builder := 0, l.table.Build(1, 2)
				if err := l.table.index.Lookup(keys, builder, func(int, keyindex.Entry) { found++ }); err != nil || found != len(keys) {
					b.Fatal(found, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/asked, "ns/key")
		})
	}
}

func benchKey(n int) rowset.Key { return rowset.Key{Lo: uint64(n) * 0x9e3779b97f4a7c15} }

// pretend fills index and content as if the table had so many rows in so many partitions.
func (l *lab) pretend(b *testing.B, rows, partitions int) {
	numbers := make([]uint32, partitions)
	for p := range partitions {
		path := fmt.Sprintf("file:///lake/shop/orders/data/e1-k1-93e23959-0a2b-4957-ac3e-5cbc02593b3c-%d.parquet", p)
		l.table.content.files[path] = &dataFile{path: path, rows: int64(rows / partitions), partition: map[int]any{1000: int32(p)}}
		l.table.setNumber(l.table.content.files[path])
		numbers[p] = l.table.index.File(path)
	}
	var part []keyindex.Entry
	for i := range rows {
		part = append(part, keyindex.Entry{Key: benchKey(i), RowID: keyindex.ImplicitRowID, File: numbers[i%partitions], Pos: uint32(i / partitions)})
		if len(part) < 500_000 && i+1 < rows {
			continue
		}
		if err := l.table.index.Add(part, nil, &liveness{Table: l.table}); err != nil {
			b.Fatal(err)
		}
		part = nil
	}
}
