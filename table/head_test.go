package table

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

func openLab(t *testing.T) *lab {
	t.Helper()
	dir := fastDir(t)
	l := newLab(t, dir, testSource(false), memory.DefaultAllocator)
	t.Cleanup(func() {
		_ = l.cat.Close()
		_ = os.RemoveAll(dir)
	})
	return l
}

func (l *lab) write(rows ...row) {
	l.t.Helper()
	b := l.batch(memory.DefaultAllocator, rows)
	defer b.Release()
	l.commit([]*capture.Batch{b})
}

// foreign commits updates as another writer would.
func (l *lab) foreign(updates ...icetable.Update) {
	l.t.Helper()
	if _, _, err := l.cat.CommitTable(context.Background(), testName().identifier(), nil, updates); err != nil {
		l.t.Fatal(err)
	}
}

// foreignSnapshot adds a snapshot with the parent's files to main.
func (l *lab) foreignSnapshot(op icetable.Operation) {
	l.t.Helper()
	h := l.load()
	parent := h.meta.CurrentSnapshot()
	schema, first, rows := h.Schema, h.NextRow, int64(0)
	id := newSnapshotID()
	l.foreign(icetable.NewAddSnapshotUpdate(&icetable.Snapshot{
		SnapshotID: id, ParentSnapshotID: &parent.SnapshotID, SequenceNumber: h.Sequence + 1, TimestampMs: time.Now().UnixMilli(),
		ManifestList: parent.ManifestList, SchemaID: &schema, FirstRowID: &first, AddedRows: &rows,
		Summary: &icetable.Summary{Operation: op, Properties: iceberg.Properties{}},
	}), icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, id, icetable.BranchRef, 0, 0, 0))
}

func (l *lab) loadError() error {
	l.t.Helper()
	_, err := LoadHead(context.Background(), l.cfg, testName())
	return err
}

func TestMarkIsReadBack(t *testing.T) {
	l := openLab(t)
	l.write(row{id: 1, val: "a"})
	h := l.load()
	want := l.mark()
	if !h.Mark.Position.Equal(want.Position) || h.Mark.Epoch != want.Epoch || h.Mark.Fence != 1 || h.Mark.Timeline != 1 || !h.Mark.Committed.Equal(want.Committed) || !h.Mark.Load.Complete {
		t.Errorf("got %+v, want %+v", h.Mark, want)
	}
}

