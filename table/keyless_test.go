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
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// keylessSource is a table of all kinds of columns that may be NULL.
func keylessSource(identity capture.Identity) Source {
	return Source{Table: capture.Table{
		Name: capture.Name{Schema: "shop", Table: "orders"}, Identity: identity,
		Columns: []capture.Column{
			{Name: "n", Type: capture.TypeInt, Nullable: true},
			{Name: "s", Type: capture.TypeVarchar, Size: 40, Charset: "utf8mb4", Nullable: true},
			{Name: "f", Type: capture.TypeFloat, Nullable: true},
			{Name: "d", Type: capture.TypeDouble, Nullable: true},
			{Name: "b", Type: capture.TypeBlob, Size: 2, Nullable: true},
		},
	}}
}

// keylessRow is a row of few values, so that many are equal: "" is NULL.
type keylessRow [5]string

// keylessRows draws rows.
func keylessRows() *rapid.Generator[keylessRow] {
	return rapid.Custom(func(t *rapid.T) keylessRow {
		return keylessRow{
			rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "n"), rapid.SampledFrom([]string{"", "x", "1"}).Draw(t, "s"),
			rapid.SampledFrom([]string{"", "0.5"}).Draw(t, "f"), rapid.SampledFrom([]string{"0.5"}).Draw(t, "d"), rapid.SampledFrom([]string{"", "78"}).Draw(t, "b"),
		}
	})
}

// keylessChange is a change of one row.
type keylessChange struct {
	row keylessRow
	op  capture.Op
}

// keylessBatch makes a batch of changes, each of a transaction of its own, numbered from 1.
func (l *lab) keylessBatch(mem memory.Allocator, changes []keylessChange) *capture.Batch {
	l.t.Helper()
	schema, err := capture.ArrowSchema(&l.source.Table, l.source.Options, l.source.CommitTime)
	if err != nil {
		l.t.Fatal(err)
	}
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	out := &capture.Batch{Table: &l.source.Table}
	for i, c := range changes {
		for j, f := range b.Fields() {
			switch f := f.(type) {
			case *array.BinaryBuilder:
				if c.row[j] == "" {
					f.AppendNull()
				} else {
					f.Append([]byte(c.row[j]))
				}
			default:
				text := "0" // of the number among equal rows
				if j < len(c.row) {
					text = c.row[j]
				}
				if text == "" {
					f.AppendNull()
				} else if err := f.AppendValueFromString(text); err != nil {
					l.t.Fatal(err)
				}
			}
		}
		out.Ops = append(out.Ops, c.op)
		out.Origins = append(out.Origins, capture.Origin{To: i + 1, GTID: capture.GTID{SID: uuid.UUID{1}, Number: uint64(i + 1)}})
	}
	out.Record = b.NewRecordBatch()
	return out
}

