package keyindex

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cdcd/table/rowset"
	"pgregory.net/rapid"
)

// lake is the model: files of keys, each row live or dead.
type lake struct {
	files map[string][]int // keys by position
	first map[string]int64 // row id of a file's first row, where row ids are implicit
	ids   map[string][]int64
	dead  map[string]map[uint32]bool
	next  int64 // row id
	index *Index
}

func newLake(x *Index) *lake {
	return &lake{
		files: map[string][]int{}, first: map[string]int64{}, ids: map[string][]int64{}, dead: map[string]map[uint32]bool{}, index: x,
	}
}

func (l *lake) Live(file, pos uint32) bool {
	p := l.index.Path(file)
	return l.LiveFile(file) && !l.dead[p][pos]
}

func (l *lake) LiveFile(file uint32) bool { return l.files[l.index.Path(file)] != nil }

// idOf is the row id of a row, explicit or not.
func (l *lake) idOf(file string, pos uint32) int64 {
	if ids := l.ids[file]; ids != nil {
		return ids[pos]
	}
	return l.first[file] + int64(pos)
}

func (l *lake) at() map[int]string {
	out := map[int]string{}
	for f, keys := range l.files {
		for pos, k := range keys {
			if !l.dead[f][uint32(pos)] {
				out[k] = fmt.Sprintf("%s@%d #%d", f, pos, l.idOf(f, uint32(pos)))
			}
		}
	}
	return out
}

// commit adds a file with new rows of the given keys, killing the older ones. With explicit
// ids, rows keep those of the rows they replace.
func (l *lake) commit(t *rapid.T, name string, keys []int, explicit bool) {
	ids := make([]int64, len(keys))
	for i := range ids {
		ids[i] = l.next + int64(i)
	}
	for f, old := range l.files {
		for pos, k := range old {
			i := slices.Index(keys, k)
			if i < 0 || l.dead[f][uint32(pos)] {
				continue
			}
			ids[i] = l.idOf(f, uint32(pos))
			l.kill(f, uint32(pos))
		}
	}
	l.files[name], l.first[name] = keys, l.next
	if explicit {
		l.ids[name] = ids
	}
	l.next += int64(len(keys))
	l.cover(t, name)
}

func (l *lake) kill(file string, pos uint32) {
	if l.dead[file] == nil {
		l.dead[file] = map[uint32]bool{}
	}
	l.dead[file][pos] = true
}

// cover adds a file's rows to the index, as after a commit or after a crash. A large file
// comes in two parts, of which a crash may leave the first alone.
func (l *lake) cover(t *rapid.T, name string) {
	n := l.index.File(name)
	var es []Entry
	for pos, k := range l.files[name] {
		e := Entry{Key: keyOf(k), RowID: ImplicitRowID, File: n, Pos: uint32(pos)}
		if l.ids[name] != nil {
			e.RowID = l.ids[name][pos]
		}
		es = append(es, e)
	}
	if len(es) > 9 {
		if err := l.index.Add(slices.Clone(es[:9]), nil, l); err != nil {
			t.Fatal(err)
		}
		if rapid.IntRange(0, 3).Draw(t, "torn") > 0 {
			es = es[9:]
		}
	}
	if err := l.index.Add(es, []uint32{n}, l); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(l.index.memory); i++ {
		if a, b := len(l.index.memory[i-1].entries), len(l.index.memory[i].entries); 2*a > b {
			t.Fatalf("run of %d entries before one of %d", a, b)
		}
	}
}

func keyOf(k int) rowset.Key { return rowset.Key{Hi: uint64(k % 3), Lo: uint64(k)} }

const modelKeys = 40

