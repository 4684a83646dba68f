package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"cdcd/capture"
	"cdcd/capture/statement"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	icetable "github.com/apache/iceberg-go/table"
)

// alter commits a change of the lab's table.
func (l *lab) alter(c *capture.Change) *Attempt {
	l.t.Helper()
	d, err := l.table.Evolve(c)
	if err != nil {
		l.t.Fatal(err)
	}
	l.epoch++
	a, err := l.table.Prepare(context.Background(), d, l.mark())
	if err != nil {
		l.t.Fatal(err)
	}
	h, err := Swap(context.Background(), l.cfg, a)
	if err != nil {
		l.t.Fatal(err)
	}
	if !a.Reshapes() || !a.Landed(h) || a.Landed(a.Head) {
		l.t.Fatal("the attempt does not know that it has landed")
	}
	if err := l.table.Advance(context.Background(), a, d, h); err != nil {
		l.t.Fatal(err)
	}
	l.source = h.Source
	return a
}

// changeOf makes a Change of columns: from names the old ones, or is "" for a new one.
func changeOf(old capture.Table, columns []capture.Column, from []string, initial map[int]any) *capture.Change {
	t := capture.Table{Name: old.Name, KeyName: statement.Primary, Columns: columns}
	c := &capture.Change{GTID: "x:1", Table: &t}
	for i, name := range from {
		at := slices.IndexFunc(old.Columns, func(c capture.Column) bool { return c.Name == name })
		c.From = append(c.From, at)
		if slices.Contains(old.Key, at) {
			t.Key = append(t.Key, i)
		}
		var value []any
		if v, ok := initial[i]; ok {
			value = []any{v}
		}
		c.Initial = append(c.Initial, nil)
		for _, v := range value {
			switch v := v.(type) {
			case string:
				b := array.NewStringBuilder(memory.DefaultAllocator)
				b.Append(v)
				c.Initial[i] = b.NewArray()
			case int64:
				b := array.NewInt64Builder(memory.DefaultAllocator)
				b.Append(v)
				c.Initial[i] = b.NewArray()
			case float64:
				b := array.NewFloat64Builder(memory.DefaultAllocator)
				b.Append(v)
				c.Initial[i] = b.NewArray()
			}
		}
	}
	return c
}

// batchOf makes a batch of rows in the shape that the lab's table has now; nil is NULL.
func (l *lab) batchOf(op capture.Op, rows ...[]any) []*capture.Batch {
	l.t.Helper()
	schema, err := capture.ArrowSchema(&l.source.Table, l.source.Options, l.source.CommitTime)
	if err != nil {
		l.t.Fatal(err)
	}
	b := array.NewRecordBuilder(l.cfg.Memory, schema)
	defer b.Release()
	var ops []capture.Op
	for _, row := range rows {
		for i, v := range row {
			if v == nil {
				b.Field(i).AppendNull()
			} else if err := b.Field(i).AppendValueFromString(fmt.Sprint(v)); err != nil {
				l.t.Fatal(err)
			}
		}
		ops = append(ops, op)
	}
	return []*capture.Batch{{Table: &l.source.Table, Record: b.NewRecordBatch(), Ops: ops}}
}

func (l *lab) put(op capture.Op, rows ...[]any) {
	l.t.Helper()
	batches := l.batchOf(op, rows...)
	defer batches[0].Release()
	l.commit(batches)
}

