package table

import (
	"context"
	"errors"
	"testing"

	"cdcd/capture"
	icetable "github.com/apache/iceberg-go/table"
)

// setBack sets main back to a snapshot, as a rewind does.
func (l *lab) setBack(snapshot int64) {
	l.t.Helper()
	l.epoch++
	m := l.mark()
	m.Timeline = 2
	a, err := PrepareReturn(context.Background(), l.cfg, l.load(), snapshot, m, nil)
	if err == nil {
		_, err = Swap(context.Background(), l.cfg, a)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// expireAll drops all snapshots without a ref.
func (l *lab) expireAll() {
	l.t.Helper()
	h := l.load()
	held, gone := map[int64]bool{}, []int64(nil)
	for _, ref := range h.meta.Refs() {
		held[ref.SnapshotID] = true
	}
	for _, s := range h.meta.Snapshots() {
		if !held[s.SnapshotID] {
			gone = append(gone, s.SnapshotID)
		}
	}
	l.foreign(icetable.NewRemoveSnapshotsUpdate(gone, false))
}

// TestReturn sets main back: the rows are the older snapshot's, which is the parent, and what is
// written then starts from there.
func TestReturn(t *testing.T) {
	l := openLab(t)
	l.write(changed(capture.OpInsert, "old")...)
	back := l.load().Snapshot
	l.write(changed(capture.OpDelete, "")...)
	l.write(row{id: 50, val: "new"})
	if err := l.table.Close(); err != nil {
		t.Fatal(err)
	}
	l.setBack(back)
	h := l.load()
	if s := h.meta.CurrentSnapshot(); *s.ParentSnapshotID != back || h.Mark.Timeline != 2 || !h.Marked() || !h.InHistory(back) {
		t.Errorf("%+v", h.Mark)
	}
	l.open()
	if l.table.Discarded == nil {
		t.Error("the index of a snapshot that main left was kept")
	}
	l.write(changed(capture.OpUpdate, "again")...)
	if got := l.read(); len(got) != 10 { // which also fails for a key that is there twice
		t.Errorf("%d rows, want 10", len(got))
	}
}

// TestIndexOfAnAbandonedHistory opens a table with an index of a history that main left, when
// nothing of that time is retained any more.
func TestIndexOfAnAbandonedHistory(t *testing.T) {
	l := openLab(t)
	l.write(changed(capture.OpInsert, "old")...)
	back := l.load().Snapshot
	l.write(changed(capture.OpDelete, "")...)
	if err := l.table.Close(); err != nil {
		t.Fatal(err)
	}
	l.setBack(back)
	l.expireAll()
	l.open()
	if l.table.Discarded == nil {
		t.Error("the index was kept")
	}
	l.write(changed(capture.OpUpdate, "again")...)
	if got := l.read(); len(got) != 10 {
		t.Errorf("%d rows, want 10", len(got))
	}
}

// TestCompareRows tells equal rows in other files and another order from rows that differ in one
// value, or in how often they are there.
func TestCompareRows(t *testing.T) {
	l := openLab(t)
	l.write(row{id: 1, val: "a"}, row{id: 2, val: "b"})
	first := l.load().Snapshot
	l.write(row{id: 2, op: capture.OpDelete}, row{id: 1, op: capture.OpDelete})
	empty := l.load().Snapshot
	l.write(row{id: 2, val: "b"})
	half := l.load().Snapshot
	l.write(row{id: 1, val: "a"})
	same := l.load().Snapshot
	l.write(row{id: 1, val: "A", op: capture.OpUpdate})
	h := l.load()
	for _, x := range []struct {
		other int64
		want  Comparison
	}{{same, Comparison{true, 2, 2}}, {empty, Comparison{false, 2, 0}}, {half, Comparison{false, 2, 1}}, {h.Snapshot, Comparison{false, 2, 2}}} {
		if got, err := h.CompareRows(context.Background(), first, x.other); err != nil || got != x.want {
			t.Errorf("%+v, %v, want %+v", got, err, x.want)
		}
	}
	if _, err := h.CompareRows(context.Background(), first, 1); !errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}
}
