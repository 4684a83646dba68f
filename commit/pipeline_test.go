package commit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// lab is a lake and a source.
type lab struct {
	t      testing.TB
	dir    string
	cat    *table.Embedded
	faults *faultyCatalog
	mem    *memory.CheckedAllocator
	server *fakeServer
	names  []string // of the members
	cfg    Config
}

func newLab(t testing.TB, seed uint64, names ...string) *lab {
	t.Helper()
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "cdcd-commit-")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := table.OpenEmbedded("file://"+filepath.Join(dir, "warehouse"), true)
	if err != nil {
		t.Fatal(err)
	}
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	l := &lab{t: t, dir: dir, cat: cat, mem: mem, server: newFakeServer(seed, mem, names...), names: names}
	l.faults = &faultyCatalog{Catalog: cat}
	l.cfg = Config{
		Pipeline: "p", Source: l.server, Logger: slog.New(slog.DiscardHandler),
		Tables:   table.Config{Catalog: l.faults, Pipeline: "p", IndexDir: filepath.Join(dir, "index"), Memory: mem, Now: time.Now},
		Interval: time.Millisecond, MaxRows: 50, MaxBytes: 1 << 20, LoadConnections: 2, ChunkRows: 4, MaxLag: time.Hour,
	}
	t.Cleanup(func() {
		_ = cat.Close()
		_ = os.RemoveAll(dir)
	})
	return l
}

func (l *lab) members() []Member {
	var out []Member
	for _, n := range l.names {
		m := l.server.member(n)
		m.Location = l.cat.Location(m.Lake)
		out = append(out, m)
	}
	return out
}

// run runs the pipeline until it has all of the log, or ctx ends.
func (l *lab) run(ctx context.Context) error {
	cfg := l.cfg
	cfg.Members = l.members()
	end := l.server.end()
	cfg.Until = &end
	p, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	return p.Run(ctx, nil)
}

func (l *lab) mustRun() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := l.run(ctx); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) head(name string) *table.Head {
	l.t.Helper()
	cfg := l.cfg.Tables
	cfg.Catalog = l.cat
	h, err := table.LoadHead(context.Background(), cfg, table.Name{Namespace: "shop", Table: name})
	if err != nil || h == nil {
		l.t.Fatal(name, err)
	}
	return h
}

// rows reads a table, at a snapshot or, with 0, as it is. A key that is live twice fails
// the test.
func (l *lab) rows(name string, snapshot int64) map[int64]string {
	l.t.Helper()
	records, err := l.head(name).Scan(context.Background(), table.ScanOptions{Snapshot: snapshot})
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[int64]string{}
	for rec, err := range records {
		if err != nil {
			l.t.Fatal(err)
		}
		ids, vals := rec.Column(0).(*array.Int64), rec.Column(1).(*array.String)
		for i := range ids.Len() {
			if _, twice := out[ids.Value(i)]; twice {
				l.t.Fatalf("%s: key %d is live twice", name, ids.Value(i))
			}
			out[ids.Value(i)] = vals.Value(i)
		}
		rec.Release()
	}
	return out
}

// check compares every table with the source, and its position with the log's end.
func (l *lab) check() {
	l.t.Helper()
	n := len(l.server.log)
	for _, name := range l.names {
		if got, want := l.rows(name, 0), l.server.state(name, n); !maps.Equal(got, want) {
			l.t.Fatalf("%s:\n got %v\nwant %v", name, got, want)
		}
		if h := l.head(name); !h.Mark.Position.Equal(l.server.position(n)) || !h.Mark.Load.Complete {
			l.t.Fatalf("%s: position %s, want %s; load %+v", name, h.Mark.Position, l.server.position(n), h.Mark.Load)
		}
	}
}

// churn appends random transactions.
func (l *lab) churn(n int) {
	for range n {
		var tx []change
		for range 1 + l.server.random(4) {
			name := l.names[l.server.random(len(l.names))]
			c := change{table: name, id: int64(l.server.random(40)), val: value("v%d", l.server.random(1000))}
			if l.server.random(4) == 0 {
				c.val = nil
			}
			tx = append(tx, c)
		}
		l.server.add(tx...)
	}
}

// faultyCatalog fails the n-th call of an operation, before or after it took effect.
type faultyCatalog struct {
	table.Catalog
	operation string // "load", "commit", "create"
	at        int    // from 1; 0: never
	applied   bool   // the call takes effect and its answer is lost
	mu        sync.Mutex
	calls     map[string]int
	fired     bool
}

var errInjected = errors.New("injected")

// hit counts a call and reports whether it is to fail.
func (f *faultyCatalog) hit(operation string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[operation]++
	if f.operation == operation && f.calls[operation] == f.at {
		f.fired = true
		return true
	}
	return false
}

func (f *faultyCatalog) LoadTable(ctx context.Context, ident icetable.Identifier) (*icetable.Table, error) {
	if f.hit("load") {
		return nil, errInjected
	}
	return f.Catalog.LoadTable(ctx, ident)
}

