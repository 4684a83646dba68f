package compaction

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"time"

	"cdcd/table"
)

// labLake lands rewrites in a lab's table, as the loop of a pipeline does between two epochs.
type labLake struct {
	*lab
	between  func()  // what happens while a rewrite is under way; nil: nothing
	fails    []error // of the next calls of Replace
	replaced int
	landed   []int // the inputs of each rewrite that was
	surveys  int
}

// Survey gives what the table is made of.
func (l *labLake) Survey(_ context.Context, n table.Name) (*table.Survey, error) {
	l.surveys++
	if n != l.name {
		return nil, fmt.Errorf("there is no %s", n)
	}
	return l.table.Survey(), nil
}

// Replace lands a rewrite.
func (l *labLake) Replace(ctx context.Context, rw *table.Rewrite) error {
	if len(l.fails) > 0 {
		err := l.fails[0]
		l.fails = l.fails[1:]
		return err
	}
	if l.between != nil {
		l.between()
	}
	d, err := l.table.Replace(rw)
	if err != nil {
		return err
	}
	a, err := l.table.Prepare(ctx, d, l.table.Head().Mark)
	if err != nil {
		return err
	}
	h, err := table.Swap(ctx, l.cfg, a)
	if err != nil {
		return err
	}
	l.replaced, l.landed = l.replaced+1, append(l.landed, len(rw.Inputs))
	l.shown[h.Snapshot] = maps.Clone(l.model)
	return l.table.Advance(ctx, a, d, h)
}

// steppedClock moves by itself when it is asked to sleep, and ends a run after so much time.
type steppedClock struct {
	handClock
	until time.Time
	end   context.CancelFunc
}

func (c *steppedClock) Sleep(ctx context.Context, d time.Duration) error {
	if c.now = c.now.Add(d); c.now.After(c.until) {
		c.end()
	}
	return ctx.Err()
}

func newCompactorLab(t *testing.T) (*labLake, *Compactor, *steppedClock, context.Context) {
	t.Helper()
	l := &labLake{lab: newLab(t)}
	t.Cleanup(l.close)
	ctx, cancel := context.WithCancel(context.Background())
	start := time.Unix(0, 0)
	clock := &steppedClock{handClock: handClock{now: start}, until: start.Add(time.Hour), end: cancel}
	c, err := NewCompactor(CompactorConfig{
		Lake: l, Fence: l.fence, Targets: l.targets, DeletedShare: 0.2, Share: 1, Clock: clock, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return l, c, clock, ctx
}

func (l *labLake) targets() []Target {
	return []Target{{Name: l.name, Snapshot: l.table.Head().Snapshot}}
}

// fill makes some commits of a row each, and updates.
func (l *lab) fill(from, commits int64) {
	for i := range commits {
		l.commit(change{from + i, "new"}, change{(from + i) / 2, "changed"})
	}
}

// TestRunPaysTheDebt has a table compacted in the background while rows of the inputs are
// deleted. Files become few, rows stay, and once there is nothing to do nothing is asked for.
func TestRunPaysTheDebt(t *testing.T) {
	l, c, clock, ctx := newCompactorLab(t)
	l.fill(0, 60)
	n := int64(0)
	l.between = func() {
		if n++; n < 4 {
			l.commit(change{n * 3, ""}, change{1000 + n, "meanwhile"})
		}
	}
	c.Run(ctx)
	l.check()
	st, s := l.table.Stats(), c.Status()
	if st.Files > 2*(fanout-1) || l.replaced == 0 || s.Debts[l.name].Pending != 0 {
		t.Errorf("%+v after %d rewrites, %+v", st, l.replaced, s.Debts[l.name])
	}
	if s.Totals.Rewrites != int64(l.replaced) || s.Totals.Failed+s.Totals.Outdated != 0 || s.Job != nil || len(c.InFlight()) != 0 {
		t.Errorf("%+v", s)
	}
	if l.surveys > l.replaced+2 {
		t.Errorf("%d surveys for %d rewrites in %v", l.surveys, l.replaced, clock.now.Sub(time.Unix(0, 0)))
	}
}

// TestRunGoesOn has rewrites fail: the table is left alone for a while and then compacted. One
// that is outdated is made anew at once.
func TestRunGoesOn(t *testing.T) {
	l, c, clock, ctx := newCompactorLab(t)
	l.fill(0, 20)
	l.fails = []error{errors.New("no"), fmt.Errorf("late: %w", table.ErrOutdated)}
	clock.until = time.Unix(0, 0).Add(retryAfter / 2)
	c.Run(ctx)
	if s := c.Status(); l.replaced != 0 || s.Totals.Failed != 1 || len(c.InFlight()) != 0 {
		t.Fatalf("%d rewrites, %+v", l.replaced, s.Totals)
	}
	ctx, clock.end = context.WithCancel(context.Background())
	clock.until = clock.now.Add(2 * retryAfter)
	c.Run(ctx)
	if s := c.Status(); l.replaced == 0 || s.Totals.Outdated != 1 || s.Debts[l.name].Pending != 0 {
		t.Errorf("%d rewrites, %+v", l.replaced, s)
	}
	l.check()
}

// TestIdleOnlyLooks measures debt and leaves it.
func TestIdleOnlyLooks(t *testing.T) {
	l, c, _, ctx := newCompactorLab(t)
	c.cfg.Idle = true
	l.fill(0, 20)
	c.Run(ctx)
	if s := c.Status(); l.replaced != 0 || s.Debts[l.name].Pending == 0 {
		t.Errorf("%d rewrites, %+v", l.replaced, s)
	}
}

// TestCompact compacts on demand: all of the files, or some.
func TestCompact(t *testing.T) {
	l, c, _, _ := newCompactorLab(t)
	l.fill(0, 10)
	files := l.table.Survey().Files
	keep := files[len(files)-1].Path
	var last Step
	for s, err := range c.Compact(context.Background(), Asked{Table: l.name, Only: func(path string) bool { return path != keep }}) {
		if err != nil {
			t.Fatal(err)
		}
		last = s
	}
	if st := l.table.Stats(); st.Files != 2 || last.Files != len(files)-1 || last.Left != 1 || last.Done != last.Groups {
		t.Errorf("%+v, %+v", st, last)
	}
	for s, err := range c.Compact(context.Background(), Asked{Table: l.name}) {
		if err != nil {
			t.Fatal(err)
		}
		last = s
	}
	if st := l.table.Stats(); st.Files != 1 || st.DeletedRows != 0 || last.Files != 2 {
		t.Errorf("%+v, %+v", st, last)
	}
	l.check()
	l.fail(t, c)
}

// fail tries errors: they end the compaction and are given once.
func (l *labLake) fail(t *testing.T, c *Compactor) {
	t.Helper()
	l.fill(100, 3)
	l.fails = []error{errors.New("no")}
	steps, failed := 0, 0
	for _, err := range c.Compact(context.Background(), Asked{Table: l.name}) {
		if steps++; err != nil {
			failed++
		}
	}
	if steps != 2 || failed != 1 {
		t.Errorf("%d steps, %d errors", steps, failed)
	}
	for _, err := range c.Compact(context.Background(), Asked{Table: table.Name{Namespace: "no", Table: "such"}}) {
		if err == nil {
			t.Error("a table that is not there is compacted")
		}
	}
}