func (l *lake) check(t *rapid.T) {
	want := l.at()
	type pair struct {
		key rowset.Key
		k   int
	}
	var ps []pair
	for k := range modelKeys {
		ps = append(ps, pair{keyOf(k), k})
	}
	slices.SortFunc(ps, func(a, b pair) int { return a.key.Compare(b.key) })
	keys := make([]rowset.Key, len(ps))
	for i := range ps {
		keys[i] = ps[i].key
	}
	got := map[int]string{}
	err := l.index.Lookup(keys, l, func(i int, e Entry) {
		if got[ps[i].k] != "" {
			t.Fatalf("key %d found twice", ps[i].k)
		}
		path, id := l.index.Path(e.File), e.RowID
		if id == ImplicitRowID {
			id = l.first[path] + int64(e.Pos)
		}
		got[ps[i].k] = fmt.Sprintf("%s@%d #%d", path, e.Pos, id)
	})
	if err != nil {
		t.Fatal(err)
	}
	for k := range modelKeys {
		if got[k] != want[k] {
			t.Fatalf("key %d: index %q, lake %q", k, got[k], want[k])
		}
	}
}

// reopen closes the index, cleanly or as a crash does, and opens it again.
func (l *lake) reopen(t *rapid.T, dir string, clean bool) {
	var err error
	if clean {
		err = l.index.Close(l)
	} else {
		err = l.index.Abandon()
	}
	if err != nil {
		t.Fatal(err)
	}
	x, discarded, err := Open(dir, "t", always)
	if err != nil || discarded != nil {
		t.Fatal(err, discarded)
	}
	x.diskFrom, x.step = 8, 0
	l.index = x
	for _, f := range slices.Sorted(keysOf(l.files)) {
		if covered := x.Covers(f); !covered {
			if clean {
				t.Fatalf("%s lost in a clean close", f)
			}
			l.cover(t, f)
		}
	}
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestIndexAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "keyindex")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		x, _, err := Open(dir, "t", always)
		if err != nil {
			t.Fatal(err)
		}
		x.diskFrom, x.step = 8, 0
		l := newLake(x)
		for step := range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "action") {
			case 0:
				l.reopen(t, dir, true)
			case 1:
				l.reopen(t, dir, false)
			case 2:
				l.delete(t, slices.Sorted(keysOf(l.files)))
			case 3:
				l.rewrite(t, step)
			case 4, 5:
				l.compact(t, dir, step)
			default:
				keys := rapid.SliceOfNDistinct(rapid.IntRange(0, modelKeys-1), 1, 12, rapid.ID).Draw(t, "keys")
				l.commit(t, fmt.Sprintf("f%d", step), keys, rapid.Bool().Draw(t, "explicit"))
			}
			l.check(t)
		}
		if err := l.index.Abandon(); err != nil {
			t.Fatal(err)
		}
	})
}

// delete kills some rows of files.
func (l *lake) delete(t *rapid.T, files []string) {
	for _, f := range files {
		for pos := range l.files[f] {
			if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
				l.kill(f, uint32(pos))
			}
		}
	}
}

// rewrite moves the live rows of one file into a new one, as somebody else's compaction does.
func (l *lake) rewrite(t *rapid.T, step int) {
	names := slices.Sorted(keysOf(l.files))
	if len(names) == 0 {
		return
	}
	old := rapid.SampledFrom(names).Draw(t, "file")
	var keys []int
	for pos, k := range l.files[old] {
		if !l.dead[old][uint32(pos)] {
			keys = append(keys, k)
		}
	}
	delete(l.files, old)
	name := fmt.Sprintf("r%d", step)
	l.files[name], l.first[name] = append(keys, modelKeys+step), l.next // never empty
	l.next += int64(len(l.files[name]))
	l.cover(t, name)
}

// compact rewrites some files into one or two, while rows of them are deleted. A crash may
// come before the index has followed.
func (l *lake) compact(t *rapid.T, dir string, step int) {
	names := rapid.Permutation(slices.Sorted(keysOf(l.files))).Draw(t, "order")
	if len(names) == 0 {
		return
	}
	names = names[:rapid.IntRange(1, min(5, len(names))).Draw(t, "inputs")]
	seen := map[string]map[uint32]bool{}
	for _, f := range names {
		seen[f] = maps.Clone(l.dead[f])
	}
	l.delete(t, names)
	var rs []Redirect
	half := rapid.IntRange(0, len(names)).Draw(t, "half")
	for i, group := range [][]string{names[:half], names[half:]} {
		rs = append(rs, l.land(fmt.Sprintf("c%d.%d", step, i), group, seen)...)
	}
	if rapid.IntRange(0, 5).Draw(t, "crash") == 0 {
		l.reopen(t, dir, false)
		return
	}
	if err := l.index.Redirect(rs, l); err != nil {
		t.Fatal(err)
	}
	if rapid.IntRange(0, 3).Draw(t, "reopen") == 0 {
		l.reopen(t, dir, true)
	}
}

