package commit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

func TestLoadAndStream(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newLab(t, seed, "a", "b", "c")
			l.churn(30) // rows that are there before the pipeline
			ctx, cancel := context.WithTimeout(context.Background(), endless)
			defer cancel()
			// Two runs that are cut off at any moment while the source changes, one that is not.
			for range 2 {
				l.runShort(ctx, time.Duration(l.server.random(250))*time.Millisecond, func() {
					l.churn(1)
				})
				if l.server.random(2) == 0 {
					if err := os.RemoveAll(l.cfg.Tables.IndexDir); err != nil {
						t.Fatal(err)
					}
				}
			}
			l.mustRun()
			l.check()
			l.checkHistory()
			l.checkCuts()
			l.mem.AssertSize(t, 0)
		})
	}
}

// TestEveryCatalogFault fails every call of a run, before and after it took effect, and
// restarts where the run ends with an error. The rows must be right in the end, and no
// epoch may be in a table twice.
func TestEveryCatalogFault(t *testing.T) {
	eachCatalogFault(t, faultRun{
		least: map[string]int{"load": 5, "commit": 10},
		begin: func(t *testing.T) *lab {
			l := newLab(t, 7, "a", "b")
			l.churn(12)
			return l
		},
		run: func(l *lab) {
			l.runTwice(func() { l.churn(6) })
			l.finish()
		},
		check: func(l *lab) {
			l.check()
			l.checkHistory()
			l.checkCuts()
		},
	})
}

func TestIdleTablesFollow(t *testing.T) {
	l := newLab(t, 3, "busy", "idle")
	l.server.add(change{"idle", 1, value("once")})
	l.mustRun()
	for i := range 20 {
		l.server.add(change{"busy", int64(i), value("x")})
	}
	l.mustRun()
	l.server.purged = len(l.server.log)
	l.server.add(change{"idle", 2, value("late")})
	l.mustRun()
	l.check()
}

