package table

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"cdcd/capture"
	"cdcd/table/fileio"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	icetable "github.com/apache/iceberg-go/table"
)

// intentLab is a table with rows 1 to 9.
func intentLab(t *testing.T) *lab {
	t.Helper()
	return intentLabOf(t, Storage{})
}

func intentLabOf(t *testing.T, storage Storage) *lab {
	t.Helper()
	dir := fastDir(t)
	l := newStoredLab(t, dir, testSource(false), storage, memory.DefaultAllocator)
	t.Cleanup(func() {
		_ = l.table.Abandon()
		_ = l.cat.Close()
		_ = os.RemoveAll(dir)
	})
	var rows []row
	for id := 1; id < 10; id++ {
		rows = append(rows, row{id, "first", capture.OpInsert})
	}
	l.write(rows...)
	return l
}

// change updates two rows, deletes one and inserts one.
func change() []row {
	return []row{{2, "new", capture.OpUpdate}, {7, "new", capture.OpUpdate}, {4, "", capture.OpDelete}, {20, "new", capture.OpInsert}}
}

// prepare does all of a commit but the swap.
func (l *lab) prepare(rows []row) (*Delta, *Attempt) {
	l.t.Helper()
	l.epoch++
	b := l.table.Build(1, l.epoch)
	if err := b.Add(context.Background(), []*capture.Batch{l.batch(memory.DefaultAllocator, rows)}); err != nil {
		l.t.Fatal(err)
	}
	d := b.Delta()
	a, err := l.table.Prepare(context.Background(), d, l.mark())
	if err != nil {
		l.t.Fatal(err)
	}
	return d, a
}

// crash drops everything in memory, and opens the table under the next fence.
func (l *lab) crash() {
	l.t.Helper()
	if err := l.table.Abandon(); err != nil {
		l.t.Fatal(err)
	}
	h := l.load()
	l.fence(h, h.Fence+1)
	l.open()
}

