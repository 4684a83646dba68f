package compaction

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
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

// truth is what a table has to have, by key.
type truth map[int64]*row

// row is a row as it should be. It is in every truth from the commit on that wrote it.
type row struct {
	val     string
	id      int64 // negative: not seen yet
	written int64 // the sequence number of the commit; 0: not landed yet
}

// lab is a table in memory, with its committer, other programs and a collector.
type lab struct {
	t        fatal
	dir      string
	cat      *tabletest.Memory
	store    *tabletest.Store
	cfg      table.Config
	name     table.Name
	table    *table.Table
	foreign  tabletest.Foreign
	reader   *tabletest.Snapshots
	fence    int64
	epoch    int64
	now      time.Time
	flying   []string
	c        *Collector
	timeline int64
	grace    time.Duration
	// model is what the table has, shown what each snapshot showed when it was made.
	model truth
	shown map[int64]truth
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
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), timeline: 1, grace: testGrace,
		model: truth{}, shown: map[int64]truth{},
	}
	l.cat.Files, l.reader = l.store, tabletest.NewSnapshots(l.store)
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
		Tables: l.cfg, Dir: filepath.Join(l.dir, "garbage"), Fence: fence, Grace: l.grace, Interval: testInterval,
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
	model truth
}

// prepare uploads all of a commit.
func (l *lab) prepare(changes ...change) attempt {
	l.t.Helper()
	ctx := context.Background()
	l.epoch++
	d, model := l.build(changes)
	a, err := l.table.Prepare(ctx, d, l.mark())
	l.must(err)
	return attempt{a, d, model}
}

// build makes the Delta of an epoch.
func (l *lab) build(changes []change) (*table.Delta, truth) {
	l.t.Helper()
	build := l.table.Build(l.fence, l.epoch)
	model := maps.Clone(l.model)
	if len(changes) > 0 {
		b := l.batch(changes, model)
		defer b.Release()
		l.must(build.Add(context.Background(), []*capture.Batch{b}))
	}
	return build.Delta(), model
}

// mark is the Mark of the present epoch.
func (l *lab) mark() table.Mark {
	l.t.Helper()
	at, err := capture.ParsePosition(capture.MySQL, fmt.Sprintf("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-%d", l.epoch))
	l.must(err)
	return table.Mark{Pipeline: "p", Timeline: l.timeline, Fence: l.fence, Epoch: l.epoch, Position: at, Load: table.Load{Complete: true}}
}

// batch makes changes, and makes them in the model. A key that was there keeps its row id.
func (l *lab) batch(changes []change, model truth) *capture.Batch {
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
			id := int64(-1)
			if was := l.model[c.id]; was != nil {
				id = was.id
			}
			model[c.id] = &row{val: c.val, id: id}
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
	l.landed(h, p.model)
	l.must(l.table.Advance(context.Background(), p.a, p.d, h))
}

// landed notes what the table has from a commit on.
func (l *lab) landed(h *table.Head, model truth) {
	for _, r := range model {
		if r.written == 0 {
			r.written = h.Sequence
		}
	}
	l.model, l.shown[h.Snapshot] = model, model
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
	for range l.grace/testInterval + 2 {
		removed += l.collect().Removed
	}
	return removed
}