// texts reads the table through the library, a line a row, by its key.
func (l *lab) texts() []string {
	l.t.Helper()
	records, err := l.load().Scan(context.Background(), ScanOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	var out []string
	for rec, err := range records {
		if err != nil {
			l.t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			var row []string
			for _, c := range rec.Columns() {
				row = append(row, c.ValueStr(i))
			}
			out = append(out, strings.Join(row, " "))
		}
		rec.Release()
	}
	slices.Sort(out)
	return out
}

func wantTexts(t *testing.T, l *lab, want ...string) {
	t.Helper()
	if got := l.texts(); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func intKeyed() Source {
	s := testSource(false)
	s.Table.Columns[0].Type, s.Table.KeyName = capture.TypeInt, statement.Primary
	s.CommitTime = true
	return s
}

// TestEvolve takes a table through every kind of change, reads it after each, and has files of
// all schemas rewritten into one.
func TestEvolve(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, intKeyed(), mem)
	l.put(capture.OpInsert, []any{1, "a", "1.50", nil}, []any{2, "b", nil, nil}, []any{3, "gone", nil, nil})
	id, val, price := l.source.Table.Columns[0], l.source.Table.Columns[1], l.source.Table.Columns[2]
	id.Type, price.Precision = capture.TypeBigInt, 14
	renamed := val
	renamed.Name = "Value"
	text := capture.Column{Name: "val", Type: capture.TypeVarchar, Size: 40, Charset: "utf8mb4", Nullable: true}
	number := capture.Column{Name: "n", Type: capture.TypeBigInt}
	float := capture.Column{Name: "f", Type: capture.TypeDouble}
	// The key and a decimal are widened, a column renamed and moved, one of its old name comes.
	a := l.alter(changeOf(l.source.Table, []capture.Column{text, id, price, renamed, number, float}, []string{"", "id", "price", "val", "", ""}, map[int]any{0: "was", 4: int64(7), 5: 2.0}))
	if !slices.ContainsFunc(a.requirements, func(r icetable.Requirement) bool { return r.GetType() == "assert-last-assigned-field-id" }) {
		t.Error("it does not assert the last field id")
	}
	wantTexts(t, l, "was 1 1.5 a 7 2 (null)", "was 2 (null) b 7 2 (null)", "was 3 (null) gone 7 2 (null)")
	l.put(capture.OpUpdate, []any{nil, 2, "9999999999.25", "B", 8, 0.5, nil}, []any{"new", 4, nil, nil, 0, 0, nil})
	l.put(capture.OpDelete, []any{nil, 3, nil, nil, 0, 0, nil})
	want := []string{"(null) 2 9999999999.25 B 8 0.5 (null)", "new 4 (null) (null) 0 0 (null)", "was 1 1.5 a 7 2 (null)"}
	wantTexts(t, l, want...)

	// A restart, with the index and without, finds the keys in files of both schemas.
	for _, wipe := range []bool{false, true} {
		if err := l.table.Close(); err != nil {
			t.Fatal(err)
		}
		if wipe {
			if err := os.RemoveAll(l.cfg.IndexDir); err != nil {
				t.Fatal(err)
			}
		}
		l.open()
		if l.table.Discarded != nil || l.table.IndexKeys() < 3 {
			t.Errorf("the index has %d keys: %v", l.table.IndexKeys(), l.table.Discarded)
		}
		l.put(capture.OpUpdate, []any{nil, 2, "9999999999.25", "B", 8, 0.5, nil}) // finds the one row
		wantTexts(t, l, want...)
	}

	s := l.table.Survey()
	var paths []string
	for _, f := range s.Files {
		paths = append(paths, f.Path)
	}
	rw, err := s.Rewrite(context.Background(), paths, RewriteOptions{Stem: NewStem(1, 99)})
	if err != nil {
		t.Fatal(err)
	}
	// While it was written, a column went: the output has a field that nobody sees.
	l.alter(changeOf(l.source.Table, []capture.Column{id, price, number, float, text}, []string{"id", "price", "n", "f", "val"}, nil))
	l.land(rw)
	wantTexts(t, l, "1 1.5 7 2 was (null)", "2 9999999999.25 8 0.5 (null) (null)", "4 (null) 0 0 new (null)")

	// Back to a shape that it had: its schema is taken again, with the field of that time.
	l.alter(changeOf(l.source.Table, []capture.Column{id, price}, []string{"id", "price"}, nil))
	again := changeOf(l.source.Table, []capture.Column{id, price, number}, []string{"id", "price", ""}, map[int]any{2: int64(1)})
	l.alter(again)
	wantTexts(t, l, "1 1.5 1 (null)", "2 9999999999.25 1 (null)", "4 (null) 1 (null)")
	if err := l.table.Close(); err != nil {
		t.Fatal(err)
	}
	mem.AssertSize(t, 0)
	ids := map[int]string{}
	for _, schema := range l.load().meta.Schemas() {
		for _, f := range schema.Fields() {
			if was, ok := ids[f.ID]; ok && !strings.EqualFold(was, f.Name) && f.ID != 2 {
				t.Errorf("field %d is %s and %s", f.ID, was, f.Name)
			}
			ids[f.ID] = f.Name
		}
	}
	if len(slices.Collect(maps.Keys(ids))) != 8 {
		t.Errorf("%d fields were given away: %v", len(ids), ids)
	}
}

// TestTruncate empties a table in one commit, among rows that come and go.
func TestTruncate(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, intKeyed(), mem)
	for range 3 {
		l.put(capture.OpInsert, []any{1, "a", nil, nil}, []any{2, "b", nil, nil}, []any{3, "c", nil, nil})
		l.put(capture.OpUpdate, []any{2, "B", nil, nil})
		l.put(capture.OpDelete, []any{3, nil, nil, nil})
		s := l.table.Survey()
		late, err := s.Rewrite(context.Background(), paths(s), RewriteOptions{Stem: NewStem(1, s.Epoch)})
		if err != nil {
			t.Fatal(err)
		}
		d := l.table.Truncate()
		if d.Empty() || d.Deleted != 2 {
			t.Errorf("%d rows are deleted", d.Deleted)
		}
		l.epoch++
		a, err := l.table.Prepare(context.Background(), d, l.mark())
		if err != nil {
			t.Fatal(err)
		}
		h, err := Swap(context.Background(), l.cfg, a)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.table.Advance(context.Background(), a, d, h); err != nil {
			t.Fatal(err)
		}
		wantTexts(t, l)
		if total, deleted := h.Rows(); total != 0 || deleted != 0 || l.table.Stats().Files != 0 {
			t.Errorf("%d rows, %d deleted, %d files", total, deleted, l.table.Stats().Files)
		}
		if h.meta.CurrentSnapshot().Summary.Operation != icetable.OpDelete {
			t.Errorf("it is a %s", h.meta.CurrentSnapshot().Summary.Operation)
		}
		if _, err := l.table.Replace(late); !errors.Is(err, ErrOutdated) {
			t.Errorf("a rewrite of rows that are gone: %v", err)
		}
	}
	l.put(capture.OpInsert, []any{1, "again", nil, nil})
	wantTexts(t, l, "1 again (null) (null)")
	if err := l.table.Close(); err != nil {
		t.Fatal(err)
	}
	l.open()
	l.put(capture.OpUpdate, []any{1, "and again", nil, nil})
	wantTexts(t, l, "1 and again (null) (null)")
	if err := l.table.Close(); err != nil {
		t.Fatal(err)
	}
	mem.AssertSize(t, 0)
}

