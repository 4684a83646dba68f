package table

import (
	"context"
	"errors"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/memory"
	icetable "github.com/apache/iceberg-go/table"
)

// swap offers an attempt and moves the lab's table to what it made.
func (l *lab) swap(a *Attempt, d *Delta) *Head {
	l.t.Helper()
	h, err := Swap(context.Background(), l.cfg, a)
	if err != nil || !a.Landed(h) || a.Landed(a.Head) {
		l.t.Fatalf("it has not landed: %v", err)
	}
	if d == nil {
		return h
	}
	if err := l.table.Advance(context.Background(), a, d, h); err != nil {
		l.t.Fatal(err)
	}
	return h
}

// begin begins to load the table anew, and has the lab commit to the branch.
func (l *lab) begin(s Source) {
	l.t.Helper()
	l.epoch++
	mark := l.mark()
	mark.Load = Load{}
	a, err := PrepareAnew(context.Background(), l.cfg, l.load(), s, mark)
	if err != nil {
		l.t.Fatal(err)
	}
	h := l.swap(a, nil)
	if err := errors.Join(l.table.Abandon(), DropIndex(l.cfg, h)); err != nil {
		l.t.Fatal(err)
	}
	l.source = s
	l.openBranch(h)
}

func (l *lab) openBranch(h *Head) {
	l.t.Helper()
	var err error
	if l.table, err = Open(context.Background(), l.cfg, h); err != nil {
		l.t.Fatal(err)
	}
}

// publish makes main what was loaded.
func (l *lab) publish() {
	l.t.Helper()
	d, err := l.table.Publish()
	if err != nil {
		l.t.Fatal(err)
	}
	a, err := l.table.Prepare(context.Background(), d, l.table.Head().Mark)
	if err != nil {
		l.t.Fatal(err)
	}
	l.swap(a, d)
}

// fieldIDs gives the field ids of main, by the columns' names.
func (l *lab) fieldIDs() map[string]int {
	out := map[string]int{}
	for _, f := range l.load().Columns() {
		out[f.Name] = f.ID
	}
	return out
}

// TestLoadAnew loads a table anew in another shape, given up once in between: readers see the old
// rows until it is published, and columns keep their field ids where the types allow.
func TestLoadAnew(t *testing.T) {
	for _, version := range []int{2, 3} {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		dir := fastDir(t)
		defer os.RemoveAll(dir)
		l := newLabOf(t, dir, intKeyed(), Storage{}, mem, version)
		l.put(capture.OpInsert, []any{1, "a", "1.50", nil}, []any{2, "b", nil, nil})
		l.put(capture.OpUpdate, []any{2, "B", nil, nil})
		old, ids := l.texts(), l.fieldIDs()
		next := intKeyed()
		next.Table.Columns = slices.Clone(next.Table.Columns)
		next.Table.Columns[0].Type = capture.TypeBigInt // wider
		next.Table.Columns[1].Nullable = false
		next.Table.Columns[2].Scale = 3 // another type
		next.Table.Key = []int{0, 1}    // val becomes required
		given := intKeyed()             // up: two columns that never show
		given.Table.Columns = append(given.Table.Columns, capture.Column{Name: "x", Type: capture.TypeInt}, capture.Column{Name: "y", Type: capture.TypeInt})
		l.begin(given)
		l.put(capture.OpLoad, []any{7, "never", nil, 1, 1, nil})
		l.begin(next)
		l.put(capture.OpLoad, []any{1, "a", "1.501", nil}, []any{1, "b", "2", nil}, []any{3, "c", nil, nil})
		wantTexts(t, l, old...)
		l.open() // a restart, of main
		if h := l.load(); !h.Anew() || h.OnBranch() {
			t.Fatal("main does not tell of the load")
		}
		b, err := l.load().Branch(l.cfg)
		if err != nil || !b.OnBranch() || !b.Source.SameTable(next) {
			t.Fatalf("%+v, %v", b, err)
		}
		if err := l.table.Abandon(); err != nil {
			t.Fatal(err)
		}
		l.openBranch(b)
		l.put(capture.OpUpdate, []any{3, "c", "9", nil})
		l.put(capture.OpDelete, []any{1, "b", nil, nil})
		wantTexts(t, l, old...)
		reach := l.mustReach(NewReacher(l.cfg))
		for file := range l.table.content.files {
			if !reach.Names(path.Base(file)) {
				t.Errorf("%s is garbage to the collector", file)
			}
		}
		l.publish()
		wantTexts(t, l, "1 a 1.501 (null)", "3 c 9 (null)")
		now := l.fieldIDs()
		if now["id"] != ids["id"] || now["val"] == ids["val"] || now["price"] == ids["price"] || now[capture.CommitTimeColumn] != ids[capture.CommitTimeColumn] {
			t.Errorf("field ids: %v, before %v", now, ids)
		}
		if h := l.load(); h.Anew() || h.OnBranch() || !h.Source.SameTable(next) || h.meta.Properties()[keyLoadSource] != "" {
			t.Errorf("the branch is left: %+v", h)
		}
		l.put(capture.OpUpdate, []any{1, "a", "5", nil})
		l.open()
		l.put(capture.OpInsert, []any{4, "d", nil, nil})
		wantTexts(t, l, "1 a 5 (null)", "3 c 9 (null)", "4 d (null) (null)")
		mem.AssertSize(t, 0)
	}
}

