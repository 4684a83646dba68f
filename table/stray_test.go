package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// scatter has another program rewrite all delete files into such as are of several data files, or
// hold what others hold too, or are of files that are gone. The table follows.
func (l *rewritten) scatter(t *rapid.T) {
	var rows []deletedRow
	for path, f := range l.table.content.files {
		bits, err := l.table.content.bits(f)
		if err != nil {
			t.Fatal(err)
		}
		if bits == nil {
			continue
		}
		for p := range bits.Positions() {
			rows = append(rows, deletedRow{path, int64(p)})
		}
	}
	slices.SortFunc(rows, deletedRow.compare)
	files := make([][]deletedRow, rapid.IntRange(1, 3).Draw(t, "files"))
	for _, r := range rows {
		for range rapid.IntRange(1, 2).Draw(t, "copies") {
			i := rapid.IntRange(0, len(files)-1).Draw(t, "file")
			files[i] = append(files[i], r)
		}
	}
	files[0] = append(files[0], deletedRow{"file:///gone.parquet", 7})
	l.foreignDeletes(files)
	if rapid.Bool().Draw(t, "restart") {
		if err := l.table.Abandon(); err != nil {
			t.Fatal(err)
		}
		l.open()
	} else if err := l.table.Refresh(context.Background(), l.load()); err != nil {
		t.Fatal(err)
	}
	if got := len(l.table.content.loose()); got == 0 && len(rows) > 0 {
		t.Fatal("no data file has strays")
	}
	l.commit() // which follows a foreign snapshot at once
}

// deletedRow is a row of a position-delete file.
type deletedRow struct {
	of  string
	pos int64
}

func (r deletedRow) compare(o deletedRow) int {
	if c := strings.Compare(r.of, o.of); c != 0 {
		return c
	}
	return int(r.pos - o.pos)
}

// foreignDeletes commits a snapshot of another program that has these delete files instead of
// those that there are.
func (l *lab) foreignDeletes(files [][]deletedRow) {
	l.t.Helper()
	h := l.load()
	fs := h.store.IO(context.Background())
	on := h.meta.CurrentSnapshot()
	manifests, err := on.Manifests(fs)
	if err != nil {
		l.t.Fatal(err)
	}
	s := l.next(func(s *icetable.Snapshot) { s.FirstRowID, s.AddedRows = nil, nil })
	stem := fmt.Sprintf("%s/foreign-%s", h.meta.Location(), uuid.New())
	var out bytes.Buffer
	w, err := iceberg.NewManifestWriter(2, &out, h.meta.PartitionSpec(), h.meta.CurrentSchema(), s.SnapshotID, iceberg.WithManifestWriterContent(iceberg.ManifestContentDeletes))
	if err != nil {
		l.t.Fatal(err)
	}
	keep := slices.DeleteFunc(manifests, func(m iceberg.ManifestFile) bool { return m.ManifestContent() != iceberg.ManifestContentData })
	positions, count := 0, 0
	for i, rows := range files {
		if len(rows) == 0 {
			continue
		}
		positions, count = positions+len(rows), count+1
		file := l.deleteFile(fmt.Sprintf("%s-%d.parquet", stem, i), rows)
		if err := w.Add(iceberg.NewManifestEntry(iceberg.EntryStatusADDED, &s.SnapshotID, nil, nil, file)); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		l.t.Fatal(err)
	}
	m, err := w.ToManifestFile(stem+"-m.avro", int64(out.Len()))
	if err != nil {
		l.t.Fatal(err)
	}
	list, _, err := writeList(2, stem+"-list.avro", s.SnapshotID, s.SequenceNumber, 0, s.ParentSnapshotID, append(keep, m))
	if err == nil {
		err = errors.Join(fs.WriteFile(m.FilePath(), out.Bytes()), fs.WriteFile(list.path, list.content))
	}
	if err != nil {
		l.t.Fatal(err)
	}
	s.ManifestList = list.path
	s.Summary.Properties = maps.Clone(on.Summary.Properties)
	maps.DeleteFunc(s.Summary.Properties, func(key, _ string) bool { return !strings.HasPrefix(key, "total-") })
	s.Summary.Properties["total-delete-files"], s.Summary.Properties["total-position-deletes"] = fmt.Sprint(count), fmt.Sprint(positions)
	l.foreign(icetable.NewAddSnapshotUpdate(s), toMain(s.SnapshotID))
}

// deleteFile writes a position-delete file as other programs do: its rows, in any order, and no
// reference to a data file.
func (l *lab) deleteFile(path string, rows []deletedRow) iceberg.DataFile {
	l.t.Helper()
	schema := icetable.PositionalDeleteArrowSchema
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, r := range rows {
		b.Field(0).(*array.StringBuilder).Append(r.of)
		b.Field(1).(*array.Int64Builder).Append(r.pos)
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &out, parquet.NewWriterProperties(), pqarrow.NewArrowWriterProperties())
	if err != nil {
		l.t.Fatal(err)
	}
	if err := errors.Join(w.Write(rec), w.Close(), l.load().store.IO(context.Background()).WriteFile(path, out.Bytes())); err != nil {
		l.t.Fatal(err)
	}
	d, err := iceberg.NewDataFileBuilder(l.load().meta.PartitionSpec(), iceberg.EntryContentPosDeletes, path, iceberg.ParquetFile, nil, nil, nil, int64(len(rows)), int64(out.Len()))
	if err != nil {
		l.t.Fatal(err)
	}
	return d.Build()
}
