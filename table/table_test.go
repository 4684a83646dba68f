package table

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// fatal is what tests and property checks have in common.
type fatal interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Helper()
}

// lab is a warehouse with one table.
type lab struct {
	t      fatal
	dir    string
	cat    *Embedded
	cfg    Config
	source Source
	table  *Table
	epoch  int64
	// upgraded is the sequence number with which rows got ids; 0: they had them from the start.
	upgraded int64
}

// fastDir makes a directory in memory where the machine has such: the tests sync a lot.
func fastDir(t fatal) string {
	t.Helper()
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "cdcd-table-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func testSource(textKey bool) Source {
	key := capture.Column{Name: "id", Type: capture.TypeBigInt}
	if textKey {
		key = capture.Column{Name: "id", Type: capture.TypeVarchar, Size: 40, Charset: "utf8mb4"}
	}
	return Source{Table: capture.Table{
		Name: capture.Name{Schema: "shop", Table: "orders"}, Key: []int{0},
		Columns: []capture.Column{
			key,
			{Name: "val", Type: capture.TypeVarchar, Size: 400, Charset: "utf8mb4", Nullable: true},
			{Name: "price", Type: capture.TypeDecimal, Precision: 12, Scale: 2, Nullable: true},
		},
	}}
}

func testName() Name { return Name{"shop", "orders"} }

func newLab(t fatal, dir string, source Source, mem memory.Allocator) *lab {
	t.Helper()
	return newLabOf(t, dir, source, Storage{}, mem, 0)
}

// newStoredLab makes a lab whose table is kept in files as storage says.
func newStoredLab(t fatal, dir string, source Source, storage Storage, mem memory.Allocator) *lab {
	t.Helper()
	return newLabOf(t, dir, source, storage, mem, 0)
}

// newLabOf is newStoredLab for a table of some format version.
func newLabOf(t fatal, dir string, source Source, storage Storage, mem memory.Allocator, version int) *lab {
	t.Helper()
	cat, err := OpenEmbedded("file://"+filepath.Join(dir, "warehouse"), true)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, dir: dir, cat: cat, source: source, cfg: Config{
		Catalog: cat, Pipeline: "p", IndexDir: filepath.Join(dir, "index"), Intents: "file://" + filepath.Join(dir, "intent"), Memory: mem, Now: time.Now,
		FormatVersion: version,
	}}
	h, err := Create(context.Background(), l.cfg, testName(), source, storage, cat.Location(testName()))
	if err != nil {
		t.Fatal(err)
	}
	l.fence(h, 1)
	l.open()
	l.commit(nil)
	return l
}

func (l *lab) load() *Head {
	l.t.Helper()
	h, err := LoadHead(context.Background(), l.cfg, testName())
	if err != nil {
		l.t.Fatal(err)
	}
	return h
}

func (l *lab) fence(h *Head, number int64) {
	l.t.Helper()
	a, err := PrepareFence(context.Background(), l.cfg, h, number)
	if err != nil {
		l.t.Fatal(err)
	}
	if h, err = Swap(context.Background(), l.cfg, a); err != nil || h.Fence != number {
		l.t.Fatal(err)
	}
}

func (l *lab) open() {
	l.t.Helper()
	var err error
	if l.table, err = Open(context.Background(), l.cfg, l.load()); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) mark() Mark {
	p, err := capture.ParsePosition(capture.MySQL, fmt.Sprintf("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-%d", l.epoch+1))
	if err != nil {
		l.t.Fatal(err)
	}
	return Mark{Pipeline: "p", Timeline: 1, Fence: 1, Epoch: l.epoch, Position: p, Committed: time.UnixMicro(1), Load: Load{Complete: true}}
}

