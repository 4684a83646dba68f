package keyindex

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// Redirect says where the rows of one file are after a compaction has rewritten it into
// another: the row at a position of Input that is not in Seen is at Start + position -
// rank(Seen, position) of Output, with an explicit row id.
type Redirect struct {
	Input, Output uint32     // file numbers
	Start         uint32     // position in Output of the first row that survived
	Rows          uint32     // of Input, dead ones included
	FirstRowID    int64      // of Input, for its rows without an explicit row id; negative: they have none
	Seen          *Positions // rows that were dead when Input was read, and are not in Output
}

// survivors is the number of rows of the input that are in the output.
func (r *Redirect) survivors() uint32 { return r.Rows - r.Seen.Len() }

// apply moves an entry of the input to the output. It reports false for a row that was dead.
func (r *Redirect) apply(e Entry) (Entry, bool) {
	if r.Seen.Contains(e.Pos) {
		return e, false
	}
	if e.RowID == ImplicitRowID && r.FirstRowID >= 0 {
		e.RowID = r.FirstRowID + int64(e.Pos)
	}
	e.File, e.Pos = r.Output, r.Start+e.Pos-r.Seen.Rank(e.Pos)
	return e, true
}

// then gives the redirect that does what r does and what next does after it, which is of
// r's output.
func (r *Redirect) then(next *Redirect) *Redirect {
	seen := &Positions{}
	for pos := range r.Seen.all() {
		seen.set(uint32(pos))
	}
	for at := range next.Seen.all() {
		if out := uint32(at); out >= r.Start && out < r.Start+r.survivors() {
			seen.set(r.origin(out))
		}
	}
	return &Redirect{
		Input: r.Input, Output: next.Output, Rows: r.Rows, FirstRowID: r.FirstRowID,
		Start: next.Start + r.Start - next.Seen.Rank(r.Start), Seen: seen.counted(),
	}
}

// origin gives the input's position of the row at a position of the output: the last one
// with as many survivors below it.
func (r *Redirect) origin(out uint32) uint32 {
	low, high := out-r.Start, r.Rows-1
	for low < high {
		middle := low + (high-low+1)/2
		if r.Start+middle-r.Seen.Rank(middle) <= out {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// moves are the redirects in force by their input; nil: none. No output is an input.
type moves []*Redirect

// resolve follows the redirect of an entry's file. It reports false for a row that was dead
// when its file was rewritten.
func (m moves) resolve(e Entry) (Entry, bool) {
	if int(e.File) >= len(m) || m[e.File] == nil {
		return e, true
	}
	return m[e.File].apply(e)
}

// Redirect follows a compaction: entries of its inputs are entries of its outputs from now
// on, and the outputs are covered. It is the first call after the Liveness has changed from
// showing the inputs to showing the outputs, and after Reflect. When it returns, all is on
// disk. An error leaves the index of no use.
func (x *Index) Redirect(rs []Redirect, live Liveness) error {
	if err := x.checkRedirects(rs); err != nil {
		return err
	}
	next := map[uint32]*Redirect{}
	for i := range rs {
		next[rs[i].Input] = &rs[i]
	}
	moved := make(moves, len(x.paths))
	for i, r := range x.moved {
		if r != nil && next[r.Output] != nil {
			r = r.then(next[r.Output])
		}
		moved[i] = r
	}
	x.moved = moved
	for i := range rs {
		r := rs[i]
		x.moved[r.Input] = &r
		x.covered[r.Output] = true
		x.stored[r.Output] = true // with what is stored below
	}
	x.unsaved = true
	return x.flush(live)
}

// checkRedirects refuses what no compaction does.
func (x *Index) checkRedirects(rs []Redirect) error {
	sorted := slices.Clone(rs)
	slices.SortFunc(sorted, func(a, b Redirect) int {
		return cmp.Or(cmp.Compare(a.Output, b.Output), cmp.Compare(a.Start, b.Start), cmp.Compare(a.survivors(), b.survivors()))
	})
	inputs, end := map[uint32]bool{}, uint32(0)
	for i, r := range sorted {
		if i == 0 || sorted[i-1].Output != r.Output {
			end = 0
		}
		switch {
		case int(r.Input) >= len(x.paths) || int(r.Output) >= len(x.paths):
			return fmt.Errorf("redirect file %d to %d of %d", r.Input, r.Output, len(x.paths))
		case !x.covered[r.Input] || inputs[r.Input] || int(r.Input) < len(x.moved) && x.moved[r.Input] != nil:
			return fmt.Errorf("redirect file %d, of which there are no entries or which is moved already", r.Input)
		case x.covered[r.Output]:
			return fmt.Errorf("redirect file %d to %d, of which there are entries", r.Input, r.Output)
		case r.Start != end || r.Seen.Len() > r.Rows:
			return fmt.Errorf("redirect file %d to position %d of file %d, which begins at %d", r.Input, r.Start, r.Output, end)
		}
		inputs[r.Input] = true
		end += r.survivors()
	}
	for _, r := range rs {
		if inputs[r.Output] {
			return errors.New("a compaction rewrites its own output")
		}
	}
	return nil
}

// forgetRedirects drops those of files that no run has entries of.
func (x *Index) forgetRedirects() {
	used := make([]bool, len(x.moved))
	mark := func(files []uint32) {
		for _, f := range files {
			if int(f) < len(used) {
				used[f] = true
			}
		}
	}
	for _, r := range x.memory {
		mark(r.files)
	}
	for _, r := range x.disk {
		mark(r.files)
	}
	for _, m := range x.merges { // entries that were resolved point to files that are not the inputs'
		mark(m.out.files.list())
	}
	for f := range x.moved {
		if !used[f] {
			x.moved[f] = nil
		}
	}
}

// storedRedirect is a Redirect on disk.
type storedRedirect struct {
	Input      uint32 `json:"input"`
	Output     uint32 `json:"output"`
	Start      uint32 `json:"start"`
	Rows       uint32 `json:"rows"`
	FirstRowID int64  `json:"first-row-id"`
	Seen       []byte `json:"seen,omitempty"`
}

// storeRedirects puts the redirects into a file where none has them all.
func (x *Index) storeRedirects() error {
	var out []storedRedirect
	for _, r := range x.moved {
		if r != nil {
			out = append(out, storedRedirect{r.Input, r.Output, r.Start, r.Rows, r.FirstRowID, r.Seen.bytes()})
		}
	}
	switch {
	case len(out) == 0:
		x.movedIn = ""
	case x.unsaved:
		x.movedIn = x.nextName("moved")
		if err := writeSealed(filepath.Join(x.dir, x.movedIn), out); err != nil {
			return err
		}
	}
	x.unsaved = false
	return nil
}

// loadRedirects reads the redirects, if there are any.
func (x *Index) loadRedirects(name string) error {
	if name == "" {
		return nil
	}
	var in []storedRedirect
	if err := readSealed(filepath.Join(x.dir, name), &in); err != nil {
		return err
	}
	x.movedIn, x.moved = name, make(moves, len(x.paths))
	for _, r := range in {
		if int(r.Input) >= len(x.paths) || int(r.Output) >= len(x.paths) {
			return fmt.Errorf("%w: %s moves file %d to %d", errDamaged, name, r.Input, r.Output)
		}
		x.moved[r.Input] = &Redirect{r.Input, r.Output, r.Start, r.Rows, r.FirstRowID, positionsOf(r.Seen)}
	}
	return nil
}
