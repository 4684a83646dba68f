package commit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// checkQuarantined checks that a table shows the source exactly before the transaction that it
// could not follow, or, torn, before an earlier one, and that no cut contains it from there on.
func (l *lab) checkQuarantined(name string, n int, torn bool) {
	l.t.Helper()
	h := l.head(name)
	if h.Quarantine == nil || h.Quarantine.Kind != table.Unsupported || h.Quarantine.Reason == "" {
		l.t.Fatalf("%s is not quarantined: %+v", name, h.Quarantine)
	}
	at := l.count(h.Mark.Position)
	if at > n-1 || at < n-1 && !torn {
		l.t.Fatalf("%s is at %d, and cannot follow %d", name, at, n)
	}
	if got, want := l.rows(name, 0), l.server.state(name, at); h.Mark.Load.Complete && !maps.Equal(got, want) {
		l.t.Fatalf("%s:\n got %v\nwant %v", name, got, want)
	}
	for _, r := range l.records() {
		if r.kind != kindCut || !strings.HasSuffix(r.table, "."+name) {
			continue
		}
		if p, err := capture.ParsePosition(capture.MySQL, r.position); err != nil || l.count(p) >= n {
			l.t.Fatalf("cut %d at %s has %s, which could not follow %d: %v", r.number, r.position, name, n, err)
		}
	}
}

// without has the lab check other tables than these.
func (l *lab) without(names ...string) {
	left := l.names
	l.names = nil
	for _, n := range left {
		if !strings.Contains(strings.Join(names, " "), n) {
			l.names = append(l.names, n)
		}
	}
}

func (l *lab) records() []record {
	l.t.Helper()
	cfg := l.cfg.Tables
	cfg.Catalog = l.cat
	h, err := table.LoadHead(context.Background(), cfg, controlName)
	if err != nil || h == nil {
		l.t.Fatal(err)
	}
	records, err := readControl(context.Background(), h)
	if err != nil {
		l.t.Fatal(err)
	}
	return records
}

// broken gives the transaction that a table could not follow, by what its quarantine says.
func (l *lab) broken(name string) int {
	l.t.Helper()
	n, err := strconv.Atoi(l.head(name).Quarantine.GTID)
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

// TestQuarantine has tables leave while others go on, while they are loaded and streamed, with
// runs that are cut off at any moment. What has left stays as it was, and the others are whole.
func TestQuarantine(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newLab(t, seed, "a", "b", "c")
			l.cfg.Quarantine = true
			l.churn(20)
			if seed%2 == 0 {
				l.mustRun()
			}
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			brake := 0
			for range 4 {
				begun := l.begun()
				short, stop := context.WithTimeout(ctx, time.Duration(30+l.server.random(100))*time.Millisecond)
				done := make(chan struct{})
				go func() {
					defer close(done)
					for short.Err() == nil {
						if begun && brake < 2 && l.server.random(8) == 0 {
							l.server.breakNext([]string{"a", "b"}[brake])
							brake++
						}
						l.churn(1)
						_ = pause(short, time.Duration(l.server.random(8))*time.Millisecond)
					}
				}()
				err := l.run(short)
				cutOff := short.Err() != nil
				stop()
				<-done
				if err != nil && !cutOff {
					t.Fatal(err)
				}
				if l.server.random(2) == 0 {
					if err := os.RemoveAll(l.cfg.Tables.IndexDir); err != nil {
						t.Fatal(err)
					}
				}
			}
			l.mustRun()
			l.churn(3)
			l.mustRun()
			l.checkHistory()
			l.checkCuts()
			for _, name := range []string{"a", "b"}[:brake] {
				l.checkQuarantined(name, l.broken(name), false)
				l.without(name)
			}
			l.check()
			l.mem.AssertSize(t, 0)
		})
	}
}

// TestTornQuarantine has a table leave inside of a transaction that is delivered in parts, with
// parts of it in memory and on disk. Nothing of it may be kept.
func TestTornQuarantine(t *testing.T) {
	for _, bytes := range []int64{300, 1 << 20} {
		l := newLab(t, 3, "a", "b")
		l.cfg.Quarantine, l.cfg.MaxBytes, l.server.late = true, bytes, true
		l.churn(5)
		l.mustRun()
		l.churn(5)
		big := make([]change, 4*partRows)
		for i := range big {
			big[i] = change{[]string{"a", "b"}[i%2], int64(i), value("big")}
		}
		l.server.breakNext("a")
		n := len(l.server.log) + 1
		l.server.add(big...)
		l.churn(5)
		l.mustRun()
		l.mustRun()
		l.checkQuarantined("a", n, true)
		l.checkHistory()
		l.without("a")
		l.check()
		l.mem.AssertSize(t, 0)
	}
}

