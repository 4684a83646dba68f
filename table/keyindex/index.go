package keyindex

import (
	"errors"
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

// onDiskFrom is how many entries go to disk together: 4 MiB of memory.
const onDiskFrom = 128 << 10

// Index is the index of one table. It is used by one goroutine at a time.
type Index struct {
	dir      string
	identity string
	diskFrom int // onDiskFrom, lower in tests
	step     int // mergeStep, lower in tests
	secret   rowset.Secret
	paths    []string // by file number
	numbers  map[string]uint32
	covered  map[uint32]bool
	stored   map[uint32]bool // covered by what is on disk
	memory   []*memoryRun    // newest first
	disk     []*diskRun
	merges   []*merge // under way; they read some of disk
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
	for _, r := range x.memory {
		n += len(r.entries)
	}
	for _, r := range x.disk {
		n += r.count
	}
	return n
}

// Bytes is the size of the runs: of those in memory, and of those on disk.
func (x *Index) Bytes() (memory, disk int64) {
	for _, r := range x.memory {
		memory += int64(len(r.entries) * entrySize)
	}
	for _, r := range x.disk {
		disk += int64(len(r.mapped))
	}
	return memory, disk
}

// Runs is the number of runs, for metrics.
func (x *Index) Runs() int { return len(x.memory) + len(x.disk) }

// Add puts entries into the index, which owns the slice from now on. With them the entries
// of the files in completes are all there. What was added is on disk once it is much; then
// merges go on by as much as their pace says. An error leaves the index of no use.
func (x *Index) Add(entries []Entry, completes []uint32, live Liveness) error {
	added := len(entries)
	x.memory = slices.Insert(x.memory, 0, newMemoryRun(entries, completes))
	for _, f := range completes {
		x.covered[f] = true
	}
	if err := x.settle(live); err != nil {
		return err
	}
	return x.mergeOn(added, live)
}

// settle merges runs in memory until each is at most half of the one behind it, or writes
// them all to disk where they are many.
func (x *Index) settle(live Liveness) error {
	total := 0
	for _, r := range x.memory {
		total += len(r.entries)
	}
	if total >= x.diskFrom {
		if err := x.store(live); err != nil {
			return err
		}
		return x.record(live)
	}
	for i := 0; i+1 < len(x.memory); {
		if 2*len(x.memory[i].entries) <= len(x.memory[i+1].entries) {
			i++
			continue
		}
		merged, err := x.pair(x.memory[i], x.memory[i+1], live)
		if err != nil {
			return err
		}
		x.memory = slices.Replace(x.memory, i, i+2, merged)
		i = max(0, i-1)
	}
	return nil
}

// pair merges two runs in memory.
func (x *Index) pair(a, b *memoryRun, live Liveness) (*memoryRun, error) {
	entries := make([]Entry, 0, len(a.entries)+len(b.entries))
	err := mergeInMemory([]*memoryRun{a, b}, x.moved, live, func(e Entry) error {
		entries = append(entries, e)
		return nil
	})
	return newMemoryRun(entries, slices.Concat(a.covers, b.covers)), err
}

// Overlay is entries of files that are not committed yet. It lives in memory and is looked
// up before the index.
type Overlay struct{ runs []*memoryRun }

// Add puts the entries of one file into the overlay, which owns the slice from now on.
func (o *Overlay) Add(entries []Entry) {
	if len(entries) == 0 {
		return
	}
	o.runs = slices.Insert(o.runs, 0, newMemoryRun(entries, nil))
}

// Lookup is as Index.Lookup.
func (o *Overlay) Lookup(keys []rowset.Key, live Liveness, found func(i int, e Entry)) {
	q := query{live: live, found: found}
	lookupInMemory(o.runs, keys, allPlaces(keys), q.row)
}

// Lookup finds the live row of each key. keys are in ascending order; found is called in
// no order, at most once a key, with the key's place and its entry. Where a file is damaged,
// the next Open makes a new index.
func (x *Index) Lookup(keys []rowset.Key, live Liveness, found func(i int, e Entry)) error {
	q := query{moved: x.moved, live: live, found: found}
	open := lookupInMemory(x.memory, keys, allPlaces(keys), q.row)
	for _, r := range x.disk {
		if len(open) == 0 {
			return nil
		}
		var err error
		if open, err = r.lookup(keys, open, q.row); err != nil {
			return x.damaged(err)
		}
	}
	return nil
}

// query is what is asked of every entry of a key that is looked up.
type query struct {
	moved moves
	live  Liveness
	found func(i int, e Entry)
}

// row reports whether an entry is the live row of the key at place i.
func (q *query) row(i int32, e Entry) bool {
	e, ok := q.moved.resolve(e)
	if !ok || !q.live.Live(e.File, e.Pos) {
		return false
	}
	q.found(int(i), e)
	return true
}

func allPlaces(keys []rowset.Key) []int32 {
	open := make([]int32, len(keys))
	for i := range open {
		open[i] = int32(i)
	}
	return open
}

func lookupInMemory(runs []*memoryRun, keys []rowset.Key, open []int32, row func(i int32, e Entry) bool) []int32 {
	for _, r := range runs {
		if len(open) == 0 {
			break
		}
		open = r.lookup(keys, open, row)
	}
	return open
}
