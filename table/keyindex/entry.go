package keyindex

import (
	"errors"
	"slices"
	"sort"
	"unsafe"

	"cdcd/table/rowset"
)

// Entry says where a row with a key is.
type Entry struct {
	Key   rowset.Key
	RowID int64  // the row's _row_id, or ImplicitRowID
	File  uint32 // as Index.File gives it
	Pos   uint32 // position in the file
}

// ImplicitRowID marks a row whose _row_id is its file's first row id plus its position.
const ImplicitRowID = -1

// entrySize is what an entry takes in memory.
const entrySize = int(unsafe.Sizeof(Entry{}))

// errDamaged reports a file that is not what was written.
var errDamaged = errors.New("damaged index file")

// memoryRun is a sorted sequence of entries that does not change. A key may be in it more
// than once.
type memoryRun struct {
	entries []Entry
	files   []uint32 // that entries point to
	covers  []uint32 // files of which this run completes the entries
}

func newMemoryRun(entries []Entry, covers []uint32) *memoryRun {
	compare := func(a, b Entry) int { return a.Key.Compare(b.Key) }
	if !slices.IsSortedFunc(entries, compare) {
		slices.SortFunc(entries, compare)
	}
	files := fileSet{}
	for i := range entries {
		files.add(entries[i].File)
	}
	return &memoryRun{entries: entries, files: files.list(), covers: covers}
}

// lookup looks for the open keys and returns those still open.
func (r *memoryRun) lookup(keys []rowset.Key, open []int32, row func(i int32, e Entry) bool) []int32 {
	at, left := 0, open[:0]
	for _, i := range open {
		at = r.seek(at, keys[i])
		hit := false
		for j := at; !hit && j < len(r.entries) && r.entries[j].Key == keys[i]; j++ {
			hit = row(i, r.entries[j])
		}
		if !hit {
			left = append(left, i)
		}
	}
	return left
}

// seek finds the first entry from at on whose key is not below k. Keys come in order, so
// it looks close by first.
func (r *memoryRun) seek(at int, k rowset.Key) int {
	return gallop(at, len(r.entries), func(i int) bool { return r.entries[i].Key.Less(k) })
}

// gallop finds the first place in [at, end) of which below does not hold, or end. below holds
// for the places of a prefix; looking close to at costs least.
func gallop(at, end int, below func(i int) bool) int {
	step := 1
	for at+step < end && below(at+step) {
		at += step
		step *= 2
	}
	end = min(at+step+1, end)
	return at + sort.Search(end-at, func(i int) bool { return !below(at + i) })
}

// fileSet is a set of file numbers.
type fileSet []bool

func (s *fileSet) add(file uint32) {
	if int(file) >= len(*s) {
		*s = append(*s, make([]bool, int(file)+1-len(*s))...)
	}
	(*s)[file] = true
}

func (s fileSet) list() []uint32 {
	var out []uint32
	for f, in := range s {
		if in {
			out = append(out, uint32(f))
		}
	}
	return out
}
