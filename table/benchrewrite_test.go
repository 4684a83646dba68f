package table

import (
	"context"
	"fmt"
	"os"
	"testing"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// BenchmarkRewrite merges files of 100,000 rows, of which every other has a tenth of its rows
// deleted.
func BenchmarkRewrite(b *testing.B) {
	const files, rows = 10, 100_000
	dir := fastDir(b)
	defer os.RemoveAll(dir)
	l := newLab(b, dir, testSource(false), capture.NewPool())
	defer l.cat.Close()
	for f := range files {
		changes := make([]row, 0, rows)
		for i := range rows {
			id := f*rows + i
			if f%2 == 1 && i < rows/10 {
				id = (f-1)*rows + 10*i
			}
			changes = append(changes, row{id: id, val: fmt.Sprint("value ", uint32(id)*2654435761), op: capture.OpUpdate})
		}
		batch := l.batch(memory.DefaultAllocator, changes)
		l.commit([]*capture.Batch{batch})
		batch.Release()
	}
	s := l.table.Survey()
	read, written := int64(0), int64(0)
	for _, f := range s.Files {
		read += f.Bytes
	}
	b.ResetTimer()
	for range b.N {
		r, err := s.Rewrite(context.Background(), paths(s), RewriteOptions{Stem: NewStem(1, 99)})
		if err != nil {
			b.Fatal(err)
		}
		written += r.Rows
		b.StopTimer()
		if err := s.store.Remove(context.Background(), r.Output.FilePath()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.SetBytes(read)
	b.ReportMetric(float64(written)/b.Elapsed().Seconds(), "rows/s")
}
