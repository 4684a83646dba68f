package table

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// partialRow is a change of which some columns may not be known: those without a bit in known.
type partialRow struct {
	id         int
	val, price string
	op         capture.Op
	known      byte   // 0: all
	patch      []byte // of val, which is not known then; nil: none
	run        int    // rows of the same row event have the same number
}

const (
	knowsID    = 1
	knowsVal   = 2
	knowsPrice = 4
	knowsAll   = knowsID | knowsVal | knowsPrice
)

// partialBatch makes a batch as capture would.
func (l *lab) partialBatch(mem memory.Allocator, rows []partialRow) *capture.Batch {
	l.t.Helper()
	schema, err := capture.ArrowSchema(&l.source.Table, capture.TypeOptions{}, false)
	if err != nil {
		l.t.Fatal(err)
	}
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	out := &capture.Batch{Table: &l.source.Table}
	for i, r := range rows {
		for c, text := range []string{l.keyText(r.id), r.val, r.price} {
			if c == 1 && r.patch != nil {
				b.Field(c).(*array.StringBuilder).Append(string(r.patch))
			} else if r.known != 0 && r.known&(1<<c) == 0 || text == "null" || c == 2 && text == "" {
				b.Field(c).AppendNull()
			} else if err := b.Field(c).AppendValueFromString(text); err != nil {
				l.t.Fatal(err)
			}
		}
		out.Ops = append(out.Ops, r.op)
		n := len(out.Partial)
		switch {
		case r.known == 0:
		case n > 0 && rows[i-1].run == r.run && out.Partial[n-1].To == i:
			out.Partial[n-1].To++
		case r.patch != nil:
			out.Partial = append(out.Partial, capture.Partial{From: i, To: i + 1, Known: []byte{r.known}, Patched: []byte{knowsVal}})
		default:
			out.Partial = append(out.Partial, capture.Partial{From: i, To: i + 1, Known: []byte{r.known}})
		}
	}
	out.Record = b.NewRecordBatch()
	return out
}

// pair is what the model holds of a row.
type pair struct{ val, price string }

