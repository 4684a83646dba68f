package table

import (
	"context"
	"errors"
	"fmt"

	"cdcd/capture"
	"cdcd/table/datafile"
	"cdcd/table/keyindex"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table/dv"
)

// Delta is what an epoch changes in one table: data files to add, all uploaded, and
// positions to delete, in live files or in the added ones. It is valid for the one
// snapshot it was made on and does not change.
type Delta struct {
	base    int64 // the snapshot
	files   []iceberg.DataFile
	digests []digest           // of the files; zero: not known
	deletes map[string]*bitmap // by data file
	added   []added            // what each Add has written
	// replaces is nil but for a rewrite: its Delta moves rows and changes none.
	replaces *replacement
	evolves  *evolution  // nil but where the schema changes, and no row does
	leaves   *Quarantine // nil but where nothing of the table follows
	anew     bool        // it begins to load the table anew
	// publishes is set where main becomes what was loaded anew.
	publishes bool
	// Inserted, Updated and Deleted count rows by what happened to them in the lake.
	Inserted, Updated, Deleted int64
	Reused                     int // files that an earlier attempt has uploaded
}

// added is what one Add has written: the index entries of all rows in those files. They are held
// once, by the Builder's overlay too, which sorts them.
type added struct {
	files   []string
	entries []keyindex.Entry
}

// Empty reports that the Delta changes nothing.
func (d *Delta) Empty() bool { return d.keepsRows() && d.leaves == nil && !d.publishes }

// keepsRows reports that it changes neither rows nor how they look.
func (d *Delta) keepsRows() bool {
	return len(d.files) == 0 && len(d.deletes) == 0 && d.evolves == nil && !d.truncates()
}

// truncates reports that no row is left.
func (d *Delta) truncates() bool { return d.replaces != nil && d.replaces.truncates }

// Written is the size of the data files.
func (d *Delta) Written() (n int64) {
	for _, f := range d.files {
		n += f.FileSizeBytes()
	}
	return n
}

func (d *Delta) file(path string) iceberg.DataFile {
	for _, f := range d.files {
		if f.FilePath() == path {
			return f
		}
	}
	return nil
}

// Builder makes a Delta out of batches. It is used by one goroutine, while nothing else
// changes the table.
type Builder struct {
	t       *Table
	names   *namer
	delta   *Delta
	overlay keyindex.Overlay            // of all that was added but by the newest Add
	own     map[uint32]iceberg.DataFile // files of the Delta, by number
	err     error                       // of reading a deletion vector inside a look-up
	loading bool
}

// Build begins a Delta on the table's current snapshot. The fence and the epoch go into
// the names of its files.
func (t *Table) Build(fence, epoch int64) *Builder {
	return &Builder{
		t: t, names: newNamer(t.head.meta.Location(), fence, epoch), own: map[uint32]iceberg.DataFile{},
		delta: &Delta{base: t.head.Snapshot, deletes: map[string]*bitmap{}},
	}
}

// Loading tells that the table's initial load is not complete behind what is added from now on:
// a changed row may not be there yet.
func (b *Builder) Loading(is bool) *Builder {
	b.loading = is
	return b
}

// Add brings changes in, in the order of the source after all that were added before. They
// become data files at once, so that the batches can be released: one a partition, or more
// where the rows are too many for one.
func (b *Builder) Add(ctx context.Context, batches []*capture.Batch) error {
	if len(batches) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if n := len(b.delta.added); n > 0 {
		b.overlay.Add(b.delta.added[n-1].entries)
	}
	b.delta.added = append(b.delta.added, added{})
	folded, before, m, err := b.fold(batches)
	if err != nil {
		return err
	}
	return b.write(ctx, batches, folded, before, m)
}

// fold reduces changes to what they come to, and deletes the rows that they replace, which it gives
// by the places of their keys.
func (b *Builder) fold(batches []*capture.Batch) (*rowset.Folded, []replaced, *merger, error) {
	switch b.t.head.Source.Table.Identity {
	case capture.Appended:
		f := b.appended(batches)
		return f, make([]replaced, f.Len()), nil, nil
	case capture.ByRow:
		f, err := b.counted(batches)
		if err != nil {
			return nil, nil, nil, err
		}
		return f, make([]replaced, f.Len()), nil, nil
	case capture.ByDeclaredKey:
		f, before, err := b.sequenced(batches)
		return f, before, nil, err
	}
	f, err := rowset.Fold(batches, b.t.keys)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", b.t.Name(), err)
	}
	m := newMerger(b, batches, f)
	before, err := b.resolve(f, m)
	return f, before, m, err
}

