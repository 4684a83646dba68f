package keyindex

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cdcd/table/rowset"
)

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
