package capture

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cdcd/capture/binlog"
)

// docTable is a table with two columns of documents, and what the log says of it.
func docTable() (*Table, *binlog.TableMap) {
	t := &Table{Name: Name{"s", "t"}, Key: []int{0}, Columns: []Column{
		{Name: "id", Type: TypeTinyInt},
		{Name: "a", Type: TypeJSON, Nullable: true},
		{Name: "n", Type: TypeTinyInt, Nullable: true},
		{Name: "b", Type: TypeJSON, Nullable: true},
	}}
	w := &binlog.TableMap{Schema: "s", Table: "t", Full: true, Columns: []binlog.TableMapColumn{
		{Name: "id", Type: binlog.ColumnTiny},
		{Name: "a", Type: binlog.ColumnJSON, Meta: 4, Nullable: true},
		{Name: "n", Type: binlog.ColumnTiny, Nullable: true},
		{Name: "b", Type: binlog.ColumnJSON, Meta: 4, Nullable: true},
	}}
	return t, w
}

func docPlan(t testing.TB) *plan {
	t.Helper()
	table, wire := docTable()
	return planOf(t, table, wire, TypeOptions{}, false)
}

const (
	hasDocID, hasDocA, hasDocN, hasDocB = 1, 2, 4, 8
	hasDoc                              = hasDocID | hasDocA | hasDocN | hasDocB
)

// sized is what stands in the place of a document: it, or diffs of it.
func sized(b []byte) []byte { return append([]byte{byte(len(b)), byte(len(b) >> 8), 0, 0}, b...) }

// docImage is a row image: nil stands for NULL, a []byte for itself, other values for documents.
func docImage(values ...any) []byte {
	nulls, out := byte(0), []byte(nil)
	for i, v := range values {
		switch v := v.(type) {
		case nil:
			nulls |= 1 << i
		case byte:
			out = append(out, v)
		case []byte:
			out = append(out, v...)
		default:
			out = append(out, sized(storeJSON(v, false))...)
		}
	}
	return append([]byte{nulls}, out...)
}

func TestDiffsBecomeRows(t *testing.T) {
	one, two := []jsonMember{{"k", int16(1)}}, []any{int16(1)}
	set := sized(storeDiff(binlog.JSONReplace, "$.k", int16(2)))
	add := sized(storeDiff(binlog.JSONInsert, "$[1]", "x"))
	none := sized(nil)
	key, full := docImage(byte(1)), docImage(byte(1), one, byte(5), two)
	after := func(options string, image []byte) []byte { return append([]byte(options), image...) }
	for name, c := range map[string]struct {
		present, after byte
		images         [][]byte
		want           string
		known, patched byte // 0: all, and none
	}{
		"full":                  {hasDoc, hasDoc, [][]byte{full, after("\x01\x03", docImage(byte(1), set, byte(5), add))}, `1 {"k": 2} 5 [1, "x"]`, 0, 0},
		"one of two":            {hasDoc, hasDoc, [][]byte{full, after("\x01\x02", docImage(byte(1), two, byte(5), add))}, `1 [1] 5 [1, "x"]`, 0, 0},
		"unchanged":             {hasDoc, hasDoc, [][]byte{full, after("\x01\x03", docImage(byte(1), none, byte(6), none))}, `1 {"k": 1} 6 [1]`, 0, 0},
		"no diffs":              {hasDoc, hasDoc, [][]byte{full, after("\x00", docImage(byte(1), nil, byte(6), one))}, `1 (null) 6 {"k": 1}`, 0, 0},
		"to NULL":               {hasDoc, hasDoc, [][]byte{full, after("\x01\x02", docImage(byte(1), nil, nil, add))}, `1 (null) (null) [1, "x"]`, 0, 0},
		"minimal":               {hasDocID, hasDocA, [][]byte{key, after("\x01\x01", docImage(set))}, `1 patch (null) (null)`, hasDocID, hasDocA},
		"minimal, unchanged":    {hasDocID, hasDocA | hasDocN, [][]byte{key, after("\x01\x01", docImage(none, byte(7)))}, `1 (null) 7 (null)`, hasDocID | hasDocN, 0},
		"minimal, a document":   {hasDocID, hasDocA | hasDocB, [][]byte{key, after("\x01\x02", docImage(one, add))}, `1 {"k": 1} (null) patch`, hasDocID | hasDocA, hasDocB},
		"without documents":     {hasDocID | hasDocN, hasDocID | hasDocN | hasDocB, [][]byte{docImage(byte(1), byte(5)), after("\x01\x02", docImage(byte(1), byte(5), add))}, `1 (null) 5 patch`, hasDocID | hasDocN, hasDocB},
		"of all but the second": {hasDoc &^ hasDocB, hasDoc, [][]byte{docImage(byte(1), one, byte(5)), after("\x01\x03", docImage(byte(1), set, byte(5), add))}, `1 {"k": 2} 5 patch`, hasDoc &^ hasDocB, hasDocB},
	} {
		t.Run(name, func(t *testing.T) {
			p := docPlan(t)
			r := binlog.Rows{Kind: binlog.RowUpdate, Partial: true, Columns: 4, Present: []byte{c.present}, After: []byte{c.after}, Images: slices.Concat(slices.Repeat(c.images, 2)...)}
			if n, err := p.append(r, origin{}); err != nil || n != 2 {
				t.Fatalf("%d rows, %v", n, err)
			}
			batch := p.buffer.take()
			defer batch.Release()
			for i := range 2 {
				got := rowText(batch.Record, i)
				for column, text := range got {
					if c.patched&(1<<column) != 0 && slices.ContainsFunc(c.images, func(b []byte) bool { return strings.Contains(string(b), text) }) {
						got[column] = "patch"
					}
				}
				if text := strings.Join(got, " "); text != c.want || batch.Ops[i] != OpUpdate {
					t.Errorf("got %q, want %q", text, c.want)
				}
			}
			want := "[]"
			if c.known != 0 {
				want = fmt.Sprintf("[{0 2 %v %v}]", []byte{c.known}, slices.Repeat([]byte{c.patched}, min(1, int(c.patched))))
			}
			var got []string
			for _, n := range batch.Partial {
				got = append(got, fmt.Sprint(struct {
					from, to       int
					known, patched []byte
				}{n.From, n.To, n.Known, n.Patched}))
			}
			if text := fmt.Sprint(got); text != want {
				t.Errorf("partial %s, want %s", text, want)
			}
		})
	}
}

