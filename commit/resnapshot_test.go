package commit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cdcd/table"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

func shopTable(name string) table.Name { return table.Name{Namespace: "shop", Table: name} }

// breakAltered appends an alteration of a table that it cannot follow.
func (s *fakeServer) breakAltered(name string) {
	s.breakNext(name)
	s.alter(name)
}

// renew runs the pipeline, has a table loaded anew, and ends the run when that is published. It is
// asked for only where nothing shows that it was before. An error may leave it anywhere.
func (l *lab) renew(ctx context.Context, name string, wanted func(h *table.Head) bool) error {
	cfg := l.cfg
	cfg.Members = l.members()
	p, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- p.Run(ctx, stop) }()
	end := func(err error) error {
		close(stop)
		return errors.Join(err, <-done)
	}
	if wanted(l.head(name)) {
		if err := p.Resnapshot(ctx, shopTable(name)); err != nil {
			return end(err)
		}
		l.renewed++
	}
	for ctx.Err() == nil {
		if s := p.Status(); !s.At.IsZero() {
			for _, t := range s.Tables {
				if t.Lake == shopTable(name) && !t.Anew && t.Quarantine == nil && !t.Loading {
					return end(nil)
				}
			}
		}
		select {
		case err := <-done:
			return err
		case <-time.After(time.Millisecond):
		}
	}
	return end(ctx.Err())
}

func quarantined(h *table.Head) bool { return h.Quarantine != nil }

// TestResnapshot brings tables back that have left, and loads healthy ones anew, beside changes and
// alterations, with runs that are cut off at any moment. In between main stays as it was.
func TestResnapshot(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newLab(t, seed, "a", "b")
			l.cfg.Quarantine, l.cfg.LoadConnections = true, 1
			l.churn(30)
			l.mustRun()
			wanted := quarantined
			if seed%3 == 0 { // a healthy table is loaded anew once
				wanted = func(h *table.Head) bool { return l.renewed == 0 && !h.Anew() }
			} else {
				l.server.breakAltered("a")
				l.churn(5)
				l.mustRun()
			}
			frozen := int64(0) // where main is while the table is loaded
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			for try := 0; ; try++ {
				short, stop := ctx, func() {}
				if try < 4 {
					short, stop = context.WithTimeout(ctx, time.Duration(10+l.server.random(60))*time.Millisecond)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					for range 6 {
						l.churn(1)
						if l.server.random(8) == 0 {
							l.server.alter("a")
						}
						_ = pause(short, time.Duration(l.server.random(8))*time.Millisecond)
					}
				}()
				err := l.renew(short, "a", wanted)
				cutOff := short.Err() != nil
				<-done
				stop()
				if err == nil {
					break
				}
				if !cutOff { // else it may be the catalog's database that says so, in words of its own
					t.Fatal(err)
				}
				switch h := l.head("a"); {
				case !h.Anew(): // published, maybe, before the run was cut off
					frozen = 0
				case frozen == 0:
					frozen = h.Snapshot
				case h.Snapshot != frozen:
					t.Fatal("main has moved before the table is loaded")
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
			l.checkAltered("a")
			l.check()
			l.checkHistory()
			l.checkCuts()
			l.mem.AssertSize(t, 0)
		})
	}
}

// TestEveryCatalogFaultOfResnapshots fails every call to the catalog of a run that loads a table
// anew, before and after it took effect. Nothing is lost or there twice, and the load goes on.
func TestEveryCatalogFaultOfResnapshots(t *testing.T) {
	eachCatalogFault(t, faultRun{
		least: map[string]int{"load": 4, "commit": 6},
		begin: func(t *testing.T) *lab {
			l := newLab(t, 5, "a", "b")
			l.cfg.Quarantine, l.cfg.LoadConnections = true, 1
			l.churn(8)
			l.mustRun()
			l.server.breakAltered("a")
			l.churn(4)
			l.mustRun()
			l.churn(2)
			return l
		},
		run: func(l *lab) { l.renewAtLast("a") },
		check: func(l *lab) {
			l.mustRun()
			l.checkAltered("a")
			l.check()
			l.checkHistory()
			l.mem.AssertSize(l.t, 0)
		},
	})
}

