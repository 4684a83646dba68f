package commit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// fakeWhole is a whole table as readers see it, in parts.
type fakeWhole struct {
	reader *fakeReader
	table  *capture.Table
	at     capture.Position
	rows   []change
	ends   error // before the last part; nil: not
}

// partOfWhole is how many rows of a whole table are read at once.
const partOfWhole = 3

func (r *fakeReader) ReadWhole(ctx context.Context, c capture.Capture, after capture.Position) (Whole, error) {
	for !r.sees(after) {
		if err := pause(ctx, time.Millisecond); err != nil {
			return nil, err
		}
	}
	s := r.server
	s.mu.Lock()
	defer s.mu.Unlock()
	name := c.Table.Name.Table
	w := &fakeWhole{reader: r, table: c.Table, at: s.position(s.visible), ends: s.whole}
	var stop *capture.Stop
	if capture.Transient(s.whole) || errors.As(s.whole, &stop) && stop.Cause == capture.Dropped {
		s.whole = nil
	}
	state := s.state(name, s.visible)
	for _, id := range r.ids(name, capture.Range{}) {
		v := state[id]
		w.rows = append(w.rows, change{name, id, &v})
	}
	return w, nil
}

func (w *fakeWhole) At() capture.Position { return w.at }
func (w *fakeWhole) Close()               {}

func (w *fakeWhole) Next() (*capture.Batch, int64, error) {
	s := w.reader.server
	if s.reading != nil {
		s.reading()
	}
	n := min(partOfWhole, len(w.rows))
	if n == 0 {
		return nil, 0, nil
	}
	if w.ends != nil && len(w.rows) <= partOfWhole {
		return nil, 0, w.ends
	}
	b := fakeBatch(w.table, w.rows[:n], s.mem)
	for i := range b.Ops {
		b.Ops[i] = capture.OpLoad
	}
	w.rows = w.rows[n:]
	return b, 0, nil
}

// errBroken is a connection that is gone, for all that anybody can tell.
var errBroken = fmt.Errorf("read: %w", os.ErrDeadlineExceeded)

// append appends rows that no other has the ids of to a table without a key.
func (l *lab) append(name string, n int) {
	for range n {
		id := int64(len(l.server.log))
		l.server.add(change{name, id, value("v%d", id)}, change{"a", id % 40, value("beside %d", id)})
	}
}

// TestWholeLoad loads a table without a key while the source changes, in runs that are cut off at
// any moment. No row may be missing, and none there twice.
func TestWholeLoad(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newLab(t, seed, "a", "log")
			l.cfg.MaxBytes = 200 // several files
			l.append("log", 30)
			ctx, cancel := context.WithTimeout(context.Background(), endless)
			defer cancel()
			for range 3 {
				l.runShort(ctx, time.Duration(l.server.random(120))*time.Millisecond, func() {
					l.append("log", 1)
				})
			}
			l.mustRun()
			l.append("log", 5)
			l.mustRun()
			l.check()
			l.checkHistory()
			l.checkCuts()
			l.mem.AssertSize(t, 0)
		})
	}
}

// TestEveryCatalogFaultOfWholeLoads fails every call of a run in which a table without a key is
// loaded, before and after it took effect.
func TestEveryCatalogFaultOfWholeLoads(t *testing.T) {
	eachCatalogFault(t, faultRun{
		least: map[string]int{"commit": 9},
		begin: func(t *testing.T) *lab {
			l := newLab(t, 7, "log", "a")
			l.append("log", 12)
			return l
		},
		run: func(l *lab) {
			l.runTwice(func() { l.append("log", 6) })
			l.finish()
		},
		check: func(l *lab) {
			l.check()
			l.checkHistory()
		},
	})
}

// TestWholeLoadBeginsAgain breaks the connection inside of a load: its rows are read again.
func TestWholeLoadBeginsAgain(t *testing.T) {
	l := newLab(t, 1, "a", "log")
	l.append("log", 10)
	l.server.whole = errBroken
	l.mustRun()
	l.check()
	l.mem.AssertSize(t, 0)
}

// TestWholeLoadIsStopped stops a pipeline while it loads a table without a key.
func TestWholeLoadIsStopped(t *testing.T) {
	l := newLab(t, 1, "a", "log")
	l.append("log", 10)
	stop, reading := make(chan struct{}), 0
	l.server.reading = func() {
		if reading++; reading == 2 {
			close(stop)
			<-time.After(time.Millisecond)
		}
	}
	p := l.opened()
	l.append("log", 2000) // much is left to read
	if err := p.Run(context.Background(), stop); err != nil {
		t.Fatal(err)
	}
	l.server.reading = nil
	if h := l.head("log"); h.Mark.Load.Complete {
		t.Fatal("it was loaded nevertheless")
	}
	l.mustRun()
	l.check()
}