// TestLoadAnewIsPinned has what is late, and what others do, not be written over.
func TestLoadAnewIsPinned(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, intKeyed(), memory.DefaultAllocator)
	l.put(capture.OpInsert, []any{1, "a", nil, nil})
	l.epoch++
	mark := l.mark()
	mark.Load = Load{}
	late, err := PrepareAnew(context.Background(), l.cfg, l.load(), intKeyed(), mark)
	if err != nil {
		t.Fatal(err)
	}
	l.begin(intKeyed())
	if _, err := Swap(context.Background(), l.cfg, late); err == nil {
		t.Error("it is begun twice")
	}
	l.put(capture.OpLoad, []any{1, "b", nil, nil})
	d, err := l.table.Publish()
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.table.Prepare(context.Background(), d, l.table.Head().Mark)
	if err != nil {
		t.Fatal(err)
	}
	l.foreignSnapshot(icetable.OpAppend)
	if _, err := Swap(context.Background(), l.cfg, a); err == nil {
		t.Error("rows of others are written over")
	}
	if _, err := LoadAs(context.Background(), l.cfg, a.Head); !errors.Is(err, ErrForeignRows) {
		t.Errorf("the branch does not tell of rows of others: %v", err)
	}
}

// TestLoadAnewRefuses tells what a table cannot become.
func TestLoadAnewRefuses(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	source := intKeyed()
	l := newStoredLab(t, dir, source, Storage{Partition: []PartitionField{{Column: "val", Transform: "identity"}}}, memory.DefaultAllocator)
	l.put(capture.OpInsert, []any{1, "a", nil, nil})
	source.Table.Columns = source.Table.Columns[:1]
	if _, err := PrepareAnew(context.Background(), l.cfg, l.load(), source, l.mark()); err == nil || !strings.Contains(err.Error(), "divided by") {
		t.Errorf("without the column that files are divided by: %v", err)
	}
	if _, err := l.table.Publish(); err == nil {
		t.Error("published without a load")
	}
}

// TestRewindEndsLoads has a table go to another timeline while it is loaded anew: back to before, or to
// what main is, or nowhere, and then it leaves.
func TestRewindEndsLoads(t *testing.T) {
	for _, to := range []string{"before", "main", "nowhere"} {
		dir := fastDir(t)
		defer os.RemoveAll(dir)
		l := newLab(t, dir, intKeyed(), memory.DefaultAllocator)
		l.put(capture.OpInsert, []any{1, "a", nil, nil})
		before := l.load().Snapshot
		l.put(capture.OpInsert, []any{2, "b", nil, nil})
		l.begin(intKeyed())
		m, h := l.mark(), l.load()
		m.Timeline = 2
		a, err := PrepareMark(context.Background(), l.cfg, h, m)
		if to == "main" {
			before = h.Snapshot
		}
		back := to != "nowhere"
		if back {
			a, err = PrepareReturn(context.Background(), l.cfg, h, before, m, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		h = l.swap(a, nil)
		if h.Anew() || back != (h.Quarantine == nil) || !back && h.Quarantine.Kind != Interrupted {
			t.Errorf("to %s: anew %v, %+v", to, h.Anew(), h.Quarantine)
		}
	}
}

// TestLeave reads a quarantine back, and that a rewind to before ends it.
func TestLeave(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, intKeyed(), memory.DefaultAllocator)
	l.put(capture.OpInsert, []any{1, "a", nil, nil})
	before := l.load().Snapshot
	d := l.table.Build(1, l.epoch).Delta()
	d.Leave(Quarantine{Kind: Unsupported, Reason: "why", GTID: "x:1"})
	if d.Empty() {
		t.Error("it changes nothing")
	}
	l.epoch++
	a, err := l.table.Prepare(context.Background(), d, l.mark())
	if err != nil {
		t.Fatal(err)
	}
	h := l.swap(a, d)
	if q := h.Quarantine; q == nil || *q != (Quarantine{Kind: Unsupported, Reason: "why", GTID: "x:1"}) {
		t.Fatalf("%+v", q)
	}
	i, err := Inspect(context.Background(), l.cfg, testName())
	if err != nil || i.Quarantine == nil {
		t.Errorf("%+v, %v", i, err)
	}
	m := l.mark()
	m.Timeline = 2
	if a, err = PrepareReturn(context.Background(), l.cfg, h, before, m, nil); err != nil {
		t.Fatal(err)
	}
	if h := l.swap(a, nil); h.Quarantine != nil {
		t.Errorf("behind a rewind: %+v", h.Quarantine)
	}
	damage := icetable.NewSetPropertiesUpdate(map[string]string{keyQuarantine: "{"})
	if _, _, err := l.cat.CommitTable(context.Background(), testName().identifier(), nil, []icetable.Update{damage}); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadHead(context.Background(), l.cfg, testName()); !errors.Is(err, ErrCorrupt) {
		t.Errorf("what cannot be read: %v", err)
	}
}
