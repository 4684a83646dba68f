package keyindex

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"slices"

	"cdcd/table/rowset"
)

const (
	// fanOut is how many runs of one level are merged into one of the next. Each level is
	// so many times as large as the one below.
	fanOut = 4
	// mergePace is how many entries each merge goes on by for one that is added. A merge of
	// the runs of a level has then ended before half as many have come again.
	mergePace = 2
	// mergeStep is how many it goes on by at least, so that small epochs end merges, too.
	mergeStep = 4 << 10
	// maxRuns bounds the runs on disk: where there are more, since restarts have thrown away
	// what was merged, merges end before the next entries are taken.
	maxRuns = 48
)

// merge is a merge under way. It reads runs that do not change and writes one, a little with
// every Add, so that no commit waits for all of it.
//
// Rows that are dead when it comes by are left out. They stay dead in every later snapshot,
// and the run counts as of the index's Version when it is taken in, which is later.
type merge struct {
	inputs  []*diskRun
	cursors []*cursor // that are not at their end
	last    Entry     // that was put
	lastKey rowset.Key
	some    bool // last is one
	out     *runWriter
	name    string
}

// step goes on by about n entries. It stops between keys only: rows of one key are compared
// under one Liveness. It reports whether the merge has ended.
func (m *merge) step(n int, moved moves, live Liveness, put func(Entry) error) (bool, error) {
	for ; len(m.cursors) > 0; n-- {
		c := m.least()
		e := m.cursors[c].entries[0]
		if n <= 0 && e.Key != m.lastKey {
			return false, nil
		}
		m.lastKey = e.Key
		if err := m.take(e, moved, live, put); err != nil {
			return false, err
		}
		if err := m.cursors[c].next(); err != nil {
			return false, err
		}
		if len(m.cursors[c].entries) == 0 {
			m.cursors = slices.Delete(m.cursors, c, c+1)
		}
	}
	return true, nil
}

// least gives the cursor with the least key.
func (m *merge) least() int {
	out := 0
	for i := 1; i < len(m.cursors); i++ {
		if m.cursors[i].entries[0].Key.Less(m.cursors[out].entries[0].Key) {
			out = i
		}
	}
	return out
}

// take puts an entry if its row is live. A row that two runs have, since a file was read
// again after a crash, is put once.
func (m *merge) take(e Entry, moved moves, live Liveness, put func(Entry) error) error {
	e, ok := moved.resolve(e)
	if !ok || !live.Live(e.File, e.Pos) {
		return nil
	}
	if m.some && m.last.Key == e.Key {
		if m.last.File == e.File && m.last.Pos == e.Pos {
			return nil
		}
		return fmt.Errorf("%w: positions %d and %d", ErrTwoLive, m.last.Pos, e.Pos)
	}
	m.last, m.some = e, true
	return put(e)
}

// mergeInMemory merges all runs in memory into entries.
func mergeInMemory(runs []*memoryRun, moved moves, live Liveness, put func(Entry) error) error {
	m := &merge{}
	total := 0
	for _, r := range runs {
		if len(r.entries) > 0 {
			m.cursors = append(m.cursors, memoryCursor(r))
			total += len(r.entries)
		}
	}
	_, err := m.step(total, moved, live, put)
	return err
}

// level is the level of a run of n entries, where runs of up to unit entries are at level 0.
func level(n, unit int) int { return bits.Len(uint(max(n-1, 0)/unit)) / 2 }

// planMerge picks the runs to merge next, by their sizes, out of those that no merge reads:
// all of the lowest level that has fanOut; or all runs, where the largest is not larger than
// the others together, for much of it may then be dead. busy says that a merge is under way.
func planMerge(sizes []int, unit int, busy bool) []int {
	levels := map[int][]int{}
	largest, sum := 0, 0
	for i, n := range sizes {
		levels[level(n, unit)] = append(levels[level(n, unit)], i)
		largest, sum = max(largest, n), sum+n
	}
	for l := range level(largest, unit) + 1 {
		if len(levels[l]) >= fanOut {
			return levels[l]
		}
	}
	if busy || len(sizes) < fanOut || sum < 2*largest {
		return nil
	}
	all := make([]int, len(sizes))
	for i := range all {
		all[i] = i
	}
	return all
}

