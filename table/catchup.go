package table

import (
	"context"
	"fmt"
	"slices"

	"cdcd/table/datafile"
	"cdcd/table/keyindex"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// catchUpEntries bounds the entries that are collected before they go into the index.
const catchUpEntries = 1 << 19

// catchUp brings the files that the index does not cover into it, by reading their key
// columns. After a clean end there are none; after a crash, those of the newest commits;
// with no index at all, all files.
func (t *Table) catchUp(ctx context.Context) error {
	var missing []*dataFile
	for _, f := range t.content.files {
		if !t.index.Covers(f.path) {
			missing = append(missing, f)
		}
	}
	slices.SortFunc(missing, func(a, b *dataFile) int { return int(a.firstRowID - b.firstRowID) })
	c := &catchUpReader{t: t, keys: rowset.NewColumnEncoder(&t.head.Source.Table, t.index.Secret())}
	for _, k := range t.head.Source.Table.Key {
		c.fields = append(c.fields, t.head.meta.CurrentSchema().Field(k).ID)
	}
	for _, f := range missing {
		if err := c.read(ctx, f); err != nil {
			return fmt.Errorf("rebuild key index: %w", err)
		}
	}
	return c.flush()
}

// catchUpReader is a catch-up under way.
type catchUpReader struct {
	t       *Table
	keys    *rowset.Encoder
	fields  []int // ids of the key columns
	entries []keyindex.Entry
	files   []string // completed by the entries
}

// read collects the entries of one file.
func (c *catchUpReader) read(ctx context.Context, f *dataFile) error {
	number := c.t.index.File(f.path)
	rows := int64(0)
	err := datafile.ReadKeys(ctx, c.t.head.store.IO(ctx), f.path, c.fields, c.t.mem, func(rec arrow.RecordBatch, base int64, ids *array.Int64) error {
		keys, err := c.keys.Append(nil, rec)
		if err != nil {
			return err
		}
		for i, k := range keys {
			e := keyindex.Entry{Key: k, RowID: keyindex.ImplicitRowID, File: number, Pos: uint32(base) + uint32(i)}
			if ids != nil && ids.IsValid(i) {
				e.RowID = ids.Value(i)
			}
			c.entries = append(c.entries, e)
		}
		rows += rec.NumRows()
		if len(c.entries) >= catchUpEntries {
			return c.flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if rows != f.rows {
		return fmt.Errorf("%w: %s has %d rows, its manifest entry says %d", ErrCorrupt, f.path, rows, f.rows)
	}
	c.files = append(c.files, f.path)
	return nil
}

// flush puts what was collected into the index.
func (c *catchUpReader) flush() error {
	if len(c.entries) == 0 && len(c.files) == 0 {
		return nil
	}
	err := c.t.addToIndex(c.entries, c.files)
	c.entries, c.files = nil, nil
	return err
}

// version names the head's snapshot to the index.
func (h *Head) version() keyindex.Version {
	s := h.meta.CurrentSnapshot()
	if s == nil {
		return keyindex.Version{}
	}
	return keyindex.Version{Snapshot: s.SnapshotID, Sequence: s.SequenceNumber}
}

// follows reports whether the head's snapshot is that of a version or came after it. Where
// the history does not reach back so far, the version is older than what is retained; but it
// may then be of a history that main was set back from.
func (h *Head) follows(v keyindex.Version) bool {
	if v.Snapshot == 0 {
		return true
	}
	oldest := h.meta.CurrentSnapshot()
	for s := oldest; s != nil; s = parentOf(h.meta, s) {
		if s.SequenceNumber <= v.Sequence {
			return s.SnapshotID == v.Snapshot
		}
		oldest = s
	}
	return oldest != nil && oldest.ParentSnapshotID != nil && v.Sequence >= int64(h.meta.Properties().GetInt(keySetBack, 0))
}
