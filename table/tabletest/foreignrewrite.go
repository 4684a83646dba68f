package tabletest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"cdcd/table/datafile"
	"cdcd/table/fileio"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/apache/iceberg-go/table/dv"
	"github.com/google/uuid"
)

// Compact rewrites all live rows into one file, as another program's compaction does: with
// their lineage and without a Mark.
func (f Foreign) Compact(ctx context.Context) error {
	return f.Rewrite(ctx, func(string) bool { return true })
}

// Rewrite rewrites the live rows of the chosen data files into one, and all manifests: where no
// file is chosen, those alone.
func (f Foreign) Rewrite(ctx context.Context, chosen func(path string) bool) error {
	meta, now, err := f.load(ctx)
	if err != nil {
		return err
	}
	c := compaction{Foreign: f, meta: meta, snapshot: next(meta, icetable.OpReplace)}
	if err := c.read(ctx, now, chosen); err != nil {
		return err
	}
	if len(c.old)+len(c.kept) == 0 {
		return ErrNothingToDo
	}
	if err := c.write(ctx); err != nil {
		return err
	}
	return f.commit(ctx, toMain(c.snapshot)...)
}

// compaction is a compaction under way.
type compaction struct {
	Foreign
	meta      icetable.Metadata
	snapshot  *icetable.Snapshot // that it makes
	old, kept []iceberg.ManifestEntry
	deletes   []iceberg.ManifestEntry // of files that are kept
	columns   [][]arrow.Array         // pieces of each column, of live rows
	ids       []int64
	sequences []int64
	total     int64 // rows of all files in the end
	deleted   int64 // of those
}

// read collects the live rows of a snapshot's chosen files.
func (c *compaction) read(ctx context.Context, s *icetable.Snapshot, chosen func(path string) bool) error {
	io := c.Store.IO(ctx)
	manifests, err := s.Manifests(io)
	if err != nil {
		return err
	}
	gone := map[string]*dv.RoaringPositionBitmap{}
	for _, m := range manifests {
		for e, err := range m.Entries(io, true) {
			if err != nil {
				return err
			}
			if m.ManifestContent() == iceberg.ManifestContentData {
				c.choose(e, chosen)
			} else if err := c.readGone(io, e, gone, chosen); err != nil {
				return err
			}
		}
	}
	for _, e := range c.old {
		if err := c.readFile(ctx, e, gone[e.DataFile().FilePath()]); err != nil {
			return err
		}
	}
	c.total += int64(len(c.ids))
	return nil
}

// choose sorts a data file.
func (c *compaction) choose(e iceberg.ManifestEntry, chosen func(path string) bool) {
	if chosen(e.DataFile().FilePath()) {
		c.old = append(c.old, e)
		return
	}
	c.kept, c.total = append(c.kept, e), c.total+e.DataFile().Count()
}

// readGone reads a delete file, which stays if one of its data files does.
func (c *compaction) readGone(io fileio.IO, e iceberg.ManifestEntry, gone map[string]*dv.RoaringPositionBitmap, chosen func(path string) bool) error {
	by, err := deleted(io, e.DataFile())
	stays := false
	for path, bits := range by {
		if gone[path] == nil {
			gone[path] = dv.NewRoaringPositionBitmap()
		}
		gone[path].Or(bits)
		stays = stays || !chosen(path)
	}
	if stays {
		c.deletes, c.deleted = append(c.deletes, e), c.deleted+e.DataFile().Count()
	}
	return err
}

// deleted reads the positions of a delete file, by data file.
func deleted(io fileio.IO, d iceberg.DataFile) (map[string]*dv.RoaringPositionBitmap, error) {
	if d.FileFormat() != iceberg.PuffinFile {
		return datafile.ReadDeletes(io, d.FilePath())
	}
	bits, err := dv.ReadDV(io, d)
	if err != nil {
		return nil, err
	}
	return map[string]*dv.RoaringPositionBitmap{*d.ReferencedDataFile(): bits}, nil
}

func (c *compaction) readFile(ctx context.Context, e iceberg.ManifestEntry, gone *dv.RoaringPositionBitmap) error {
	var fields []int
	for _, f := range c.meta.CurrentSchema().Fields() {
		fields = append(fields, f.ID)
	}
	if c.columns == nil {
		c.columns = make([][]arrow.Array, len(fields))
	}
	return datafile.Read(ctx, c.Store.IO(ctx), e.DataFile().FilePath(), fields, memory.DefaultAllocator, func(rows *datafile.Rows) error {
		c.take(e, rows, gone)
		return nil
	})
}

