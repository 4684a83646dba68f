package table

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"testing"

	"cdcd/capture"
	"cdcd/table/datafile"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"
)

// paths gives a survey's files, oldest first.
func paths(s *Survey) []string {
	out := make([]string, len(s.Files))
	for i, f := range s.Files {
		out[i] = f.Path
	}
	return out
}

// readAll reads a data file.
func readAll(t fatal, s *Survey, f iceberg.DataFile) []*datafile.Rows {
	t.Helper()
	r, err := datafile.OpenReader(context.Background(), s.store.IO(context.Background()), f.FilePath(), s.layout.FieldIDs(), s.mem)
	if err != nil {
		t.Fatal(err)
	}
	var out []*datafile.Rows
	for {
		rows, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rows)
	}
	if err := r.Close(); err != nil || r.NumRows() != f.Count() {
		t.Fatalf("%d rows, the file is said to have %d, %v", r.NumRows(), f.Count(), err)
	}
	return out
}

// readFile reads a data file of a table by key, which must be there once. Each row must have
// its lineage in the file.
func readFile(t fatal, s *Survey, f iceberg.DataFile) map[string]stored {
	t.Helper()
	out := map[string]stored{}
	for _, rows := range readAll(t, s, f) {
		if rows.RowIDs.NullN() > 0 || rows.Sequences.NullN() > 0 {
			t.Fatal("rows lack their lineage")
		}
		for i := range int(rows.Record.NumRows()) {
			out[rows.Record.Column(0).ValueStr(i)] = stored{rows.Record.Column(1).(*array.String).Value(i), rows.RowIDs.Value(i), rows.Sequences.Value(i)}
		}
		rows.Release()
	}
	if f.Count() != int64(len(out)) {
		t.Fatalf("%d keys in %d rows", len(out), f.Count())
	}
	return out
}

// rank counts the positions in a set below one.
func rank(bits *bitmap, pos int64) int64 {
	n := int64(0)
	if bits != nil {
		for p := range bits.Positions() {
			if int64(p) < pos {
				n++
			}
		}
	}
	return n
}

// liveIn gives the live rows of one data file: keys by position.
func (l *lab) liveIn(path string) map[int64]string {
	l.t.Helper()
	f := l.table.content.files[path]
	bits, err := l.table.content.bits(f)
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[int64]string{}
	err = datafile.ReadKeys(context.Background(), l.table.head.store.IO(context.Background()), path, []int{1}, l.table.mem,
		func(rec arrow.RecordBatch, base int64, _ *array.Int64) error {
			for i := range rec.NumRows() {
				if bits == nil || !bits.Contains(uint64(base+i)) {
					out[base+i] = rec.Column(0).ValueStr(int(i))
				}
			}
			return nil
		})
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// TestRewriteAgainstModel rewrites any files of any table in any order. The output has their
// live rows, with value and lineage as the library's reader gives them for the table, where
// the position map says. A rewrite of the output alone changes nothing.
func TestRewriteAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := fastDir(t)
		defer os.RemoveAll(dir)
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		l := newLab(t, dir, testSource(rapid.Bool().Draw(t, "text key")), mem)
		defer l.cat.Close()
		model := map[int]*modelRow{}
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			l.step(t, mem, model)
		}
		s := l.table.Survey()
		if len(s.Files) > 0 {
			chosen := rapid.Permutation(paths(s)).Draw(t, "order")
			l.checkRewrite(t, s, chosen[:rapid.IntRange(1, len(chosen)).Draw(t, "inputs")])
		}
		mem.AssertSize(t, 0)
		if err := l.table.Abandon(); err != nil {
			t.Fatal(err)
		}
	})
}

func (l *lab) checkRewrite(t *rapid.T, s *Survey, chosen []string) {
	r, err := s.Rewrite(context.Background(), chosen, RewriteOptions{Stem: NewStem(1, 99)})
	if err != nil {
		t.Fatal(err)
	}
	all, want := l.read(), map[string]stored{}
	at := map[int64]string{} // key by position in the output
	for i, in := range r.Inputs {
		if in.Path != chosen[i] || in.Rows != l.table.content.files[in.Path].rows || in.FirstRowID != l.table.content.files[in.Path].firstRowID {
			t.Fatalf("input %d is %+v", i, in)
		}
		for pos, key := range l.liveIn(in.Path) {
			want[key] = all[key]
			at[in.Start+pos-rank(in.Seen, pos)] = key
		}
	}
	if r.Rows != int64(len(want)) || len(at) != len(want) || (r.Output == nil) != (len(want) == 0) || r.Snapshot != s.Snapshot || r.Name != s.Name {
		t.Fatalf("%d of %d rows, %d places, output %v", r.Rows, len(want), len(at), r.Output)
	}
	if r.Output == nil {
		return
	}
	if got := readFile(t, s, r.Output); !maps.Equal(got, want) {
		t.Fatalf("the output holds %v, want %v", got, want)
	}
	again := l.again(t, s, r.Output)
	if got := readFile(t, s, again.Output); !maps.Equal(got, want) {
		t.Fatalf("a second rewrite holds %v, want %v", got, want)
	}
	err = datafile.ReadKeys(context.Background(), s.store.IO(context.Background()), r.Output.FilePath(), []int{1}, s.mem, func(rec arrow.RecordBatch, base int64, _ *array.Int64) error {
		for i := range rec.NumRows() {
			if key := rec.Column(0).ValueStr(int(i)); at[base+i] != key {
				return fmt.Errorf("position %d holds %s, not %s", base+i, key, at[base+i])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// again rewrites a data file as if it were all that there is, under ids that none of its rows
// may take on.
func (l *lab) again(t fatal, s *Survey, f iceberg.DataFile) *Rewrite {
	only := *s
	file := LiveFile{Path: f.FilePath(), Rows: f.Count(), Bytes: f.FileSizeBytes(), Sequence: 1 << 40}
	only.Files, only.inputs = []LiveFile{file}, map[string]surveyed{file.Path: {file: file, firstRowID: 1 << 50}}
	r, err := only.Rewrite(context.Background(), paths(&only), RewriteOptions{Stem: NewStem(1, 99)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSurveysStandStill reads a survey while its table goes on. The race detector watches.
func TestSurveysStandStill(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, testSource(false), memory.DefaultAllocator)
	defer l.cat.Close()
	change := func(n int) {
		for i := range n {
			b := l.batch(memory.DefaultAllocator, []row{{id: i, val: "new"}, {id: i + 100, val: "new"}, {id: i / 2, val: "again", op: capture.OpUpdate}})
			l.commit([]*capture.Batch{b})
			b.Release()
		}
	}
	change(20)
	l.open() // with no vector read
	s, want := l.table.Survey(), l.read()
	var g errgroup.Group
	var r *Rewrite
	g.Go(func() (err error) {
		r, err = s.Rewrite(context.Background(), paths(s), RewriteOptions{Stem: NewStem(1, 99)})
		return err
	})
	change(20)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, s, r.Output); !maps.Equal(got, want) {
		t.Errorf("the output holds %v, the table held %v", got, want)
	}
	if err := l.table.Abandon(); err != nil {
		t.Fatal(err)
	}
}