func (l *lab) recover(fence int64) Recovered {
	l.t.Helper()
	r, err := l.table.Recover(context.Background(), fence)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (l *lab) files(pattern string) []string {
	l.t.Helper()
	out, err := filepath.Glob(filepath.Join(l.dir, pattern))
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// wantChange checks the rows and their ids after change.
func (l *lab) wantChange(before map[string]stored) {
	l.t.Helper()
	now := l.read()
	for _, id := range []int{2, 7} {
		key := l.keyText(id)
		if now[key].val != "new" || now[key].rowID != before[key].rowID {
			l.t.Fatalf("row %d is %+v, was %+v", id, now[key], before[key])
		}
	}
	if _, there := now[l.keyText(4)]; there || now[l.keyText(20)].val != "new" || len(now) != 9 {
		l.t.Fatalf("rows %v", now)
	}
}

const parquetFiles = "warehouse/*/*/data/*.parquet"

// TestPreparedIsUsed ends a process between the upload and the swap: the next one uploads no
// data file again, and the table is as if nothing had happened.
func TestPreparedIsUsed(t *testing.T) {
	l := intentLab(t)
	before := l.read()
	d, _ := l.prepare(change())
	l.crash()
	r := l.recover(1)
	if r.Files != 1 || len(r.Positions) != 1 || !r.Positions[0].Equal(l.mark().Position) {
		t.Fatalf("recovered %+v", r)
	}
	files := len(l.files(parquetFiles))
	l.epoch--
	again := l.commit([]*capture.Batch{l.batch(memory.DefaultAllocator, change())})
	if again.Reused != 1 || again.files[0].FilePath() != d.files[0].FilePath() {
		t.Errorf("%d files were used again", again.Reused)
	}
	if n := len(l.files(parquetFiles)); n != files {
		t.Errorf("%d data files, were %d", n, files)
	}
	l.wantChange(before)
	if left := l.files("intent/*/*/*"); len(left) > 0 {
		t.Errorf("intents are left: %v", left)
	}
	l.write(row{30, "later", capture.OpInsert}) // the index knows the used file
	l.write(row{20, "later", capture.OpUpdate})
	if got := l.read()[l.keyText(20)].val; got != "later" {
		t.Errorf("row 20 is %q", got)
	}
}

// TestDeadAttemptIsUsed has another program win the race: the data file is used again.
func TestDeadAttemptIsUsed(t *testing.T) {
	l := intentLab(t)
	before := l.read()
	d, a := l.prepare(change())
	l.foreignSnapshot(icetable.OpReplace)
	if _, err := Swap(context.Background(), l.cfg, a); err == nil {
		t.Fatal("the swap landed")
	}
	l.table.Keep(d)
	if err := l.table.Refresh(context.Background(), l.load()); err != nil {
		t.Fatal(err)
	}
	if again := l.commit([]*capture.Batch{l.batch(memory.DefaultAllocator, change())}); again.Reused != 1 {
		t.Errorf("%d files were used again", again.Reused)
	}
	l.wantChange(before)
}

// TestPreparedIsNotUsed has intents that must not be followed.
func TestPreparedIsNotUsed(t *testing.T) {
	for name, spoil := range map[string]func(l *lab, d *Delta) (rows []row, fence int64){
		"of an older owner": func(l *lab, _ *Delta) ([]row, int64) { return change(), 2 },
		"of another base": func(l *lab, _ *Delta) ([]row, int64) {
			l.write(row{50, "between", capture.OpInsert})
			l.crash()
			return change(), 1
		},
		"of a file that is cut short": func(l *lab, d *Delta) ([]row, int64) {
			path := d.files[0].FilePath()[len("file://"):]
			if err := os.Truncate(path, d.files[0].FileSizeBytes()-1); err != nil {
				l.t.Fatal(err)
			}
			return change(), 1
		},
		"of a file that is gone": func(l *lab, d *Delta) ([]row, int64) {
			if err := os.Remove(d.files[0].FilePath()[len("file://"):]); err != nil {
				l.t.Fatal(err)
			}
			return change(), 1
		},
		"of another value": func(l *lab, _ *Delta) ([]row, int64) {
			rows := change()
			rows[0].val = "neu"
			return rows, 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := intentLab(t)
			d, _ := l.prepare(change())
			l.crash()
			rows, fence := spoil(l, d)
			l.recover(fence)
			if again := l.commit([]*capture.Batch{l.batch(memory.DefaultAllocator, rows)}); again.Reused != 0 {
				t.Errorf("%d files were used again", again.Reused)
			}
			if got := l.read()[l.keyText(2)].val; got != rows[0].val {
				t.Errorf("row 2 is %q", got)
			}
		})
	}
}

// TestDamagedIntent has a record that cannot be read: it says so, and harms nothing.
func TestDamagedIntent(t *testing.T) {
	l := intentLab(t)
	before := l.read()
	l.prepare(change())
	l.crash()
	for _, name := range l.files("intent/*/*/*") {
		if err := os.WriteFile(name, []byte(`{"format":9}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := l.table.Recover(context.Background(), 1); err == nil || r.Files != 0 {
		t.Errorf("recovered %+v, %v", r, err)
	}
	l.commit([]*capture.Batch{l.batch(memory.DefaultAllocator, change())})
	l.wantChange(before)
	if left := l.files("intent/*/*/*"); len(left) > 0 {
		t.Errorf("intents are left: %v", left)
	}
}

// settledMeanwhile is a store whose objects are removed between their listing and their reading.
type settledMeanwhile struct{ fileio.Store }

func (s settledMeanwhile) List(ctx context.Context, prefix string) iter.Seq2[fileio.Object, error] {
	return func(yield func(fileio.Object, error) bool) {
		for o, err := range s.Store.List(ctx, prefix) {
			if err == nil {
				err = s.Remove(ctx, o.Name)
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// TestSettledIntent: a former owner that is not gone yet removes its record meanwhile.
func TestSettledIntent(t *testing.T) {
	l := intentLab(t)
	before := l.read()
	l.prepare(change())
	l.crash()
	l.table.head.store = settledMeanwhile{l.table.head.store}
	if r := l.recover(1); r.Files != 0 || len(r.Positions) != 0 {
		t.Errorf("recovered %+v", r)
	}
	if left := l.files("intent/*/*/*"); len(left) > 0 {
		t.Errorf("intents are left: %v", left)
	}
	l.commit([]*capture.Batch{l.batch(memory.DefaultAllocator, change())})
	l.wantChange(before)
}

// TestDigest has columns that differ in one thing each; no two have the same digest, and the
// same values cut out of a longer column have the same one.
func TestDigest(t *testing.T) {
	l := intentLab(t)
	texts := func(values ...any) arrow.Array {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		for _, v := range values {
			if v == nil {
				b.AppendNull()
			} else {
				b.Append(v.(string))
			}
		}
		return b.NewArray()
	}
	flags := func(values ...bool) arrow.Array {
		b := array.NewBooleanBuilder(memory.DefaultAllocator)
		b.AppendValues(values, nil)
		return b.NewArray()
	}
	numbers := func(values ...int64) arrow.Array {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		b.AppendValues(values, nil)
		return b.NewArray()
	}
	seen := map[digest]int{}
	for i, x := range []struct {
		columns []arrow.Array
		ids     []int64
	}{
		{[]arrow.Array{texts("a", "bc")}, nil},
		{[]arrow.Array{texts("ab", "c")}, nil},
		{[]arrow.Array{texts("abc")}, nil},
		{[]arrow.Array{texts("abc", nil)}, nil},
		{[]arrow.Array{texts("abc", "")}, nil},
		{[]arrow.Array{texts(nil, "abc")}, nil},
		{[]arrow.Array{texts("a", "bc")}, []int64{1, 2}},
		{[]arrow.Array{texts("a", "bc")}, []int64{2, 1}},
		{[]arrow.Array{texts("a"), texts("bc")}, nil},
		{[]arrow.Array{flags(true, false, true)}, nil},
		{[]arrow.Array{flags(true, false, false)}, nil},
		{[]arrow.Array{numbers(1, 2)}, nil},
		{[]arrow.Array{numbers(2, 1)}, nil},
		{[]arrow.Array{numbers(2, 1, 0)}, nil},
	} {
		sum, ok := l.table.digestOf(x.columns, x.ids, nil)
		if before, twice := seen[sum]; !ok || twice {
			t.Errorf("%d: digest known: %v, the same as %d: %v", i, ok, before, twice)
		}
		seen[sum] = i
	}
	for name, x := range map[string][2]arrow.Array{
		"texts":   {array.NewSlice(texts("x", nil, "a", "", nil, "bc", "y"), 2, 6), texts("a", "", nil, "bc")},
		"flags":   {array.NewSlice(flags(true, false, true, true, false), 1, 4), flags(false, true, true)},
		"numbers": {array.NewSlice(numbers(5, 1, 2, 6), 1, 3), numbers(1, 2)},
	} {
		a, _ := l.table.digestOf(x[:1], nil, nil)
		if b, ok := l.table.digestOf(x[1:], nil, nil); a != b || !ok {
			t.Errorf("%s: the same values, another digest", name)
		}
	}
}

// TestAttemptWithoutIntent has a store that does not take the intent: the attempt is as good.
func TestAttemptWithoutIntent(t *testing.T) {
	l := intentLab(t)
	before := l.read()
	if err := os.WriteFile(filepath.Join(l.dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.table.cfg.Intents = "file://" + filepath.Join(l.dir, "file")
	d, a := l.prepare(change())
	if a.Unnoted == nil {
		t.Error("there is an intent in a file")
	}
	h, err := Swap(context.Background(), l.cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.table.Advance(context.Background(), a, d, h); err != nil && !errors.Is(err, ErrDebris) {
		t.Fatal(err)
	}
	l.wantChange(before)
}
