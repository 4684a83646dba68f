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
	"sort"
	"strings"
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

var controlName = table.Name{Namespace: "cdcd_control", Table: "p"}

// lab is a lake and a source.
type lab struct {
	t       testing.TB
	dir     string
	cat     *table.Embedded
	faults  *faultyCatalog
	mem     *memory.CheckedAllocator
	server  *fakeServer
	names   []string      // of the members
	renewed int           // loads anew that were begun
	storage table.Storage // of each
	format  int           // version of their tables; 0: 3
	empty   bool          // those that are appended to start without rows
	cfg     Config
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
		Tables:   table.Config{Catalog: l.faults, Pipeline: "p", IndexDir: filepath.Join(dir, "index"), Memory: mem, Now: time.Now, Intents: "file://" + filepath.Join(dir, "intent")},
		Control:  Member{Lake: controlName, Location: cat.Location(controlName)},
		Interval: time.Millisecond, MaxRows: 50, MaxBytes: 1 << 20, LoadConnections: 2, ChunkRows: 4, MaxLag: time.Hour, CutSettle: time.Microsecond,
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
		m.Location, m.Storage, m.FormatVersion = l.cat.Location(m.Lake), l.storage, l.format
		m.Source.Empty = l.empty && m.Source.Table.Identity == capture.Appended
		out = append(out, m)
	}
	return out
}

// opened gives a pipeline over the lab's tables that does not run yet.
func (l *lab) opened() *Pipeline {
	l.t.Helper()
	cfg := l.cfg
	cfg.Members = l.members()
	p, err := Open(context.Background(), cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	return p
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

// runShort runs the pipeline until it is cut off, while something changes the source all the time.
// Of a run that is cut off it may be the catalog's database that says so, in words of its own.
func (l *lab) runShort(ctx context.Context, d time.Duration, change func()) {
	l.t.Helper()
	short, stop := context.WithTimeout(ctx, d)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for short.Err() == nil {
			change()
			_ = pause(short, time.Duration(l.server.random(8))*time.Millisecond)
		}
	}()
	err := l.run(short)
	cutOff := short.Err() != nil
	stop()
	<-done
	if err != nil && !cutOff {
		l.t.Fatal(err)
	}
}

// endless bounds a run that ends by itself. It only has to tell that it never does.
const endless = 5 * time.Minute

func (l *lab) mustRun() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), endless)
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
	return l.rowsOf(l.head(name), snapshot)
}

// rowsOf reads a table whose metadata is at hand.
func (l *lab) rowsOf(h *table.Head, snapshot int64) map[int64]string {
	l.t.Helper()
	records, err := h.Scan(context.Background(), table.ScanOptions{Snapshot: snapshot})
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[int64]string{}
	for rec, err := range records {
		if err != nil {
			l.t.Fatal(err)
		}
		ids, vals := rec.Column(0).(*array.Int64), rec.Column(int(rec.NumCols())-2).(*array.String)
		for i := range ids.Len() {
			if _, twice := out[ids.Value(i)]; twice {
				l.t.Fatalf("%s: key %d is live twice", h.Name, ids.Value(i))
			}
			out[ids.Value(i)] = vals.Value(i)
			if tag := rec.Column(int(rec.NumCols()) - 1); tag.IsValid(i) {
				out[ids.Value(i)] += tagMark + tag.ValueStr(i)
			}
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
		h := l.head(name)
		if got, want := l.rowsOf(h, 0), l.server.state(name, n); !maps.Equal(got, want) {
			l.t.Fatalf("%s:\n got %v\nwant %v", name, got, want)
		}
		if !h.Mark.Position.Equal(l.server.position(n)) || !h.Mark.Load.Complete {
			l.t.Fatalf("%s: position %s, want %s; load %+v", name, h.Mark.Position, l.server.position(n), h.Mark.Load)
		}
	}
}

func value(format string, args ...any) *string {
	v := fmt.Sprintf(format, args...)
	return &v
}

// churn appends random transactions.
func (l *lab) churn(n int) { l.churnTables(n, l.names...) }

// churnTables appends random transactions on some of the tables.
func (l *lab) churnTables(n int, names ...string) {
	for range n {
		var tx []change
		for range 1 + l.server.random(4) {
			name := names[l.server.random(len(names))]
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
	onFault   func() // nil: nothing
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
		if f.onFault != nil {
			f.onFault()
		}
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

// finish runs until there is nothing left to do, starting again after injected faults.
func (l *lab) finish() {
	l.t.Helper()
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), endless)
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

// checkHistory checks every snapshot of every table: positions only grow, the Witness is of the
// position's newest delivered transaction, and in the ranges that are loaded the rows are those
// of the source at the position.
func (l *lab) checkHistory() {
	l.t.Helper()
	for _, name := range l.names {
		var last capture.Position
		known, loaded := false, false
		h := l.head(name)
		whole := h.Source.Table.Identity != capture.ByKey
		for i, s := range h.History() {
			m, n := s.Mark, l.count(s.Mark.Position)
			if i > 0 && !m.Load.Complete && len(m.Load.Done) == 0 { // loaded anew, from where the source was
				known, last = false, m.Position
			}
			if i > 0 && !m.Position.Covers(last) {
				l.t.Fatalf("%s: position %s after %s", name, m.Position, last)
			}
			known = known || i > 0 && !m.Position.Equal(last) && (loaded || !whole) // the log was not read for a whole load
			loaded = m.Load.Complete
			if known && m.Last.String() != l.server.witness(n).String() {
				l.t.Fatalf("%s: the Witness of %s is %s", name, m.Position, m.Last)
			}
			last = m.Position
			done := m.Load.Done
			if m.Load.Complete {
				done = []capture.Range{{}}
			}
			got, want := l.rowsOf(h, s.Snapshot), l.server.state(name, n)
			for id := range int64(200) {
				if !slices.ContainsFunc(done, func(r capture.Range) bool { return l.server.inRange(id, r, n) }) {
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

// checkCuts compares the snapshots of every cut with the source at the cut's position, and
// gives the number of cuts. A cut holds each table once, and later cuts are further on.
func (l *lab) checkCuts() int {
	l.t.Helper()
	cuts := map[int64][]record{}
	for _, r := range l.records() {
		if r.kind == kindCut {
			cuts[r.number] = append(cuts[r.number], r)
		}
	}
	last, heads := 0, map[string]*table.Head{}
	for _, number := range slices.Sorted(maps.Keys(cuts)) {
		at, err := capture.ParsePosition(capture.MySQL, cuts[number][0].position)
		if err != nil {
			l.t.Fatal(err)
		}
		n := l.count(at)
		if n < last {
			l.t.Fatalf("cut %d is at %d, an earlier one at %d", number, n, last)
		}
		last = n
		for _, r := range cuts[number] {
			_, name, _ := strings.Cut(r.table, ".")
			if heads[name] == nil {
				heads[name] = l.head(name)
			}
			if got, want := l.rowsOf(heads[name], r.snapshot), l.server.state(name, n); r.position != cuts[number][0].position || !maps.Equal(got, want) {
				l.t.Fatalf("cut %d at %s, table %s:\n got %v\nwant %v", number, r.position, name, got, want)
			}
		}
	}
	return len(cuts)
}

// count gives the number of transactions in a position without holes.
func (l *lab) count(p capture.Position) int {
	l.t.Helper()
	most := len(l.server.log)
	n := sort.Search(most, func(n int) bool { return l.server.position(n).Covers(p) })
	if !l.server.position(n).Equal(p) {
		l.t.Fatalf("%s is not in the log of %d transactions, or has holes", p, most)
	}
	return n
}
