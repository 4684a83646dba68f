package datafile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
)

// peak is an allocator that remembers the most that was taken of it.
type peak struct {
	memory.Allocator
	now, most int
}

func (p *peak) count(n int) {
	p.now += n
	p.most = max(p.most, p.now)
}

func (p *peak) Allocate(n int) []byte {
	p.count(n)
	return p.Allocator.Allocate(n)
}

func (p *peak) Reallocate(n int, b []byte) []byte {
	p.count(n - len(b))
	return p.Allocator.Reallocate(n, b)
}

func (p *peak) Free(b []byte) {
	p.count(-len(b))
	p.Allocator.Free(b)
}

func iota64(from int64, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = from + int64(i)
	}
	return out
}

// appendRows writes n rows in many pieces, in row groups of about most bytes.
func appendRows(t *testing.T, path string, n, pieces int, most int64) iceberg.DataFile {
	t.Helper()
	a, err := testLayout(t).Append(iceio.LocalFS{}, path, *iceberg.UnpartitionedSpec, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.most = most
	columns := testColumns(t, n, n)
	for from := 0; from < n; from += n / pieces {
		to := min(n, from+n/pieces)
		part := make([]arrow.Array, len(columns))
		for i, c := range columns {
			s := array.NewSlice(c, int64(from), int64(to))
			p, err := array.Concatenate([]arrow.Array{s}, memory.DefaultAllocator) // with buffers of its own
			s.Release()
			if err != nil {
				t.Fatal(err)
			}
			part[i] = p
		}
		err := a.Add(part, iota64(int64(1000+from), to-from), slices.Repeat([]int64{7}, to-from))
		release(part)
		if err != nil {
			t.Fatal(err)
		}
	}
	df, err := a.Close()
	if err != nil {
		t.Fatal(err)
	}
	return df
}

func TestAppendedFilesAreLikeWrittenOnes(t *testing.T) {
	const n = 5000
	path := filepath.Join(t.TempDir(), "appended.parquet")
	appended := appendRows(t, path, n, 37, groupBytes)
	written, _ := write(t, testColumns(t, n, n), iota64(1000, n))
	if appended.Count() != written.Count() || appended.FilePath() != path {
		t.Errorf("%d rows at %s", appended.Count(), appended.FilePath())
	}
	for what, of := range map[string]func(iceberg.DataFile) map[int][]byte{
		"lower bounds": iceberg.DataFile.LowerBoundValues, "upper bounds": iceberg.DataFile.UpperBoundValues,
	} {
		got, want := of(appended), of(written)
		if fmt.Sprint(got[iceberg.LastUpdatedSequenceNumberFieldID]) != "[7 0 0 0 0 0 0 0]" {
			t.Errorf("%s of sequence numbers are %v", what, got[iceberg.LastUpdatedSequenceNumberFieldID])
		}
		got = maps.Clone(got)
		delete(got, iceberg.LastUpdatedSequenceNumberFieldID)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s are %v, want %v", what, got, want)
		}
	}
	if got, want := appended.NullValueCounts()[3], written.NullValueCounts()[3]; got != want {
		t.Errorf("%d names are null, want %d", got, want)
	}
}

func TestRowGroupsAreBounded(t *testing.T) {
	const n, most = 200_000, 1 << 20
	path := filepath.Join(t.TempDir(), "f.parquet")
	df := appendRows(t, path, n, 100, most)
	pf, err := file.OpenParquetFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer pf.Close()
	if pf.NumRowGroups() < 5 || pf.NumRowGroups() > 15 || len(df.SplitOffsets()) != pf.NumRowGroups() {
		t.Errorf("%d row groups, %d offsets", pf.NumRowGroups(), len(df.SplitOffsets()))
	}
	rows := int64(0)
	for i := range pf.NumRowGroups() {
		g := pf.RowGroup(i).MetaData()
		rows += g.NumRows()
		if g.TotalByteSize() > 2*most {
			t.Errorf("row group %d has %d bytes", i, g.TotalByteSize())
		}
		for k := range g.NumColumns() {
			c, err := g.ColumnChunk(k)
			if err != nil {
				t.Fatal(err)
			}
			if c.GetColumnIndexLocation() == nil || c.GetOffsetIndexLocation() == nil {
				t.Errorf("column %d of row group %d has no page index", k, i)
			}
			if c.HasDictionaryPage() != (k == 4) {
				t.Errorf("column %d of row group %d: dictionary %v", k, i, c.HasDictionaryPage())
			}
		}
	}
	if rows != n {
		t.Errorf("%d rows", rows)
	}
}

