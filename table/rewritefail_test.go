package table

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdcd/capture"
	"cdcd/table/datafile"
	"cdcd/table/fileio"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/apache/iceberg-go/table/dv"
)

// errDisk is what a disk fails with.
var errDisk = errors.New("the disk is full")

// fullDisk is a disk whose files take so many bytes and no more; with closing, they fail only
// when they are closed.
type fullDisk struct {
	fileio.Disk
	room    int64
	closing bool
}

func (d fullDisk) IO(ctx context.Context) fileio.IO { return fullIO{d.Disk.IO(ctx), d} }

type fullIO struct {
	fileio.IO
	disk fullDisk
}

func (f fullIO) Create(name string) (iceio.FileWriter, error) {
	w, err := f.IO.Create(name)
	if err != nil {
		return nil, err
	}
	return &fullWriter{Writer: w.(fileio.Writer), disk: f.disk}, nil
}

type fullWriter struct {
	fileio.Writer
	disk fullDisk
}

func (w *fullWriter) Write(p []byte) (int, error) {
	if !w.disk.closing && w.Size()+int64(len(p)) > w.disk.room {
		return 0, errDisk
	}
	return w.Writer.Write(p)
}

func (w *fullWriter) Close() error {
	if w.disk.closing {
		return errors.Join(errDisk, w.Abort())
	}
	return w.Writer.Close()
}

// pacerFunc is a Pacer of one function.
type pacerFunc func(context.Context) error

func (f pacerFunc) Rest(ctx context.Context, _ int64) error { return f(ctx) }

