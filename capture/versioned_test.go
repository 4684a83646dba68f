package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cdcd/capture/binlog"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// versionedTable is a table that keeps history, and what the log says of it. Where it declares
// the columns of its versions, they stand first.
func versionedTable(declared bool) (*Table, *binlog.TableMap) {
	t := &Table{Name: Name{"s", "t"}, Key: []int{0}, RowEnd: hiddenRowEnd, Columns: []Column{{Name: "id", Type: TypeTinyInt}, {Name: "x", Type: TypeTinyInt}}}
	columns := []binlog.TableMapColumn{{Name: "id", Type: binlog.ColumnTiny}, {Name: "x", Type: binlog.ColumnTiny}}
	versions := []binlog.TableMapColumn{{Name: "row_start", Type: binlog.ColumnTimestamp2, Meta: 6}, {Name: "row_end", Type: binlog.ColumnTimestamp2, Meta: 6}}
	if !declared {
		return t, &binlog.TableMap{Schema: "s", Table: "t", Full: true, Columns: slices.Concat(columns, versions)}
	}
	t.RowEnd, t.Key = "re", []int{2}
	versions[0].Name, versions[1].Name = "rs", "re"
	t.Columns = slices.Concat([]Column{{Name: "rs", Type: TypeTimestamp, Fraction: 6}, {Name: "re", Type: TypeTimestamp, Fraction: 6}}, t.Columns)
	return t, &binlog.TableMap{Schema: "s", Table: "t", Full: true, Columns: slices.Concat(versions, columns)}
}

func versionedPlan(t testing.TB, declared bool) *plan {
	t.Helper()
	table, wire := versionedTable(declared)
	return planOf(t, table, wire, TypeOptions{}, false)
}

func TestHistoryIsNoRow(t *testing.T) {
	const past, start = "\x50\x00\x00\x00\x00\x00\x01", "\x40\x00\x00\x00\x00\x00\x00"
	for _, end := range endless {
		for _, declared := range []bool{false, true} {
			row := func(id, x byte, end string) []byte {
				if declared {
					return slices.Concat([]byte{0xf0}, []byte(start), []byte(end), []byte{id, x})
				}
				return slices.Concat([]byte{0xf0, id, x}, []byte(start), []byte(end))
			}
			for name, c := range map[string]struct {
				kind   binlog.RowKind
				images [][]byte
				want   []string // nil and no row: refused
			}{
				"insert":             {binlog.RowInsert, [][]byte{row(1, 2, end), row(3, 4, past)}, []string{"0 1 2"}},
				"update":             {binlog.RowUpdate, [][]byte{row(1, 2, end), row(1, 3, end)}, []string{"1 1 3"}},
				"update of the key":  {binlog.RowUpdate, [][]byte{row(1, 2, end), row(4, 3, end)}, []string{"2 1 2", "1 4 3"}},
				"delete":             {binlog.RowUpdate, [][]byte{row(1, 2, end), row(1, 2, past)}, []string{"2 1 2"}},
				"of history":         {binlog.RowUpdate, [][]byte{row(1, 2, past), row(1, 3, past), row(1, 2, end), row(1, 5, end)}, []string{"1 1 5"}},
				"of history, behind": {binlog.RowUpdate, [][]byte{row(1, 2, past), row(1, 2, end)}, nil},
				"history is deleted": {binlog.RowDelete, [][]byte{row(1, 2, past), row(3, 2, end)}, []string{"2 3 2"}},
			} {
				p := versionedPlan(t, declared)
				_, err := p.append(binlog.Rows{Kind: c.kind, Columns: 4, Present: []byte{15}, After: []byte{15}, Images: slices.Concat(c.images...)}, origin{flavor: MariaDB})
				if (c.want == nil) != errors.Is(err, errRevived) {
					t.Errorf("%s: %v", name, err)
				}
				if err != nil {
					continue
				}
				batch := p.buffer.take()
				var got []string
				for i, op := range batch.Ops {
					text := rowText(batch.Record, i)
					got = append(got, fmt.Sprintf("%d %s", op, strings.Join(text[len(text)-2:], " ")))
				}
				batch.Release()
				if !slices.Equal(got, c.want) {
					t.Errorf("%s, declared %v: got %q, want %q", name, declared, got, c.want)
				}
			}
		}
	}
}

func TestVersionsThatAreNotTold(t *testing.T) {
	for _, declared := range []bool{false, true} {
		p := versionedPlan(t, declared)
		for _, kind := range []binlog.RowKind{binlog.RowInsert, binlog.RowUpdate, binlog.RowDelete} {
			present := byte(15 &^ (1 << p.rowEnd))
			if _, err := p.append(binlog.Rows{Kind: kind, Columns: 4, Present: []byte{present}, After: []byte{15}}, origin{flavor: MariaDB}); !errors.Is(err, errUntold) {
				t.Errorf("kind %d without the end of rows: %v", kind, err)
			}
		}
		table, wire := versionedTable(declared)
		for name, damage := range map[string]func(*binlog.TableMap){
			"no versions":  func(w *binlog.TableMap) { w.Columns = slices.DeleteFunc(w.Columns, isVersion) },
			"another type": func(w *binlog.TableMap) { w.Columns[p.rowEnd].Type = binlog.ColumnLongLong },
			"another name": func(w *binlog.TableMap) { w.Columns[p.rowEnd].Name = "until" },
			"no fraction":  func(w *binlog.TableMap) { w.Columns[p.rowEnd].Meta = 0 },
		} {
			w := *wire
			w.Columns = slices.Clone(wire.Columns)
			damage(&w)
			b, err := newRowBuffer(table, TypeOptions{}, false, memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := newPlan(&w, b, testCollations); !errors.Is(err, errChanged) {
				t.Errorf("%s, declared %v: %v", name, declared, err)
			}
			b.free()
		}
	}
	plain, _ := wireTable()
	_, wire := versionedTable(false)
	if seen, err := tableOf(wire, plain, testCollations); err != nil || len(seen.Columns) != 4 {
		t.Errorf("a table that keeps no history: %v", err)
	}
}

func isVersion(c binlog.TableMapColumn) bool { return c.Type == binlog.ColumnTimestamp2 }

// TestKeysOfVersionedTables leaves the end of rows out of keys.
func TestKeysOfVersionedTables(t *testing.T) {
	info := TableInfo{Table: Table{RowEnd: "re", Columns: []Column{{Name: "id"}, {Name: "re"}, {Name: "u"}}}}
	if info.offerKey("alone", []string{"re"}); info.Key != nil {
		t.Errorf("the end of rows alone is a key: %v", info.Key)
	}
	if info.offerKey(primary, []string{"id", "re"}); !slices.Equal(info.Key, []int{0}) {
		t.Errorf("got %v", info.Key)
	}
	hidden := TableInfo{Table: Table{RowEnd: hiddenRowEnd, Columns: []Column{{Name: "id"}}}}
	if hidden.offerKey(primary, []string{"id", hiddenRowEnd}); !slices.Equal(hidden.Key, []int{0}) {
		t.Errorf("got %v", hidden.Key)
	}
}