// land replaces files by one with their rows that were not seen dead.
func (l *lake) land(output string, inputs []string, seen map[string]map[uint32]bool) []Redirect {
	var rs []Redirect
	var keys []int
	var ids []int64
	for _, f := range inputs {
		r := Redirect{
			Input: l.index.File(f), Start: uint32(len(keys)), Rows: uint32(len(l.files[f])), FirstRowID: l.first[f],
			Seen: CollectPositions(func(yield func(uint64) bool) {
				for pos := range seen[f] {
					if !yield(uint64(pos)) {
						return
					}
				}
			}),
		}
		for pos, k := range l.files[f] {
			if seen[f][uint32(pos)] {
				continue
			}
			if l.dead[f][uint32(pos)] {
				l.kill(output, uint32(len(keys)))
			}
			keys, ids = append(keys, k), append(ids, l.idOf(f, uint32(pos)))
		}
		delete(l.files, f)
		rs = append(rs, r)
	}
	if len(keys) == 0 {
		return nil
	}
	l.files[output], l.ids[output] = keys, ids
	for i := range rs {
		rs[i].Output = l.index.File(output)
	}
	return rs
}

func TestDamageIsFound(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"bit":       func(dir string) error { return flip(run1(dir), 40) },
		"header":    func(dir string) error { return flip(run1(dir), 8) },
		"footer":    func(dir string) error { return flip(run1(dir), -1) },
		"truncated": func(dir string) error { return os.Truncate(run1(dir), 100) },
		"gone":      func(dir string) error { return os.Remove(run1(dir)) },
		"manifest":  func(dir string) error { return flip(filepath.Join(dir, manifestName), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			build(t, dir, 10)
			if x, discarded, err := Open(dir, "t", always); err != nil || discarded != nil || x.Len() != 10 {
				t.Fatal("before damage:", discarded, err)
			}
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			x, discarded, err := Open(dir, "t", always)
			if err != nil {
				t.Fatal(err)
			}
			if discarded == nil && x.Len() > 0 { // not seen by Open, so by the first who looks
				if err := x.Lookup([]rowset.Key{{Lo: 3}}, all{}, func(int, Entry) {}); !errors.Is(err, errDamaged) {
					t.Errorf("the look-up gives %v", err)
				}
				if err := x.Abandon(); err != nil {
					t.Fatal(err)
				}
				if x, _, err = Open(dir, "t", always); err != nil {
					t.Fatal(err)
				}
			} else if discarded == nil && name != "gone" {
				t.Error("damage not found")
			}
			if x.Len() != 0 || x.Covers("a") {
				t.Errorf("%d entries are left", x.Len())
			}
		})
	}
}

// TestDamageIsFoundByMerges checks that a merge does not carry damage on.
func TestDamageIsFoundByMerges(t *testing.T) {
	dir := t.TempDir()
	build(t, dir, 1)
	if err := flip(run1(dir), 40); err != nil {
		t.Fatal(err)
	}
	x, _, err := Open(dir, "t", always)
	if err != nil {
		t.Fatal(err)
	}
	x.diskFrom = 1
	for i := range fanOut {
		err = errors.Join(err, x.Add([]Entry{{Key: rowset.Key{Lo: uint64(100 + i)}}}, nil, all{}))
	}
	if !errors.Is(err, errDamaged) {
		t.Errorf("merged: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, manifestName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the index would be opened again: %v", err)
	}
	if err := x.Abandon(); err != nil {
		t.Fatal(err)
	}
}