// TestWholeLoadThatCannotBe loads a table that holds what it cannot. It ends the pipeline, or leaves
// it, as it is, whether it was there or came into being.
func TestWholeLoadThatCannotBe(t *testing.T) {
	for _, quarantine := range []bool{false, true} {
		for _, created := range []bool{false, true} {
			t.Run(fmt.Sprintf("quarantine %v, created %v", quarantine, created), func(t *testing.T) {
				l := newLab(t, 1, "a", "log")
				l.cfg.Quarantine = quarantine
				if created {
					l.names = l.names[:1]
					l.mustRun()
					l.server.created[len(l.server.log)+1] = []capture.Name{{Schema: "shop", Table: "log"}}
				}
				l.append("log", 10)
				stop := &capture.Stop{What: "a row", Table: "shop.log", Alone: capture.Name{Schema: "shop", Table: "log"}}
				l.server.whole = stop
				err := l.run(context.Background())
				if quarantine != (err == nil) || err != nil && !errors.Is(err, stop) {
					t.Fatal(err)
				}
				if !quarantine {
					return
				}
				h := l.head("log")
				if h.Quarantine == nil || h.Mark.Load.Complete || len(l.rows("log", 0)) > 0 {
					t.Errorf("quarantine %+v, load %+v", h.Quarantine, h.Mark.Load)
				}
				l.server.whole = nil
				l.append("log", 3)
				l.mustRun()
				if l.names = l.names[:1]; l.head("log").Quarantine == nil {
					t.Error("it came back")
				}
				l.check()
				l.mem.AssertSize(t, 0)
			})
		}
	}
}

// TestDroppedBeforeItsLoad has a table without a key be dropped before it could be loaded, as one that
// came into being and as one that is loaded anew. Where the log creates it again, it is loaded.
func TestDroppedBeforeItsLoad(t *testing.T) {
	for _, anew := range []bool{false, true} {
		t.Run(fmt.Sprintf("anew %v", anew), func(t *testing.T) {
			l := newLab(t, 1, "a", "log")
			l.cfg.LeaveDropped, l.cfg.Renew = true, true
			if anew {
				l.append("log", 5)
			} else {
				l.names = l.names[:1]
			}
			l.mustRun()
			name := capture.Name{Schema: "shop", Table: "log"}
			create := func() {
				l.server.mu.Lock()
				l.server.created[len(l.server.log)+1] = []capture.Name{name}
				l.server.mu.Unlock()
				l.append("log", 10)
			}
			l.server.whole = &capture.Stop{What: "DROP TABLE", Table: "shop.log", Alone: name, Cause: capture.Dropped}
			r := l.start()
			l.loaded(t, r)
			if anew {
				if err := r.Resnapshot(context.Background(), nameOf("log")); !errors.Is(err, ErrNotRenewed) || !strings.Contains(err.Error(), "DROP TABLE") {
					t.Errorf("%v", err)
				}
			} else {
				create()
			}
			await(t, "it is not dropped", func() bool {
				h, err := table.LoadHead(context.Background(), l.cfg.Tables, nameOf("log"))
				return err == nil && h != nil && h.Quarantine != nil && h.Quarantine.Dropped()
			})
			create()
			l.caughtUp(t, r)
			await(t, "it is not loaded", func() bool {
				h, err := table.LoadHead(context.Background(), l.cfg.Tables, nameOf("log"))
				return err == nil && h != nil && h.Mark.Load.Complete && h.Quarantine == nil && !h.Anew()
			})
			r.end(t)
			l.names = []string{"a", "log"}
			l.append("log", 3)
			l.mustRun()
			l.check()
		})
	}
}

// TestWholeLoadAnew loads a table without a key anew, on its branch.
func TestWholeLoadAnew(t *testing.T) {
	l := newLab(t, 1, "a", "log")
	l.cfg.Quarantine = true
	l.append("log", 10)
	l.mustRun()
	l.append("log", 5)
	healthy := func(*table.Head) bool { return l.renewed == 0 }
	ctx, cancel := context.WithTimeout(context.Background(), endless)
	defer cancel()
	if err := l.renew(ctx, "log", healthy); err != nil || l.renewed != 1 {
		t.Fatal(l.renewed, err)
	}
	l.append("log", 5)
	l.mustRun()
	l.check()
	l.mem.AssertSize(t, 0)
}