func TestForeignSnapshots(t *testing.T) {
	t.Run("rewrite", func(t *testing.T) {
		l := openLab(t)
		l.write(row{id: 1, val: "a"})
		before := l.load().Mark
		l.foreignSnapshot(icetable.OpReplace)
		h := l.load()
		if !h.Mark.Position.Equal(before.Position) {
			t.Errorf("position %s, want %s", h.Mark.Position, before.Position)
		}
		if err := l.table.Refresh(context.Background(), h); err != nil {
			t.Fatal(err)
		}
		l.write(row{id: 2, val: "b"})
		if got := l.read(); len(got) != 2 {
			t.Errorf("%d rows", len(got))
		}
	})
	for _, op := range []icetable.Operation{icetable.OpAppend, icetable.OpOverwrite, icetable.OpDelete} {
		t.Run(string(op), func(t *testing.T) {
			l := openLab(t)
			l.write(row{id: 1, val: "a"})
			l.foreignSnapshot(op)
			if err := l.loadError(); !errors.Is(err, ErrForeignRows) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRollbackIsFound(t *testing.T) {
	l := openLab(t)
	l.write(row{id: 1, val: "a"})
	back := l.load().Snapshot
	l.write(row{id: 2, val: "b"})
	l.foreign(icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, back, icetable.BranchRef, 0, 0, 0))
	if err := l.loadError(); !errors.Is(err, ErrRolledBack) {
		t.Errorf("got %v", err)
	}
}

func TestLostTagIsFound(t *testing.T) {
	l := openLab(t)
	l.write(row{id: 1, val: "a"})
	l.foreign(icetable.NewRemoveSnapshotRefUpdate(refPosition))
	if err := l.loadError(); !errors.Is(err, ErrRolledBack) {
		t.Errorf("got %v", err)
	}
}

func TestOtherOwners(t *testing.T) {
	l := openLab(t)
	other := l.cfg
	other.Pipeline = "other"
	if _, err := LoadHead(context.Background(), other, testName()); !errors.Is(err, ErrOtherPipeline) || !strings.Contains(err.Error(), `"p"`) {
		t.Errorf("another pipeline's table: %v", err)
	}
	l.foreign(icetable.NewRemovePropertiesUpdate([]string{keyPipeline}))
	if err := l.loadError(); !errors.Is(err, ErrNotOurs) {
		t.Errorf("nobody's table: %v", err)
	}
	if h, err := LoadHead(context.Background(), l.cfg, Name{"shop", "none"}); h != nil || err != nil {
		t.Errorf("no table: %v, %v", h, err)
	}
	if h, err := LoadHead(context.Background(), l.cfg, Name{"none", "none"}); h != nil || err != nil {
		t.Errorf("no namespace: %v, %v", h, err)
	}
}

// TestSwapIsPinned checks that a prepared attempt fails once anything it was built on has
// changed, and that nothing is written then.
func TestSwapIsPinned(t *testing.T) {
	changes := map[string]func(l *lab){
		"main moved":  func(l *lab) { l.foreignSnapshot(icetable.OpReplace) },
		"fence moved": func(l *lab) { l.fence(l.load(), 2) },
		"schema changed": func(l *lab) {
			s := l.load().meta.CurrentSchema()
			fields := append(s.Fields(), iceberg.NestedField{ID: 50, Name: "foreign", Type: iceberg.PrimitiveTypes.Int32})
			l.foreign(icetable.NewAddSchemaUpdate(iceberg.NewSchemaWithIdentifiers(1, s.IdentifierFieldIDs, fields...)), icetable.NewSetCurrentSchemaUpdate(-1))
		},
		"own commit": func(l *lab) { l.write(row{id: 9, val: "z"}) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			l := openLab(t)
			l.write(row{id: 1, val: "a"})
			b := l.batch(memory.DefaultAllocator, []row{{id: 2, val: "b"}})
			defer b.Release()
			build := l.table.Build(1, 99)
			if err := build.Add(context.Background(), []*capture.Batch{b}); err != nil {
				t.Fatal(err)
			}
			a, err := l.table.Prepare(context.Background(), build.Delta(), l.mark())
			if err != nil {
				t.Fatal(err)
			}
			change(l)
			before := l.load().location
			if _, err := Swap(context.Background(), l.cfg, a); err == nil {
				t.Fatal("the swap was accepted")
			}
			h := l.load()
			if h.location != before || a.Landed(h) {
				t.Error("the refused swap changed the table")
			}
		})
	}
}

// TestFenceBesideCommits takes a table over while its owner goes on committing: the fence must
// not set the table's sequence number back behind them.
func TestFenceBesideCommits(t *testing.T) {
	l := openLab(t)
	l.write(row{id: 1, val: "a"})
	a, err := PrepareFence(context.Background(), l.cfg, l.load(), 2)
	if err != nil {
		t.Fatal(err)
	}
	l.commit()
	l.commit() // no rows: the next row id stays
	before := l.load()
	if h, err := Swap(context.Background(), l.cfg, a); err == nil && h.Sequence <= before.Sequence {
		t.Errorf("sequence number %d after %d", h.Sequence, before.Sequence)
	}
	if err := l.loadError(); err != nil {
		t.Errorf("the table cannot be read any more: %v", err)
	}
}

// TestStaleDelta checks that a Delta cannot be used on another snapshot than its own.
func TestStaleDelta(t *testing.T) {
	l := openLab(t)
	l.write(row{id: 1, val: "a"})
	b := l.batch(memory.DefaultAllocator, []row{{id: 1, val: "b", op: capture.OpUpdate}})
	defer b.Release()
	build := l.table.Build(1, 99)
	if err := build.Add(context.Background(), []*capture.Batch{b}); err != nil {
		t.Fatal(err)
	}
	l.write(row{id: 3, val: "c"})
	if _, err := l.table.Prepare(context.Background(), build.Delta(), l.mark()); !errors.Is(err, ErrMoved) {
		t.Errorf("got %v", err)
	}
}

func TestIcebergSchemaRefuses(t *testing.T) {
	column := capture.Column{Name: "x", Type: capture.TypeInt, Nullable: true}
	for name, extra := range map[string][]capture.Column{
		"reserved":     {{Name: "_row_id", Type: capture.TypeInt}},
		"case":         {column, {Name: "X", Type: capture.TypeInt}},
		"bad charset":  {{Name: "y", Type: capture.TypeVarchar, Charset: "utf7"}},
		"unknown type": {{Name: "y", Type: "no such type"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSource(false)
			s.Table.Columns = append(s.Table.Columns, extra...)
			if _, err := icebergSchema(s); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// TestEachRequirementHolds makes changes of which each breaks one requirement alone: none
// of them may stand in for another, for catalogs differ in what else they check.
func TestEachRequirementHolds(t *testing.T) {
	l := openLab(t)
	l.write(row{id: 1, val: "a"})
	first := l.load().Snapshot
	l.write(row{id: 2, val: "b"})
	for _, x := range []struct {
		name   string
		change func()
	}{
		{icetable.MainBranch, func() { l.foreignSnapshot(icetable.OpReplace) }},
		{refFence, func() { l.fence(l.load(), l.load().Fence+1) }},
		{refPosition, func() { // the last one: the table cannot be loaded after it
			l.foreign(icetable.NewSetSnapshotRefUpdate(refPosition, first, icetable.TagRef, forever, 0, 0))
		}},
	} {
		before := l.load()
		x.change()
		tbl, err := l.cat.LoadTable(context.Background(), before.Name.identifier())
		if err != nil {
			t.Fatal(err)
		}
		broken := 0
		for _, r := range requirements(before) {
			if err := r.Validate(tbl.Metadata()); err != nil {
				broken++
				if !strings.Contains(err.Error(), x.name) {
					t.Errorf("%s: %v", x.name, err)
				}
			}
		}
		if broken != 1 {
			t.Errorf("%s: %d requirements are broken, want that one", x.name, broken)
		}
	}
}
