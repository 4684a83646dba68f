package commit

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	"cdcd/table"
	"cdcd/table/fileio"
	"cdcd/table/tabletest"
	icetable "github.com/apache/iceberg-go/table"
)

// rewritten has a table rewritten, and does not land it.
func (r *running) rewritten(t *testing.T, n table.Name) *table.Rewrite {
	t.Helper()
	s, err := r.Survey(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range s.Files {
		paths = append(paths, f.Path)
	}
	rw, err := s.Rewrite(context.Background(), paths, table.RewriteOptions{Stem: table.NewStem(1, s.Epoch)})
	if err != nil {
		t.Fatal(err)
	}
	return rw
}

// caughtUp waits until the lake has all of the log.
func (l *lab) caughtUp(t *testing.T, r *running) {
	t.Helper()
	await(t, "the lake does not catch up", func() bool { return r.Status().Finished.Covers(l.server.end()) })
}

// loaded waits until the tables are loaded: they may be in cuts then.
func (l *lab) loaded(t *testing.T, r *running) {
	t.Helper()
	if err := r.Release(context.Background(), r.hold(t).Token); err != nil {
		t.Fatal(err)
	}
	l.caughtUp(t, r)
}

// choreLab is a lab whose pipeline runs, with a table a of some files.
func choreLab(t *testing.T, seed uint64) (*lab, *running) {
	t.Helper()
	l := newLab(t, seed, "a", "b")
	l.churn(10)
	r := l.start()
	l.loaded(t, r)
	for range 4 {
		l.churn(3)
		l.caughtUp(t, r)
	}
	return l, r
}

func nameOf(member string) table.Name { return table.Name{Namespace: "shop", Table: member} }

// goesOn checks that a pipeline goes on, and that the lake is right in the end.
func (l *lab) goesOn(t *testing.T, r *running) {
	t.Helper()
	l.churn(10)
	l.caughtUp(t, r)
	r.end(t)
	l.mustRun()
	l.check()
	l.checkHistory()
	l.checkCuts()
	l.mem.AssertSize(t, 0)
}

// TestReplaceBetweenEpochs lands rewrites of the control table, and of a member that has changed
// since they were begun. The rows, and the position that they stand for, are what they were.
func TestReplaceBetweenEpochs(t *testing.T) {
	l, r := choreLab(t, 41)
	for range 5 {
		rw := r.rewritten(t, nameOf("a"))
		l.churn(3)
		l.caughtUp(t, r)
		before, rows := l.head("a"), l.rows("a", 0)
		if err := r.Replace(context.Background(), rw); err != nil {
			t.Fatal(err)
		}
		after := l.head("a")
		if after.Snapshot == before.Snapshot || !after.InHistory(before.Snapshot) || !after.Marked() {
			t.Fatalf("snapshot %d after %d", after.Snapshot, before.Snapshot)
		}
		if m, was := after.Mark, before.Mark; !m.Position.Equal(was.Position) || m.Epoch != was.Epoch || !m.Committed.Equal(was.Committed) || !m.Load.Complete {
			t.Fatalf("the Mark is %+v, was %+v", m, was)
		}
		if got := l.rows("a", 0); !maps.Equal(got, rows) {
			t.Fatalf("rows %v, were %v", got, rows)
		}
		if err := r.Replace(context.Background(), r.rewritten(t, controlName)); err != nil {
			t.Fatal(err)
		}
	}
	l.goesOn(t, r)
}

// TestReplaceWaitsForSpilled has a rewrite wait until a transaction is in the lake of which a part
// is in data files already.
func TestReplaceWaitsForSpilled(t *testing.T) {
	l := newLab(t, 42, "a", "b")
	l.cfg.MaxBytes = 1 // every part is spilled
	l.churn(10)
	r := l.start()
	l.loaded(t, r)
	rw := r.rewritten(t, nameOf("a"))
	l.server.mu.Lock()
	l.server.stalls = make(chan chan struct{})
	l.server.mu.Unlock()
	var tx []change
	for i := range 2*partRows + 1 {
		tx = append(tx, change{"a", int64(i), value("large")})
	}
	l.server.add(tx...)
	inside := <-l.server.stalls
	c := chore{table: rw.Name, rewrite: rw, reply: make(chan choreResult, 1)}
	r.chores <- c // the loop has it
	close(inside)
	close(<-l.server.stalls)
	if answer := <-c.reply; answer.err != nil {
		t.Fatal(answer.err)
	}
	if h := l.head("a"); !h.Mark.Position.Equal(l.server.end()) {
		t.Errorf("it landed at %s, before the transaction", h.Mark.Position)
	}
	l.caughtUp(t, r)
	r.end(t)
	l.check()
	l.checkHistory()
}

// TestReplaceWaitsForHold has a rewrite wait for a cut on demand: the cut does not show it.
func TestReplaceWaitsForHold(t *testing.T) {
	l, r := choreLab(t, 43)
	rw := r.rewritten(t, nameOf("a"))
	h := r.hold(t)
	c := chore{table: rw.Name, rewrite: rw, reply: make(chan choreResult, 1)}
	r.chores <- c
	cut, err := r.CutAt(context.Background(), h.Token, h.Position)
	if err != nil {
		t.Fatal(err)
	}
	if answer := <-c.reply; answer.err != nil {
		t.Fatal(answer.err)
	}
	l.wantCut(cut, l.count(cut.Position))
	if now, inCut := l.head("a"), cut.Snapshots[nameOf("a")]; now.Snapshot == inCut || !now.InHistory(inCut) {
		t.Errorf("the cut has snapshot %d, the table is at %d", inCut, now.Snapshot)
	}
	l.goesOn(t, r)
}

// TestReplaceRefused offers rewrites that do not land: the same one again, one of files that
// another program has replaced, without and with the pipeline's knowledge, one of a table that
// there is not, and one that cannot be uploaded. The pipeline goes on after each.
func TestReplaceRefused(t *testing.T) {
	l := newLab(t, 44, "a", "b")
	store := &fullStore{}
	l.cfg.Tables.Store = store
	l.churn(10)
	r := l.start()
	l.loaded(t, r)
	offer := func(what string, rw *table.Rewrite, want error) {
		t.Helper()
		before := l.head("a").Snapshot
		if err := r.Replace(context.Background(), rw); !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
		if now := l.head("a"); want != nil && now.Snapshot != before {
			t.Errorf("%s: it has landed", what)
		}
		l.churn(3)
		l.caughtUp(t, r)
	}
	rw := r.rewritten(t, nameOf("a"))
	offer("the first", rw, nil)
	offer("again", rw, table.ErrOutdated)
	foreign := tabletest.Foreign{Catalog: l.cat, Store: fileio.Disk{}, Table: icetable.Identifier{"shop", "a"}}
	rw = r.rewritten(t, nameOf("a"))
	if err := foreign.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	offer("replaced by others", rw, table.ErrOutdated)
	offer("replaced by others before", rw, table.ErrOutdated)
	elsewhere := *r.rewritten(t, nameOf("a"))
	elsewhere.Name = nameOf("nowhere")
	offer("no such table", &elsewhere, ErrUnknownTable)
	if _, err := r.Survey(context.Background(), nameOf("nowhere")); !errors.Is(err, ErrUnknownTable) {
		t.Errorf("a survey of no such table: %v", err)
	}
	rw = r.rewritten(t, nameOf("a"))
	l.churn(3)
	l.caughtUp(t, r)
	store.full.Store(true)
	err := r.Replace(context.Background(), rw)
	store.full.Store(false)
	if !errors.Is(err, errInjected) {
		t.Errorf("uploads fail: %v", err)
	}
	offer("uploads work again", rw, nil)
	l.goesOn(t, r)
}

// fullStore is a disk that may be full, where the table a is.
type fullStore struct {
	fileio.Disk
	full atomic.Bool
}

func (s *fullStore) IO(ctx context.Context) fileio.IO { return &fullIO{s.Disk.IO(ctx), s} }

type fullIO struct {
	fileio.IO
	store *fullStore
}

func (f *fullIO) WriteFile(name string, content []byte) error {
	if f.store.full.Load() && strings.Contains(name, "/shop/a/") { // cuts go on
		return errInjected
	}
	return f.IO.WriteFile(name, content)
}

// TestReplaceAnswersLost loses a rewrite's request, or the answer to it: it lands once.
func TestReplaceAnswersLost(t *testing.T) {
	for _, applied := range []bool{true, false} {
		l, r := choreLab(t, 45)
		rw := r.rewritten(t, nameOf("a"))
		before := l.head("a")
		l.faults.failNext(applied, nil)
		if err := r.Replace(context.Background(), rw); err != nil {
			t.Fatal(err)
		}
		after := l.head("a")
		if !l.faults.fired || len(after.History()) != len(before.History())+1 || !after.Mark.Position.Equal(before.Mark.Position) {
			t.Errorf("applied %v: %d snapshots after %d, at %s", applied, len(after.History()), len(before.History()), after.Mark.Position)
		}
		if err := r.Replace(context.Background(), rw); !errors.Is(err, table.ErrOutdated) {
			t.Errorf("applied %v: again: %v", applied, err)
		}
		l.goesOn(t, r)
	}
}

// failNext has the next commit fail.
func (f *faultyCatalog) failNext(applied bool, onFault func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.operation, f.at, f.applied, f.onFault, f.fired = "commit", f.calls["commit"]+1, applied, onFault, false
}

// TestReplaceTakenOver has another daemon take the pipeline over right before a rewrite is
// offered: it does not land, and the pipeline ends.
func TestReplaceTakenOver(t *testing.T) {
	l, r := choreLab(t, 46)
	rw := r.rewritten(t, nameOf("a"))
	cfg := l.cfg.Tables
	cfg.Catalog = l.cat
	l.faults.failNext(false, func() {
		h := l.head("a")
		a, err := table.PrepareFence(context.Background(), cfg, h, h.Fence+1)
		if err == nil {
			_, err = table.Swap(context.Background(), cfg, a)
		}
		if err != nil {
			t.Error(err)
		}
	})
	before := l.head("a").Snapshot
	if err := r.Replace(context.Background(), rw); !errors.Is(err, errNoChores) {
		t.Errorf("%v", err)
	}
	if err := <-r.done; !errors.Is(err, ErrFenced) {
		t.Errorf("it ended with %v", err)
	}
	if now := l.head("a").Snapshot; now != before {
		t.Error("it has landed")
	}
	l.mustRun()
	l.check()
}

// TestNoChoresAfterTheEnd asks a pipeline that has ended.
func TestNoChoresAfterTheEnd(t *testing.T) {
	l, r := choreLab(t, 47)
	rw := r.rewritten(t, nameOf("a"))
	r.end(t)
	if _, err := r.Survey(context.Background(), nameOf("a")); !errors.Is(err, errNoChores) {
		t.Errorf("a survey: %v", err)
	}
	if err := r.Replace(context.Background(), rw); !errors.Is(err, errNoChores) {
		t.Errorf("a rewrite: %v", err)
	}
	l.check()
}

// TestAnswersBeforeTheEnd has the loop end right after it has answered: who asked is told that,
// and not that the daemon ends.
func TestAnswersBeforeTheEnd(t *testing.T) {
	for range 100 {
		p := &Pipeline{chores: make(chan chore), ended: make(chan struct{})}
		go func() {
			c := <-p.chores
			c.reply <- choreResult{}
			close(p.ended)
		}()
		if err := p.Replace(context.Background(), &table.Rewrite{}); err != nil {
			t.Fatal(err)
		}
	}
}