// take takes the live ones of some rows, with what they inherit.
func (c *compaction) take(e iceberg.ManifestEntry, rows *datafile.Rows, gone *dv.RoaringPositionBitmap) {
	for i := range rows.Record.NumRows() {
		pos := rows.Base + i
		if gone != nil && gone.Contains(uint64(pos)) {
			continue
		}
		for k, column := range rows.Record.Columns() {
			c.columns[k] = append(c.columns[k], array.NewSlice(column, i, i+1))
		}
		id, sequence := pos, e.SequenceNum()
		if first := e.DataFile().FirstRowID(); first != nil { // else the table keeps no ids, and none is written
			id += *first
		}
		if rows.RowIDs != nil && rows.RowIDs.IsValid(int(i)) {
			id = rows.RowIDs.Value(int(i))
		}
		if rows.Sequences != nil && rows.Sequences.IsValid(int(i)) {
			sequence = rows.Sequences.Value(int(i))
		}
		c.ids, c.sequences = append(c.ids, id), append(c.sequences, sequence)
	}
}

// write makes data file, manifests and list.
func (c *compaction) write(ctx context.Context) error {
	io := c.Store.IO(ctx)
	prefix := fmt.Sprintf("%s/data/foreign-%s", c.meta.Location(), uuid.New())
	manifest, err := c.manifest(io, prefix+"-m0.avro", iceberg.ManifestContentData, func(w *iceberg.ManifestWriter) error {
		if len(c.ids) > 0 {
			file, err := c.dataFile(io, prefix+".parquet")
			if err != nil {
				return err
			}
			if err := w.Add(iceberg.NewManifestEntry(iceberg.EntryStatusADDED, &c.snapshot.SnapshotID, nil, nil, file)); err != nil {
				return err
			}
		}
		return errors.Join(each(c.old, w.Delete), each(c.kept, w.Existing))
	})
	if err != nil {
		return err
	}
	manifests := []iceberg.ManifestFile{manifest}
	if len(c.deletes) > 0 {
		deletes, err := c.manifest(io, prefix+"-m1.avro", iceberg.ManifestContentDeletes, func(w *iceberg.ManifestWriter) error {
			return each(c.deletes, w.Existing)
		})
		if err != nil {
			return err
		}
		manifests = append(manifests, deletes)
	}
	return c.list(io, prefix+"-list.avro", manifests)
}

func each(entries []iceberg.ManifestEntry, do func(iceberg.ManifestEntry) error) error {
	for _, e := range entries {
		if err := do(e); err != nil {
			return err
		}
	}
	return nil
}

// manifest writes one manifest.
func (c *compaction) manifest(io fileio.IO, path string, content iceberg.ManifestContent, fill func(*iceberg.ManifestWriter) error) (iceberg.ManifestFile, error) {
	var out bytes.Buffer
	w, err := iceberg.NewManifestWriter(c.meta.Version(), &out, c.meta.PartitionSpec(), c.meta.CurrentSchema(), c.snapshot.SnapshotID, iceberg.WithManifestWriterContent(content))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(fill(w), w.Close()); err != nil {
		return nil, err
	}
	m, err := w.ToManifestFile(path, int64(out.Len()))
	if err != nil {
		return nil, err
	}
	return m, io.WriteFile(path, out.Bytes())
}

func (c *compaction) dataFile(io fileio.IO, path string) (iceberg.DataFile, error) {
	layout, err := datafile.NewLayout(c.meta.CurrentSchema(), c.meta.PartitionSpec(), c.meta.Version(), datafile.DefaultCompression())
	if err != nil {
		return nil, err
	}
	columns := make([]arrow.Array, len(c.columns))
	for i, pieces := range c.columns {
		if columns[i], err = array.Concatenate(pieces, memory.DefaultAllocator); err != nil {
			return nil, err
		}
	}
	w, err := layout.Append(io, path, c.meta.PartitionSpec(), nil)
	if err != nil {
		return nil, err
	}
	if err := w.Add(columns, c.ids, c.sequences); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return w.Close()
}

func (c *compaction) list(io fileio.IO, path string, manifests []iceberg.ManifestFile) error {
	var content bytes.Buffer
	s := c.snapshot
	err := iceberg.WriteManifestList(c.meta.Version(), &content, s.SnapshotID, s.ParentSnapshotID, &s.SequenceNumber, c.meta.NextRowID(), manifests)
	if err != nil {
		return err
	}
	if hasRowIDs(c.meta) {
		*s.AddedRows = manifests[0].AddedRows() + manifests[0].ExistingRows()
	}
	s.ManifestList = path
	files := int(manifests[0].AddedDataFiles() + manifests[0].ExistingDataFiles())
	s.Summary.Properties = iceberg.Properties{
		"total-records": fmt.Sprint(c.total), "total-data-files": fmt.Sprint(files), "total-delete-files": fmt.Sprint(len(c.deletes)), "total-position-deletes": fmt.Sprint(c.deleted),
	}
	return io.WriteFile(path, content.Bytes())
}
