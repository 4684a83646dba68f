package compaction

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"cdcd/table/tabletest"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	icetable "github.com/apache/iceberg-go/table"
)

// fatal is what tests and property checks have in common.
type fatal interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Helper()
}

const (
	testGrace    = 6 * time.Hour
	testInterval = time.Hour
)

// lab is a table in memory, with its committer, other programs and a collector.
type lab struct {
	t       fatal
	dir     string
	cat     *tabletest.Memory
	store   *tabletest.Store
	cfg     table.Config
	name    table.Name
	table   *table.Table
	foreign tabletest.Foreign
	fence   int64
	epoch   int64
	now     time.Time
	flying  []string
	c       *Collector
	// model is what the table has, shown what each snapshot showed when it was made.
	model map[int64]string
	shown map[int64]map[int64]string
	// expired are the snapshots that another program dropped, oldest first.
	expired []icetable.Snapshot
}

func newLab(t fatal) *lab {
	t.Helper()
	parent := "/dev/shm" // the writes are synced
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "cdcd-garbage-")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{
		t: t, dir: dir, cat: tabletest.NewMemory("/lake", tabletest.Faults{}), store: tabletest.NewStore(), name: table.Name{Namespace: "shop", Table: "orders"},
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), model: map[int64]string{}, shown: map[int64]map[int64]string{},
	}
	l.cat.Files = l.store
	l.cfg = table.Config{
		Catalog: l.cat, Store: l.store, Pipeline: "p", IndexDir: filepath.Join(dir, "index"), Memory: memory.DefaultAllocator, Now: time.Now,
		Intents: "file:///lake/_cdcd/p/intent",
	}
	l.foreign = tabletest.Foreign{Catalog: l.cat, Store: l.store, Table: icetable.Identifier{l.name.Namespace, l.name.Table}}
	_, err = table.Create(context.Background(), l.cfg, l.name, testSource(), table.Storage{}, l.cat.Location(l.name))
	l.must(err)
	l.start()
	return l
}