func (l *lab) pairs() map[string]pair {
	l.t.Helper()
	records, err := l.load().Scan(context.Background(), ScanOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[string]pair{}
	for rec, err := range records {
		if err != nil {
			l.t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			texts := [3]string{}
			for c := range texts {
				if texts[c] = rec.Column(c).ValueStr(i); rec.Column(c).IsNull(i) {
					texts[c] = "null"
				}
			}
			if _, twice := out[texts[0]]; twice {
				l.t.Fatalf("key %s is live twice", texts[0])
			}
			out[texts[0]] = pair{texts[1], texts[2]}
		}
		rec.Release()
	}
	return out
}

// drawPatch draws a patch of an array of small numbers, and gives what it makes of it. Applied
// twice, or not, it gives another one.
func drawPatch(t *rapid.T, val string) (patch []byte, now string) {
	var elements []string
	if val != "[]" {
		elements = strings.Split(strings.Trim(val, "[]"), ", ")
	}
	const insert, remove, small = 1, 2, 5
	for range rapid.IntRange(1, 2).Draw(t, "diffs") {
		if len(elements) > 0 && rapid.Bool().Draw(t, "remove") {
			patch = append(patch, remove, 4, '$', '[', '0', ']')
			elements = elements[1:]
			continue
		}
		n := rapid.IntRange(0, 9).Draw(t, "element")
		patch = append(append(patch, insert, 5), "$[99]\x03"...)
		patch = append(patch, small, byte(n), 0)
		elements = append(elements, fmt.Sprint(n))
	}
	return patch, "[" + strings.Join(elements, ", ") + "]"
}

// drawPartial draws a change that a source can make to the model, and makes it.
func drawPartial(t *rapid.T, model map[int]pair, run int) []partialRow {
	id := rapid.IntRange(0, 12).Draw(t, "id")
	now := pair{rapid.SampledFrom([]string{"null", "a", "bb", "", "[]", "[1]", "[1, 2]"}).Draw(t, "val"), rapid.SampledFrom([]string{"null", "1.5", "-2"}).Draw(t, "price")}
	old, exists := model[id]
	if !exists {
		model[id] = now
		op := rapid.SampledFrom([]capture.Op{capture.OpInsert, capture.OpLoad}).Draw(t, "op")
		return []partialRow{{id: id, val: now.val, price: now.price, op: op, run: run}}
	}
	known := byte(rapid.IntRange(0, 3).Draw(t, "known"))<<1 | knowsID
	var patch []byte
	if known&knowsVal == 0 {
		if now.val = old.val; strings.HasPrefix(old.val, "[") && rapid.Bool().Draw(t, "patch") {
			patch, now.val = drawPatch(t, old.val)
		}
	}
	if known&knowsPrice == 0 {
		now.price = old.price
	}
	r := partialRow{id: id, val: now.val, price: now.price, op: capture.OpUpdate, known: known, patch: patch, run: run}
	if known == knowsAll {
		r.known = 0
	}
	switch to := rapid.IntRange(0, 12).Draw(t, "to"); rapid.IntRange(0, 4).Draw(t, "what") {
	case 0:
		delete(model, id)
		return []partialRow{{id: id, val: "null", price: "null", op: capture.OpDelete, run: run}}
	case 1:
		if _, taken := model[to]; !taken {
			delete(model, id)
			model[to] = now
			gone := r
			gone.op, r.id = capture.OpDelete, to
			return []partialRow{gone, r}
		}
	}
	model[id] = now
	return []partialRow{r}
}

// TestPartialRowsAgainstModel plays random changes, most of which know some columns only, in
// epochs of several parts and batches, with compactions, crashes and lost indexes between, and
// compares all rows with a map.
func TestPartialRowsAgainstModel(t *testing.T) {
	for _, textKey := range []bool{false, true} {
		t.Run(fmt.Sprintf("text key %v", textKey), rapid.MakeCheck(func(t *rapid.T) {
			dir := fastDir(t)
			defer os.RemoveAll(dir)
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			var storage Storage
			if rapid.Bool().Draw(t, "partitioned") {
				storage.Partition = []PartitionField{{Column: "val", Transform: "identity"}}
			}
			l := newStoredLab(t, dir, testSource(textKey), storage, mem)
			defer l.cat.Close()
			model := map[int]pair{}
			for range rapid.IntRange(1, 6).Draw(t, "epochs") {
				l.partialEpoch(t, mem, model)
				if rapid.Bool().Draw(t, "crash") {
					if err := errors.Join(l.table.Abandon(), os.RemoveAll(l.cfg.IndexDir)); err != nil {
						t.Fatal(err)
					}
					l.open()
				}
				got := l.pairs()
				if len(got) != len(model) {
					t.Fatalf("%d rows, want %d", len(got), len(model))
				}
				for id, want := range model {
					if got[l.keyText(id)] != want {
						t.Fatalf("row %d is %v, want %v", id, got[l.keyText(id)], want)
					}
				}
			}
			mem.AssertSize(t, 0)
			if err := l.table.Abandon(); err != nil {
				t.Fatal(err)
			}
		}))
	}
}

func (l *lab) partialEpoch(t *rapid.T, mem memory.Allocator, model map[int]pair) {
	var parts [][]*capture.Batch
	run := 0
	for range rapid.IntRange(1, 2).Draw(t, "parts") {
		var part []*capture.Batch
		for range rapid.IntRange(1, 3).Draw(t, "batches") {
			var rows []partialRow
			for range rapid.IntRange(1, 12).Draw(t, "changes") {
				if rapid.Bool().Draw(t, "event") {
					run++
				}
				next := drawPartial(t, model, run)
				if n := len(rows); n > 0 && (rows[n-1].known != next[0].known || (rows[n-1].patch == nil) != (next[len(next)-1].patch == nil)) {
					run++
					for i := range next {
						next[i].run = run
					}
				}
				rows = append(rows, next...)
			}
			b := l.partialBatch(mem, rows)
			defer b.Release()
			part = append(part, b)
		}
		parts = append(parts, part)
	}
	l.commit(parts...)
}

func TestRowsThatNothingCompletes(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	l := newLab(t, t.TempDir(), testSource(false), mem)
	defer l.cat.Close()
	update := l.partialBatch(mem, []partialRow{
		{id: 1, val: "x", op: capture.OpUpdate, known: knowsID | knowsVal},
		{id: 2, val: "x", price: "1.00", op: capture.OpInsert},
		{id: 3, val: "x", op: capture.OpUpdate, known: knowsID | knowsVal, run: 1},
		{id: 3, price: "3.00", op: capture.OpUpdate, known: knowsID | knowsPrice, run: 2},
	})
	defer update.Release()
	err := l.table.Build(1, 9).Add(t.Context(), []*capture.Batch{update})
	if !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), `"price"`) || !strings.Contains(err.Error(), "shop.orders") {
		t.Errorf("without an older row: %v", err)
	}
	b := l.table.Build(1, 9).Loading(true)
	if err := b.Add(t.Context(), []*capture.Batch{update}); err != nil {
		t.Fatal(err)
	}
	if d := b.Delta(); d.Inserted != 2 || d.Updated+d.Deleted != 0 {
		t.Errorf("while the table is loaded: %+v", d)
	}
	wrong := l.partialBatch(mem, []partialRow{
		{id: 2, op: capture.OpDelete},
		{id: 2, val: "x", op: capture.OpUpdate, known: knowsID | knowsVal, run: 1},
	})
	defer wrong.Release()
	if err := l.table.Build(1, 9).Add(t.Context(), []*capture.Batch{wrong}); err == nil {
		t.Error("an update of a row that is deleted is accepted")
	}
	if err := l.table.Abandon(); err != nil {
		t.Fatal(err)
	}
}

// TestManyPartialRows completes more rows than are completed at once, of several files, all
// their pages far apart.
func TestManyPartialRows(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	l := newLab(t, t.TempDir(), testSource(false), mem)
	defer l.cat.Close()
	const rows = 3 * mergeRows
	for i := range 2 {
		var load []partialRow
		for id := i; id < rows; id += 2 {
			load = append(load, partialRow{id: id, val: fmt.Sprint("value ", id), price: "null", op: capture.OpLoad})
		}
		b := l.partialBatch(mem, load)
		l.commit([]*capture.Batch{b})
		b.Release()
	}
	var changes []partialRow
	for id := 0; id < rows; id++ {
		if id%100 < 60 {
			changes = append(changes, partialRow{id: id, price: fmt.Sprintf("%d.25", id), op: capture.OpUpdate, known: knowsID | knowsPrice})
		}
	}
	slices.Reverse(changes)
	b := l.partialBatch(mem, changes)
	d := l.commit([]*capture.Batch{b})
	b.Release()
	if d.Updated != int64(len(changes)) || len(d.files) < 2 {
		t.Errorf("%d updated in %d files", d.Updated, len(d.files))
	}
	for text, p := range l.pairs() {
		var id int
		fmt.Sscan(text, &id)
		want := pair{fmt.Sprint("value ", id), "null"}
		if id%100 < 60 {
			want.price = fmt.Sprintf("%d.25", id)
		}
		if p != want {
			t.Fatalf("row %d is %v, want %v", id, p, want)
		}
	}
	if err := l.table.Abandon(); err != nil {
		t.Fatal(err)
	}
}