// TestEvolveIsPinned holds that a change lands once: not on a table that has moved on.
func TestEvolveIsPinned(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, intKeyed(), memory.DefaultAllocator)
	columns := append(slices.Clone(l.source.Table.Columns), capture.Column{Name: "n", Type: capture.TypeBigInt})
	c := changeOf(l.source.Table, columns, []string{"id", "val", "price", ""}, map[int]any{3: int64(7)})
	d, err := l.table.Evolve(c)
	if err != nil {
		t.Fatal(err)
	}
	l.epoch++
	first, err := l.table.Prepare(context.Background(), d, l.mark())
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.table.Prepare(context.Background(), d, l.mark())
	if err != nil {
		t.Fatal(err)
	}
	h, err := Swap(context.Background(), l.cfg, first)
	if err != nil || !first.Landed(h) || second.Landed(h) {
		t.Fatal(err)
	}
	for _, a := range []*Attempt{first, second} {
		if _, err := Swap(context.Background(), l.cfg, a); err == nil {
			t.Error("it landed twice")
		}
	}
}

// TestEvolveRefuses holds what a lake table cannot follow.
func TestEvolveRefuses(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newStoredLab(t, dir, intKeyed(), Storage{Partition: []PartitionField{{Column: "price", Transform: "truncate", Width: 10}}}, memory.DefaultAllocator)
	id, val, price := l.source.Table.Columns[0], l.source.Table.Columns[1], l.source.Table.Columns[2]
	wider, reserved, twice := price, val, val
	wider.Precision, reserved.Name, twice.Name = 14, "_row_id", "ID"
	for name, c := range map[string]*capture.Change{
		"dropped": changeOf(l.source.Table, []capture.Column{id, val}, []string{"id", "val"}, nil),
		"widened": changeOf(l.source.Table, []capture.Column{id, val, wider}, []string{"id", "val", "price"}, nil),
		"name":    changeOf(l.source.Table, []capture.Column{id, reserved, price}, []string{"id", "val", "price"}, nil),
		"twice":   changeOf(l.source.Table, []capture.Column{id, twice, price}, []string{"id", "val", "price"}, nil),
	} {
		var stop *capture.Stop
		if _, err := l.table.Evolve(c); !errors.As(err, &stop) || stop.GTID != "x:1" || stop.Table != "shop.orders" {
			t.Errorf("%s: %v", name, err)
		}
	}
	renamed := price
	renamed.Name = "cost"
	l.alter(changeOf(l.source.Table, []capture.Column{renamed, id, val}, []string{"price", "id", "val"}, nil))
	l.put(capture.OpInsert, []any{"12.50", 1, "a", nil})
	wantTexts(t, l, "12.5 1 a (null)")
}