// close removes what is on disk.
func (l *lab) close() {
	_ = l.table.Abandon()
	_ = os.RemoveAll(l.dir)
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func testSource() table.Source {
	return table.Source{Table: capture.Table{
		Name: capture.Name{Schema: "shop", Table: "orders"}, Key: []int{0},
		Columns: []capture.Column{
			{Name: "id", Type: capture.TypeBigInt},
			{Name: "val", Type: capture.TypeVarchar, Size: 40, Charset: "utf8mb4", Nullable: true},
		},
	}}
}

// start is the start of a daemon: it takes the next fence, takes up what was prepared, and opens
// a collector.
func (l *lab) start() {
	l.t.Helper()
	ctx := context.Background()
	if l.table != nil {
		l.must(l.table.Abandon())
	}
	former := l.fence
	l.takeFence()
	var err error
	l.table, err = table.Open(ctx, l.cfg, l.head())
	l.must(err)
	_, err = l.table.Recover(ctx, former)
	l.must(err)
	if !l.table.Head().Begun() {
		l.commit()
	}
	l.openCollector(l.fence)
}

// takeFence moves the fence, as another daemon may.
func (l *lab) takeFence() {
	l.t.Helper()
	h := l.head()
	l.fence = h.Fence + 1
	a, err := table.PrepareFence(context.Background(), l.cfg, h, l.fence)
	l.must(err)
	_, err = table.Swap(context.Background(), l.cfg, a)
	l.must(err)
}

func (l *lab) openCollector(fence int64) {
	l.t.Helper()
	var err error
	l.c, err = NewCollector(CollectorConfig{
		Tables: l.cfg, Dir: filepath.Join(l.dir, "garbage"), Fence: fence, Grace: testGrace, Interval: testInterval,
		InFlight: func() []string { return l.flying }, Now: func() time.Time { return l.now }, Logger: slog.New(slog.DiscardHandler),
	})
	l.must(err)
}

func (l *lab) head() *table.Head {
	l.t.Helper()
	h, err := table.LoadHead(context.Background(), l.cfg, l.name)
	l.must(err)
	return h
}

// change is a row as it becomes; gone rows have no value.
type change struct {
	id  int64
	val string
}

// attempt is what was prepared and not offered.
type attempt struct {
	a     *table.Attempt
	d     *table.Delta
	model map[int64]string
}

// prepare uploads all of a commit.
func (l *lab) prepare(changes ...change) attempt {
	l.t.Helper()
	ctx := context.Background()
	l.epoch++
	build := l.table.Build(l.fence, l.epoch)
	model := maps.Clone(l.model)
	if len(changes) > 0 {
		b := l.batch(changes, model)
		defer b.Release()
		l.must(build.Add(ctx, []*capture.Batch{b}))
	}
	at, err := capture.ParsePosition(capture.MySQL, fmt.Sprintf("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-%d", l.epoch))
	l.must(err)
	d := build.Delta()
	a, err := l.table.Prepare(ctx, d, table.Mark{Pipeline: "p", Timeline: 1, Fence: l.fence, Epoch: l.epoch, Position: at, Load: table.Load{Complete: true}})
	l.must(err)
	return attempt{a, d, model}
}

func (l *lab) batch(changes []change, model map[int64]string) *capture.Batch {
	l.t.Helper()
	source := testSource()
	schema, err := capture.ArrowSchema(&source.Table, capture.TypeOptions{}, false)
	l.must(err)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	out := &capture.Batch{Table: &source.Table}
	for _, c := range changes {
		_, there := model[c.id]
		op := capture.OpInsert
		switch {
		case c.val == "":
			op = capture.OpDelete
			delete(model, c.id)
		case there:
			op = capture.OpUpdate
		}
		if c.val != "" {
			model[c.id] = c.val
		}
		b.Field(0).(*array.Int64Builder).Append(c.id)
		b.Field(1).(*array.StringBuilder).Append(c.val)
		out.Ops = append(out.Ops, op)
	}
	out.Record = b.NewRecordBatch()
	return out
}

// offer swaps a prepared commit in, and follows it.
func (l *lab) offer(p attempt) {
	l.t.Helper()
	h, err := table.Swap(context.Background(), l.cfg, p.a)
	l.must(err)
	l.must(l.table.Advance(context.Background(), p.a, p.d, h))
	l.model = p.model
	l.shown[h.Snapshot] = p.model
}

func (l *lab) commit(changes ...change) {
	l.t.Helper()
	l.offer(l.prepare(changes...))
}

// refresh follows what others did to the table.
func (l *lab) refresh() {
	l.t.Helper()
	h := l.head()
	if h.Snapshot != l.table.Head().Snapshot {
		l.shown[h.Snapshot] = l.model
	}
	l.must(l.table.Refresh(context.Background(), h))
}

// tag has another program tag a snapshot.
func (l *lab) tag(name string, snapshot int64) {
	l.t.Helper()
	l.others(icetable.NewSetSnapshotRefUpdate(name, snapshot, icetable.TagRef, 0, 0, 0))
}

func (l *lab) others(updates ...icetable.Update) {
	l.t.Helper()
	_, _, err := l.cat.CommitTable(context.Background(), l.foreign.Table, nil, updates)
	l.must(err)
	l.refresh()
}

func (l *lab) act(what func(context.Context) error) {
	l.t.Helper()
	if err := what(context.Background()); err != nil && !errors.Is(err, tabletest.ErrNothingToDo) {
		l.t.Fatal(err)
	}
	l.refresh()
}

func (l *lab) meta() icetable.Metadata {
	l.t.Helper()
	t, err := l.cat.LoadTable(context.Background(), l.foreign.Table)
	l.must(err)
	return t.Metadata()
}

// expire has another program drop all snapshots without a ref.
func (l *lab) expire() {
	l.t.Helper()
	before := l.meta().Snapshots()
	l.act(l.foreign.Expire)
	for _, s := range before {
		if !l.head().Retains(s.SnapshotID) {
			l.expired = append(l.expired, s)
		}
	}
}

// bringBack has another program put a snapshot that was dropped on a branch of its own.
func (l *lab) bringBack(s icetable.Snapshot) {
	l.t.Helper()
	meta, none := l.meta(), int64(0)
	first := meta.NextRowID()
	s.ParentSnapshotID, s.SequenceNumber, s.TimestampMs, s.FirstRowID, s.AddedRows = nil, meta.LastSequenceNumber()+1, meta.LastUpdatedMillis()+1, &first, &none
	l.others(icetable.NewAddSnapshotUpdate(&s), icetable.NewSetSnapshotRefUpdate("again", s.SnapshotID, icetable.BranchRef, 0, 0, 0))
}

// collect lets an interval pass, and collects.
func (l *lab) collect() GarbageReport {
	l.t.Helper()
	r, err := l.tryCollect()
	l.must(err)
	return r
}

func (l *lab) tryCollect() (GarbageReport, error) {
	l.now = l.now.Add(testInterval)
	return l.c.Collect(context.Background(), []table.Name{l.name})
}

// outlast collects until every grace is over.
func (l *lab) outlast() (removed int) {
	l.t.Helper()
	for range testGrace/testInterval + 2 {
		removed += l.collect().Removed
	}
	return removed
}

// files gives what of a kind is in the store: files of our names below the table.
func (l *lab) files() map[string]bool {
	out := map[string]bool{}
	for _, path := range l.store.Names() {
		if _, ours := table.ParseFileName(base(path)); ours {
			out[path] = true
		}
	}
	return out
}

// check reads every retained snapshot that is known, whose rows must be what they were.
func (l *lab) check() {
	l.t.Helper()
	h := l.head()
	for snapshot, want := range l.shown {
		if !h.Retains(snapshot) {
			continue
		}
		got, err := l.rows(h, snapshot)
		if err != nil {
			l.t.Fatalf("snapshot %d: %v", snapshot, err)
		}
		if !maps.Equal(got, want) {
			l.t.Fatalf("snapshot %d: %v, want %v", snapshot, got, want)
		}
	}
}

func (l *lab) rows(h *table.Head, snapshot int64) (map[int64]string, error) {
	records, err := h.Scan(context.Background(), table.ScanOptions{Snapshot: snapshot})
	if err != nil {
		return nil, err
	}
	out := map[int64]string{}
	for rec, err := range records {
		if err != nil {
			return nil, err
		}
		for i := range int(rec.NumRows()) {
			out[rec.Column(0).(*array.Int64).Value(i)] = strings.Clone(rec.Column(1).(*array.String).Value(i))
		}
		rec.Release()
	}
	return out, nil
}

// unnamed gives the files of our names that no snapshot names.
func (l *lab) unnamed() (out []string) {
	l.t.Helper()
	reach, err := table.NewReacher(l.cfg).Reach(context.Background(), l.name)
	l.must(err)
	for path := range l.files() {
		if !reach.Names(base(path)) {
			out = append(out, path)
		}
	}
	return out
}