// TestWholeLoadOfCreatedTable adopts a table without a key that came into being with rows.
func TestWholeLoadOfCreatedTable(t *testing.T) {
	l := newLab(t, 1, "a")
	l.append("a", 5)
	l.mustRun()
	l.server.tables["logged"] = fakeTable("logged")
	l.append("logged", 3)
	l.server.created = map[int][]capture.Name{len(l.server.log): {{Schema: "shop", Table: "logged"}}}
	l.append("logged", 7)
	l.mustRun()
	l.names = append(l.names, "logged")
	l.append("logged", 2)
	l.mustRun()
	l.check()
}

// TestStartsEmpty leaves out what is there before the table, and has all that comes behind.
func TestStartsEmpty(t *testing.T) {
	l := newLab(t, 1, "a", "log")
	l.append("log", 4)
	l.empty = true
	l.mustRun()
	l.append("log", 3)
	l.mustRun()
	if got := l.rows("log", 0); len(got) != 3 || got[4] != "v4" {
		t.Fatalf("got %v", got)
	}
}

// TestIdentityIsKept refuses another way to tell rows apart than the one that the lake's table was
// made with, but for a key that the source has since.
func TestIdentityIsKept(t *testing.T) {
	column := func(names ...string) *capture.Table {
		t := fakeKeyed("t")
		t.Key, t.Identity = nil, capture.ByDeclaredKey
		for _, n := range names {
			t.Key = append(t.Key, slices.IndexFunc(t.Columns, func(c capture.Column) bool { return c.Name == n }))
		}
		return t
	}
	of := func(i capture.Identity) *capture.Table {
		t := fakeKeyed("t")
		if t.Identity = i; i != capture.ByKey {
			t.Key = nil
		}
		return t
	}
	for _, x := range []struct {
		was, now *capture.Table
		same     bool
	}{
		{of(capture.ByKey), of(capture.ByKey), true},
		{of(capture.ByRow), of(capture.ByKey), true},
		{column("val"), of(capture.ByKey), true},
		{column("val", "tag"), column("tag", "val"), true},
		{column("val", "tag"), column("val"), false},
		{of(capture.Appended), of(capture.ByKey), false},
		{of(capture.ByKey), of(capture.Appended), false},
		{of(capture.ByRow), of(capture.Appended), false},
		{column("val"), of(capture.ByRow), false},
		{of(capture.ByRow), column("val"), false},
	} {
		if got := sameIdentity(x.was, x.now); got != x.same {
			t.Errorf("%q by %v, then %q by %v: %v", x.was.Identity, x.was.Key, x.now.Identity, x.now.Key, got)
		}
	}
}

// TestIdentityChangesAnew loads tables anew whose rows are told apart in another way than in the
// lake so far: one that got a key of the server, in a run that is cut off, and one that another table
// without such a key has replaced while no daemon ran.
func TestIdentityChangesAnew(t *testing.T) {
	l := newLab(t, 5, "a", "b")
	l.cfg.Renew = true
	l.server.tables["a"].Identity = capture.ByDeclaredKey
	for i := range int64(20) {
		l.server.add(change{"a", i, value("v%d", i)}, change{"b", i, value("w%d", i)})
	}
	l.mustRun()
	l.server.tables["a"].Identity = capture.ByKey
	ctx, cancel := context.WithCancel(context.Background())
	l.server.reading = cancel
	if err := l.renew(ctx, "a", func(*table.Head) bool { return true }); !errors.Is(err, context.Canceled) || !l.head("a").Anew() {
		t.Fatal(err)
	}
	l.server.reading = nil
	l.mustRun()
	l.check()
	l.server.rename("a", capture.Dropped)
	l.mustRun()
	l.server.tables["a"].Identity = capture.ByDeclaredKey
	l.server.rename("a", capture.Unsupported) // a new table
	l.mustRun()
	l.check()
	l.mem.AssertSize(t, 0)
}

// TestWholeLoadIsOfItsEpoch loads a table without a key anew when the daemon has run for a while.
// Files of earlier epochs than the table's Mark has are garbage until a snapshot names them.
func TestWholeLoadIsOfItsEpoch(t *testing.T) {
	l := newLab(t, 1, "a", "log")
	l.append("log", 5)
	r := l.start()
	l.loaded(t, r)
	for range 6 {
		l.append("log", 1)
		l.caughtUp(t, r)
	}
	if err := r.Resnapshot(context.Background(), nameOf("log")); err != nil {
		t.Fatal(err)
	}
	await(t, "it is not published", func() bool { return !l.head("log").Anew() })
	r.end(t)
	last := int64(0)
	for _, s := range l.head("log").History() {
		if s.Mark.Epoch < last {
			t.Fatalf("epoch %d behind %d", s.Mark.Epoch, last)
		}
		last = s.Mark.Epoch
	}
}
