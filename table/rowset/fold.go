package rowset

import (
	"bytes"
	"cmp"
	"slices"

	"cdcd/capture"
)

// Ref names a row of a list of batches.
type Ref struct{ Batch, Row int32 }

// Folded is the net effect of changes: every key that was touched, once, in ascending
// order, with its last change.
type Folded struct {
	Keys    []Key
	Refs    []Ref
	Present []bool // false: the last change deleted the row
	// Pending are the rows, by place, that have to be completed before they are whole.
	Pending []Pending
	// Copies number the rows among equal ones, where whole rows are the key; nil elsewhere.
	Copies []int64
}

// Len is the number of keys.
func (f *Folded) Len() int { return len(f.Keys) }

// keyed is a change by its key and its place in the order of changes.
type keyed struct {
	key   Key
	order int32
}

// Fold reduces changes, in the order in which they happened, to the last one a key.
func Fold(batches []*capture.Batch, e *Encoder) (*Folded, error) {
	keys, err := encodeAll(batches, e)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(batches, func(b *capture.Batch) bool { return len(b.Partial) > 0 }) {
		return foldPartial(batches, keys)
	}
	refs := refsOf(batches, len(keys))
	if ascending(keys) {
		return &Folded{Keys: keys, Refs: refs, Present: present(batches, refs)}, nil
	}
	changes := make([]keyed, len(keys))
	for i, k := range keys {
		changes[i] = keyed{k, int32(i)}
	}
	slices.SortFunc(changes, compareKeyed)
	out := &Folded{Keys: keys[:0]}
	sorted := make([]Ref, 0, len(refs))
	for i, c := range changes {
		if i+1 < len(changes) && changes[i+1].key == c.key {
			continue // superseded by a later change
		}
		out.Keys = append(out.Keys, c.key)
		sorted = append(sorted, refs[c.order])
	}
	out.Refs, out.Present = sorted, present(batches, sorted)
	return out, nil
}

// byKey groups changes by key, in ascending order, those of a key in the order in which they
// happened.
func byKey(keys []Key) [][]keyed {
	changes := make([]keyed, len(keys))
	for i, k := range keys {
		changes[i] = keyed{k, int32(i)}
	}
	slices.SortFunc(changes, compareKeyed)
	var out [][]keyed
	for from, i := 0, 1; i <= len(changes); i++ {
		if i == len(changes) || changes[i].key != changes[from].key {
			out = append(out, changes[from:i])
			from = i
		}
	}
	return out
}

func compareKeyed(a, b keyed) int {
	if a.key != b.key {
		return a.key.Compare(b.key)
	}
	return cmp.Compare(a.order, b.order)
}

func encodeAll(batches []*capture.Batch, e *Encoder) ([]Key, error) {
	total := 0
	for _, b := range batches {
		total += b.Rows()
	}
	keys := make([]Key, 0, total)
	for _, b := range batches {
		var err error
		if keys, err = e.Append(keys, b.Record); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func refsOf(batches []*capture.Batch, total int) []Ref {
	refs := make([]Ref, 0, total)
	for i, b := range batches {
		for row := range b.Rows() {
			refs = append(refs, Ref{int32(i), int32(row)})
		}
	}
	return refs
}

// ascending reports that no key comes twice and all are in order, as with inserts of
// growing numbers.
func ascending(keys []Key) bool {
	for i := 1; i < len(keys); i++ {
		if !keys[i-1].Less(keys[i]) {
			return false
		}
	}
	return true
}

func present(batches []*capture.Batch, refs []Ref) []bool {
	out := make([]bool, len(refs))
	for i, r := range refs {
		out[i] = batches[r.Batch].Ops[r.Row] != capture.OpDelete
	}
	return out
}

// SortByValue puts the places of rows into the order of their key columns' values. Keys
// that are exact already are in that order; hashed ones are not.
func SortByValue(places []int, refs []Ref, batches []*capture.Batch, e *Encoder) error {
	if e.exact {
		return nil
	}
	var arena []byte
	ends := make([]int, 0, len(places))
	for _, p := range places {
		var err error
		r := refs[p]
		if arena, err = e.AppendOrdered(arena, batches[r.Batch].Record, int(r.Row)); err != nil {
			return err
		}
		ends = append(ends, len(arena))
	}
	type item struct {
		place int
		value []byte
	}
	items := make([]item, len(places))
	from := 0
	for i, p := range places {
		items[i] = item{p, arena[from:ends[i]]}
		from = ends[i]
	}
	slices.SortFunc(items, func(a, b item) int { return bytes.Compare(a.value, b.value) })
	for i := range items {
		places[i] = items[i].place
	}
	return nil
}