// renewAtLast has a table loaded anew, again after each error that was injected.
func (l *lab) renewAtLast(name string) {
	l.t.Helper()
	for range 4 {
		ctx, cancel := context.WithTimeout(context.Background(), endless)
		err := l.renew(ctx, name, quarantined)
		cancel()
		if err == nil {
			return
		}
		if !errors.Is(err, errInjected) {
			l.t.Fatal(err)
		}
	}
	l.t.Fatal("faults without end")
}

// appendedToLoad puts a snapshot of another program on the branch on which a table is loaded anew.
func (l *lab) appendedToLoad(name string) {
	l.t.Helper()
	loaded, err := l.cat.LoadTable(context.Background(), icetable.Identifier{"shop", name})
	if err != nil {
		l.t.Fatal(err)
	}
	meta := loaded.Metadata()
	tip, first, rows := meta.SnapshotByName("cdcd_load"), meta.NextRowID(), int64(0)
	id := tip.SnapshotID ^ (meta.LastSequenceNumber() + 1)
	l.foreign(name, icetable.NewAddSnapshotUpdate(&icetable.Snapshot{
		SnapshotID: id, ParentSnapshotID: &tip.SnapshotID, SequenceNumber: meta.LastSequenceNumber() + 1, TimestampMs: time.Now().UnixMilli(),
		ManifestList: tip.ManifestList, SchemaID: tip.SchemaID, FirstRowID: &first, AddedRows: &rows,
		Summary: &icetable.Summary{Operation: icetable.OpAppend, Properties: iceberg.Properties{}},
	}), icetable.NewSetSnapshotRefUpdate("cdcd_load", id, icetable.BranchRef, math.MaxInt64, 0, 0))
}

// TestLoadThatOthersChange has another program append to the branch of a load. The others go on, and
// the load begins again when somebody asks for it.
func TestLoadThatOthersChange(t *testing.T) {
	l := newLab(t, 8, "a", "b")
	l.churn(30)
	l.mustRun()
	before := l.head("a").Snapshot
	ctx, cancel := context.WithCancel(context.Background())
	l.server.reading = cancel
	always := func(*table.Head) bool { return true }
	if err := l.renew(ctx, "a", always); !errors.Is(err, context.Canceled) || !l.head("a").Anew() {
		t.Fatal(err)
	}
	l.server.reading = nil
	l.appendedToLoad("a")
	if err := l.run(context.Background()); !errors.Is(err, table.ErrForeignLoad) {
		t.Fatalf("got %v", err)
	}
	l.cfg.Quarantine = true
	l.churn(5)
	for range 2 {
		l.mustRun()
		if h := l.head("a"); h.Snapshot != before || !h.Anew() {
			t.Fatalf("main went from %d to %d", before, h.Snapshot)
		}
	}
	if err := l.renew(context.Background(), "a", always); err != nil {
		t.Fatal(err)
	}
	l.mustRun()
	l.check()
	l.checkHistory()
	l.checkCuts()
	l.mem.AssertSize(t, 0)
}

// TestLeavesWhileLoadedAnew has a table leave once more while it is loaded anew. Main stays, and the
// next load begins afresh.
func TestLeavesWhileLoadedAnew(t *testing.T) {
	l := newLab(t, 8, "a", "b")
	l.cfg.Quarantine, l.cfg.LoadConnections = true, 1
	l.churn(30)
	l.mustRun()
	l.server.breakAltered("a")
	l.churn(5)
	l.mustRun()
	before := l.head("a")
	left := 1
	l.server.reading = func() {
		if left--; left == 0 {
			l.server.breakAltered("a")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), endless)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if h := l.head("a"); h.Quarantine != nil && h.Quarantine.GTID != before.Quarantine.GTID {
				cancel()
			}
			_ = pause(ctx, time.Millisecond)
		}
	}()
	if err := l.renew(ctx, "a", quarantined); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if h := l.head("a"); h.Snapshot != before.Snapshot || h.Quarantine == nil || h.Anew() {
		t.Fatalf("main went from %d to %d; %+v", before.Snapshot, h.Snapshot, h.Quarantine)
	}
	l.mustRun()
	l.renewAtLast("a")
	l.mustRun()
	l.checkAltered("a")
	l.check()
	l.checkHistory()
	l.checkCuts()
	l.mem.AssertSize(t, 0)
}