// TestLeavesAtOnce has a table leave without waiting for the epoch's age.
func TestLeavesAtOnce(t *testing.T) {
	l := newLab(t, 4, "a", "b")
	l.cfg.Quarantine = true
	l.churn(5)
	l.mustRun()
	l.cfg.Interval = time.Hour
	p := l.start()
	l.server.breakNext("a")
	l.churn(3)
	for l.head("a").Quarantine == nil {
		_ = pause(context.Background(), time.Millisecond)
	}
	p.end(t)
}

// TestOnlyTableLeaves goes on where nothing is left to be replicated.
func TestOnlyTableLeaves(t *testing.T) {
	l := newLab(t, 4, "a")
	l.cfg.Quarantine = true
	l.churn(5)
	l.mustRun()
	l.server.breakNext("a")
	n := len(l.server.log) + 1
	l.churn(5)
	l.mustRun()
	l.churn(5)
	l.mustRun()
	l.checkQuarantined("a", n, false)
}

// TestCommitterRefuses has a table leave that cannot be altered as the source was: it is the
// committer that finds out, while the stream goes on.
func TestCommitterRefuses(t *testing.T) {
	l := newLab(t, 6, "a", "b")
	l.cfg.Quarantine, l.format = true, 2 // which has no defaults
	l.churn(5)
	l.mustRun()
	l.churn(3)
	l.server.alter("a")
	n := len(l.server.log)
	l.churn(20)
	l.mustRun()
	l.churn(3)
	l.mustRun()
	l.checkQuarantined("a", n, true)
	l.checkHistory()
	l.checkCuts()
	l.without("a")
	l.check()
	l.mem.AssertSize(t, 0)
}

// TestLoadRefuses has a table leave with a value that the lake cannot hold. The others are loaded.
func TestLoadRefuses(t *testing.T) {
	l := newLab(t, 7, "a", "b")
	l.cfg.Quarantine = true
	l.churn(30)
	l.server.bad = map[string]error{"a": stopOf(capture.Name{Schema: "shop", Table: "a"}, 0)}
	l.mustRun()
	l.churn(5)
	l.mustRun()
	if h := l.head("a"); h.Quarantine == nil || h.Mark.Load.Complete {
		t.Errorf("%+v, %+v", h.Quarantine, h.Mark.Load)
	}
	l.checkHistory()
	l.without("a")
	l.check()
	l.mem.AssertSize(t, 0)
}

// TestStopOfOneTable ends the pipeline where nothing is to be quarantined.
func TestStopOfOneTable(t *testing.T) {
	l := newLab(t, 6, "a", "b")
	l.format = 2
	l.churn(5)
	l.mustRun()
	l.server.alter("a")
	var stop *capture.Stop
	if err := l.run(context.Background()); !errors.As(err, &stop) || l.head("a").Quarantine != nil {
		t.Errorf("got %v", err)
	}
}

// TestEveryCatalogFaultOfQuarantines fails every call to the catalog of a run in which a table
// leaves, before and after it took effect: the same is decided again, or is known.
func TestEveryCatalogFaultOfQuarantines(t *testing.T) {
	eachCatalogFault(t, faultRun{
		least: map[string]int{"commit": 6},
		begin: func(t *testing.T) *lab {
			l := newLab(t, 5, "a", "b")
			l.cfg.Quarantine = true
			l.churn(6)
			l.mustRun()
			l.churn(3)
			l.server.breakNext("a")
			l.churn(4)
			return l
		},
		run: (*lab).finish,
		check: func(l *lab) {
			for n := range l.server.breaks {
				l.checkQuarantined("a", n, false)
			}
			l.without("a")
			l.check()
		},
	})
}

// TestLeavesTwice has the stream let a table go while the committer still finds out that it cannot
// follow what came before. It stays before that.
func TestLeavesTwice(t *testing.T) {
	for seed := range uint64(4) {
		l := newLab(t, seed, "a", "b")
		l.cfg.Quarantine, l.format = true, 2 // which has no defaults
		l.churn(5)
		l.mustRun()
		l.server.alter("a")
		n := len(l.server.log)
		l.server.rename("a", capture.Dropped)
		l.churnTables(5, "b")
		l.mustRun()
		l.mustRun()
		l.checkQuarantined("a", n, true)
		l.without("a")
		l.check()
		l.mem.AssertSize(t, 0)
	}
}