// commit commits parts of an epoch in one snapshot.
func (l *lab) commit(parts ...[]*capture.Batch) *Delta {
	l.t.Helper()
	ctx := context.Background()
	l.epoch++
	b := l.table.Build(1, l.epoch)
	for _, p := range parts {
		if err := b.Add(ctx, p); err != nil {
			l.t.Fatal(err)
		}
	}
	d := b.Delta()
	a, err := l.table.Prepare(ctx, d, l.mark())
	if err != nil {
		l.t.Fatal(err)
	}
	h, err := Swap(ctx, l.cfg, a)
	if err != nil {
		l.t.Fatal(err)
	}
	if !a.Landed(h) {
		l.t.Fatalf("snapshot %d is not in the history after a swap without error", a.Snapshot)
	}
	if err := l.table.Advance(ctx, a, d, h); err != nil {
		l.t.Fatal(err)
	}
	return d
}

// row is one change: a nil value deletes.
type row struct {
	id  int
	val string
	op  capture.Op
}

func (l *lab) batch(mem memory.Allocator, rows []row) *capture.Batch {
	l.t.Helper()
	schema, err := capture.ArrowSchema(&l.source.Table, capture.TypeOptions{}, false)
	if err != nil {
		l.t.Fatal(err)
	}
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	ops := make([]capture.Op, 0, len(rows))
	for _, r := range rows {
		switch f := b.Field(0).(type) {
		case *array.Int64Builder:
			f.Append(int64(r.id))
		case *array.StringBuilder:
			f.Append(fmt.Sprintf("key-%04d", r.id))
		}
		b.Field(1).(*array.StringBuilder).Append(r.val)
		if r.id%7 == 0 {
			b.Field(2).AppendNull()
		} else if err := b.Field(2).AppendValueFromString(fmt.Sprintf("%d.50", r.id)); err != nil {
			l.t.Fatal(err)
		}
		ops = append(ops, r.op)
	}
	return &capture.Batch{Table: &l.source.Table, Record: b.NewRecordBatch(), Ops: ops}
}

// stored is a row as read back.
type stored struct {
	val     string
	rowID   int64
	updated int64
}

// read scans the table with lineage. Duplicate keys fail the test.
func (l *lab) read() map[string]stored {
	l.t.Helper()
	h := l.load()
	lineage := h.Version >= versionVectors
	records, err := h.Scan(context.Background(), ScanOptions{Lineage: lineage})
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[string]stored{}
	for rec, err := range records {
		if err != nil {
			l.t.Fatal(err)
		}
		var ids, updated *array.Int64
		if lineage {
			ids, updated = rec.Column(int(rec.NumCols())-2).(*array.Int64), rec.Column(int(rec.NumCols())-1).(*array.Int64)
		}
		for i := range int(rec.NumRows()) {
			key := rec.Column(0).ValueStr(i)
			if _, twice := out[key]; twice {
				l.t.Fatalf("key %s is live twice", key)
			}
			out[key] = stored{val: rec.Column(1).ValueStr(i)}
			if lineage {
				out[key] = stored{rec.Column(1).ValueStr(i), ids.Value(i), updated.Value(i)}
			}
		}
		rec.Release()
	}
	return out
}

func (l *lab) keyText(id int) string {
	if l.source.Table.Columns[0].Type == capture.TypeVarchar {
		return fmt.Sprintf("key-%04d", id)
	}
	return fmt.Sprint(id)
}

// modelRow is a row of the model: what it holds, which id it got, and which commit wrote
// it last.
type modelRow struct {
	val    string
	rowID  int64 // -1: not seen yet
	commit int64
}

// TestTableAgainstModel runs random epochs of random changes, in parts, with clean closes,
// crashes and lost indexes in between, and compares the rows, their ids and their ages.
func TestTableAgainstModel(t *testing.T) {
	for _, textKey := range []bool{false, true} {
		t.Run(fmt.Sprintf("text key %v", textKey), rapid.MakeCheck(func(t *rapid.T) {
			dir := fastDir(t)
			defer os.RemoveAll(dir)
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			l := newLab(t, dir, testSource(textKey), mem)
			defer l.cat.Close()
			model := map[int]*modelRow{}
			for range rapid.IntRange(1, 8).Draw(t, "steps") {
				l.step(t, mem, model)
			}
			mem.AssertSize(t, 0)
			if err := l.table.Abandon(); err != nil {
				t.Fatal(err)
			}
		}))
	}
}

