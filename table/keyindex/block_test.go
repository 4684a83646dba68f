package keyindex

import (
	"fmt"
	"slices"
	"testing"

	"cdcd/table/rowset"
	"pgregory.net/rapid"
)

// TestSection checks that a section gives back what it was made of, whatever widths its
// values have, and finds its keys and no others.
func TestSection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := func(label string) *rapid.Generator[uint64] {
			mask := ^uint64(0) >> rapid.IntRange(0, 63).Draw(t, label+" bits")
			return rapid.Map(rapid.Uint64(), func(v uint64) uint64 { return v & mask })
		}
		hi, lo, file, row := value("hi"), value("lo"), value("file"), value("row")
		es := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Entry {
			return Entry{
				Key: rowset.Key{Hi: hi.Draw(t, "hi"), Lo: lo.Draw(t, "lo")}, RowID: int64(row.Draw(t, "row")>>1) - 1,
				File: uint32(file.Draw(t, "file")), Pos: uint32(row.Draw(t, "pos")),
			}
		}), 1, 600, func(e Entry) rowset.Key { return e.Key }).Draw(t, "entries")
		compare := func(a, b Entry) int { return a.Key.Compare(b.Key) }
		slices.SortFunc(es, compare)
		s := section{b: appendSection(nil, es), n: len(es)}
		var got []Entry
		for i := range blocksOf(s.n) {
			b := s.block(i)
			got = b.appendEntries(got)
		}
		if !slices.Equal(got, es) {
			t.Fatalf("got %v of %v", got, es)
		}
		for _, e := range es {
			if found, ok := s.find(e.Key); !ok || found != e || !s.has(keyHash(e.Key)) {
				t.Fatalf("%v is found as %v, %v", e, found, ok)
			}
		}
		k := rowset.Key{Hi: hi.Draw(t, "other hi"), Lo: lo.Draw(t, "other lo")}
		_, in := slices.BinarySearchFunc(es, Entry{Key: k}, compare)
		if _, ok := s.find(k); ok != in {
			t.Fatalf("%v is found: %v", k, ok)
		}
	})
}

// TestFilter checks that filters pass few keys that they do not have.
func TestFilter(t *testing.T) {
	for name, key := range map[string]func(i int) rowset.Key{
		"low numbers": func(i int) rowset.Key { return rowset.Key{Lo: uint64(i)} },
		"pairs":       func(i int) rowset.Key { return rowset.Key{Hi: uint64(i), Lo: uint64(i % 3)} },
		"high bits":   func(i int) rowset.Key { return rowset.Key{Lo: uint64(i) << 40} },
	} {
		filter := make([]byte, filterBytes(sectionEntries))
		for i := range sectionEntries {
			filterAdd(filter, keyHash(key(2*i)))
		}
		wrong := 0
		for i := range sectionEntries {
			if !filterHas(filter, keyHash(key(2*i))) {
				t.Fatalf("%s: a key is not in its filter", name)
			}
			if filterHas(filter, keyHash(key(2*i+1))) {
				wrong++
			}
		}
		if wrong > sectionEntries/50 {
			t.Errorf("%s: %d of %d other keys pass", name, wrong, sectionEntries)
		}
	}
}

// TestPlanMerge checks which runs are merged next.
func TestPlanMerge(t *testing.T) {
	const unit = 10
	for _, c := range []struct {
		sizes []int
		busy  bool
		want  []int
	}{
		{nil, false, nil},
		{[]int{10, 10, 10}, false, nil},
		{[]int{10, 10, 10, 10}, false, []int{0, 1, 2, 3}},
		{[]int{200, 10, 10, 3, 1}, false, []int{1, 2, 3, 4}},
		{[]int{200, 30, 30, 30, 10, 30}, false, []int{1, 2, 3, 5}},
		{[]int{300, 250, 40, 10}, false, []int{0, 1, 2, 3}},
		{[]int{300, 250, 40, 10}, true, nil},
		{[]int{300, 200, 40, 10}, false, nil},
	} {
		if got := planMerge(c.sizes, unit, c.busy); !slices.Equal(got, c.want) {
			t.Errorf("%v, busy %v: %v", c.sizes, c.busy, got)
		}
	}
}

// TestRunsAreBounded checks that there are few runs however entries come, and also where
// restarts throw merges away.
func TestRunsAreBounded(t *testing.T) {
	for _, restart := range []int{1 << 30, 7} {
		t.Run(fmt.Sprint(restart), func(t *testing.T) {
			dir := t.TempDir()
			x, _, err := Open(dir, "t", always)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 1500 {
				x.diskFrom, x.step = 20, 0
				if i%restart == restart-1 {
					if err := x.Close(all{}); err != nil {
						t.Fatal(err)
					}
					if x, _, err = Open(dir, "t", always); err != nil {
						t.Fatal(err)
					}
					continue
				}
				es := make([]Entry, 10)
				for j := range es {
					es[j].Key.Lo = uint64(10*i + j)
				}
				if err := x.Add(es, nil, all{}); err != nil {
					t.Fatal(err)
				}
				if n := len(x.disk); n > maxRuns+1 {
					t.Fatalf("%d runs on disk after %d entries", n, 10*i)
				}
			}
			if err := x.Abandon(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
