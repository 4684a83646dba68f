package capture

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cdcd/capture/binlog"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// wireTable is a table with a two-column key in another order than the columns, and what
// the log says of it.
func wireTable() (*Table, *binlog.TableMap) {
	t := &Table{Name: Name{"s", "t"}, Key: []int{2, 0}, Columns: []Column{
		{Name: "a", Type: TypeInt},
		{Name: "b", Type: TypeVarchar, Size: 20, Charset: "utf8mb4", Nullable: true},
		{Name: "c", Type: TypeVarchar, Size: 300, Charset: "latin1"},
		{Name: "d", Type: TypeDate, Nullable: true},
	}}
	w := &binlog.TableMap{Schema: "s", Table: "t", Full: true, Columns: []binlog.TableMapColumn{
		{Name: "a", Type: binlog.ColumnLong},
		{Name: "b", Type: binlog.ColumnVarchar, Meta: 20, Length: 20, Collation: 255, Nullable: true},
		{Name: "c", Type: binlog.ColumnVarchar, Meta: 300, Length: 300, Collation: 8},
		{Name: "d", Type: binlog.ColumnDate, Nullable: true},
	}}
	return t, w
}

// image builds a row image of wireTable's table; b and d may be nil.
func image(a byte, b any, c string, d any) []byte {
	out := []byte{0xf0}
	out = append(out, a, 0, 0, 0)
	if s, ok := b.(string); ok {
		out = append(append(out, byte(len(s))), s...)
	} else {
		out[0] |= 2
	}
	out = append(append(out, byte(len(c)), byte(len(c)>>8)), c...)
	if date, ok := d.([]byte); ok {
		return append(out, date...)
	}
	out[0] |= 8
	return out
}