// TestResnapshotRefuses tells why a table is not loaded anew, and leaves it as it is.
func TestResnapshotRefuses(t *testing.T) {
	l := newLab(t, 8, "a", "b")
	l.cfg.Quarantine = true
	l.churn(5)
	l.mustRun()
	l.server.breakNext("a")
	l.churn(5)
	l.mustRun()
	cfg := l.cfg
	cfg.Members = l.members()
	delete(l.server.tables, "a")
	p, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- p.Run(context.Background(), stop) }()
	for _, name := range []string{"a", "nosuch"} {
		if err := p.Resnapshot(context.Background(), shopTable(name)); !errors.Is(err, ErrNotRenewed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := p.Resnapshot(context.Background(), shopTable("b")); !errors.Is(err, ErrNotRenewed) {
		t.Errorf("behind the end: %v", err)
	}
	if l.head("a").Quarantine == nil {
		t.Error("it is back")
	}
}

// TestResnapshotOfIdleStream has a table leave that the committer refuses, and be loaded anew before
// the log tells anything more. What comes behind is the new member's.
func TestResnapshotOfIdleStream(t *testing.T) {
	l := newLab(t, 6, "a", "b")
	l.cfg.Quarantine, l.format = true, 2 // which has no defaults
	l.churn(5)
	l.mustRun()
	r := l.start()
	l.loaded(t, r)
	l.server.alter("a")
	status := func(is func(TableStatus) bool) func() bool {
		return func() bool {
			return slices.ContainsFunc(r.Status().Tables, func(s TableStatus) bool { return s.Lake == shopTable("a") && is(s) })
		}
	}
	await(t, "it has not left", status(func(s TableStatus) bool { return s.Quarantine != nil }))
	if err := r.Resnapshot(context.Background(), shopTable("a")); err != nil {
		t.Fatal(err)
	}
	await(t, "it is not loaded", status(func(s TableStatus) bool { return s.Quarantine == nil && !s.Loading }))
	l.churn(20)
	l.caughtUp(t, r)
	r.end(t)
	l.check()
	l.checkAltered("a")
	l.mem.AssertSize(t, 0)
}

// TestResnapshotBesideLoad begins to load a table anew while another one is loaded from a source on
// which nothing happens: it does not wait for all of that load.
func TestResnapshotBesideLoad(t *testing.T) {
	l := newLab(t, 3, "a", "b")
	for i := range int64(400) {
		l.server.add(change{"a", i % 10, value("v%d", i)}, change{"b", i, value("w%d", i)})
	}
	l.names = []string{"a"}
	l.mustRun()
	l.names, l.cfg.MaxRows = []string{"a", "b"}, 4
	var reads atomic.Int64
	under := make(chan struct{})
	l.server.reading = func() {
		_ = pause(context.Background(), 20*time.Millisecond) // for the daemon to hear of it
		if reads.Add(1) == 3 {
			close(under)
		}
	}
	r := l.start()
	<-under
	if err := r.Resnapshot(context.Background(), shopTable("a")); err != nil {
		t.Fatal(err)
	}
	if n := reads.Load(); n > 8 { // 100 are to be made
		t.Errorf("it waited for %d chunks", n)
	}
	r.end(t)
	l.mustRun()
	l.check()
	l.mem.AssertSize(t, 0)
}