// restart ends the table in one of the ways in which a process may end, and opens it again.
func (l *lab) restart(t *rapid.T) {
	var err error
	switch rapid.IntRange(0, 2).Draw(t, "end") {
	case 0:
		err = l.table.Close()
	case 1: // a crash
		err = l.table.Abandon()
	default: // which took the index with it
		err = errors.Join(l.table.Abandon(), os.RemoveAll(l.cfg.IndexDir))
	}
	if err != nil {
		t.Fatal(err)
	}
	l.open()
}

// step does one thing to the table and the model.
func (l *lab) step(t *rapid.T, mem memory.Allocator, model map[int]*modelRow) {
	switch rapid.IntRange(0, 7).Draw(t, "action") {
	case 0, 1, 2:
		l.restart(t)
	default:
		l.epochAgainst(t, mem, model)
	}
	l.compare(t, model)
}

func (l *lab) epochAgainst(t *rapid.T, mem memory.Allocator, model map[int]*modelRow) {
	var parts [][]*capture.Batch
	var all []*capture.Batch
	before := map[int]bool{}
	for id := range model {
		before[id] = true
	}
	for range rapid.IntRange(1, 3).Draw(t, "parts") {
		rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) row {
			return row{id: rapid.IntRange(0, 30).Draw(t, "id"), val: rapid.StringN(0, 6, 12).Draw(t, "val"), op: capture.Op(rapid.IntRange(0, 3).Draw(t, "op"))}
		}), 1, 25).Draw(t, "rows")
		for _, r := range rows {
			if r.op == capture.OpDelete {
				delete(model, r.id)
				continue
			}
			old := model[r.id]
			if old == nil || !before[r.id] || !l.table.head.Lineage() {
				old = &modelRow{rowID: -1}
			}
			model[r.id] = &modelRow{val: r.val, rowID: old.rowID}
		}
		b := l.batch(mem, rows)
		parts, all = append(parts, []*capture.Batch{b}), append(all, b)
	}
	for _, m := range model {
		if m.commit == 0 {
			m.commit = -1 // written by this epoch
		}
	}
	l.commit(parts...)
	for _, b := range all {
		b.Release()
	}
	for _, m := range model {
		if m.commit < 0 {
			m.commit = l.table.Head().Sequence
		}
	}
}

func (l *lab) compare(t *rapid.T, model map[int]*modelRow) {
	got := l.read()
	if len(got) != len(model) {
		t.Fatalf("%d rows, want %d", len(got), len(model))
	}
	seen := map[int64]bool{}
	for id, want := range model {
		g, ok := got[l.keyText(id)]
		if !ok || g.val != want.val {
			t.Fatalf("row %d: %q (there: %v), want %q", id, g.val, ok, want.val)
		}
		if l.table.Head().Version < versionVectors {
			continue
		}
		if want.rowID >= 0 && g.rowID != want.rowID {
			t.Fatalf("row %d has id %d, had %d", id, g.rowID, want.rowID)
		}
		if g.updated != want.commit && want.commit > l.upgraded {
			t.Fatalf("row %d was last updated in %d, want %d", id, g.updated, want.commit)
		}
		if seen[g.rowID] {
			t.Fatalf("row id %d twice", g.rowID)
		}
		seen[g.rowID], want.rowID = true, g.rowID
	}
	s := l.table.Stats()
	if live := s.Rows - s.DeletedRows; live != int64(len(model)) {
		t.Fatalf("manifests count %d live rows, want %d", live, len(model))
	}
	if total, deleted := l.load().Rows(); total != s.Rows || deleted != s.DeletedRows {
		t.Fatalf("summary counts %d rows and %d deleted, manifests %d and %d", total, deleted, s.Rows, s.DeletedRows)
	}
}
