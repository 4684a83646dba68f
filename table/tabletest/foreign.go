package tabletest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"cdcd/table"
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

// ErrNothingToDo reports that a table is not in a state in which somebody else could do that.
var ErrNothingToDo = errors.New("there is nothing to do")

// Foreign is somebody else who changes a table: another program, or a person.
type Foreign struct {
	Catalog table.Catalog
	Store   fileio.Store
	Table   icetable.Identifier
}

// load gives the table's metadata and its current snapshot.
func (f Foreign) load(ctx context.Context) (icetable.Metadata, *icetable.Snapshot, error) {
	t, err := f.Catalog.LoadTable(ctx, f.Table)
	if err != nil {
		return nil, nil, err
	}
	s := t.Metadata().CurrentSnapshot()
	if s == nil {
		return nil, nil, ErrNothingToDo
	}
	return t.Metadata(), s, nil
}

func (f Foreign) commit(ctx context.Context, updates ...icetable.Update) error {
	_, _, err := f.Catalog.CommitTable(ctx, f.Table, nil, updates)
	return err
}

// snapshotID makes an id that is taken by nobody.
func snapshotID() int64 {
	id := uuid.New()
	out := int64(0)
	for _, b := range id[:8] {
		out = out<<8 | int64(b)
	}
	return out&(1<<62-1) | 1<<61
}

// next makes a snapshot that follows the current one on main.
func next(meta icetable.Metadata, op icetable.Operation) *icetable.Snapshot {
	parent := meta.CurrentSnapshot()
	schema, first, rows := meta.CurrentSchema().ID, meta.NextRowID(), int64(0)
	return &icetable.Snapshot{
		SnapshotID: snapshotID(), ParentSnapshotID: &parent.SnapshotID, SequenceNumber: meta.LastSequenceNumber() + 1,
		TimestampMs: max(time.Now().UnixMilli(), meta.LastUpdatedMillis()+1), ManifestList: parent.ManifestList,
		SchemaID: &schema, FirstRowID: &first, AddedRows: &rows,
		Summary: &icetable.Summary{Operation: op, Properties: iceberg.Properties{}},
	}
}

func toMain(s *icetable.Snapshot) []icetable.Update {
	return []icetable.Update{
		icetable.NewAddSnapshotUpdate(s),
		icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, s.SnapshotID, icetable.BranchRef, 0, 0, 0),
	}
}

// Compact rewrites all live rows into one file, as another program's compaction does: with
// their row ids and without a Mark.
func (f Foreign) Compact(ctx context.Context) error {
	meta, now, err := f.load(ctx)
	if err != nil {
		return err
	}
	c := compaction{Foreign: f, meta: meta, snapshot: next(meta, icetable.OpReplace)}
	if err := c.read(ctx, now); err != nil {
		return err
	}
	if len(c.old) == 0 {
		return ErrNothingToDo
	}
	if err := c.write(ctx); err != nil {
		return err
	}
	return f.commit(ctx, toMain(c.snapshot)...)
}

// Expire drops all snapshots but main's and those with a ref.
func (f Foreign) Expire(ctx context.Context) error {
	meta, _, err := f.load(ctx)
	if err != nil {
		return err
	}
	held := map[int64]bool{}
	for _, ref := range meta.Refs() {
		held[ref.SnapshotID] = true
	}
	var gone []int64
	for _, s := range meta.Snapshots() {
		if !held[s.SnapshotID] {
			gone = append(gone, s.SnapshotID)
		}
	}
	if len(gone) == 0 {
		return ErrNothingToDo
	}
	return f.commit(ctx, icetable.NewRemoveSnapshotsUpdate(gone, false))
}

// Rollback sets main back by one snapshot.
func (f Foreign) Rollback(ctx context.Context) error {
	meta, now, err := f.load(ctx)
	if err != nil {
		return err
	}
	if now.ParentSnapshotID == nil || meta.SnapshotByID(*now.ParentSnapshotID) == nil {
		return ErrNothingToDo
	}
	return f.commit(ctx, icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, *now.ParentSnapshotID, icetable.BranchRef, 0, 0, 0))
}

// CoverUp sets main back, and leaves nothing that shows it but refs.
func (f Foreign) CoverUp(ctx context.Context) error {
	if err := f.Rollback(ctx); err != nil {
		return err
	}
	if err := f.Compact(ctx); err != nil && !errors.Is(err, ErrNothingToDo) {
		return err
	}
	if err := f.Expire(ctx); err != nil && !errors.Is(err, ErrNothingToDo) {
		return err
	}
	return nil
}

// Append commits a snapshot that says it adds rows.
func (f Foreign) Append(ctx context.Context) error {
	meta, _, err := f.load(ctx)
	if err != nil {
		return err
	}
	return f.commit(ctx, toMain(next(meta, icetable.OpAppend))...)
}

// Branch commits to a branch of its own: only the table's numbers move.
func (f Foreign) Branch(ctx context.Context) error {
	meta, _, err := f.load(ctx)
	if err != nil {
		return err
	}
	s := next(meta, icetable.OpAppend)
	return f.commit(ctx, icetable.NewAddSnapshotUpdate(s), icetable.NewSetSnapshotRefUpdate("audit", s.SnapshotID, icetable.BranchRef, 0, 0, 0))
}

