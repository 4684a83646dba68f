package commit

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// cutNow asks for a cut until there can be one.
func (r *running) cutNow(t *testing.T) DemandedCut {
	t.Helper()
	h := r.hold(t)
	c, err := r.CutAt(context.Background(), h.Token, h.Position)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// loadedAnew has a table loaded anew and waits until it is, or has left.
func (r *running) loadedAnew(t *testing.T, name string) {
	t.Helper()
	if err := r.Resnapshot(context.Background(), shopTable(name)); err != nil {
		t.Fatal(err)
	}
	await(t, name+" is still loaded", func() bool {
		return slices.ContainsFunc(r.Status().Tables, func(s TableStatus) bool {
			return s.Lake == shopTable(name) && (s.Quarantine != nil || !s.Anew && !s.Loading)
		})
	})
}

// TestPublishedTableIsInACutOfItsOwn loads a table anew on an idle source. Who has seen a cut
// without the table learns of one with it by a greater number.
func TestPublishedTableIsInACutOfItsOwn(t *testing.T) {
	l := newLab(t, 7, "a", "b")
	l.cfg.CutSettle = 150 * time.Millisecond
	l.churn(10)
	l.mustRun()
	tables := map[int64]int{} // of each cut
	look := func() {
		now := map[int64]int{}
		for _, r := range l.records() {
			if r.kind == kindCut {
				now[r.number]++
			}
		}
		for number, n := range now {
			if before := tables[number]; before != 0 && before != n {
				t.Fatalf("cut %d had %d tables and has %d", number, before, n)
			}
			tables[number] = n
		}
	}
	r := l.start()
	l.loaded(t, r)
	if err := r.Resnapshot(context.Background(), shopTable("a")); err != nil {
		t.Fatal(err)
	}
	await(t, "no cut lacks the table", func() bool {
		look()
		return slices.Contains(slices.Collect(maps.Values(tables)), 1)
	})
	await(t, "no cut has all tables", func() bool {
		look()
		return tables[slices.Max(slices.Collect(maps.Keys(tables)))] == 2
	})
	r.end(t)
	look()
	l.check()
	l.checkCuts()
	l.mem.AssertSize(t, 0)
}

// TestCutWithoutTableThatLeft has a table leave without an epoch: it cannot be loaded anew.
func TestCutWithoutTableThatLeft(t *testing.T) {
	l := newLab(t, 1, "a", "log")
	l.cfg.Quarantine = true
	l.append("log", 10)
	l.mustRun()
	r := l.start()
	before := r.cutNow(t)
	l.server.mu.Lock()
	l.server.whole = &capture.Stop{What: "a row", Table: "shop.log", Alone: capture.Name{Schema: "shop", Table: "log"}}
	l.server.mu.Unlock()
	r.loadedAnew(t, "log")
	after := r.cutNow(t)
	r.end(t)
	if len(before.Snapshots) != 2 || len(after.Snapshots) != 1 || after.Number <= before.Number {
		t.Errorf("cut %d of %d tables, then cut %d of %d", before.Number, len(before.Snapshots), after.Number, len(after.Snapshots))
	}
	l.mem.AssertSize(t, 0)
}

// TestCutOfTableThatCameBack loads the only table anew, whose load makes no epoch. It has a row that
// was not there, and the log shows nothing of it to the table.
func TestCutOfTableThatCameBack(t *testing.T) {
	l := newLab(t, 7, "log")
	l.append("log", 5)
	l.mustRun()
	more := true
	l.server.described = func() {
		if more {
			more = false
			l.append("log", 1)
		}
	}
	r := l.start()
	before := r.cutNow(t)
	r.loadedAnew(t, "log")
	l.caughtUp(t, r)
	after := r.cutNow(t)
	r.end(t)
	old, fresh := l.rows("log", before.Snapshots[shopTable("log")]), l.rows("log", after.Snapshots[shopTable("log")])
	if maps.Equal(old, fresh) {
		t.Fatal("the load shows what there was")
	}
	if after.Number <= before.Number {
		t.Errorf("cut %d with %d rows, then cut %d with %d", before.Number, len(old), after.Number, len(fresh))
	}
	l.mem.AssertSize(t, 0)
}

// TestCutNumberIsNotUsedTwice looks at what the loop makes of changes of the members.
func TestCutNumberIsNotUsedTwice(t *testing.T) {
	l := newLab(t, 3, "a", "b")
	l.churn(5)
	l.mustRun()
	p := l.opened()
	own := newLoop(p, &fakeStream{server: l.server}, nil)
	own.cuts.records, own.cuts.number = nil, 7
	of := func(names ...string) *cutWork {
		var out cutWork
		for _, n := range names {
			out.added = append(out.added, record{kind: kindCut, number: 7, table: table.Name{Namespace: "shop", Table: n}.String()})
		}
		return &out
	}
	wantTaken := func(when string, want bool) {
		t.Helper()
		if own.renumber(); own.cuts.taken != want {
			t.Errorf("%s: taken is %v", when, own.cuts.taken)
		}
	}
	wantTaken("no cut has the number", false)
	own.cuts.onCut(of("a", "b"))
	wantTaken("a cut of the same tables", false)
	own.cuts.records = nil
	own.cuts.onCut(of("a"))
	wantTaken("b came in while the cut was published", true)
	own.cuts.records, own.cuts.other = of("a", "b").added, true
	wantTaken("and had other rows for a while", true)
	if err := own.onWork(work{receipt: Receipt{}}); err != nil {
		t.Fatal(err)
	}
	own.cuts.number, own.cuts.other = 8, true
	wantTaken("an epoch has landed", false)
	own.cuts.number, own.cuts.other = 0, true
	wantTaken("no epoch has ever landed", true)
	if err := p.Run(context.Background(), closed()); err != nil {
		t.Fatal(err)
	}
	l.mem.AssertSize(t, 0)
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