// keyless reads how often each row is live. Equal rows have to be numbered without gaps.
func (l *lab) keyless() map[keylessRow]int {
	l.t.Helper()
	records, err := l.load().Scan(context.Background(), ScanOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	out, numbers := map[keylessRow]int{}, map[keylessRow]map[int64]bool{}
	for rec, err := range records {
		if err != nil {
			l.t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			var r keylessRow
			for j := range r {
				switch c := rec.Column(j).(type) {
				case *array.Binary:
					if c.IsValid(i) {
						r[j] = string(c.Value(i))
					}
				default:
					if c.IsValid(i) {
						r[j] = c.ValueStr(i)
					}
				}
			}
			out[r]++
			if copies, ok := rec.Column(int(rec.NumCols()) - 1).(*array.Int64); ok {
				if numbers[r] == nil {
					numbers[r] = map[int64]bool{}
				}
				numbers[r][copies.Value(i)] = true
			}
		}
		rec.Release()
	}
	for r, seen := range numbers {
		for n := range int64(out[r]) {
			if !seen[n] {
				l.t.Fatalf("%d copies of %q are numbered %v", out[r], r, slices.Sorted(maps.Keys(seen)))
			}
		}
	}
	return out
}

// TestRowsWithoutKeyAgainstMultiset runs random epochs of changes of rows of which many are equal,
// with restarts, lost indexes and rewrites in between, and compares how often each row is there.
func TestRowsWithoutKeyAgainstMultiset(t *testing.T) {
	for _, version := range []int{2, 3} {
		t.Run(fmt.Sprintf("format version %d", version), rapid.MakeCheck(func(t *rapid.T) {
			dir := fastDir(t)
			defer os.RemoveAll(dir)
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			l := &rewritten{lab: newLabOf(t, dir, keylessSource(capture.ByRow), Storage{}, mem, version)}
			defer l.cat.Close()
			model := map[keylessRow]int{}
			for range rapid.IntRange(1, 8).Draw(t, "steps") {
				l.keylessStep(t, mem, model)
				if got := l.keyless(); !maps.Equal(got, model) {
					t.Fatalf("got %v, want %v", got, model)
				}
			}
			mem.AssertSize(t, 0)
			if err := l.table.Abandon(); err != nil {
				t.Fatal(err)
			}
		}))
	}
}

func (l *rewritten) keylessStep(t *rapid.T, mem memory.Allocator, model map[keylessRow]int) {
	switch rapid.IntRange(0, 8).Draw(t, "action") {
	case 0, 1, 2:
		l.restart(t)
	case 3:
		l.begin(t)
	case 4:
		l.land(t, rapid.Bool().Draw(t, "advance"))
	default:
		l.keylessEpoch(t, mem, model)
	}
}

// keylessEpoch commits random changes that are possible: what is deleted is there.
func (l *rewritten) keylessEpoch(t *rapid.T, mem memory.Allocator, model map[keylessRow]int) {
	var parts [][]*capture.Batch
	for range rapid.IntRange(1, 3).Draw(t, "parts") {
		var changes []keylessChange
		for range rapid.IntRange(1, 40).Draw(t, "changes") {
			c := keylessChange{keylessRows().Draw(t, "row"), rapid.SampledFrom([]capture.Op{capture.OpInsert, capture.OpDelete, capture.OpLoad}).Draw(t, "op")}
			if c.op != capture.OpDelete {
				model[c.row]++
			} else if model[c.row]--; model[c.row] < 0 {
				delete(model, c.row)
				continue
			} else if model[c.row] == 0 {
				delete(model, c.row)
			}
			changes = append(changes, c)
		}
		if len(changes) > 0 {
			parts = append(parts, []*capture.Batch{l.keylessBatch(mem, changes)})
		}
	}
	l.commit(parts...)
	for _, p := range parts {
		p[0].Release()
	}
}

// TestManyCopies inserts and deletes one row many times: how many there are is found in few steps.
func TestManyCopies(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, keylessSource(capture.ByRow), memory.DefaultAllocator)
	defer l.cat.Close()
	row := keylessRow{"1", "x", "", "0.5", ""}
	put := func(op capture.Op, n int) {
		b := l.keylessBatch(memory.DefaultAllocator, slices.Repeat([]keylessChange{{row, op}}, n))
		defer b.Release()
		l.commit([]*capture.Batch{b})
	}
	want := 0
	for _, n := range []int{1, 1000, -1, -1, 5, -700, 300, -604} {
		if n > 0 {
			put(capture.OpInsert, n)
		} else {
			put(capture.OpDelete, -n)
		}
		if want += n; l.keyless()[row] != want {
			t.Fatalf("%d copies, want %d", l.keyless()[row], want)
		}
	}
}

// TestRowThatIsNotThere deletes a row once more than it is there.
func TestRowThatIsNotThere(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, keylessSource(capture.ByRow), memory.DefaultAllocator)
	defer l.cat.Close()
	row := keylessRow{"1", "x", "", "0.5", ""}
	b := l.keylessBatch(memory.DefaultAllocator, []keylessChange{{row, capture.OpInsert}, {row, capture.OpDelete}, {row, capture.OpDelete}})
	defer b.Release()
	l.wantStop(b, "01000000-0000-0000-0000-000000000000:3", errNoRow)
}

// wantStop adds a batch that must be refused, for its transaction.
func (l *lab) wantStop(b *capture.Batch, gtid string, why error) {
	l.t.Helper()
	err := l.table.Build(1, l.epoch+1).Add(context.Background(), []*capture.Batch{b})
	var stop *capture.Stop
	if !errors.As(err, &stop) || stop.GTID != gtid || stop.Table != "shop.orders" || !errors.Is(err, why) {
		l.t.Fatalf("got %v, want %v at %s", err, why, gtid)
	}
}

