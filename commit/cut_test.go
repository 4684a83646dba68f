package commit

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestCuts checks every cut that is published while tables change, load and stand still.
func TestCuts(t *testing.T) {
	l := newLab(t, 21, "a", "b", "idle")
	l.server.add(change{"idle", 1, value("once")})
	l.churnTables(20, "a", "b")
	for range 10 {
		l.mustRun()
		l.churnTables(8, "a", "b")
	}
	l.mustRun()
	if n := l.checkCuts(); n < 5 {
		t.Errorf("only %d cuts", n)
	}
	l.check()
	l.mem.AssertSize(t, 0)
}

// TestCutsWhileRunning publishes cuts at every opportunity during one run.
func TestCutsWhileRunning(t *testing.T) {
	l := newLab(t, 22, "a", "b")
	p := l.start()
	const least, most = 40, 4000
	for i := 0; i < least || len(l.cuts()) < 3; i++ {
		if i == most {
			t.Fatalf("%d cuts", len(l.cuts()))
		}
		l.churn(2)
		_ = pause(context.Background(), 5*time.Millisecond)
	}
	p.end(t)
	if n := l.checkCuts(); n < 3 {
		t.Errorf("only %d cuts", n)
	}
}

// TestCutsGoInTime commits so often that tables expire the snapshots of cuts, while no cut
// can be published: as during the load of another table.
func TestCutsGoInTime(t *testing.T) {
	l := newLab(t, 22, "a", "b")
	for range 8 {
		l.churn(10)
		l.mustRun()
	}
	if l.checkCuts() == 0 {
		t.Fatal("no cuts to begin with")
	}
	cfg := l.cfg
	cfg.Members, cfg.CutSettle = l.members(), time.Hour
	p, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- p.Run(context.Background(), stop) }()
	for i := range 130 {
		l.server.add(change{"a", int64(i), value("x")})
		want := l.server.end()
		for !p.Status().Finished.Covers(want) {
			_ = pause(context.Background(), time.Millisecond)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	l.checkCuts()
}

// TestPositionNeverShrinks commits an epoch that ends before what a table holds already, as
// it does for a table that is ahead of the others.
func TestPositionNeverShrinks(t *testing.T) {
	l := newLab(t, 23, "a")
	l.churn(6)
	l.mustRun()
	p := l.opened()
	m := p.members[l.server.tables["a"].Name]
	ahead := m.table.Head().Mark.Position
	e := newEpoch(100, l.server.position(2))
	if _, err := p.committer.commitShare(context.Background(), e, task{member: m, load: m.load.mark()}); err != nil {
		t.Fatal(err)
	}
	if at := l.head("a").Mark.Position; !at.Equal(ahead) {
		t.Errorf("the table was at %s and is at %s", ahead, at)
	}
	if err := p.closeTables(false); err != nil {
		t.Fatal(err)
	}
}

// TestFenceOfAnother lets a daemon meet its own number, set by another.
func TestFenceOfAnother(t *testing.T) {
	l := newLab(t, 24, "a")
	l.mustRun()
	p := &Pipeline{cfg: l.cfg, committer: &committer{cfg: l.cfg.Tables, pipeline: "p"}}
	h := l.head("a")
	for _, own := range []int64{h.Fence, h.Fence - 1} {
		p.committer.fence = own
		if _, err := p.setFence(context.Background(), h); !errors.Is(err, ErrFenced) {
			t.Errorf("fence %d on a table with %d: %v", own, h.Fence, err)
		}
	}
	if now := l.head("a"); now.Fence != h.Fence {
		t.Errorf("the fence went from %d to %d", h.Fence, now.Fence)
	}
}

// TestOutdated checks which records are withdrawn.
func TestOutdated(t *testing.T) {
	tables := map[string]retained{"s.a": {map[int64]int{100: 0, 99: 1, 40: cutDepth, 39: cutDepth + 1, 38: cutDepth + 2}, map[int64]int64{2: 39, 8: 38}}}
	now := time.Now()
	cut := func(number int64, name string, snapshot int64) record {
		return record{kind: kindCut, number: number, table: name, snapshot: snapshot}
	}
	records := []record{
		cut(1, "s.a", 7), cut(1, "s.b", 1), // expired: the whole cut goes
		cut(2, "s.a", 39), // expires soon: it has a tag, but is of no hour that is kept
		{kind: kindCut, number: 8, table: "s.a", snapshot: 38, recorded: now.Add(-2 * time.Hour)},  // has one and is
		{kind: kindCut, number: 9, table: "s.a", snapshot: 38, recorded: now.Add(-10 * time.Hour)}, // has none
		cut(3, "s.a", 40), cut(4, "s.a", 100),
		cut(5, "s.gone", 1), // a table that is not written any more expires nothing
		{kind: kindFence, number: 1},
		{kind: kindFence, number: 2},
	}
	got := map[int64]int{}
	for _, r := range outdated(records, tables, now) {
		if r.kind != kindCut {
			t.Errorf("%+v", r)
		}
		got[r.number]++
	}
	if len(got) != 3 || got[1] != 2 || got[2] != 1 || got[9] != 1 {
		t.Errorf("withdrawn: %v", got)
	}
	var many []record
	for n := range int64(keepCuts + 10) {
		many = append(many, cut(n, "s.a", 100), record{kind: kindFence, number: n})
	}
	cuts, fences := 0, 0
	for _, r := range outdated(many, tables, now) {
		if r.kind == kindCut {
			cuts++
		} else {
			fences++
		}
	}
	if cuts != 11 || fences != keepCuts+10-keepFences {
		t.Errorf("%d cuts and %d fences withdrawn", cuts, fences)
	}
}