// TestIdleTablesFollowWhileRunning checks the same without a clean end.
func TestIdleTablesFollowWhileRunning(t *testing.T) {
	l := newLab(t, 3, "busy", "idle")
	l.server.add(change{"idle", 1, value("once")})
	l.mustRun()
	l.cfg.MaxLag = 20 * time.Millisecond
	p := l.opened()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, nil) }()
	l.server.add(change{"busy", 1, value("x")})
	want := l.server.position(len(l.server.log))
	for deadline := time.Now().Add(10 * time.Second); !l.head("idle").Mark.Position.Equal(want); {
		if time.Now().After(deadline) {
			t.Fatalf("the idle table stays at %s", l.head("idle").Mark.Position)
		}
		_ = pause(ctx, 5*time.Millisecond)
	}
	before := len(l.head("idle").History())
	_ = pause(ctx, 100*time.Millisecond)
	if after := len(l.head("idle").History()); after != before {
		t.Errorf("%d more commits while nothing happened", after-before)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// TestLargeTransaction checks transactions larger than memory: they become several files
// in one snapshot.
func TestLargeTransaction(t *testing.T) {
	l := newLab(t, 5, "a", "b")
	l.churn(5)
	l.mustRun()
	l.cfg.MaxBytes = 500
	var tx []change
	for i := range 10 * partRows {
		tx = append(tx, change{"a", int64(i % 150), value("big%d", i)}, change{"b", int64(i), value("b%d", i)})
		if i%5 == 4 {
			tx = append(tx, change{"a", int64(i % 150), nil})
		}
	}
	before := len(l.head("a").History())
	l.server.add(tx...)
	l.churn(5)
	l.mustRun()
	l.check()
	if n := len(l.head("a").History()) - before; n > 7 {
		t.Errorf("%d commits for one large transaction and five small ones", n)
	}
	l.mem.AssertSize(t, 0)
}

func TestCreatedTable(t *testing.T) {
	l := newLab(t, 6, "a")
	l.churn(3)
	l.mustRun()
	l.server.tables["new"] = fakeTable("new")
	l.server.tables["refused"] = fakeTable("refused")
	l.server.add(change{"a", 100, value("before")})
	l.server.created[len(l.server.log)] = []capture.Name{{Schema: "shop", Table: "new"}, {Schema: "shop", Table: "refused"}, {Schema: "shop", Table: "gone"}}
	for i := range 30 {
		l.server.add(change{"new", int64(i % 9), value("n%d", i)}, change{"a", 1, value("a%d", i)})
	}
	l.mustRun()
	l.names = append(l.names, "new")
	l.mustRun()
	l.check()
}

// TestLogAheadOfReaders is semi-synchronous replication in AFTER_SYNC: the stream delivers
// transactions that SELECT does not see yet.
func TestLogAheadOfReaders(t *testing.T) {
	for seed := range uint64(6) {
		l := newLab(t, seed, "a")
		for i := range 40 {
			l.server.add(change{"a", int64(i), value("old%d", i)})
		}
		l.server.mu.Lock()
		for i := range 40 {
			c := change{"a", int64(i), value("new%d", i)}
			if i%3 == 0 {
				c.val = nil
			}
			l.server.log = append(l.server.log, []change{c})
		}
		l.server.mu.Unlock()
		go func() {
			for range 40 {
				_ = pause(context.Background(), 3*time.Millisecond)
				l.server.mu.Lock()
				l.server.visible++
				l.server.mu.Unlock()
			}
		}()
		l.mustRun()
		l.check()
		l.checkHistory()
		l.checkCuts()
	}
}

// TestReadersAheadOfStream is a stream that lags: chunks show transactions that it has not
// delivered yet and must wait for them.
func TestReadersAheadOfStream(t *testing.T) {
	for seed := range uint64(4) {
		l := newLab(t, seed, "a")
		l.server.delay = 4 * time.Millisecond
		for i := range 40 {
			l.server.add(change{"a", int64(i), value("old%d", i)})
		}
		p := l.opened()
		l.churn(60)
		end := l.server.end()
		p.cfg.Until = &end
		if err := p.Run(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		l.check()
		l.checkHistory()
		l.checkCuts()
	}
}

// TestTakeOver starts a second daemon beside a running one: the first must stop with
// ErrFenced, having changed nothing more.
func TestTakeOver(t *testing.T) {
	l := newLab(t, 8, "a", "b")
	l.churn(10)
	l.mustRun()
	cfg := l.cfg
	cfg.Members = l.members()
	first, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- first.Run(context.Background(), nil) }()
	cfg.Tables.IndexDir += "2" // its own state directory
	second, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if second.committer.fence <= first.committer.fence {
		t.Fatalf("fences %d and %d", first.committer.fence, second.committer.fence)
	}
	before := l.head("a").Snapshot
	l.churn(10)
	if err := <-done; !errors.Is(err, ErrFenced) {
		t.Fatalf("the first daemon ended with %v", err)
	}
	if l.head("a").Snapshot != before {
		t.Error("the first daemon committed after it was fenced")
	}
	end := l.server.position(len(l.server.log))
	second.cfg.Until = &end
	if err := second.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	l.check()
}

func TestOptionsAreKept(t *testing.T) {
	l := newLab(t, 10, "a")
	l.mustRun()
	cfg := l.cfg
	cfg.Members = l.members()
	cfg.Members[0].Source.CommitTime = true
	if _, err := Open(context.Background(), cfg); !errors.Is(err, table.ErrOptionsChanged) {
		t.Errorf("got %v", err)
	}
	cfg.Members = l.members()
	cfg.Members[0].Source.Table.Name.Table = "other"
	if _, err := Open(context.Background(), cfg); !errors.Is(err, table.ErrOptionsChanged) {
		t.Errorf("got %v", err)
	}
}

func TestPositionsPerTable(t *testing.T) {
	l := newLab(t, 11, "a", "b")
	l.churn(8)
	l.mustRun()
	l.churn(8)
	both := l.names
	l.names = []string{"a"} // b is paused: it lags
	l.mustRun()
	l.churn(4)
	l.names = both
	l.mustRun()
	l.check()
}
