package commit

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"
)

// running is a pipeline under way.
type running struct {
	*Pipeline
	stop chan struct{}
	done chan error
}

// start runs the pipeline until it is told to stop.
func (l *lab) start() *running {
	l.t.Helper()
	p := l.opened()
	r := &running{p, make(chan struct{}), make(chan error, 1)}
	go func() { r.done <- p.Run(context.Background(), r.stop) }()
	return r
}

func (r *running) end(t *testing.T) {
	t.Helper()
	close(r.stop)
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		_ = pause(context.Background(), time.Millisecond)
	}
}

// hold asks until the tables may be in cuts.
func (r *running) hold(t *testing.T) Held {
	t.Helper()
	var h Held
	await(t, "the stream is not held", func() bool {
		var err error
		if h, err = r.Hold(context.Background()); err != nil && !errors.Is(err, ErrNoCut) {
			t.Fatal(err)
		}
		return err == nil
	})
	return h
}

// wantCut compares the snapshots of a cut with the source at its position.
func (l *lab) wantCut(c DemandedCut, n int) {
	l.t.Helper()
	if !c.Position.Equal(l.server.position(n)) || len(c.Snapshots) != len(l.names) {
		l.t.Fatalf("a cut of %d tables at %s, want transaction %d", len(c.Snapshots), c.Position, n)
	}
	for name, snapshot := range c.Snapshots {
		l.server.mu.Lock()
		want := l.server.state(name.Table, n)
		l.server.mu.Unlock()
		if got := l.rows(name.Table, snapshot); !maps.Equal(got, want) {
			l.t.Fatalf("%s at transaction %d:\n got %v\nwant %v", name, n, got, want)
		}
	}
}

// TestCutAt asks for cuts at the log's end of that moment, while the log goes on: each is
// exactly there, and the stream behind it loses nothing.
func TestCutAt(t *testing.T) {
	l := newLab(t, 31, "a", "b", "idle")
	l.churnTables(20, "a", "b")
	r := l.start()
	for i := range 12 {
		h := r.hold(t)
		l.churnTables(l.server.random(4), "a", "b")
		n := l.count(l.server.end())
		if i%2 == 0 { // what the cut may not show, and what leaves no trace but in positions
			l.churnTables(l.server.random(6), "a", "b")
		}
		l.churnTables(8, "elsewhere")
		c, err := r.CutAt(context.Background(), h.Token, l.server.position(n))
		if err != nil {
			t.Fatal(err)
		}
		l.wantCut(c, n)
	}
	r.end(t)
	l.mustRun()
	l.check()
	l.checkCuts()
	l.mem.AssertSize(t, 0)
}

