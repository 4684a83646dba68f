package keyindex

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"cdcd/table/rowset"
)

// Liveness tells which rows a snapshot shows.
type Liveness interface {
	// Live reports whether the row at a position of a file is live.
	Live(file, pos uint32) bool
	// LiveFile reports whether the file is part of the snapshot.
	LiveFile(file uint32) bool
}

// ErrTwoLive reports a key with two live rows: the table is damaged.
var ErrTwoLive = errors.New("a key has two live rows")

// onDiskFrom is the size, in entries, from which a run goes to disk: 4 MiB.
const onDiskFrom = 128 << 10

// Index is the index of one table. It is used by one goroutine at a time.
type Index struct {
	dir      string
	identity string
	diskFrom int // onDiskFrom, lower in tests
	secret   rowset.Secret
	paths    []string // by file number
	numbers  map[string]uint32
	covered  map[uint32]bool
	stored   map[uint32]bool // covered by what is on disk
	runs     []*run          // newest first
	moved    moves
	movedIn  string // file that holds moved, and maybe some that were forgotten; "": none does
	unsaved  bool   // moved has more than movedIn
	next     int    // number of the next file
	version  Version
}

// Version names the snapshot whose dead rows the index may have forgotten. In an older one
// they are live.
type Version struct {
	Snapshot int64 `json:"snapshot"` // 0: none
	Sequence int64 `json:"sequence"` // its sequence number
}

// Reflect notes which snapshot the Liveness of the following calls shows.
func (x *Index) Reflect(v Version) { x.version = v }

// Secret keys the hash of the table's keys.
func (x *Index) Secret() rowset.Secret { return x.secret }

// File gives the number of a file, assigning one to a file that is new.
func (x *Index) File(path string) uint32 {
	n, ok := x.numbers[path]
	if !ok {
		n = uint32(len(x.paths))
		x.paths = append(x.paths, path)
		x.numbers[path] = n
	}
	return n
}

// Path gives the file of a number.
func (x *Index) Path(file uint32) string { return x.paths[file] }

// Files is one more than the largest file number.
func (x *Index) Files() int { return len(x.paths) }

// Covers reports whether all rows of a file are in the index.
func (x *Index) Covers(path string) bool {
	n, ok := x.numbers[path]
	return ok && x.covered[n]
}

// Len is the number of entries, dead ones included.
func (x *Index) Len() int {
	n := 0
	for _, r := range x.runs {
		n += len(r.entries)
	}
	return n
}

// Bytes is the size of the entries: of runs in memory, and of those on disk.
func (x *Index) Bytes() (memory, disk int64) {
	for _, r := range x.runs {
		size := int64(len(r.entries) * entrySize)
		if r.name == "" {
			memory += size
			continue
		}
		disk += size
	}
	return memory, disk
}

// Runs is the number of runs, for metrics.
func (x *Index) Runs() int { return len(x.runs) }

// Add puts entries into the index, which owns the slice from now on. With them the entries
// of the files in completes are all there.
func (x *Index) Add(entries []Entry, completes []uint32, live Liveness) error {
	sortEntries(entries)
	files := fileSet{}
	for _, e := range entries {
		files.add(e.File)
	}
	x.runs = slices.Insert(x.runs, 0, &run{entries: entries, files: files.list(), covers: completes})
	for _, f := range completes {
		x.covered[f] = true
	}
	return x.settle(live)
}

func sortEntries(es []Entry) {
	if slices.IsSortedFunc(es, compareEntries) {
		return
	}
	slices.SortFunc(es, compareEntries)
}

func compareEntries(a, b Entry) int { return a.Key.Compare(b.Key) }

// settle merges runs until each is at most half of the one behind it.
func (x *Index) settle(live Liveness) error {
	for i := 0; i+1 < len(x.runs); {
		if 2*len(x.runs[i].entries) <= len(x.runs[i+1].entries) {
			i++
			continue
		}
		if err := x.merge(i, live); err != nil {
			return err
		}
		i = max(0, i-1)
	}
	return nil
}

// merge replaces the runs i and i+1 by one.
func (x *Index) merge(i int, live Liveness) error {
	old := []*run{x.runs[i], x.runs[i+1]}
	onDisk := len(old[0].entries)+len(old[1].entries) >= x.diskFrom || old[1].name != ""
	merge := x.mergeInMemory
	if onDisk {
		merge = x.mergeOnDisk
	}
	merged, err := merge(old[0], old[1], live)
	if err != nil {
		return err
	}
	x.runs = slices.Replace(x.runs, i, i+2, merged)
	if onDisk {
		if err := x.record(live); err != nil {
			return err
		}
	}
	return x.discard(old)
}

