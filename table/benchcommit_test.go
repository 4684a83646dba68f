package table

import (
	"os"
	"testing"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// BenchmarkCommit commits small epochs to a table whose history is full: what a commit costs
// beside its rows.
func BenchmarkCommit(b *testing.B) {
	dir := fastDir(b)
	defer os.RemoveAll(dir)
	l := newLab(b, dir, testSource(false), memory.DefaultAllocator)
	defer l.cat.Close()
	commit := func(i int) {
		batch := l.batch(memory.DefaultAllocator, []row{{id: i, val: "new"}, {id: i / 2, val: "again", op: capture.OpUpdate}})
		l.commit([]*capture.Batch{batch})
		batch.Release()
	}
	for i := range keepSnapshots + 20 {
		commit(i)
	}
	b.ResetTimer()
	for i := range b.N {
		commit(keepSnapshots + 20 + i)
	}
}
