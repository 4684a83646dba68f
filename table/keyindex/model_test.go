package keyindex

import (
	"fmt"
	"maps"
	"os"
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