// mergeOn begins the merges that are due and goes on with all of them after n entries were
// added.
func (x *Index) mergeOn(n int, live Liveness) error {
	if err := x.beginMerges(); err != nil {
		return err
	}
	steps := mergePace*n + x.step
	for i := 0; i < len(x.merges); {
		if len(x.disk) > maxRuns {
			steps = math.MaxInt
		}
		m := x.merges[i]
		done, err := m.step(steps, x.moved, live, m.out.put)
		if err != nil {
			return x.damaged(fmt.Errorf("merge key index: %w", err))
		}
		if !done {
			i++
			continue
		}
		x.merges = slices.Delete(x.merges, i, i+1)
		if err := x.adopt(m, live); err != nil {
			return err
		}
	}
	return nil
}

// beginMerges begins merges until none is due. A run is in one of them at most.
func (x *Index) beginMerges() error {
	for {
		var idle []*diskRun
		var sizes []int
		for _, r := range x.disk {
			if !x.merging(r) {
				idle, sizes = append(idle, r), append(sizes, r.count)
			}
		}
		due := planMerge(sizes, x.diskFrom, len(x.merges) > 0)
		if due == nil {
			return nil
		}
		m := &merge{name: x.nextName("run")}
		for _, i := range due {
			c, err := diskCursor(idle[i])
			if err != nil {
				return x.damaged(err)
			}
			m.inputs = append(m.inputs, idle[i])
			if len(c.entries) > 0 {
				m.cursors = append(m.cursors, c)
			}
		}
		var err error
		if m.out, err = newRunWriter(filepath.Join(x.dir, m.name)); err != nil {
			return err
		}
		x.merges = append(x.merges, m)
	}
}

// merging reports whether a merge reads a run.
func (x *Index) merging(r *diskRun) bool {
	return slices.ContainsFunc(x.merges, func(m *merge) bool { return slices.Contains(m.inputs, r) })
}

// adopt replaces the runs that a merge has read by the one that it has written.
func (x *Index) adopt(m *merge, live Liveness) error {
	merged, err := x.finishRun(m.out, m.name)
	if err != nil {
		return err
	}
	x.disk = slices.DeleteFunc(x.disk, func(r *diskRun) bool { return slices.Contains(m.inputs, r) })
	x.take(merged)
	if err := x.record(live); err != nil {
		return err
	}
	for _, r := range m.inputs {
		if err := errors.Join(r.close(), os.Remove(filepath.Join(x.dir, r.name))); err != nil {
			return err
		}
	}
	return nil
}

// store writes the runs in memory to disk, as one.
func (x *Index) store(live Liveness) error {
	name := x.nextName("run")
	w, err := newRunWriter(filepath.Join(x.dir, name))
	if err != nil {
		return err
	}
	if err := mergeInMemory(x.memory, x.moved, live, w.put); err != nil {
		return errors.Join(fmt.Errorf("write key index: %w", err), w.abandon())
	}
	r, err := x.finishRun(w, name)
	if err != nil {
		return err
	}
	for _, m := range x.memory {
		for _, f := range m.covers {
			x.stored[f] = true
		}
	}
	x.memory = nil
	x.take(r)
	return nil
}

// take puts a run behind those that are larger: most keys are in the largest.
func (x *Index) take(r *diskRun) {
	at := slices.IndexFunc(x.disk, func(o *diskRun) bool { return o.count < r.count })
	if at < 0 {
		at = len(x.disk)
	}
	x.disk = slices.Insert(x.disk, at, r)
}

// finishRun completes a run's file and opens it.
func (x *Index) finishRun(w *runWriter, name string) (*diskRun, error) {
	if err := w.finish(); err != nil {
		return nil, fmt.Errorf("write key index: %w", err)
	}
	return openRun(filepath.Join(x.dir, name), name, w.files.list())
}