// replaced is the row that a key had before, if it had one.
type replaced struct {
	was   bool
	rowID int64 // negative: it gets one only when this Delta lands
}

// lookUp finds the live row of each key that has one. keys are in ascending order.
func (b *Builder) lookUp(keys []rowset.Key, found func(i int, e keyindex.Entry)) error {
	b.overlay.Lookup(keys, b, found)
	err := b.t.index.Lookup(keys, b, found)
	return errors.Join(b.err, err)
}

// resolve looks every key up and deletes the row it has.
func (b *Builder) resolve(f *rowset.Folded, m *merger) ([]replaced, error) {
	before := make([]replaced, f.Len())
	if err := b.lookUp(f.Keys, func(i int, e keyindex.Entry) {
		before[i] = replaced{was: true, rowID: b.rowID(e)}
		b.kill(e)
		m.found(i, e)
	}); err != nil {
		return nil, err
	}
	if err := m.check(f); err != nil {
		return nil, err
	}
	for i, r := range before {
		switch {
		case f.Present[i] && r.was:
			b.delta.Updated++
		case f.Present[i]:
			b.delta.Inserted++
		case r.was:
			b.delta.Deleted++
		}
	}
	return before, nil
}

// rowID gives the _row_id of the row at an entry.
func (b *Builder) rowID(e keyindex.Entry) int64 {
	if e.RowID >= 0 {
		return e.RowID
	}
	if b.own[e.File] != nil {
		return -1
	}
	if first := b.t.byNumber[e.File].firstRowID; first >= 0 {
		return first + int64(e.Pos)
	}
	return keyindex.ImplicitRowID // version 2 has no row ids
}

func (b *Builder) kill(e keyindex.Entry) {
	path := b.t.index.Path(e.File)
	bits := b.delta.deletes[path]
	if bits == nil {
		bits = dv.NewRoaringPositionBitmap()
		b.delta.deletes[path] = bits
	}
	bits.Set(uint64(e.Pos))
}

// Live tells look-ups which rows are live in the snapshot as this Delta leaves it so far.
func (b *Builder) Live(file, pos uint32) bool {
	if bits := b.delta.deletes[b.t.index.Path(file)]; bits != nil && bits.Contains(uint64(pos)) {
		return false
	}
	if b.own[file] != nil {
		return true
	}
	live, err := b.t.live(file, pos)
	if err != nil && b.err == nil {
		b.err = err
	}
	return live
}

// LiveFile tells which files are live.
func (b *Builder) LiveFile(file uint32) bool { return b.own[file] != nil || b.t.LiveFile(file) }

// write makes data files of the rows that are present, one after the other: what it takes of
// memory does not depend on how many partitions there are.
func (b *Builder) write(ctx context.Context, batches []*capture.Batch, f *rowset.Folded, before []replaced, m *merger) error {
	places := make([]int, 0, f.Len())
	for i, present := range f.Present {
		if present {
			places = append(places, i)
		}
	}
	if len(places) == 0 {
		return nil
	}
	if f.Copies == nil { // whole rows stay as they come
		if err := rowset.SortByValue(places, f.Refs, batches, b.t.keys); err != nil {
			return err
		}
	}
	for _, piece := range m.pieces(places) {
		if err := b.writePiece(ctx, batches, f, before, m, piece); err != nil {
			return fmt.Errorf("%s: %w", b.t.Name(), err)
		}
	}
	return nil
}

// writePiece makes data files of the rows at places, which it completes first.
func (b *Builder) writePiece(ctx context.Context, batches []*capture.Batch, f *rowset.Folded, before []replaced, m *merger, places []int) error {
	refs := f.Refs
	if m != nil {
		var err error
		own := len(batches)
		if batches, refs, err = m.complete(ctx, places, f); err != nil {
			return err
		}
		for _, b := range batches[own:] {
			defer b.Release()
		}
	}
	parts, err := b.t.parts.split(places, refs, batches)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := b.writePartition(ctx, batches, &rowset.Folded{Keys: f.Keys, Refs: refs, Copies: f.Copies}, before, p); err != nil {
			return err
		}
	}
	return nil
}

