package table

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"cdcd/table/datafile"
	"cdcd/table/fileio"
	"cdcd/table/keyindex"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"golang.org/x/sync/errgroup"
)

const (
	// catchUpEntries is about how many entries are collected before they go into the index,
	// and how many a reader hands over at most.
	catchUpEntries = 1 << 18
	// catchUpReaders is how many files are read at once. Entries are put into the index
	// meanwhile, which takes about as long as reading them.
	catchUpReaders = 2
)

// catchUp brings the files that the index does not cover into it, by reading their key
// columns. After a clean end there are none; after a crash, those of the newest commits;
// with no index at all, all files. A table that is appended to has no index.
func (t *Table) catchUp(ctx context.Context) error {
	if t.appends() {
		return nil
	}
	var missing []*dataFile
	for _, f := range t.content.files {
		if !t.index.Covers(f.path) {
			missing = append(missing, f)
		}
	}
	slices.SortFunc(missing, func(a, b *dataFile) int {
		return cmp.Or(cmp.Compare(a.firstRowID, b.firstRowID), cmp.Compare(a.sequence, b.sequence), cmp.Compare(a.path, b.path))
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	readers := t.keyReaders(missing)
	parts := make(chan keyPart)
	var g errgroup.Group
	g.Go(func() error {
		defer close(parts)
		return readKeys(ctx, readers, parts)
	})
	err := t.collectKeys(parts)
	if err != nil {
		cancel()
	}
	for range parts { // readers may be about to hand over
	}
	if failed := g.Wait(); err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("rebuild key index: %w", err)
	}
	return nil
}

// keyPart is entries of a data file.
type keyPart struct {
	entries []keyindex.Entry
	path    string // of the file, with its last part
}

// collectKeys puts parts into the index, large ones together, until there are no more.
func (t *Table) collectKeys(parts <-chan keyPart) error {
	var entries []keyindex.Entry
	var files []string
	for p := range parts {
		entries = append(entries, p.entries...)
		if p.path != "" {
			files = append(files, p.path)
		}
		if len(entries) < catchUpEntries {
			continue
		}
		if err := t.addToIndex(entries, files); err != nil {
			return err
		}
		entries, files = nil, nil
	}
	if len(entries) == 0 && len(files) == 0 {
		return nil
	}
	return t.addToIndex(entries, files)
}

// keyReaders makes a reader for each file. Nothing that they use of the table changes while
// they read.
func (t *Table) keyReaders(files []*dataFile) []*keyReader {
	var fields []int // ids of the key columns
	for _, k := range t.head.identifying() {
		fields = append(fields, t.head.schema().Field(k).ID)
	}
	out := make([]*keyReader, len(files))
	for i, f := range files {
		out[i] = &keyReader{
			store: t.head.store, mem: t.mem, path: f.path, rows: f.rows, number: t.index.File(f.path), fields: fields,
			keys: rowset.NewColumnEncoder(&t.head.Source.Table, t.index.Secret()),
		}
	}
	return out
}

// readKeys lets some readers at a time read.
func readKeys(ctx context.Context, readers []*keyReader, parts chan<- keyPart) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(catchUpReaders)
	for _, r := range readers {
		g.Go(func() error { return r.read(ctx, parts) })
	}
	return g.Wait()
}

// keyReader reads the keys of one data file.
type keyReader struct {
	store  fileio.Store
	mem    memory.Allocator
	path   string
	rows   int64  // that it has to have
	number uint32 // in the index
	fields []int
	keys   *rowset.Encoder
	part   []keyindex.Entry
}

func (r *keyReader) read(ctx context.Context, parts chan<- keyPart) error {
	rows := int64(0)
	err := datafile.ReadKeys(ctx, r.store.IO(ctx), r.path, r.fields, r.mem, func(rec arrow.RecordBatch, base int64, ids *array.Int64) error {
		rows += rec.NumRows()
		if err := r.take(rec, base, ids); err != nil || len(r.part) < catchUpEntries {
			return err
		}
		return r.hand(ctx, parts, "")
	})
	if err != nil {
		return err
	}
	if rows != r.rows {
		return fmt.Errorf("%w: %s has %d rows, its manifest entry says %d", ErrCorrupt, r.path, rows, r.rows)
	}
	return r.hand(ctx, parts, r.path)
}

// take makes entries of a record's rows.
func (r *keyReader) take(rec arrow.RecordBatch, base int64, ids *array.Int64) error {
	keys, err := r.keys.Append(nil, rec)
	if err != nil {
		return err
	}
	for i, k := range keys {
		e := keyindex.Entry{Key: k, RowID: keyindex.ImplicitRowID, File: r.number, Pos: uint32(base) + uint32(i)}
		if ids != nil && ids.IsValid(i) {
			e.RowID = ids.Value(i)
		}
		r.part = append(r.part, e)
	}
	return nil
}

// hand hands the part over.
func (r *keyReader) hand(ctx context.Context, parts chan<- keyPart, path string) error {
	select {
	case parts <- keyPart{r.part, path}:
		r.part = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// version names the head's snapshot to the index.
func (h *Head) version() keyindex.Version {
	s := h.tip()
	if s == nil {
		return keyindex.Version{}
	}
	return keyindex.Version{Snapshot: s.SnapshotID, Sequence: s.SequenceNumber}
}

// follows reports whether the head's snapshot is that of a version or came after it. Where
// the history does not reach back so far, the version is older than what is retained; but it
// may then be of a history that main was set back from.
func (h *Head) follows(v keyindex.Version) bool {
	if v.Snapshot == 0 || mutated("nofollows") {
		return true
	}
	oldest := h.tip()
	for s := oldest; s != nil; s = parentOf(h.meta, s) {
		if s.SequenceNumber <= v.Sequence {
			return s.SnapshotID == v.Snapshot
		}
		oldest = s
	}
	return oldest != nil && oldest.ParentSnapshotID != nil && v.Sequence >= int64(h.meta.Properties().GetInt(keySetBack, 0))
}