// newRewriteLab makes a table of a few files, most of which have a vector.
func newRewriteLab(t *testing.T, mem memory.Allocator) *lab {
	t.Helper()
	dir := fastDir(t)
	l := newLab(t, dir, testSource(false), mem)
	t.Cleanup(func() {
		if err := errors.Join(l.table.Abandon(), l.cat.Close(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	for i := range 10 {
		b := l.batch(mem, []row{{id: i, val: "new"}, {id: i + 100, val: "new"}, {id: i / 2, val: "again", op: capture.OpUpdate}})
		l.commit([]*capture.Batch{b})
		b.Release()
	}
	return l
}

// dataFiles lists what is in the table's data directory.
func (l *lab) dataFiles() []string {
	l.t.Helper()
	dir, err := fileio.Path(l.table.head.meta.Location() + "/data")
	if err != nil {
		l.t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		l.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, filepath.Join(dir, e.Name()))
	}
	return out
}

func TestFailedRewritesLeaveNothing(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	l := newRewriteLab(t, memory.DefaultAllocator)
	own := errors.New("the pacer is tired")
	for name, c := range map[string]struct {
		change func(s *Survey, o *RewriteOptions, chosen []string) []string
		want   string
	}{
		"nothing":      {func(_ *Survey, _ *RewriteOptions, _ []string) []string { return nil }, "nothing to rewrite"},
		"unknown file": {func(_ *Survey, _ *RewriteOptions, p []string) []string { return append(p, "file:///x") }, "file:///x is not live in snapshot"},
		"twice":        {func(_ *Survey, _ *RewriteOptions, p []string) []string { return append(p, p[0]) }, "is there twice"},
		"partitions": {func(s *Survey, _ *RewriteOptions, p []string) []string {
			return changeInput(s, p[1], p, func(in *surveyed) { in.file.Partition = "x" })
		}, "another partition"},
		"specs": {func(s *Survey, _ *RewriteOptions, p []string) []string {
			return changeInput(s, p[1], p, func(in *surveyed) { in.file.Spec = 1 })
		}, "another partition"},
		"other rows": {func(s *Survey, _ *RewriteOptions, p []string) []string {
			return changeInput(s, p[9], p, func(in *surveyed) { in.file.Rows++ })
		}, "its manifest entry says 4"},
		"vector beyond the file": {func(s *Survey, _ *RewriteOptions, p []string) []string {
			return changeInput(s, p[0], p, func(in *surveyed) {
				in.bits = dv.NewRoaringPositionBitmap()
				in.bits.SetRange(uint64(in.file.Rows), uint64(in.file.Rows+in.file.Deleted))
			})
		}, "has positions behind its"},
		"vector is gone": {func(s *Survey, _ *RewriteOptions, p []string) []string {
			return changeInput(s, p[0], p, func(in *surveyed) { in.bits, in.vector = nil, goneFile{in.vector} })
		}, "no such file"},
		"file is gone": {func(s *Survey, _ *RewriteOptions, p []string) []string {
			in := s.inputs[p[9]]
			in.file.Path += ".gone"
			s.inputs[in.file.Path] = in
			return append(slices.Clone(p[:9]), in.file.Path)
		}, "no such file"},
		"pacer": {func(_ *Survey, o *RewriteOptions, p []string) []string {
			o.Pace = pacerFunc(func(context.Context) error { return own })
			return p
		}, own.Error()},
		"no room":      {func(s *Survey, _ *RewriteOptions, p []string) []string { s.store = fullDisk{room: 0}; return p }, errDisk.Error()},
		"little room":  {func(s *Survey, _ *RewriteOptions, p []string) []string { s.store = fullDisk{room: 300}; return p }, errDisk.Error()},
		"not durable":  {func(s *Survey, _ *RewriteOptions, p []string) []string { s.store = fullDisk{closing: true}; return p }, errDisk.Error()},
		"unknown spec": {func(s *Survey, _ *RewriteOptions, p []string) []string { s.specs = nil; return p }, "no partition spec 0"},
	} {
		t.Run(name, func(t *testing.T) {
			before := l.dataFiles()
			s := l.table.Survey()
			s.mem = mem
			var o RewriteOptions
			chosen := c.change(s, &o, paths(s))
			r, err := s.Rewrite(context.Background(), chosen, o)
			if err == nil || r != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v, want %q", r, err, c.want)
			}
			if after := l.dataFiles(); !slices.Equal(before, after) {
				t.Errorf("%d files were there, %d are", len(before), len(after))
			}
		})
	}
}

func changeInput(s *Survey, path string, chosen []string, change func(*surveyed)) []string {
	in := s.inputs[path]
	change(&in)
	s.inputs[path] = in
	return chosen
}

// goneFile is an entry whose file is not there.
type goneFile struct{ iceberg.DataFile }

func (g goneFile) FilePath() string { return g.DataFile.FilePath() + ".gone" }

func TestCancelledRewriteEnds(t *testing.T) {
	l := newRewriteLab(t, memory.DefaultAllocator)
	ctx, cancel := context.WithCancel(context.Background())
	before, steps := l.dataFiles(), 0
	s := l.table.Survey()
	_, err := s.Rewrite(ctx, paths(s), RewriteOptions{Stem: NewStem(1, 99), Pace: pacerFunc(func(context.Context) error {
		if steps++; steps == 3 {
			cancel()
		}
		return nil
	})})
	if !errors.Is(err, context.Canceled) || steps != 3 || !slices.Equal(before, l.dataFiles()) {
		t.Errorf("%d steps, %v", steps, err)
	}
}

func TestFilesWithoutRowsAreDropped(t *testing.T) {
	l := newRewriteLab(t, memory.DefaultAllocator)
	var gone []row
	for i := range 10 {
		gone = append(gone, row{id: i, op: capture.OpDelete}, row{id: i + 100, op: capture.OpDelete})
	}
	b := l.batch(memory.DefaultAllocator, gone)
	l.commit([]*capture.Batch{b})
	b.Release()
	before, s := l.dataFiles(), l.table.Survey()
	s.store = fullDisk{} // nothing may be written
	r, err := s.Rewrite(context.Background(), paths(s), RewriteOptions{Stem: NewStem(1, 99)})
	if err != nil || r.Rows != 0 || r.Output != nil || len(r.Inputs) != 10 || !slices.Equal(before, l.dataFiles()) {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestLongFilesAreRewritten rewrites files that are read in several records.
func TestLongFilesAreRewritten(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	l := newRewriteLab(t, memory.DefaultAllocator)
	for part := range 2 {
		var rows []row
		for i := range 3000 {
			rows = append(rows, row{id: 1000 + 2000*part + i, val: strings.Repeat("long", i%100)})
		}
		b := l.batch(memory.DefaultAllocator, rows)
		l.commit([]*capture.Batch{b})
		b.Release()
	}
	s := l.table.Survey()
	s.mem = mem
	r, err := s.Rewrite(context.Background(), paths(s), RewriteOptions{Stem: NewStem(1, 99)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := readFile(t, s, r.Output), l.read(); !maps.Equal(got, want) {
		t.Errorf("%d rows were written, the table has %d, or they differ", len(got), len(want))
	}
}

// foreignFile writes rows as another program would: columns in another order, lineage in the
// middle, of which some rows lack one, a column that the table does not have, and a dictionary
// wherever possible.
func foreignFile(t *testing.T, l *lab, path string) LiveFile {
	t.Helper()
	all, err := icetable.SchemaToArrowSchema(iceberg.SchemaWithRowLineageColumns(l.table.head.meta.CurrentSchema(), true, true), nil, true, false)
	if err != nil {
		t.Fatal(err)
	}
	f := all.Fields() // id, val, price, row id, sequence number
	extra := arrow.Field{Name: "extra", Type: arrow.BinaryTypes.String, Nullable: true, Metadata: arrow.MetadataFrom(map[string]string{"PARQUET:field_id": "77"})}
	schema := arrow.NewSchema([]arrow.Field{f[2], f[4], f[3], extra, f[1], f[0]}, nil)
	record, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(`[
		{"price": "1.50", "_row_id": 500, "_last_updated_sequence_number": 3, "extra": "x", "val": "a", "id": 1},
		{"price": null, "_row_id": null, "_last_updated_sequence_number": 4, "extra": null, "val": "b", "id": 2},
		{"price": "-2.25", "_row_id": 502, "_last_updated_sequence_number": null, "extra": "y", "val": null, "id": 3},
		{"price": "9.00", "_row_id": null, "_last_updated_sequence_number": null, "extra": "z", "val": "d", "id": 4}]`))
	if err != nil {
		t.Fatal(err)
	}
	defer record.Release()
	var content bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &content, parquet.NewWriterProperties(parquet.WithDictionaryDefault(true), parquet.WithMaxRowGroupLength(3)), pqarrow.NewArrowWriterProperties())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(record), w.Close(), l.table.head.store.IO(context.Background()).WriteFile(path, content.Bytes())); err != nil {
		t.Fatal(err)
	}
	return LiveFile{Path: path, Rows: 4, Bytes: int64(content.Len()), Sequence: 60}
}

func TestForeignFilesAreRewritten(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	l := newRewriteLab(t, memory.DefaultAllocator)
	s := l.table.Survey()
	s.mem = mem
	f := foreignFile(t, l, s.location+"/data/foreign.parquet")
	s.inputs = map[string]surveyed{f.Path: {file: f, firstRowID: 9000}}
	r, err := s.Rewrite(context.Background(), []string{f.Path}, RewriteOptions{Stem: NewStem(1, 99)})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]stored{"1": {"a", 500, 3}, "2": {"b", 9001, 4}, "3": {"", 502, 60}, "4": {"d", 9003, 60}}
	for key, got := range readFile(t, s, r.Output) {
		if got != want[key] {
			t.Errorf("row %s is %v, want %v", key, got, want[key])
		}
		delete(want, key)
	}
	if len(want) > 0 {
		t.Errorf("%v are missing", want)
	}
	prices, err := datafile.OpenReader(context.Background(), s.store.IO(context.Background()), r.Output.FilePath(), []int{3}, mem)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := prices.Next()
	if err != nil {
		t.Fatal(err)
	}
	if got := rows.Record.Column(0).String(); got != `[1.5 (null) -2.25 9]` {
		t.Errorf("the prices are %s", got)
	}
	rows.Release()
	if err := prices.Close(); err != nil {
		t.Error(err)
	}
}
