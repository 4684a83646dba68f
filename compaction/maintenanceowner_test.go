package compaction

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"cdcd/table"
)

// restart ends the daemon and starts the next one. What it was rewriting is lost.
func (m *maintenance) restart(end func() error) {
	m.t.Helper()
	m.must(end())
	m.table, m.pending, m.unseen = nil, nil, false
	m.fly()
	m.start()
}

// takeOver has another daemon take the pipeline over from one that goes on.
func (m *maintenance) takeOver() {
	m.t.Helper()
	if m.former != nil {
		m.must(m.former.table.Abandon())
	}
	m.former = &former{m.table, m.fence, m.pending}
	m.lane = 1 - m.lane
	m.cfg.IndexDir = filepath.Join(m.dir, fmt.Sprintf("index%d", m.lane))
	m.restart(func() error { return nil })
}

// formerOffers has a former owner offer what it has rewritten.
func (m *maintenance) formerOffers() {
	m.t.Helper()
	f := m.former
	if f == nil || len(f.pending) == 0 {
		return
	}
	p := f.pending[0]
	f.pending = f.pending[1:]
	d, err := f.table.Replace(p.rw)
	if err != nil {
		return
	}
	mark := f.table.Head().Mark
	mark.Fence = f.fence
	a, err := f.table.Prepare(context.Background(), d, mark)
	if err != nil {
		return // what it would read is collected
	}
	m.refused(a)
	m.hit("former owner's rewrite")
}

// refused offers what must not land.
func (m *maintenance) refused(a *table.Attempt) {
	m.t.Helper()
	before := m.head().Snapshot
	_, err := table.Swap(context.Background(), m.cfg, a)
	if h := m.head(); err == nil || a.Landed(h) || h.Snapshot != before {
		m.t.Fatalf("fence: an attempt of a former owner lands: %v", err)
	}
}

// rewind sets main back to one of its snapshots, while no daemon runs. What was rewritten before
// is offered behind it, which daemons do not do.
func (m *maintenance) rewind() {
	m.t.Helper()
	h := m.head()
	to := slices.DeleteFunc(h.History(), func(s table.Marked) bool { return s.Snapshot == h.Snapshot || m.shown[s.Snapshot] == nil })
	if len(to) == 0 {
		return
	}
	back := to[m.rng.IntN(len(to))].Snapshot
	end := m.table.Abandon
	if m.maybe(2) {
		end = m.table.Close
	}
	m.must(end())
	if m.maybe(2) {
		m.keepIndex()
	}
	m.timeline++
	m.epoch++
	a, err := table.PrepareReturn(context.Background(), m.cfg, h, back, m.mark(), nil)
	m.must(err)
	h, err = table.Swap(context.Background(), m.cfg, a)
	m.must(err)
	m.landed(h, m.shown[back])
	m.unmarked, m.again = 0, nil
	kept := m.pending
	m.restart(func() error { return nil })
	m.pending = kept
	m.fly()
	m.hit("rewound")
	m.tellIndex("abandoned")
	m.checkMain()
	for range kept {
		m.finish(lands)
	}
}

// tellIndex notes what became of an index.
func (m *maintenance) tellIndex(what string) {
	if m.table.Discarded != nil {
		m.hit(what + " index refused")
		return
	}
	m.hit(what + " index used")
}

// loseIndex crashes, and the index is gone.
func (m *maintenance) loseIndex() {
	m.t.Helper()
	m.restart(func() error { return errors.Join(m.table.Abandon(), os.RemoveAll(m.cfg.IndexDir)) })
	m.hit("index lost")
}

// keepIndex copies the index directory as it is.
func (m *maintenance) keepIndex() {
	m.t.Helper()
	m.names++
	dir := filepath.Join(m.dir, fmt.Sprintf("kept-%d", m.names))
	m.must(os.CopyFS(dir, os.DirFS(m.cfg.IndexDir)))
	m.indexes = append(m.indexes, dir)
}

// putBackIndex crashes, and the index is that of an older moment.
func (m *maintenance) putBackIndex() {
	m.t.Helper()
	if len(m.indexes) == 0 {
		return
	}
	dir := m.indexes[m.rng.IntN(len(m.indexes))]
	m.restart(func() error {
		return errors.Join(m.table.Abandon(), os.RemoveAll(m.cfg.IndexDir), os.CopyFS(m.cfg.IndexDir, os.DirFS(dir)))
	})
	m.tellIndex("old")
}