// TestDamagedDiffsLeaveNoTrace cuts images with diffs at every byte, and has some that do not fit.
func TestDamagedDiffsLeaveNoTrace(t *testing.T) {
	one := []jsonMember{{"k", int16(1)}}
	set := sized(storeDiff(binlog.JSONReplace, "$.k", int16(2)))
	good := slices.Concat(docImage(byte(1), one, nil, nil), []byte("\x01\x01"), docImage(byte(1), set, nil, nil))
	bad := [][]byte{
		slices.Concat(docImage(byte(1), nil, nil, nil), []byte("\x01\x01"), docImage(byte(1), set, nil, nil)),
		slices.Concat(docImage(byte(1), []any{}, nil, nil), []byte("\x01\x01"), docImage(byte(1), set, nil, nil)),
		slices.Concat(docImage(byte(1), one, nil, nil), []byte("\x05\x01"), docImage(byte(1), set, nil, nil)),
	}
	for n := 1; n < len(good); n++ {
		bad = append(bad, good[:n])
	}
	for _, images := range bad {
		p := docPlan(t)
		r := binlog.Rows{Kind: binlog.RowUpdate, Partial: true, Columns: 4, Present: []byte{hasDoc}, After: []byte{hasDoc}, Images: images}
		_, err := p.append(r, origin{})
		if err == nil || !strings.Contains(err.Error(), "s.t") {
			t.Errorf("%x: %v", images, err)
		}
		if p.buffer.drop(); len(p.buffer.ops) != 0 || p.buffer.columns[0].rows != 0 || p.buffer.columns[1].rows != 0 {
			t.Errorf("%x leaves %d rows", images, len(p.buffer.ops))
		}
	}
}

// FuzzIncompleteImages decodes foreign events whose images may lack columns, and hold diffs.
func FuzzIncompleteImages(f *testing.F) {
	set := sized(storeDiff(binlog.JSONReplace, "$.k", int16(2)))
	f.Add(byte(1), true, byte(hasDoc), byte(hasDoc), slices.Concat(docImage(byte(1), []jsonMember{{"k", int16(1)}}, nil, nil), []byte("\x01\x01"), docImage(byte(1), set, nil, nil)))
	f.Add(byte(1), true, byte(hasDocID), byte(hasDocA), slices.Concat(docImage(byte(1)), []byte("\x01\x01"), docImage(set)))
	f.Add(byte(1), false, byte(hasDocID), byte(hasDocN), slices.Concat(docImage(byte(1)), docImage(byte(2))))
	f.Add(byte(0), false, byte(hasDocID), byte(0), docImage(byte(1)))
	f.Fuzz(func(t *testing.T, kind byte, partial bool, present, after byte, images []byte) {
		p := docPlan(t)
		for i := range p.buffer.table.Columns {
			p.buffer.table.Columns[i].Default = &Default{Null: true}
		}
		r := binlog.Rows{Kind: binlog.RowKind(kind % 3), Columns: 4, Present: []byte{present}, After: []byte{after}, Images: images}
		r.Partial = partial && r.Kind == binlog.RowUpdate
		n, err := p.append(r, origin{})
		if err != nil {
			p.buffer.drop()
			if len(p.buffer.ops)+len(p.buffer.partial) != 0 {
				t.Errorf("%d changes are left after %v", len(p.buffer.ops), err)
			}
			return
		}
		batch := p.buffer.take()
		defer batch.Release()
		if batch.Rows() < n || int(batch.Record.NumRows()) != batch.Rows() {
			t.Errorf("%d rows gave %d changes", n, batch.Rows())
		}
		for _, run := range batch.Partial {
			if run.From >= run.To || run.To > batch.Rows() || run.Patched != nil && run.Patched[0]&run.Known[0] != 0 {
				t.Errorf("%+v of %d changes", run, batch.Rows())
			}
		}
	})
}