// TestCutNow asks for cuts where the stream stands, at rest and under way, twice at the same
// place, and behind transactions of tables that are not captured.
func TestCutNow(t *testing.T) {
	l := newLab(t, 32, "a", "b")
	l.churn(10)
	r := l.start()
	_ = r.Release(context.Background(), r.hold(t).Token)
	for i := range 12 {
		if i%3 == 0 {
			l.churn(3)
		}
		if i%3 == 1 {
			l.server.add(change{"elsewhere", 1, value("x")})
		}
		c, err := r.Cut(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		l.wantCut(c, l.count(c.Position))
	}
	r.end(t)
	l.checkCuts()
	again := l.start() // its first cut comes before any commit of its own
	c, err := again.CutAt(context.Background(), again.hold(t).Token, l.server.end())
	if err != nil {
		t.Fatal(err)
	}
	l.wantCut(c, len(l.server.log))
	again.end(t)
	l.checkCuts()
}

// TestHoldInLargeTransaction asks while a transaction is open of which a part is delivered:
// the stream stands still behind it.
func TestHoldInLargeTransaction(t *testing.T) {
	l := newLab(t, 33, "a", "b")
	l.churn(5)
	r := l.start()
	_ = r.Release(context.Background(), r.hold(t).Token)
	for range 10 {
		var tx []change
		for i := range 3 * partRows {
			tx = append(tx, change{"a", int64(i), value("large %d", l.server.random(1000))})
		}
		l.server.add(tx...)
		h := r.hold(t)
		c, err := r.CutAt(context.Background(), h.Token, l.server.end())
		if err != nil {
			t.Fatal(err)
		}
		l.wantCut(c, len(l.server.log))
	}
	r.end(t)
	l.check()
}

// TestHeldStreamStands shows that a held stream delivers nothing, that a second demand is
// refused meanwhile, that the lag shows it, and that it goes on when it is released.
func TestHeldStreamStands(t *testing.T) {
	l := newLab(t, 34, "a")
	l.churn(5)
	r := l.start()
	defer r.end(t)
	h := r.hold(t)
	if _, err := r.Hold(context.Background()); !errors.Is(err, ErrBusy) {
		t.Errorf("a second hold: %v", err)
	}
	l.server.add(change{"a", 1, value("new")})
	const visible = 50 * time.Millisecond
	await(t, "the lag does not show it", func() bool { return r.Status().Lag() > visible })
	if at := r.Status().Delivered; !at.Equal(h.Position) {
		t.Errorf("held at %s, it has delivered %s", h.Position, at)
	}
	if err := r.Release(context.Background(), h.Token+1); err != nil || r.Status().HeldSince.IsZero() {
		t.Errorf("released by another: %v", err)
	}
	if err := r.Release(context.Background(), h.Token); err != nil {
		t.Fatal(err)
	}
	await(t, "it does not go on", func() bool { return r.Status().Finished.Covers(l.server.end()) })
	if _, err := r.CutAt(context.Background(), h.Token, l.server.end()); !errors.Is(err, ErrNoCut) {
		t.Errorf("a cut after the release: %v", err)
	}
}

// TestHoldRefused asks for what there cannot be: a position behind the stream, a cut of
// tables that are being loaded.
func TestHoldRefused(t *testing.T) {
	l := newLab(t, 35, "a")
	l.churn(5)
	r := l.start()
	h := r.hold(t)
	if _, err := r.CutAt(context.Background(), h.Token, l.server.position(1)); !errors.Is(err, ErrNoCut) {
		t.Errorf("a cut in the past: %v", err)
	}
	l.server.add(change{"a", 1, value("new")})
	await(t, "it does not go on", func() bool { return r.Status().Finished.Covers(l.server.end()) })
	r.end(t)
	if _, err := r.Hold(context.Background()); !errors.Is(err, ErrNoCut) {
		t.Errorf("a hold of a pipeline that has ended: %v", err)
	}
	l.cfg.CutSettle = time.Hour
	r = l.start()
	defer r.end(t)
	if _, err := r.Hold(context.Background()); !errors.Is(err, ErrNoCut) {
		t.Errorf("a hold while a table is not in cuts: %v", err)
	}
}

// TestStopWhileHeld ends the daemon while the stream is held, and while it is to read on to
// what does not come: it ends in order, and who waits is told.
func TestStopWhileHeld(t *testing.T) {
	l := newLab(t, 36, "a")
	l.churn(5)
	r := l.start()
	r.hold(t)
	r.end(t)
	r = l.start()
	h := r.hold(t)
	waiting := make(chan error, 1)
	go func() {
		_, err := r.CutAt(context.Background(), h.Token, l.server.position(1000))
		waiting <- err
	}()
	await(t, "the stream is not asked to read on", func() bool { return l.server.endsAt.Load() > 0 })
	r.end(t)
	if err := <-waiting; !errors.Is(err, ErrNoCut) {
		t.Errorf("who waited got %v", err)
	}
	l.check()
}

// TestHoldExpires lets whoever asked go away.
func TestHoldExpires(t *testing.T) {
	l := newLab(t, 37, "a")
	l.churn(5)
	r := l.start()
	h := r.hold(t)
	r.end(t)
	own := newLoop(r.Pipeline, &fakeStream{server: l.server}, nil)
	own.delivered = h.Position
	now := time.Now()
	for _, c := range []struct {
		phase phase
		goes  bool
	}{{free, true}, {asked, true}, {standing, true}, {readingOn, true}, {atTarget, true}, {committing, false}, {publishing, false}} {
		reply := make(chan answer, 1)
		own.hold = hold{phase: c.phase, until: now, since: now, reply: reply}
		own.expireHold(now.Add(-time.Millisecond))
		if own.hold.phase != c.phase {
			t.Errorf("phase %d: over too early", c.phase)
		}
		own.expireHold(now)
		if got := own.hold.phase == free; got != c.goes {
			t.Errorf("phase %d: the stream goes on: %v", c.phase, got)
		}
		if answered := len(reply) > 0; answered != (c.goes && c.phase != free) {
			t.Errorf("phase %d: answered: %v", c.phase, answered)
		}
	}
}