// TestAppendedTable appends equal rows to a table, through restarts and a rewrite, and finds that it
// keeps no index.
func TestAppendedTable(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	l := newLab(t, dir, keylessSource(capture.Appended), mem)
	defer l.cat.Close()
	row, other := keylessRow{"1", "x", "", "0.5", ""}, keylessRow{"", "", "", "", ""}
	for range 3 {
		for range 2 {
			b := l.keylessBatch(mem, []keylessChange{{row, capture.OpInsert}, {other, capture.OpLoad}, {row, capture.OpInsert}})
			l.commit([]*capture.Batch{b})
			b.Release()
		}
		s := l.table.Survey()
		r, err := s.Rewrite(context.Background(), paths(s), RewriteOptions{Stem: NewStem(1, s.Epoch)})
		if err != nil {
			t.Fatal(err)
		}
		l.land(r)
		if err := l.table.Close(); err != nil {
			t.Fatal(err)
		}
		l.open()
	}
	if got := l.keyless(); got[row] != 12 || got[other] != 6 || len(got) != 2 {
		t.Fatalf("got %v", got)
	}
	if n := l.table.IndexKeys(); n != 0 {
		t.Errorf("%d keys in the index", n)
	}
	if ids := l.load().meta.CurrentSchema().IdentifierFieldIDs; len(ids) != 0 {
		t.Errorf("identifier fields %v", ids)
	}
	mem.AssertSize(t, 0)
}

// TestDeclaredKey refuses every change that cannot be where the key identifies rows, and takes
// those that can be.
func TestDeclaredKey(t *testing.T) {
	type op = capture.Op
	const insert, update, remove, load = capture.OpInsert, capture.OpUpdate, capture.OpDelete, capture.OpLoad
	for _, x := range []struct {
		ops []op // on one key, of which there is a row
		bad int  // the number of the one that is refused, from 1; 0: none
		why error
	}{
		{[]op{update, update, remove, insert, update}, 0, nil},
		{[]op{remove, insert}, 0, nil},
		{[]op{remove}, 0, nil},
		{[]op{insert}, 1, errKeyTwice},
		{[]op{load}, 1, errKeyTwice},
		{[]op{update, insert}, 2, errKeyTwice},
		{[]op{remove, insert, insert}, 3, errKeyTwice},
		{[]op{remove, load, load}, 3, errKeyTwice},
		{[]op{remove, remove}, 2, errNoRow},
		{[]op{remove, update}, 2, errNoRow},
	} {
		t.Run(fmt.Sprint(x.ops), func(t *testing.T) {
			dir := fastDir(t)
			defer os.RemoveAll(dir)
			source := testSource(true)
			source.Table.Identity = capture.ByDeclaredKey
			l := newLab(t, dir, source, memory.DefaultAllocator)
			defer l.cat.Close()
			l.commit([]*capture.Batch{l.batch(memory.DefaultAllocator, []row{{1, "old", insert}, {2, "other", load}})})
			var rows []row
			for i, o := range x.ops {
				rows = append(rows, row{1, fmt.Sprint(i), o})
			}
			b := l.batch(memory.DefaultAllocator, rows)
			for i := range rows {
				b.Origins = append(b.Origins, capture.Origin{To: i + 1, GTID: capture.GTID{SID: uuid.UUID{1}, Number: uint64(i + 1)}})
			}
			if x.bad > 0 {
				l.wantStop(b, fmt.Sprintf("01000000-0000-0000-0000-000000000000:%d", x.bad), x.why)
				return
			}
			l.commit([]*capture.Batch{b})
			got, there := l.read()[l.keyText(1)]
			if last := x.ops[len(x.ops)-1]; there != (last != remove) || there && got.val != fmt.Sprint(len(x.ops)-1) {
				t.Fatalf("got %v", got)
			}
		})
	}
}

// TestDeclaredKeyHint tells the columns that do not identify rows, and none of their values.
func TestDeclaredKeyHint(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	source := testSource(true)
	source.Table.Identity = capture.ByDeclaredKey
	l := newLab(t, dir, source, memory.DefaultAllocator)
	defer l.cat.Close()
	b := l.batch(memory.DefaultAllocator, []row{{1, "secret", capture.OpLoad}, {1, "secret", capture.OpLoad}})
	err := l.table.Build(1, l.epoch+1).Add(context.Background(), []*capture.Batch{b})
	if err == nil || !strings.Contains(err.Error(), "initial load") || !strings.Contains(err.Error(), "tables[].key (id)") || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "key-0001") {
		t.Fatalf("got %v", err)
	}
}