// writePartition makes as many data files of a partition's rows as its target size wants.
func (b *Builder) writePartition(ctx context.Context, batches []*capture.Batch, f *rowset.Folded, before []replaced, p partition) error {
	refs, entries, ids := b.arrange(p.places, f, before)
	columns, err := rowset.Take(batches, refs, b.t.mem)
	if err != nil {
		return err
	}
	if f.Copies != nil {
		setCopies(columns, f.Copies, p.places, b.t.mem)
	}
	defer release(columns)
	pieces := piecesOf(datafile.SizeOf(columns...), b.t.head.TargetFileSize(), len(refs))
	if pieces == 1 {
		return b.writeFile(ctx, columns, ids, entries, p.values)
	}
	for i := range pieces {
		from, to := i*len(refs)/pieces, (i+1)*len(refs)/pieces
		if err := b.writeSlice(ctx, columns, ids, entries[from:to], p.values, from); err != nil {
			return err
		}
	}
	return nil
}

// piecesOf says how many files so many rows and bytes become.
func piecesOf(bytes, target int64, rows int) int {
	return int(max(1, min((bytes+target-1)/target, int64(rows))))
}

// writeSlice makes a data file of those rows of columns that entries are of, which begin at
// from.
func (b *Builder) writeSlice(ctx context.Context, columns []arrow.Array, ids []int64, entries []keyindex.Entry, values map[int]any, from int) error {
	to := from + len(entries)
	parts := make([]arrow.Array, len(columns))
	for i, c := range columns {
		parts[i] = array.NewSlice(c, int64(from), int64(to))
	}
	defer release(parts)
	for i := range entries {
		entries[i].Pos = uint32(i)
	}
	if ids != nil {
		ids = ids[from:to]
	}
	return b.writeFile(ctx, parts, ids, entries, values)
}

// writeFile makes a data file of a partition, and notes it.
func (b *Builder) writeFile(ctx context.Context, columns []arrow.Array, ids []int64, entries []keyindex.Entry, values map[int]any) error {
	file, sum, err := b.dataFile(ctx, columns, ids, values)
	if err != nil {
		return err
	}
	number := b.t.index.File(file.FilePath())
	for i := range entries {
		entries[i].File = number
	}
	b.own[number] = file
	b.delta.files, b.delta.digests = append(b.delta.files, file), append(b.delta.digests, sum)
	if b.t.appends() {
		return nil // nobody looks its rows up
	}
	to := &b.delta.added[len(b.delta.added)-1]
	if to.files = append(to.files, file.FilePath()); to.entries == nil {
		to.entries = entries
	} else {
		to.entries = append(to.entries, entries...)
	}
	return nil
}

func release(columns []arrow.Array) {
	for _, c := range columns {
		c.Release()
	}
}

// dataFile makes a data file durable, or finds one that is and that holds the same.
func (b *Builder) dataFile(ctx context.Context, columns []arrow.Array, ids []int64, values map[int]any) (iceberg.DataFile, digest, error) {
	sum, ok := b.t.digestOf(columns, ids, values)
	if file := b.t.uploads[sum]; ok && file != nil {
		delete(b.t.uploads, sum) // a file is in a snapshot once
		b.delta.Reused++
		return file, sum, nil
	}
	file, err := b.t.layout.Write(b.t.head.store.IO(ctx), b.names.dataFile(), columns, ids, values)
	return file, sum, err
}

// arrange gives, in file order, the rows to take, their index entries, and their row ids,
// which are nil where no row has one, or none is kept.
func (b *Builder) arrange(places []int, f *rowset.Folded, before []replaced) ([]rowset.Ref, []keyindex.Entry, []int64) {
	refs := make([]rowset.Ref, len(places))
	entries := make([]keyindex.Entry, len(places))
	ids := make([]int64, len(places))
	some, kept := false, b.t.head.Lineage()
	for pos, i := range places {
		refs[pos] = f.Refs[i]
		ids[pos] = keyindex.ImplicitRowID
		if kept && before[i].was && before[i].rowID >= 0 {
			ids[pos], some = before[i].rowID, true
		}
		entries[pos] = keyindex.Entry{Key: f.Keys[i], RowID: ids[pos], Pos: uint32(pos)}
	}
	if !some {
		ids = nil
	}
	return refs, entries, ids
}

// Delta gives what was built.
func (b *Builder) Delta() *Delta {
	return b.delta
}
