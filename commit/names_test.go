package commit

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// checkLeft checks that a table stays as it was before a transaction that took its name.
func (l *lab) checkLeft(name, kind string, n int) {
	l.t.Helper()
	h := l.head(name)
	if h.Quarantine == nil || h.Quarantine.Kind != kind || l.count(h.Mark.Position) != n-1 {
		l.t.Fatalf("%s is at %d, with %+v", name, l.count(h.Mark.Position), h.Quarantine)
	}
}

// TestNamesThatAreLost has the names of tables mean others, or none, and tables get the names again.
// A table leaves and is asked for again in one segment, which may have to wait for its place.
func TestNamesThatAreLost(t *testing.T) {
	for seed := range uint64(8) {
		l := newLab(t, seed, "a", "b", "c")
		l.cfg.MaxRows = 10
		l.churn(5)
		l.mustRun()
		fill := func() { // so that a segment with what follows has no room in the epoch
			for i := range int64(16) {
				l.server.add(change{"c", 2 * i, value("x%d", i)}, change{"c", 2*i + 1, value("y%d", i)}, change{"a", i, value("z%d", i)})
			}
		}
		fill()
		l.server.rename("a", capture.Replaced)
		a := len(l.server.log)
		fill()
		l.server.rename("b", capture.Dropped)
		b := len(l.server.log)
		l.churnTables(9, "a", "c")
		l.mustRun()
		l.checkLeft("a", table.Replaced, a)
		l.checkLeft("b", table.Dropped, b)
		l.mustRun()
		l.server.rename("b", capture.Unsupported) // a new table
		l.churn(3)
		l.mustRun()
		l.checkLeft("a", table.Replaced, a)
		l.checkLeft("b", table.Dropped, b)
		l.checkHistory()
		l.checkCuts()
		l.without("a", "b")
		l.check()
		l.mem.AssertSize(t, 0)
	}
}

// TestNamesComeBack has names of tables mean others, none, and tables again, at random, beside changes
// and alterations, with runs that are cut off at any moment. In the end the lake has what the source
// has; what is gone from it stays as it was.
func TestNamesComeBack(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, seed, "a", "b", "c")
			l.cfg.Quarantine, l.cfg.Renew, l.cfg.MaxRows = true, true, 30
			l.churn(20)
			l.mustRun()
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			for range 5 {
				l.runShort(ctx, time.Duration(20+l.server.random(100))*time.Millisecond, func() {
					l.shuffleName()
					l.churnNamed(1 + l.server.random(3))
				})
				if l.server.random(2) == 0 {
					if err := os.RemoveAll(l.cfg.Tables.IndexDir); err != nil {
						t.Fatal(err)
					}
				}
			}
			l.mustRun()
			l.churnNamed(3)
			l.mustRun()
			l.checkNamed()
			l.mem.AssertSize(t, 0)
		})
	}
}

// shuffleName changes, now and then, which table has the name of one of two, or its shape.
func (l *lab) shuffleName() {
	name := []string{"a", "b"}[l.server.random(2)]
	_, there := l.server.named(name, len(l.server.log))
	switch draw := l.server.random(12); {
	case draw == 0 && there:
		l.server.rename(name, capture.Dropped)
	case draw <= 1 && there:
		l.server.rename(name, capture.Replaced)
	case draw <= 3 && !there:
		l.server.rename(name, capture.Unsupported)
	case draw == 4 && there:
		l.server.alter(name)
	}
}

// churnNamed changes rows of the tables that are there.
func (l *lab) churnNamed(n int) {
	var names []string
	for _, name := range l.names {
		if _, there := l.server.named(name, len(l.server.log)); there {
			names = append(names, name)
		}
	}
	l.churnTables(n, names...)
}

// checkNamed compares what the source has with the lake, and what it has no more with what it had.
func (l *lab) checkNamed() {
	l.t.Helper()
	for _, name := range []string{"a", "b"} {
		at, there := l.server.named(name, len(l.server.log))
		if there {
			continue
		}
		if h := l.head(name); h.Quarantine == nil || l.count(h.Mark.Position) >= at {
			l.t.Errorf("%s is gone since %d, and is at %d, %+v", name, at, l.count(h.Mark.Position), h.Quarantine)
		}
		l.without(name)
	}
	l.checkHistory()
	l.checkCuts()
	l.check()
}

// TestNamesAheadOfSource has the log tell of names before the source shows what it tells.
func TestNamesAheadOfSource(t *testing.T) {
	for _, last := range []capture.Cause{capture.Dropped, capture.Unsupported, capture.Replaced} {
		l := newLab(t, 9, "a", "b")
		l.cfg.Renew = true
		l.churn(9)
		l.mustRun()
		seen := len(l.server.log)
		l.server.rename("a", capture.Dropped)
		if last != capture.Dropped {
			l.server.rename("a", last)
		}
		l.server.mu.Lock()
		l.server.visible = seen
		ahead := len(l.server.log) - seen
		l.server.mu.Unlock()
		go func() {
			for range ahead {
				_ = pause(context.Background(), 20*time.Millisecond)
				l.server.mu.Lock()
				l.server.visible++
				l.server.mu.Unlock()
			}
		}()
		l.mustRun()
		l.churnNamed(3)
		l.mustRun()
		l.checkNamed()
	}
}

// TestNamesComeBackAtStart has a table get the name of the only one, which has left, while no daemon
// runs: no position is waited for, so the stream begins behind what the log says of it.
func TestNamesComeBackAtStart(t *testing.T) {
	l := newLab(t, 3, "a")
	l.cfg.Renew = true
	l.churn(5)
	l.mustRun()
	l.server.rename("a", capture.Dropped)
	at := len(l.server.log)
	l.mustRun()
	l.checkLeft("a", table.Dropped, at)
	l.server.rename("a", capture.Unsupported) // a new table
	l.churn(5)
	l.mustRun()
	l.check()
	l.mem.AssertSize(t, 0)
}

// TestReasonsAreSaidOnce asks again and again for a table that has another one's name and cannot be
// replicated.
func TestReasonsAreSaidOnce(t *testing.T) {
	lab := newLab(t, 3, "refused")
	m := &member{Member: lab.members()[0], left: &table.Quarantine{Kind: table.Dropped, Reason: "RENAME TABLE"}}
	l := &loop{p: &Pipeline{cfg: lab.cfg, aside: map[capture.Name]*member{m.name(): m}}}
	for range 3 {
		if err := l.stays(context.Background(), m.Lake, capture.ErrNoKey); err != nil {
			t.Fatal(err)
		}
	}
	if want := "RENAME TABLE; " + capture.ErrNoKey.Error(); m.left.Kind != table.Replaced || m.left.Reason != want {
		t.Errorf("%+v", m.left)
	}
}
