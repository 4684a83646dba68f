package commit

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
)

// TestLoadBesidePartialRows loads a table while the log changes single columns of its rows: what
// a chunk shows may be older than what is committed already, and what the log says is not all of
// a row.
func TestLoadBesidePartialRows(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, seed, "a", "b")
			l.cfg.ChunkRows, l.cfg.MaxRows, l.cfg.Interval = 8, 1+int(seed), time.Millisecond
			for i := range 40 {
				l.server.add(change{"a", int64(i), value([]string{"old%d", "[%d]"}[i%2], i)})
			}
			l.server.delay = time.Duration(seed%4) * time.Millisecond
			p := l.opened()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 60 {
					l.churnPartial(4, "a", 40, false)
					_ = pause(context.Background(), time.Millisecond)
				}
			}()
			stop := make(chan struct{})
			ended := make(chan error, 1)
			go func() { ended <- p.Run(context.Background(), stop) }()
			<-done
			close(stop)
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			l.mustRun()
			l.check()
			l.churnPartial(30, "a", 40, true) // it is loaded: keys may change
			l.mustRun()
			l.check()
			l.checkHistory()
			l.mem.AssertSize(t, 0)
		})
	}
}

// TestLoadBesidePatches loads a table while the log patches its rows, in epochs that hold many
// patches: what a chunk shows of them must not be applied again, nor what it does not show be left
// out.
func TestLoadBesidePatches(t *testing.T) {
	const ids = 60
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newLab(t, seed, "a")
			l.cfg.ChunkRows, l.cfg.MaxRows, l.cfg.Interval = 3, 1000, []time.Duration{5, 50}[seed%2]*time.Millisecond
			for i := range ids {
				l.server.add(change{"a", int64(i), value("[]")})
			}
			l.server.delay = time.Duration(seed) * time.Millisecond
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := range 200 {
					l.server.add(patched("a", int64(l.server.random(ids)), i))
					_ = pause(context.Background(), time.Millisecond)
				}
			}()
			p := l.start()
			<-done
			p.end(t)
			l.mustRun()
			l.check()
			l.mem.AssertSize(t, 0)
		})
	}
}

// TestKeysThatMoveWhileLoaded changes keys in rows that do not know all columns while the table is
// loaded: each time the load starts over, and nothing is lost.
func TestKeysThatMoveWhileLoaded(t *testing.T) {
	for seed := range uint64(6) {
		l := newLab(t, seed, "a")
		l.cfg.ChunkRows, l.cfg.MaxRows = 4, 5
		for i := range 40 {
			l.server.add(change{"a", int64(2 * i), value("old%d", i)})
		}
		l.server.delay = 2 * time.Millisecond
		p := l.opened()
		for i := range 10 { // from what is loaded last to what is loaded first, and back
			l.server.add(moved("a", int64(78-4*i), int64(1+4*i)))
			l.server.add(tagged("a", int64(1+4*i), "moved"), tagged("a", 2, fmt.Sprint(i)))
		}
		end := l.server.end()
		p.cfg.Until = &end
		if err := p.Run(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "starting its load over") {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if h := l.head("a"); h.Mark.Load.Complete || len(h.Mark.Load.Done) > 0 {
			t.Errorf("seed %d: the load goes on at %+v", seed, h.Mark.Load)
		}
		var err error
		for range 20 {
			if err = l.run(context.Background()); err == nil || !strings.Contains(err.Error(), "starting its load over") {
				break
			}
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		l.check()
		l.checkHistory()
	}
}

// TestWhatAWindowRecords is the rule by which rows of a chunk are kept, dropped, or read again.
func TestWhatAWindowRecords(t *testing.T) {
	full, gone, tag, other := change{"a", 1, value("x")}, change{"a", 1, nil}, tagged("a", 1, "t"), tagged("a", 2, "t")
	patch, cut := patched("a", 1, 7), change{}
	for name, c := range map[string]struct {
		changes []change
		rows    int
		stale   bool
	}{
		"nothing":                       {nil, 1, false},
		"another row":                   {[]change{other, cut}, 1, false},
		"all of the row":                {[]change{full}, 0, false},
		"the row is gone":               {[]change{tag, gone}, 0, false},
		"a column":                      {[]change{tag}, 1, false},
		"a column, committed":           {[]change{tag, cut}, 0, true},
		"a column, committed, and one":  {[]change{tag, cut, tag}, 0, true},
		"a column, committed, then all": {[]change{tag, cut, full}, 0, false},
		"all, committed, then a column": {[]change{full, cut, tag}, 0, false},
		"committed, then a column":      {[]change{other, cut, tag}, 1, false},
		"a patch":                       {[]change{patch}, 0, true},
		"a column, then a patch":        {[]change{tag, patch}, 0, true},
		"a patch, committed, a column":  {[]change{patch, cut, tag}, 0, true},
		"a patch, then all":             {[]change{patch, full}, 0, false},
		"all, then a patch":             {[]change{full, patch}, 0, false},
		"a patch of another row":        {[]change{patched("a", 2, 7)}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 1, "a")
			m := l.members()[0]
			ld := load{}
			w, err := ld.openWindow(capture.Capture{Table: &m.Source.Table}, capture.EmptyPosition(capture.MySQL), 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range c.changes {
				if c == cut {
					ld.recorder.cut()
					continue
				}
				b := fakeBatch(&m.Source.Table, []change{c}, l.mem)
				if err := ld.recorder.record(b); err != nil {
					t.Fatal(err)
				}
				b.Release()
			}
			a := &arrival{window: w, joined: make(chan struct{}), chunk: &capture.Chunk{Batch: fakeBatch(&m.Source.Table, []change{full}, l.mem)}}
			ld.arrive(a)
			b, err := ld.join(a, l.mem)
			rows := 0
			if b != nil {
				rows = b.Rows()
				b.Release()
			}
			if rows != c.rows || (err != nil) != c.stale || a.stale != c.stale || ld.complete == c.stale || len(ld.waiting) > 0 {
				t.Errorf("%d rows, %v, complete: %v", rows, err, ld.complete)
			}
			l.mem.AssertSize(t, 0)
		})
	}
}