func TestReadingIsBounded(t *testing.T) {
	const n = 200_000
	path := filepath.Join(t.TempDir(), "f.parquet")
	appendRows(t, path, n, 100, 1<<20)
	mem := &peak{Allocator: memory.DefaultAllocator}
	r, err := OpenReader(context.Background(), iceio.LocalFS{}, path, []int{7, 3, 5}, mem)
	if err != nil {
		t.Fatal(err)
	}
	next := int64(0)
	for {
		rows, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if rows.Base != next {
			t.Fatalf("rows from %d on, want %d", rows.Base, next)
		}
		ids, names := rows.Record.Column(2).(*array.Int64), rows.Record.Column(1).(*array.String)
		for i, id := range ids.Int64Values() {
			pos := next + int64(i)
			if id != pos || rows.RowIDs.Value(i) != 1000+pos || rows.Sequences.Value(i) != 7 || names.IsNull(i) != (pos%3 == 2) ||
				names.IsValid(i) && names.Value(i) != fmt.Sprint("name", pos) {
				t.Fatalf("row %d is %d", pos, id)
			}
		}
		next += rows.Record.NumRows()
		rows.Release()
	}
	if err := r.Close(); err != nil || next != n || mem.now != 0 {
		t.Errorf("%d rows, %d bytes held, %v", next, mem.now, err)
	}
	if info, err := os.Stat(path); err != nil || mem.most > readBatchBytes+5*(2*readAhead+2<<20) {
		t.Errorf("%d bytes were held at once, %v, %v", mem.most, info, err)
	}
}

func TestAbortedFilesAreErrorsNotFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.parquet")
	a, err := testLayout(t).Append(iceio.LocalFS{}, path, *iceberg.UnpartitionedSpec, nil)
	if err != nil {
		t.Fatal(err)
	}
	columns := testColumns(t, 10, 10)
	for name, c := range map[string]struct {
		columns []arrow.Array
		rows    int
	}{
		"fewer columns": {columns[:2], 10}, "other types": {[]arrow.Array{columns[0], columns[2], columns[1]}, 10}, "other lengths": {columns, 9},
	} {
		if err := a.Add(c.columns, iota64(0, c.rows), iota64(0, c.rows)); err == nil {
			t.Errorf("%s are taken", name)
		}
	}
	if df, err := a.Close(); err == nil {
		t.Errorf("a file without rows is %v", df)
	}
}

// smallFS makes one file that takes so many bytes and no more.
type smallFS struct {
	iceio.LocalFS
	room    int
	aborted bool
}

func (s *smallFS) Create(string) (iceio.FileWriter, error) { return s, nil }

func (s *smallFS) Write(p []byte) (int, error) {
	if s.room -= len(p); s.room < 0 {
		return 0, errors.New("the disk is full")
	}
	return len(p), nil
}

func (s *smallFS) ReadFrom(io.Reader) (int64, error) { return 0, errors.ErrUnsupported }

func (s *smallFS) Close() error { return errors.New("an incomplete file was closed") }

func (s *smallFS) Abort() error {
	s.aborted = true
	return nil
}

func TestFullDisksEndAppending(t *testing.T) {
	columns := testColumns(t, 3000, 3000)
	for room := 0; room < 60_000; room += 997 {
		fs := &smallFS{room: room}
		a, err := testLayout(t).Append(fs, "f", *iceberg.UnpartitionedSpec, nil)
		if err != nil {
			t.Fatal(err)
		}
		a.most = 1
		for range 5 {
			if err = a.Add(columns, iota64(0, 3000), iota64(0, 3000)); err != nil {
				err = errors.Join(err, a.Abort())
				break
			}
		}
		if err == nil {
			_, err = a.Close()
		}
		if err == nil || !fs.aborted {
			t.Errorf("with %d bytes of room: aborted %v, %v", room, fs.aborted, err)
		}
	}
}