// TestVersion checks that the version is kept, and that an index which the table's snapshot
// does not follow is discarded.
func TestVersion(t *testing.T) {
	dir, v := t.TempDir(), Version{Snapshot: 7, Sequence: 3}
	x, _, err := Open(dir, "t", always)
	if err != nil {
		t.Fatal(err)
	}
	x.Reflect(v)
	if err := errors.Join(x.Add([]Entry{{File: x.File("a")}}, []uint32{0}, all{}), x.Close(all{})); err != nil {
		t.Fatal(err)
	}
	var asked Version
	x, discarded, err := Open(dir, "t", func(v Version) bool { asked = v; return false })
	if err != nil || discarded == nil || x.Len() != 0 || asked != v {
		t.Errorf("asked for %v, discarded %v, %d entries, %v", asked, discarded, x.Len(), err)
	}
}

func TestOtherTableIsDiscarded(t *testing.T) {
	dir := t.TempDir()
	secret := build(t, dir, 10)
	x, discarded, err := Open(dir, "another", always)
	if err != nil || discarded == nil || x.Len() != 0 {
		t.Errorf("discarded %v, %d entries, %v", discarded, x.Len(), err)
	}
	if x.Secret() == secret {
		t.Error("the secret was kept")
	}
}

func always(Version) bool { return true }

// all is a Liveness that shows everything.
type all struct{}

func (all) Live(uint32, uint32) bool { return true }
func (all) LiveFile(uint32) bool     { return true }

func build(t testing.TB, dir string, n int) rowset.Secret {
	t.Helper()
	x, _, err := Open(dir, "t", always)
	if err != nil {
		t.Fatal(err)
	}
	var es []Entry
	for i := range n {
		es = append(es, Entry{Key: rowset.Key{Lo: uint64(i)}, File: x.File("a"), Pos: uint32(i)})
	}
	if err := x.Add(es, []uint32{0}, all{}); err != nil {
		t.Fatal(err)
	}
	secret := x.Secret()
	if err := x.Close(all{}); err != nil {
		t.Fatal(err)
	}
	return secret
}

func run1(dir string) string { return filepath.Join(dir, "00000000.run") }

func flip(path string, at int) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 0xff
	return os.WriteFile(path, b, 0o600)
}

func TestTwoLiveRowsAreFound(t *testing.T) {
	x, _, err := Open(t.TempDir(), "t", always)
	if err != nil {
		t.Fatal(err)
	}
	add := func(path string) error {
		f := x.File(path)
		return x.Add([]Entry{{Key: rowset.Key{Lo: 1}, File: f}}, []uint32{f}, all{})
	}
	if err := errors.Join(add("a"), add("b")); !errors.Is(err, ErrTwoLive) {
		t.Errorf("got %v", err)
	}
}

func TestOverlay(t *testing.T) {
	var o Overlay
	o.Add([]Entry{{Key: rowset.Key{Lo: 2}, File: 1, Pos: 7}, {Key: rowset.Key{Lo: 1}, File: 1, Pos: 8}})
	o.Add([]Entry{{Key: rowset.Key{Lo: 3}, File: 2, Pos: 9}})
	got := map[int]uint32{}
	o.Lookup([]rowset.Key{{Lo: 1}, {Lo: 3}, {Lo: 4}}, all{}, func(i int, e Entry) { got[i] = e.Pos })
	if len(got) != 2 || got[0] != 8 || got[1] != 9 {
		t.Error(got)
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1_000_000} {
		dir := b.TempDir()
		build(b, dir, n)
		x, _, err := Open(dir, "t", always)
		if err != nil {
			b.Fatal(err)
		}
		keys := make([]rowset.Key, 20_000)
		for i := range keys {
			keys[i] = rowset.Key{Lo: uint64(i) * 7919 % uint64(n)}
		}
		slices.SortFunc(keys, rowset.Key.Compare)
		keys = slices.Compact(keys)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			found := 0
			for b.Loop() {
				found = 0
				if err := x.Lookup(keys, all{}, func(int, Entry) { found++ }); err != nil {
					b.Fatal(err)
				}
			}
			if cmp.Compare(found, len(keys)) != 0 {
				b.Fatal(found)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(keys)), "ns/key")
		})
	}
}