// Untag removes a tag.
func (f Foreign) Untag(ctx context.Context, tag string) error {
	meta, _, err := f.load(ctx)
	if err != nil {
		return err
	}
	if meta.SnapshotByName(tag) == nil {
		return ErrNothingToDo
	}
	return f.commit(ctx, icetable.NewRemoveSnapshotRefUpdate(tag))
}

// Set sets a property.
func (f Foreign) Set(ctx context.Context, key, value string) error {
	if _, err := f.Catalog.LoadTable(ctx, f.Table); err != nil {
		return errors.Join(ErrNothingToDo, err)
	}
	return f.commit(ctx, icetable.NewSetPropertiesUpdate(iceberg.Properties{key: value}))
}

// Evolve adds a column.
func (f Foreign) Evolve(ctx context.Context) error {
	meta, _, err := f.load(ctx)
	if err != nil {
		return err
	}
	s := meta.CurrentSchema()
	fields := append(s.Fields(), iceberg.NestedField{ID: meta.LastColumnID() + 1, Name: "foreign", Type: iceberg.PrimitiveTypes.Int32})
	return f.commit(ctx, icetable.NewAddSchemaUpdate(iceberg.NewSchemaWithIdentifiers(s.ID+1, s.IdentifierFieldIDs, fields...)), icetable.NewSetCurrentSchemaUpdate(-1))
}

// compaction is a compaction under way.
type compaction struct {
	Foreign
	meta     icetable.Metadata
	snapshot *icetable.Snapshot // that it makes
	old      []iceberg.ManifestEntry
	columns  [][]arrow.Array // pieces of each column, of live rows
	ids      []int64
}

// read collects the live rows of a snapshot.
func (c *compaction) read(ctx context.Context, s *icetable.Snapshot) error {
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
				c.old = append(c.old, e)
				continue
			}
			if gone[*e.DataFile().ReferencedDataFile()], err = dv.ReadDV(io, e.DataFile()); err != nil {
				return err
			}
		}
	}
	for _, e := range c.old {
		if err := c.readFile(ctx, e.DataFile(), gone[e.DataFile().FilePath()]); err != nil {
			return err
		}
	}
	return nil
}

func (c *compaction) readFile(ctx context.Context, d iceberg.DataFile, gone *dv.RoaringPositionBitmap) error {
	var fields []int
	for _, f := range c.meta.CurrentSchema().Fields() {
		fields = append(fields, f.ID)
	}
	if c.columns == nil {
		c.columns = make([][]arrow.Array, len(fields))
	}
	return datafile.ReadKeys(ctx, c.Store.IO(ctx), d.FilePath(), fields, memory.DefaultAllocator, func(rec arrow.RecordBatch, base int64, ids *array.Int64) error {
		for i := range rec.NumRows() {
			if gone != nil && gone.Contains(uint64(base+i)) {
				continue
			}
			for k, column := range rec.Columns() {
				c.columns[k] = append(c.columns[k], array.NewSlice(column, i, i+1))
			}
			id := *d.FirstRowID() + base + i
			if ids != nil && ids.IsValid(int(i)) {
				id = ids.Value(int(i))
			}
			c.ids = append(c.ids, id)
		}
		return nil
	})
}

// write makes data file, manifest and list.
func (c *compaction) write(ctx context.Context) error {
	io := c.Store.IO(ctx)
	prefix := fmt.Sprintf("%s/data/foreign-%s", c.meta.Location(), uuid.New())
	var content bytes.Buffer
	w, err := iceberg.NewManifestWriter(c.meta.Version(), &content, c.meta.PartitionSpec(), c.meta.CurrentSchema(), c.snapshot.SnapshotID)
	if err != nil {
		return err
	}
	if len(c.ids) > 0 {
		file, err := c.dataFile(io, prefix+".parquet")
		if err != nil {
			return err
		}
		if err := w.Add(iceberg.NewManifestEntry(iceberg.EntryStatusADDED, &c.snapshot.SnapshotID, nil, nil, file)); err != nil {
			return err
		}
	}
	for _, e := range c.old {
		if err := w.Delete(e); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	manifest, err := w.ToManifestFile(prefix+"-m0.avro", int64(content.Len()))
	if err != nil {
		return err
	}
	if err := io.WriteFile(prefix+"-m0.avro", content.Bytes()); err != nil {
		return err
	}
	return c.list(io, prefix+"-list.avro", manifest)
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
	return layout.Write(io, path, columns, c.ids, nil)
}

func (c *compaction) list(io fileio.IO, path string, manifest iceberg.ManifestFile) error {
	var content bytes.Buffer
	s := c.snapshot
	w, err := iceberg.NewManifestListWriterV3(&content, s.SnapshotID, s.SequenceNumber, *s.FirstRowID, s.ParentSnapshotID)
	if err != nil {
		return err
	}
	if err := errors.Join(w.AddManifests([]iceberg.ManifestFile{manifest}), w.Close()); err != nil {
		return err
	}
	rows := *w.NextRowID() - *s.FirstRowID
	s.ManifestList, s.AddedRows = path, &rows
	s.Summary.Properties = iceberg.Properties{
		"total-records": fmt.Sprint(len(c.ids)), "total-data-files": fmt.Sprint(manifest.AddedDataFiles()), "total-delete-files": "0", "total-position-deletes": "0",
	}
	return io.WriteFile(path, content.Bytes())
}
