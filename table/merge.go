package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"cdcd/capture"
	"cdcd/table/datafile"
	"cdcd/table/keyindex"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow/array"
	"golang.org/x/sync/errgroup"
)

// ErrIncomplete reports a change that does not say all of its row, where nothing else does.
var ErrIncomplete = errors.New("a row image lacks a column, and the table has no older row to take it from")

// mergeRows bounds the rows that are completed at once: both what they are made of and what
// they become is in memory.
const mergeRows = 32 << 10

// parallelPicks bounds the files that old rows are read from at the same time.
const parallelPicks = 8

// merger completes rows that changes do not know all columns of.
type merger struct {
	b       *Builder
	batches []*capture.Batch
	pending map[int]*rowset.Pending // by place
	old     map[int]keyindex.Entry  // the rows they were, by the place of their key
}

// newMerger prepares for the rows of f that have to be completed; it is nil where there are none.
func newMerger(b *Builder, batches []*capture.Batch, f *rowset.Folded) *merger {
	if len(f.Pending) == 0 {
		return nil
	}
	m := &merger{b: b, batches: batches, pending: map[int]*rowset.Pending{}, old: map[int]keyindex.Entry{}}
	for i := range f.Pending {
		p := &f.Pending[i]
		m.pending[p.Place] = p
		if p.Root >= 0 {
			m.old[p.Root] = keyindex.Entry{File: noFile}
		}
	}
	return m
}

// noFile is no file's number.
const noFile = ^uint32(0)

// found notes the row that a key has in the lake.
func (m *merger) found(place int, e keyindex.Entry) {
	if m == nil {
		return
	}
	if _, wanted := m.old[place]; wanted {
		m.old[place] = e
	}
}

// check looks whether all rows can be completed. Those that cannot are left out while the table
// is loaded: a chunk of a later moment has them.
func (m *merger) check(f *rowset.Folded) error {
	if m == nil {
		return nil
	}
	for place, p := range m.pending {
		if p.Root < 0 || m.old[p.Root].File != noFile {
			continue
		}
		if !m.b.loading {
			return fmt.Errorf("%s: %w: column %s at %s", m.b.t.Name(), ErrIncomplete, m.lacking(p), p.Last.GTID.Text(p.Last.Flavor))
		}
		delete(m.pending, place)
		f.Present[place] = false
	}
	return nil
}

// lacking names a column that none of the changes knows.
func (m *merger) lacking(p *rowset.Pending) string {
	for i, c := range m.b.t.head.Source.Table.Columns {
		if !slices.ContainsFunc(p.Known, func(known []byte) bool { return known[i>>3]&(1<<(i&7)) != 0 }) {
			return fmt.Sprintf("%q", c.Name)
		}
	}
	return ""
}

// pieces cuts places so that no piece has more rows to be completed than fit into memory.
func (m *merger) pieces(places []int) [][]int {
	if m == nil {
		return [][]int{places}
	}
	var out [][]int
	from, n := 0, 0
	for i, place := range places {
		if m.pending[place] == nil {
			continue
		}
		if n++; n > mergeRows {
			out, from, n = append(out, places[from:i]), i, 1
		}
	}
	return append(out, places[from:])
}

// complete makes the rows at places whole. It gives batches in which they are, the last of which
// the caller releases, and where.
func (m *merger) complete(ctx context.Context, places []int, f *rowset.Folded) (batches []*capture.Batch, refs []rowset.Ref, err error) {
	var pending []rowset.Pending
	var at []int
	for _, place := range places {
		if p := m.pending[place]; p != nil {
			pending, at = append(pending, *p), append(at, place)
		}
	}
	if len(pending) == 0 {
		return m.batches, f.Refs, nil
	}
	old, bases, err := m.fetch(ctx, pending)
	defer func() {
		for _, b := range old {
			b.Release()
		}
	}()
	if err != nil {
		return nil, nil, err
	}
	columns, err := rowset.Complete(append(slices.Clone(m.batches), old...), pending, bases, m.b.t.mem)
	if err != nil {
		return nil, nil, err
	}
	defer release(columns)
	whole := &capture.Batch{Record: array.NewRecordBatch(m.batches[0].Record.Schema(), columns, int64(len(pending)))}
	refs = slices.Clone(f.Refs)
	for i, place := range at {
		refs[place] = rowset.Ref{Batch: int32(len(m.batches)), Row: int32(i)}
	}
	return append(slices.Clone(m.batches), whole), refs, nil
}

// oldRow is a row of the lake that a pending one is made of.
type oldRow struct {
	keyindex.Entry
	pending int
}

// fetch reads the rows that pending ones were, from several files at a time. The refs count the
// batches behind m.batches, and name no row for those that have no such row.
func (m *merger) fetch(ctx context.Context, pending []rowset.Pending) (old []*capture.Batch, bases []rowset.Ref, err error) {
	bases = make([]rowset.Ref, len(pending))
	var rows []oldRow
	for i, p := range pending {
		bases[i] = rowset.Ref{Batch: -1, Row: -1}
		if p.Root >= 0 {
			rows = append(rows, oldRow{m.old[p.Root], i})
		}
	}
	files := byFile(rows)
	read := make([]picked, len(files))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelPicks)
	for i, rows := range files {
		path := m.b.t.index.Path(rows[0].File)
		g.Go(func() (err error) {
			read[i], err = m.pick(ctx, path, rows)
			return err
		})
	}
	err = g.Wait()
	for i, p := range read {
		first := int32(len(m.batches) + len(old))
		for j, r := range p.refs {
			bases[files[i][j].pending] = rowset.Ref{Batch: first + r.Batch, Row: r.Row}
		}
		old = append(old, p.batches...)
	}
	return old, bases, err
}

// byFile sorts rows by where they are and parts them by file.
func byFile(rows []oldRow) (out [][]oldRow) {
	slices.SortFunc(rows, func(a, b oldRow) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Pos, b.Pos))
	})
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].File == rows[0].File {
			n++
		}
		out, rows = append(out, rows[:n]), rows[n:]
	}
	return out
}

// picked is what was read of one file: batches, and where in them each row is.
type picked struct {
	batches []*capture.Batch
	refs    []rowset.Ref
}

// pick reads rows of one file. It gives what it has with an error, too.
func (m *merger) pick(ctx context.Context, path string, rows []oldRow) (out picked, err error) {
	t := m.b.t
	positions := make([]uint32, len(rows))
	for i, r := range rows {
		positions[i] = r.Pos
	}
	p, err := t.layout.Pick(ctx, t.head.store.IO(ctx), path, positions, t.mem)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	for {
		read, chosen, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		b, err := m.choose(read, chosen)
		read.Release()
		if err != nil {
			return out, err
		}
		for i := range chosen {
			out.refs = append(out.refs, rowset.Ref{Batch: int32(len(out.batches)), Row: int32(i)})
		}
		out.batches = append(out.batches, b)
	}
}

// choose copies rows of a record.
func (m *merger) choose(read *datafile.Rows, chosen []int32) (*capture.Batch, error) {
	refs := make([]rowset.Ref, len(chosen))
	for i, row := range chosen {
		refs[i].Row = row
	}
	ops := make([]capture.Op, read.Record.NumRows())
	columns, err := rowset.Take([]*capture.Batch{{Record: read.Record, Ops: ops}}, refs, m.b.t.mem)
	if err != nil {
		return nil, err
	}
	defer release(columns)
	return &capture.Batch{Record: array.NewRecordBatch(read.Record.Schema(), columns, int64(len(refs)))}, nil
}
