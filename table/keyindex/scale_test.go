package keyindex

import (
	"flag"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"cdcd/table/rowset"
)

var scaleRows = flag.Int("scale", 0, "rows of TestScale; 0: as many as take a second or two")

// TestScale builds an index as a load does, in the order of keys that are integers and of
// keys that are hashes, and looks up random keys. It prints what that takes, and holds what
// does not depend on the machine: bytes a key, the heap, and that all is found.
func TestScale(t *testing.T) {
	rows := *scaleRows
	if rows == 0 {
		rows = 1_000_000
	}
	for name, key := range map[string]func(i int) rowset.Key{
		"integers": func(i int) rowset.Key { return rowset.Key{Lo: scatter(i, rows)} },
		"hashes": func(i int) rowset.Key {
			return rowset.Key{Hi: keyHash(rowset.Key{Lo: uint64(i)}), Lo: keyHash(rowset.Key{Hi: uint64(i)})}
		},
	} {
		t.Run(name, func(t *testing.T) { scale(t, rows, key) })
	}
}

// scatter gives the i-th of n numbers of a range that is eight times as large, in no order.
func scatter(i, n int) uint64 { return uint64(i) * 1_000_003 % uint64(n) * 8 }

func scale(t *testing.T, rows int, key func(i int) rowset.Key) {
	const part, fileRows, batch, batches = 1 << 19, 1 << 20, 10_000, 50
	x, _, err := Open(t.TempDir(), "t", always)
	if err != nil {
		t.Fatal(err)
	}
	var building time.Duration
	for i := 0; i < rows; i += part {
		es := make([]Entry, min(part, rows-i))
		for j := range es {
			n := i + j
			es[j] = Entry{Key: key(n), RowID: int64(n), File: uint32(n / fileRows), Pos: uint32(n % fileRows)}
			if n%2 == 0 {
				es[j].RowID = ImplicitRowID
			}
		}
		before := cpu(t)
		if err := x.Add(es, nil, all{}); err != nil {
			t.Fatal(err)
		}
		building += cpu(t) - before
	}
	memory, disk := x.Bytes()
	heap := heapInUse()
	var looking time.Duration
	for range batches + 1 {
		found, before := 0, time.Duration(0)
		keys := make([]rowset.Key, batch)
		for j := range keys {
			keys[j] = key(rand.IntN(rows))
		}
		slices.SortFunc(keys, rowset.Key.Compare)
		keys = slices.Compact(keys)
		before = cpu(t)
		if err := x.Lookup(keys, all{}, func(int, Entry) { found++ }); err != nil {
			t.Fatal(err)
		}
		looking += cpu(t) - before
		if found != len(keys) {
			t.Fatalf("%d of %d keys found", found, len(keys))
		}
	}
	t.Logf("%d rows: %.2f M/s built, %.1f bytes a row on disk, %d KiB in memory, %d KiB of heap, %d runs, %.0f k look-ups/s",
		rows, float64(rows)/building.Seconds()/1e6, float64(disk)/float64(rows), memory>>10, heap>>10, x.Runs(),
		float64(batch*(batches+1))/looking.Seconds()/1e3)
	if float64(disk)/float64(rows) > 25 || heap > 64<<20 {
		t.Errorf("%d bytes on disk, %d of heap", disk, heap)
	}
	if err := x.Abandon(); err != nil {
		t.Fatal(err)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// cpu is the time that this process has computed.
func cpu(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