func (f *faultyCatalog) CommitTable(ctx context.Context, ident icetable.Identifier, reqs []icetable.Requirement, ups []icetable.Update) (icetable.Metadata, string, error) {
	fail := f.hit("commit")
	if fail && !f.applied {
		return nil, "", errInjected
	}
	meta, location, err := f.Catalog.CommitTable(ctx, ident, reqs, ups)
	if fail {
		return nil, "", errInjected
	}
	return meta, location, err
}

func (f *faultyCatalog) CreateNamespace(ctx context.Context, ns icetable.Identifier, props iceberg.Properties) error {
	return f.Catalog.CreateNamespace(ctx, ns, props)
}

func TestLoadAndStream(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newLab(t, seed, "a", "b", "c")
			l.churn(30) // rows that are there before the pipeline
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			// Two runs that are cut off at any moment while the source changes, one that is not.
			for range 2 {
				short, stop := context.WithTimeout(ctx, time.Duration(l.server.random(250))*time.Millisecond)
				done := make(chan struct{})
				go func() {
					defer close(done)
					for short.Err() == nil {
						l.churn(1)
						_ = pause(short, time.Duration(l.server.random(8))*time.Millisecond)
					}
				}()
				err := l.run(short)
				stop()
				<-done
				if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if l.server.random(2) == 0 {
					if err := os.RemoveAll(l.cfg.Tables.IndexDir); err != nil {
						t.Fatal(err)
					}
				}
			}
			l.mustRun()
			l.check()
			l.checkHistory()
			l.mem.AssertSize(t, 0)
		})
	}
}

// TestEveryCatalogFault fails every call of a run, before and after it took effect, and
// restarts where the run ends with an error. The rows must be right in the end, and no
// epoch may be in a table twice.
func TestEveryCatalogFault(t *testing.T) {
	for _, operation := range []string{"load", "commit"} {
		for _, applied := range []bool{false, true} {
			if operation == "load" && applied {
				continue
			}
			fired := 0
			for at := 1; ; at++ {
				l := newLab(t, 7, "a", "b")
				l.churn(12)
				l.faults.operation, l.faults.at, l.faults.applied = operation, at, applied
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				err := l.run(ctx)
				if err == nil {
					l.churn(6)
					err = l.run(ctx)
				}
				if err != nil && !errors.Is(err, errInjected) {
					t.Fatalf("%s call %d: %v", operation, at, err)
				}
				cancel()
				l.finish()
				l.check()
				l.checkHistory()
				if !l.faults.fired {
					break
				}
				fired++
			}
			if fired < map[string]int{"load": 5, "commit": 10}[operation] {
				t.Errorf("%s: only %d calls failed", operation, fired)
			}
			t.Logf("%s, applied %v: %d schedules", operation, applied, fired)
		}
	}
}

// finish runs until there is nothing left to do, starting again after injected faults.
func (l *lab) finish() {
	l.t.Helper()
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		err := l.run(ctx)
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

// checkHistory checks every snapshot of every table: positions only grow, and in the
// ranges that are loaded the rows are those of the source at the position.
func (l *lab) checkHistory() {
	l.t.Helper()
	for _, name := range l.names {
		var last capture.Position
		for i, s := range l.head(name).History() {
			m := s.Mark
			if i > 0 && !m.Position.Covers(last) {
				l.t.Fatalf("%s: position %s after %s", name, m.Position, last)
			}
			last = m.Position
			done := m.Load.Done
			if m.Load.Complete {
				done = []capture.Range{{}}
			}
			got, want := l.rows(name, s.Snapshot), l.server.state(name, l.count(m.Position))
			for id := range int64(200) {
				if !slices.ContainsFunc(done, func(r capture.Range) bool { return inRange(id, r) }) {
					continue
				}
				g, there := got[id]
				w, wanted := want[id]
				if there != wanted || g != w {
					l.t.Fatalf("%s at %s: row %d is %q (there: %v), in the source %q (there: %v)", name, m.Position, id, g, there, w, wanted)
				}
			}
		}
	}
}

// count gives the number of transactions in a position without holes.
func (l *lab) count(p capture.Position) int {
	for n := 0; ; n++ {
		if l.server.position(n).Equal(p) {
			return n
		}
	}
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
	cfg := l.cfg
	cfg.Members = l.members()
	p, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
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
		cfg := l.cfg
		cfg.Members = l.members()
		p, err := Open(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		l.churn(60)
		end := l.server.end()
		p.cfg.Until = &end
		if err := p.Run(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		l.check()
		l.checkHistory()
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

// TestStop checks that a stop commits what was collected and every position.
func TestStop(t *testing.T) {
	l := newLab(t, 9, "a", "b")
	l.cfg.Interval = time.Hour
	cfg := l.cfg
	cfg.Members = l.members()
	p, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- p.Run(context.Background(), stop) }()
	for p.Status().Counters.LoadedRows == 0 && !loaded(p) {
		_ = pause(context.Background(), time.Millisecond)
	}
	l.churn(5)
	for want := l.server.position(len(l.server.log)); !p.Status().Delivered.Equal(want); {
		_ = pause(context.Background(), time.Millisecond)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	l.check()
	l.mem.AssertSize(t, 0)
}

func loaded(p *Pipeline) bool {
	return !slices.ContainsFunc(p.Status().Tables, func(t TableStatus) bool { return t.Loading })
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
