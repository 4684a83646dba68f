package indexbench

import (
	"cdcd/table/keyindex"
	"cdcd/table/rowset"
	"encoding/binary"
	"flag"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

var rows = flag.Int("rows", 5_000_000, "entries to build with")

const (
	partRows = 1 << 19 // that are added together
	fileRows = 1 << 20
	batch    = 10_000 // keys that are looked up together
	batches  = 50
)

// subject is what is measured.
type subject interface {
	Add(entries []keyindex.Entry) error
	Find(keys []rowset.Key) (found int, err error)
	Close() error
}

// TestBeside builds both with integer keys in no order, and looks up random keys.
func TestBeside(t *testing.T) {
	for name, open := range map[string]func(dir string) (subject, error){"keyindex": openIndex, "pebble": openPebble} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := open(dir)
			if err != nil {
				t.Fatal(err)
			}
			built := build(t, s)
			t.Logf("%d entries: built %.2f M/s of CPU, %.1f bytes an entry, looked up %.0f k/s of CPU",
				*rows, float64(*rows)/built.Seconds()/1e6, float64(size(t, dir))/float64(*rows), batch*batches/lookUp(t, s).Seconds()/1e3)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func key(i int) rowset.Key { return rowset.Key{Lo: uint64(i) * 1_000_003 % uint64(*rows) * 8} }

// build gives the time of the processor that building takes.
func build(t *testing.T, s subject) time.Duration {
	total := time.Duration(0)
	for i := 0; i < *rows; i += partRows {
		part := make([]keyindex.Entry, min(partRows, *rows-i))
		for j := range part {
			n := i + j
			part[j] = keyindex.Entry{Key: key(n), RowID: int64(n), File: uint32(n / fileRows), Pos: uint32(n % fileRows)}
		}
		before := cpu(t)
		if err := s.Add(part); err != nil {
			t.Fatal(err)
		}
		total += cpu(t) - before
	}
	return total
}

func lookUp(t *testing.T, s subject) time.Duration {
	total := time.Duration(0)
	for range batches {
		keys := make([]rowset.Key, batch)
		for i := range keys {
			keys[i] = key(rand.IntN(*rows))
		}
		slices.SortFunc(keys, rowset.Key.Compare)
		keys = slices.Compact(keys)
		before := cpu(t)
		found, err := s.Find(keys)
		total += cpu(t) - before
		if err != nil || found != len(keys) {
			t.Fatalf("%d of %d keys, %v", found, len(keys), err)
		}
	}
	return total
}

func cpu(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func size(t *testing.T, dir string) int64 {
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// all is a Liveness of which every row is live.
type all struct{}

func (all) Live(uint32, uint32) bool { return true }
func (all) LiveFile(uint32) bool     { return true }

// index is the key index as a subject.
type index struct{ x *keyindex.Index }

func openIndex(dir string) (subject, error) {
	x, _, err := keyindex.Open(dir, "bench", func(keyindex.Version) bool { return true })
	return index{x}, err
}

func (s index) Add(entries []keyindex.Entry) error { return s.x.Add(entries, nil, all{}) }

func (s index) Find(keys []rowset.Key) (found int, err error) {
	err = s.x.Lookup(keys, all{}, func(int, keyindex.Entry) { found++ })
	return found, err
}

func (s index) Close() error { return s.x.Abandon() }

// store is pebble as a subject: without a log, with filters, and with the cache and the
// memtables of a few MiB that the key index would have to do with.
type store struct{ db *pebble.DB }

func openPebble(dir string) (subject, error) {
	cache := pebble.NewCache(64 << 20)
	defer cache.Unref()
	o := &pebble.Options{Cache: cache, DisableWAL: true, MemTableSize: 16 << 20}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(dir, o)
	return store{db}, err
}

func keyBytes(k rowset.Key) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, k.Hi), k.Lo)
}

func (s store) Add(entries []keyindex.Entry) error {
	for part := range slices.Chunk(entries, 10_000) {
		b := s.db.NewBatch()
		for _, e := range part {
			v := binary.LittleEndian.AppendUint64(nil, uint64(e.RowID))
			v = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(v, e.File), e.Pos)
			if err := b.Set(keyBytes(e.Key), v, nil); err != nil {
				return err
			}
		}
		if err := b.Commit(pebble.NoSync); err != nil {
			return err
		}
	}
	return nil
}

func (s store) Find(keys []rowset.Key) (found int, err error) {
	for _, k := range keys {
		_, closer, err := s.db.Get(keyBytes(k))
		if err != nil {
			return found, err
		}
		found++
		if err := closer.Close(); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (s store) Close() error { return s.db.Close() }
