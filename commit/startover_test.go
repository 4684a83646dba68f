package commit

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// startOver has all tables leave, again after each error that was injected.
func (l *lab) startOver() []table.Name {
	l.t.Helper()
	for range 4 {
		names, err := StartOver(context.Background(), l.repairing(), "the log is gone")
		if err == nil {
			return names
		}
		if !errors.Is(err, errInjected) {
			l.t.Fatal(err)
		}
	}
	l.t.Fatal("faults without end")
	return nil
}

// anewAtLast runs the pipeline until tables are loaded anew, again after each error that was injected.
func (l *lab) anewAtLast(names ...string) {
	l.t.Helper()
	for range 4 {
		cfg := l.cfg
		cfg.Members = l.members()
		p, err := Open(context.Background(), cfg)
		if err == nil {
			err = l.runUntilLoaded(p, names)
		}
		if err == nil {
			return
		}
		if !errors.Is(err, errInjected) {
			l.t.Fatal(err)
		}
	}
	l.t.Fatal("faults without end")
}

func (l *lab) runUntilLoaded(p *Pipeline, names []string) error {
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- p.Run(context.Background(), stop) }()
	loaded := func(t TableStatus) bool {
		return t.Quarantine == nil && !t.Loading && slices.Contains(names, t.Lake.Table)
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		select {
		case err := <-done:
			return err
		default:
		}
		n := 0
		for _, t := range p.Status().Tables {
			if loaded(t) {
				n++
			}
		}
		if n == len(names) {
			close(stop)
			return <-done
		}
		_ = pause(context.Background(), time.Millisecond)
	}
	l.t.Fatalf("the tables are not loaded anew: %+v", p.Status())
	return nil
}

// purge takes from the log what the lake lacks of it, and more: a stream has to begin behind it.
func (l *lab) purge() { l.server.purged = len(l.server.log) }

// TestStartOver begins anew behind a part of the log that nobody has any more: one of the tables is
// being loaded anew at that time, one has left before, and one is gone from the source meanwhile.
func TestStartOver(t *testing.T) {
	l := newLab(t, 5, "a", "b", "c", "d")
	l.cfg.Quarantine = true
	l.churn(20)
	l.mustRun()
	l.server.breakAltered("c")
	l.churn(5)
	l.mustRun()
	ctx, cancel := context.WithCancel(context.Background())
	l.server.reading = cancel
	if err := l.renew(ctx, "b", func(*table.Head) bool { return true }); !errors.Is(err, context.Canceled) || !l.head("b").Anew() {
		t.Fatal(err)
	}
	l.server.reading = nil
	before := l.rows("a", 0)
	l.churnTables(30, "a", "b", "c", "d")
	l.server.rename("d", capture.Dropped)
	l.purge()
	if err := l.run(context.Background()); err == nil {
		t.Fatal("the log was there")
	}
	if names := l.startOver(); len(names) != 3 {
		t.Errorf("%v left", names)
	}
	if names := l.startOver(); len(names) != 0 {
		t.Errorf("%v left again", names)
	}
	if got := l.rows("a", 0); len(got) != len(before) {
		t.Errorf("readers see %d rows, not %d", len(got), len(before))
	}
	if h := l.head("b"); h.Anew() || h.Quarantine.Kind != table.Cut {
		t.Errorf("%+v, loaded anew: %v", h.Quarantine, h.Anew())
	}
	left := *l.head("c").Quarantine
	l.anewAtLast("a", "b")
	if q := l.head("c").Quarantine; q == nil || *q != left {
		t.Errorf("c: %+v, was %+v", q, left)
	}
	if l.head("d").Quarantine == nil {
		t.Error("d is back")
	}
	l.without("c", "d")
	l.churn(10)
	l.mustRun()
	l.check()
	l.checkCuts()
	l.mem.AssertSize(t, 0)
}

// TestStartOverRefuses changes nothing where the source lacks what the lake has.
func TestStartOverRefuses(t *testing.T) {
	l := newLab(t, 5, "a")
	l.churn(20)
	l.mustRun()
	l.server.setBack(10)
	if _, err := StartOver(context.Background(), l.repairing(), "the log is gone"); !errors.Is(err, ErrCannotRepair) {
		t.Fatal(err)
	}
	if q := l.head("a").Quarantine; q != nil {
		t.Error(q)
	}
}

// TestEveryCatalogFaultOfStartOver fails every call to the catalog while tables leave and are loaded
// anew, before and after it took effect.
func TestEveryCatalogFaultOfStartOver(t *testing.T) {
	eachCatalogFault(t, faultRun{
		least: map[string]int{"load": 8, "commit": 8},
		begin: func(t *testing.T) *lab {
			l := newLab(t, 5, "a", "b")
			l.churn(8)
			l.mustRun()
			l.churn(4)
			l.purge()
			return l
		},
		run: func(l *lab) {
			l.startOver()
			l.anewAtLast("a", "b")
		},
		check: func(l *lab) {
			l.churn(4)
			l.mustRun()
			l.check()
			l.checkCuts()
			l.mem.AssertSize(l.t, 0)
		},
	})
}
