package rowset

import (
	"errors"
	"fmt"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Pending is a row that is present after changes and does not know all of its columns.
type Pending struct {
	Place int   // of its key in Folded
	Chain []Ref // the changes that made it, the newest first
	// Known are the bitmaps of the columns that each of Chain knows; nil: all.
	Known [][]byte
	// Patched are the bitmaps of the columns of which each of Chain has a patch; nil: none.
	Patched [][]byte
	// Root is the place of the key under which the row was before the first of Chain; what none
	// of them knows has to be read there. Negative: together they know all.
	Root int
	Last *capture.Partial // of the newest change
}

// errOrder reports changes that no source can have made.
var errOrder = errors.New("a row was updated behind its deletion")

// history is changes in their order, and how they build on each other.
type history struct {
	batches []*capture.Batch
	refs    []Ref
	partial []*capture.Partial // by change; nil where it knows all columns
	prev    []int32            // by change: the one before on the same key; negative: none
	place   []int32            // by change: of its key
}

// foldPartial is Fold where rows do not know all columns.
func foldPartial(batches []*capture.Batch, keys []Key) (*Folded, error) {
	h := &history{batches: batches, refs: refsOf(batches, len(keys)), partial: partialOf(batches, len(keys))}
	h.prev, h.place = make([]int32, len(keys)), make([]int32, len(keys))
	out := &Folded{}
	var last []int32 // change of each key
	for _, same := range byKey(keys) {
		before := int32(-1)
		for _, c := range same {
			h.prev[c.order], h.place[c.order] = before, int32(len(out.Keys))
			before = c.order
		}
		out.Keys, out.Refs = append(out.Keys, same[0].key), append(out.Refs, h.refs[before])
		last = append(last, before)
	}
	out.Present = present(batches, out.Refs)
	for place, at := range last {
		if !out.Present[place] || h.partial[at] == nil {
			continue
		}
		p, err := h.chain(place, at)
		if err != nil {
			return nil, err
		}
		out.Pending = append(out.Pending, p)
	}
	return out, nil
}

// partialOf tells of every change whether it knows all columns.
func partialOf(batches []*capture.Batch, total int) []*capture.Partial {
	out := make([]*capture.Partial, total)
	first := 0
	for _, b := range batches {
		for i := range b.Partial {
			p := &b.Partial[i]
			for row := p.From; row < p.To; row++ {
				if b.Ops[row] != capture.OpDelete {
					out[first+row] = p
				}
			}
		}
		first += b.Rows()
	}
	return out
}

// chain follows a change back to what it builds on, until all columns are known.
func (h *history) chain(place int, last int32) (Pending, error) {
	out := Pending{Place: place, Root: -1, Last: h.partial[last]}
	columns := len(h.batches[h.refs[last].Batch].Table.Columns)
	lacking := newMask(columns)
	for at := last; ; {
		out.Chain = append(out.Chain, h.refs[at])
		p := h.partial[at]
		if p == nil {
			out.Known, out.Patched = append(out.Known, nil), append(out.Patched, nil)
			return out, nil
		}
		out.Known, out.Patched = append(out.Known, p.Known), append(out.Patched, p.Patched)
		if lacking.remove(p.Known); lacking.empty() {
			return out, nil
		}
		from := at
		if h.moved(at) {
			from = at - 1
		}
		before := h.prev[from]
		if before < 0 {
			out.Root = int(h.place[from])
			return out, nil
		}
		if r := h.refs[before]; h.batches[r.Batch].Ops[r.Row] == capture.OpDelete {
			return Pending{}, fmt.Errorf("%w at %s", errOrder, p.GTID.Text(p.Flavor))
		}
		at = before
	}
}

// moved reports whether a change took its row over from another key, which the change directly
// before it deleted.
func (h *history) moved(at int32) bool {
	r, p := h.refs[at], h.partial[at]
	return int(r.Row) > p.From && h.batches[r.Batch].Ops[r.Row-1] == capture.OpDelete
}

// mask is a set of columns.
type mask struct {
	bits []byte
	n    int // how many there are
}

func newMask(columns int) *mask {
	m := &mask{bits: make([]byte, (columns+7)/8), n: columns}
	for i := range columns {
		m.bits[i>>3] |= 1 << (i & 7)
	}
	return m
}

// remove takes the columns of a bitmap out.
func (m *mask) remove(known []byte) {
	for i := range m.bits {
		for gone := m.bits[i] & known[i]; gone != 0; gone &= gone - 1 {
			m.n--
		}
		m.bits[i] &^= known[i]
	}
}

func (m *mask) empty() bool { return m.n == 0 }

// Complete makes whole rows of pending ones: each column is taken from the newest change that
// knows it, or from the row in bases, and what newer ones have patches of is patched. The refs are
// of batches, which have the same columns. The caller releases the arrays.
func Complete(batches []*capture.Batch, pending []Pending, bases []Ref, mem memory.Allocator) ([]arrow.Array, error) {
	first := pending[0].Chain[0]
	columns := len(batches[first.Batch].Table.Columns)
	out := make([]arrow.Array, 0, batches[first.Batch].Record.NumCols())
	sources, refs := make([]arrow.Array, len(batches)), make([]Ref, len(pending))
	for i := range cap(out) {
		for j, b := range batches {
			sources[j] = b.Record.Column(i)
		}
		for k := range pending {
			refs[k] = bases[k]
			if j := pending[k].knows(i, columns); j >= 0 {
				refs[k] = pending[k].Chain[j]
			}
		}
		a, err := takeColumn(sources, refs, mem)
		if err == nil {
			a, err = patchColumn(batches, pending, i, columns, a, mem)
		}
		if err != nil {
			for _, done := range out {
				done.Release()
			}
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// knows gives the newest change that knows a column, or a negative number. What is no column of
// the source is of the newest change.
func (p *Pending) knows(column, columns int) int {
	if column >= columns {
		return 0
	}
	for j, known := range p.Known {
		if known == nil || known[column>>3]&(1<<(column&7)) != 0 {
			return j
		}
	}
	return -1
}