func (x *Index) mergeInMemory(newer, older *run, live Liveness) (*run, error) {
	out := &run{entries: make([]Entry, 0, len(newer.entries)+len(older.entries)), covers: slices.Concat(newer.covers, older.covers)}
	files := fileSet{}
	err := x.mergeRuns(newer, older, live, func(e Entry) error {
		out.entries = append(out.entries, e)
		files.add(e.File)
		return nil
	})
	out.files = files.list()
	return out, err
}

// mergeOnDisk merges runs straight into the next file.
func (x *Index) mergeOnDisk(newer, older *run, live Liveness) (*run, error) {
	return x.store(slices.Concat(newer.covers, older.covers), func(put func(Entry) error) error {
		return x.mergeRuns(newer, older, live, put)
	})
}

// store writes the entries that fill puts, in order, to the next file. With them, the files
// in covers are on disk.
func (x *Index) store(covers []uint32, fill func(put func(Entry) error) error) (*run, error) {
	name := x.nextName("run")
	path := filepath.Join(x.dir, name)
	w, err := newRunWriter(path)
	if err == nil {
		err = w.finish(fill(w.put))
	}
	if err != nil {
		return nil, fmt.Errorf("write key index: %w", err)
	}
	for _, f := range covers {
		x.stored[f] = true
	}
	return openRun(path, name, w.files.list())
}

// nextName names the next file.
func (x *Index) nextName(kind string) string {
	x.next++
	return fmt.Sprintf("%08d.%s", x.next-1, kind)
}

func (x *Index) discard(old []*run) error {
	for _, r := range old {
		name := r.name
		if err := r.close(); err != nil {
			return err
		}
		if name == "" {
			continue
		}
		if err := os.Remove(filepath.Join(x.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// mergeRuns gives the live entries of two sorted runs, in order. A row that both have, since
// a file was read again after a crash, is given once.
func (x *Index) mergeRuns(newer, older *run, live Liveness, put func(Entry) error) error {
	var last Entry
	some := false
	putLive := func(e Entry) error {
		e, ok := x.moved.resolve(e)
		if !ok || !live.Live(e.File, e.Pos) {
			return nil
		}
		if some && last.Key == e.Key {
			if last.File == e.File && last.Pos == e.Pos {
				return nil
			}
			return fmt.Errorf("%w: positions %d and %d", ErrTwoLive, last.Pos, e.Pos)
		}
		last, some = e, true
		return put(e)
	}
	a, b := newer.entries, older.entries
	for len(a) > 0 || len(b) > 0 {
		var e Entry
		if len(b) == 0 || len(a) > 0 && !b[0].Key.Less(a[0].Key) {
			e, a = a[0], a[1:]
		} else {
			e, b = b[0], b[1:]
		}
		if err := putLive(e); err != nil {
			return err
		}
	}
	return nil
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

// Overlay is entries of files that are not committed yet. It lives in memory and is looked
// up before the index.
type Overlay struct{ runs []*run }

// Add puts the entries of one file into the overlay, which owns the slice from now on.
func (o *Overlay) Add(entries []Entry) {
	if len(entries) == 0 {
		return
	}
	sortEntries(entries)
	o.runs = slices.Insert(o.runs, 0, &run{entries: entries})
}

// Lookup is as Index.Lookup.
func (o *Overlay) Lookup(keys []rowset.Key, live Liveness, found func(i int, e Entry)) {
	lookup(o.runs, nil, keys, live, found)
}

// Lookup finds the live row of each key. keys are in ascending order; found is called in
// no order, at most once a key, with the key's place and its entry.
func (x *Index) Lookup(keys []rowset.Key, live Liveness, found func(i int, e Entry)) {
	lookup(x.runs, x.moved, keys, live, found)
}

func lookup(runs []*run, m moves, keys []rowset.Key, live Liveness, found func(i int, e Entry)) {
	open := make([]int32, len(keys)) // places of keys not found yet
	for i := range open {
		open[i] = int32(i)
	}
	for _, r := range runs {
		if len(open) == 0 {
			return
		}
		open = r.lookup(m, keys, open, live, found)
	}
}

// lookup looks for the open keys in one run and returns those still open.
func (r *run) lookup(m moves, keys []rowset.Key, open []int32, live Liveness, found func(i int, e Entry)) []int32 {
	if n := len(r.entries); n == 0 || r.entries[n-1].Key.Less(keys[open[0]]) || keys[open[len(open)-1]].Less(r.entries[0].Key) {
		return open
	}
	at, left := 0, open[:0]
	for _, i := range open {
		at = r.seek(at, keys[i])
		hit := false
		for j := at; j < len(r.entries) && r.entries[j].Key == keys[i]; j++ {
			if e, ok := m.resolve(r.entries[j]); ok && live.Live(e.File, e.Pos) {
				found(int(i), e)
				hit = true
				break
			}
		}
		if !hit {
			left = append(left, i)
		}
	}
	return left
}
