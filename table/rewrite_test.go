package table

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"testing"

	"cdcd/capture"
	"cdcd/table/datafile"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
)

// paths gives a survey's files, oldest first.
func paths(s *Survey) []string {
	out := make([]string, len(s.Files))
	for i, f := range s.Files {
		out[i] = f.Path
	}
	return out
}

// readFile reads a data file of a table by key, which must be there once. Each row must have
// its lineage in the file.
func readFile(t fatal, s *Survey, f iceberg.DataFile) map[string]stored {
	t.Helper()
	r, err := datafile.OpenReader(context.Background(), s.store.IO(context.Background()), f.FilePath(), s.layout.FieldIDs(), s.mem)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out := map[string]stored{}
	for {
		rows, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if rows.RowIDs.NullN() > 0 || rows.Sequences.NullN() > 0 {
			t.Fatal("rows lack their lineage")
		}
		for i := range int(rows.Record.NumRows()) {
			out[rows.Record.Column(0).ValueStr(i)] = stored{rows.Record.Column(1).(*array.String).Value(i), rows.RowIDs.Value(i), rows.Sequences.Value(i)}
		}
		rows.Release()
	}
	if f.Count() != r.NumRows() || len(out) != int(r.NumRows()) {
		t.Fatalf("%d keys in %d rows, the file is said to have %d", len(out), r.NumRows(), f.Count())
	}
	return out
}

func TestRewriteKeepsRowsAndLineage(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	l := newLab(t, dir, testSource(false), mem)
	defer l.cat.Close()
	for i := range 20 {
		b := l.batch(mem, []row{{id: i, val: "new"}, {id: i + 100, val: "new"}, {id: i / 2, val: "again", op: capture.OpUpdate}})
		l.commit([]*capture.Batch{b})
		b.Release()
	}
	s := l.table.Survey()
	r, err := s.Rewrite(context.Background(), paths(s), RewriteOptions{Fence: 1, Epoch: 99})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := readFile(t, s, r.Output), l.read(); !maps.Equal(got, want) {
		t.Errorf("the output holds %v, the table %v", got, want)
	}
	if err := l.table.Abandon(); err != nil {
		t.Fatal(err)
	}
}