// planOf makes a plan for rows of a table, which a server describes in wire.
func planOf(t testing.TB, table *Table, wire *binlog.TableMap, o TypeOptions, commitTime bool) *plan {
	t.Helper()
	b, err := newRowBuffer(table, o, commitTime, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.free)
	p, err := newPlan(wire, b, testCollations)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func testPlan(t testing.TB, o TypeOptions) *plan {
	t.Helper()
	table, wire := wireTable()
	return planOf(t, table, wire, o, true)
}

func rowsOf(kind binlog.RowKind, images ...[]byte) binlog.Rows {
	return binlog.Rows{Kind: kind, Columns: 4, Present: []byte{0xff}, After: []byte{0xff}, Images: slices.Concat(images...)}
}

func TestRowImagesBecomeRows(t *testing.T) {
	day := storeDate(2024, 2, 29)
	x, y := image(1, "é", "\xe9", day), image(1, nil, "\xe9", nil)
	otherA, otherC := image(2, nil, "\xe9", nil), image(1, nil, "\xea", nil)
	for name, c := range map[string]struct {
		rows binlog.Rows
		n    int
		want []string
	}{
		"inserts":              {rowsOf(binlog.RowInsert, x, y), 2, []string{"0 1 é é 2024-02-29", "0 1 (null) é (null)"}},
		"deletes":              {rowsOf(binlog.RowDelete, x, y), 2, []string{"2 1 é é 2024-02-29", "2 1 (null) é (null)"}},
		"update":               {rowsOf(binlog.RowUpdate, x, y, y, x), 2, []string{"1 1 (null) é (null)", "1 1 é é 2024-02-29"}},
		"update of key":        {rowsOf(binlog.RowUpdate, x, otherA), 1, []string{"2 1 é é 2024-02-29", "1 2 (null) é (null)"}},
		"update of other key":  {rowsOf(binlog.RowUpdate, x, otherC), 1, []string{"2 1 é é 2024-02-29", "1 1 (null) ê (null)"}},
		"no rows":              {rowsOf(binlog.RowInsert), 0, nil},
		"empty texts are kept": {rowsOf(binlog.RowInsert, image(0, "", "", nil)), 1, []string{"0 0   (null)"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := testPlan(t, TypeOptions{})
			n, err := p.append(c.rows, origin{committed: time.Unix(5, 0)})
			if err != nil || n != c.n {
				t.Fatalf("%d rows, %v", n, err)
			}
			batch := p.buffer.take()
			defer batch.Release()
			var got []string
			for i, op := range batch.Ops {
				row := rowText(batch.Record, i)
				got = append(got, fmt.Sprintf("%d %s", op, strings.Join(row[:4], " ")))
				if row[4] != "1970-01-01T00:00:05Z" && row[4] != "1970-01-01 00:00:05Z" {
					t.Errorf("committed %s", row[4])
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestNoDatesFollowThePolicy(t *testing.T) {
	for name, none := range map[string][]byte{"zero": {0, 0, 0}, "no month": storeDate(2024, 0, 1), "no day": storeDate(2024, 1, 0), "31 February": storeDate(2024, 2, 31)} {
		t.Run(name, func(t *testing.T) {
			rows := rowsOf(binlog.RowInsert, image(1, "b", "c", none), image(2, "b", "c", storeDate(1, 1, 1)))
			p := testPlan(t, TypeOptions{})
			if _, err := p.append(rows, origin{}); !errors.Is(err, errNoDate) || !strings.Contains(err.Error(), `column "d"`) {
				t.Errorf("got %v", err)
			}
			p = testPlan(t, TypeOptions{ZeroDateAsNull: true})
			if n, err := p.append(rows, origin{}); err != nil || n != 2 || p.buffer.noDates != 1 {
				t.Fatalf("%d rows, %d no dates, %v", n, p.buffer.noDates, err)
			}
			batch := p.buffer.take()
			defer batch.Release()
			if first, second := rowText(batch.Record, 0), rowText(batch.Record, 1); first[3] != "(null)" || second[3] != "0001-01-01" || second[4] != "(null)" {
				t.Errorf("got %q and %q", first, second)
			}
		})
	}
}

func TestRowsOfTooManyColumnsAreRefused(t *testing.T) {
	if _, err := testPlan(t, TypeOptions{}).append(binlog.Rows{Columns: 5, Present: []byte{0xff}, After: []byte{0xff}}, origin{}); err == nil {
		t.Error("a row of five columns is accepted")
	}
}

// TestDamagedRowsLeaveNoTrace cuts images at every byte: an error, and the buffer as it was.
func TestDamagedRowsLeaveNoTrace(t *testing.T) {
	good := image(1, "kept", "c", storeDate(2024, 2, 29))
	for _, kind := range []binlog.RowKind{binlog.RowInsert, binlog.RowUpdate, binlog.RowDelete} {
		images := good
		if kind == binlog.RowUpdate {
			images = slices.Concat(good, image(2, "new", "other", nil))
		}
		for n := 1; n < len(images); n++ {
			p := testPlan(t, TypeOptions{})
			if _, err := p.append(rowsOf(binlog.RowInsert, good), origin{}); err != nil {
				t.Fatal(err)
			}
			p.buffer.seal()
			if _, err := p.append(rowsOf(kind, images[:n]), origin{}); err == nil {
				t.Errorf("kind %d: %d of %d bytes are accepted", kind, n, len(images))
			}
			p.buffer.drop()
			batch := p.buffer.take()
			if batch.Rows() != 1 || int(batch.Record.NumRows()) != 1 || rowText(batch.Record, 0)[1] != "kept" {
				t.Errorf("kind %d, %d bytes: the buffer holds %v", kind, n, batch.Record)
			}
			batch.Release()
		}
	}
}

func TestRowsThatAreNotTextAreNamed(t *testing.T) {
	_, err := testPlan(t, TypeOptions{}).append(rowsOf(binlog.RowInsert, image(1, "\xff", "c", nil)), origin{})
	if !errors.Is(err, errNotText) || !strings.Contains(err.Error(), `s.t: column "b"`) {
		t.Errorf("got %v", err)
	}
}

func TestChangedTablesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *binlog.TableMap)
		want   string
	}{
		"no names": {func(w *binlog.TableMap) { w.Full = false }, "binlog_row_metadata"},
		"renamed":  {func(w *binlog.TableMap) { w.Columns[1].Name = "x" }, `column 2 is "x", was "b"`},
		"retyped":  {func(w *binlog.TableMap) { w.Columns[0].Type = binlog.ColumnLongLong }, `column "a" is BIGINT, was INT`},
		"unsigned": {func(w *binlog.TableMap) { w.Columns[0].Unsigned = true }, `column "a" is INT UNSIGNED, was INT`},
		"bytes":    {func(w *binlog.TableMap) { w.Columns[2].Collation = 63 }, `column "c" is VARBINARY, was`},
		"dropped":  {func(w *binlog.TableMap) { w.Columns = w.Columns[:3] }, `column "d" is gone`},
		"added": {func(w *binlog.TableMap) {
			w.Columns = append(w.Columns, binlog.TableMapColumn{Name: "e", Type: binlog.ColumnTiny})
		}, `column "e" is new`},
		"no collation": {func(w *binlog.TableMap) { w.Columns[1].Collation = 9999 }, "unknown collation 9999"},
		"unknown type": {func(w *binlog.TableMap) { w.Columns[0].Type = 99 }, "column type 99"},
	} {
		t.Run(name, func(t *testing.T) {
			table, wire := wireTable()
			c.change(wire)
			b, err := newRowBuffer(table, TypeOptions{}, false, memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			defer b.free()
			if _, err := newPlan(wire, b, testCollations); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	table, wire := wireTable()
	wire.Columns[1].Nullable = false                              // stores the same
	wire.Columns[2].Collation, wire.Columns[2].Length = 255, 1200 // what the text of an ALTER TABLE does not tell
	if seen, err := tableOf(wire, table, testCollations); err != nil || table.Difference(seen) != "" || reflect.DeepEqual(table, seen) {
		t.Errorf("nullability: %v, %q", err, table.Difference(seen))
	}
}

// FuzzRowImages decodes foreign row images of a table with every type. Whatever they are,
// nothing panics, what was sealed stays, and the memory follows the input.
func FuzzRowImages(f *testing.F) {
	table, _ := recordedShape(f, "mysql97", 1, 0)
	var wire *binlog.TableMap
	for _, e := range recordedEvents(f, "mysql97") {
		if e.Type == binlog.TypeTableMap && wire == nil {
			w, err := binlog.ParseTableMap(e.Body, false)
			if err != nil {
				f.Fatal(err)
			}
			wire = w
		}
		if kind, ok := binlog.RowEvent(e.Type); ok && len(e.Body) > 0 {
			if r, err := binlog.ParseRows(e); err == nil && r.Columns == len(table.Columns) {
				f.Add(byte(kind), r.Images)
			}
		}
	}
	full := slices.Repeat([]byte{0xff}, (len(table.Columns)+7)/8)
	f.Fuzz(func(t *testing.T, kind byte, images []byte) {
		b, err := newRowBuffer(table, TypeOptions{ZeroDateAsNull: true}, true, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		defer b.free()
		p, err := newPlan(wire, b, testCollations)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := p.append(binlog.Rows{Kind: binlog.RowKind(kind % 3), Columns: len(table.Columns), Present: full, After: full, Images: images}, origin{})
		runtime.ReadMemStats(&after)
		const perByte = 4 * 100 * maxJSONGrowth // NULL rows: a bitmap of seven bytes for 49 values
		if spent := after.TotalAlloc - before.TotalAlloc; spent > 1<<20+perByte*uint64(len(images)) {
			t.Errorf("%d bytes made it allocate %d", len(images), spent)
		}
		if err == nil {
			if len(b.ops) < n {
				t.Errorf("%d rows gave %d changes", n, len(b.ops))
			}
			b.take().Release()
			return
		}
		b.drop()
		if len(b.ops) != 0 || b.columns[0].rows != 0 {
			t.Errorf("%d changes are left after %v", len(b.ops), err)
		}
	})
}

// TestNoDateInAKeyIsRefused holds that no two rows of the source become one by a key of NULL.
func TestNoDateInAKeyIsRefused(t *testing.T) {
	table, wire := wireTable()
	table.Key = []int{3}
	p := planOf(t, table, wire, TypeOptions{ZeroDateAsNull: true}, false)
	if _, err := p.append(rowsOf(binlog.RowInsert, image(1, "b", "c", []byte{0, 0, 0})), origin{}); !errors.Is(err, errNoDate) {
		t.Errorf("got %v", err)
	}
}
