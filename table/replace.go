package table

import (
	"errors"
	"fmt"

	"cdcd/table/keyindex"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table/dv"
)

// ErrOutdated reports a rewrite whose inputs are not what they were when they were read, for
// another one was faster. It can be thrown away; the table is as it was.
var ErrOutdated = errors.New("a rewrite of files that have been replaced meanwhile")

// replacement is what a Delta of a rewrite changes beside adding the output. It changes no
// row.
type replacement struct {
	moves   []move
	output  string          // "" where no row is left
	removed map[string]bool // the data files that go
	// truncates is set where all files go and nothing comes: then rows do change.
	truncates bool
}

// move says where the rows of one removed file are.
type move struct {
	RewriteInput
	seen *keyindex.Positions // of the input, for counting
}

// to gives where the row at a position is. ok is false for one that was deleted when the file
// was read.
func (m *move) to(pos uint64) (out uint64, ok bool) {
	p := uint32(pos)
	if m.seen.Contains(p) {
		return 0, false
	}
	if mutated("norank") {
		return uint64(m.Start) + pos, true
	}
	return uint64(m.Start) + pos - uint64(m.seen.Rank(p)), true
}

// Replace gives the Delta that puts a rewrite in the place of its inputs. Rows that were deleted
// in them since they were read are deleted in the output. With [ErrOutdated] the rewrite can
// never land.
func (t *Table) Replace(rw *Rewrite) (*Delta, error) {
	d, err := t.replace(rw)
	if err != nil {
		return nil, fmt.Errorf("%s: replace %d files: %w", t.Name(), len(rw.Inputs), err)
	}
	return d, nil
}

func (t *Table) replace(rw *Rewrite) (*Delta, error) {
	r := &replacement{removed: map[string]bool{}}
	d := &Delta{base: t.head.Snapshot, deletes: map[string]*bitmap{}, replaces: r}
	late, left := dv.NewRoaringPositionBitmap(), int64(0) // rows that are live in the inputs now
	for _, in := range rw.Inputs {
		f := t.content.files[in.Path]
		if f == nil && mutated("landgone") {
			continue
		}
		if f == nil || t.head.Version >= versionVectors && f.firstRowID < 0 || f.rows != in.Rows || f.firstRowID != in.FirstRowID {
			return nil, fmt.Errorf("%w: %s", ErrOutdated, in.Path)
		}
		m := move{RewriteInput: in}
		if in.Seen != nil {
			m.seen = keyindex.CollectPositions(in.Seen.Positions())
		}
		live, err := t.lateDeletes(&m, f, late)
		if err != nil {
			return nil, err
		}
		left += live
		r.removed[in.Path] = true
		r.moves = append(r.moves, m)
	}
	if n := late.Cardinality(); left != rw.Rows-n && !mutated("landgone") {
		return nil, fmt.Errorf("%w: %d rows are live in the inputs, %d in the output", ErrCorrupt, left, rw.Rows-n)
	}
	if rw.Output == nil {
		return d, nil
	}
	r.output = rw.Output.FilePath()
	d.files, d.digests = []iceberg.DataFile{rw.Output}, make([]digest, 1)
	if late.Cardinality() > 0 && !mutated("forgetlate") {
		d.deletes[r.output] = late
	}
	return d, nil
}

// lateDeletes adds the positions in the output of the rows that were deleted since the input
// was read, and gives the number of rows that are live in it.
func (t *Table) lateDeletes(m *move, f *dataFile, late *bitmap) (live int64, err error) {
	now, err := t.content.bits(f)
	switch {
	case err != nil:
		return 0, err
	case now == nil && m.seen.Len() > 0:
		return 0, fmt.Errorf("%w: rows of %s are live again", ErrOutdated, f.path)
	case now == nil:
		return f.rows, nil
	}
	known := uint32(0)
	for pos := range now.Positions() {
		if out, ok := m.to(pos); ok {
			late.Set(out)
		} else {
			known++
		}
	}
	if known != m.seen.Len() {
		return 0, fmt.Errorf("%w: rows of %s are live again", ErrOutdated, f.path)
	}
	return f.rows - now.Cardinality(), nil
}

// redirect has the index follow a replacement that has landed.
func (t *Table) redirect(r *replacement) error {
	for path := range r.removed {
		t.byNumber[t.index.File(path)] = nil
	}
	if r.output == "" {
		return nil
	}
	t.setNumber(t.content.files[r.output])
	if t.appends() || mutated("noredirect") {
		return nil
	}
	var rs []keyindex.Redirect
	for _, m := range r.moves {
		rs = append(rs, keyindex.Redirect{
			Input: t.index.File(m.Path), Output: t.index.File(r.output), Start: uint32(m.Start), Rows: uint32(m.Rows),
			FirstRowID: m.FirstRowID, Seen: m.seen,
		})
	}
	l := &liveness{Table: t}
	t.index.Reflect(t.head.version())
	return errors.Join(t.index.Redirect(rs, l), l.err)
}
