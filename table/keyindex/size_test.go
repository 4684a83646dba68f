package keyindex

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"cdcd/table/rowset"
)

// TestBytes checks that runs count where they are: in memory until they are large.
func TestBytes(t *testing.T) {
	const small, large = 10, 100
	dir := t.TempDir()
	x, _, err := Open(dir, "t", always)
	if err != nil {
		t.Fatal(err)
	}
	x.diskFrom = large
	l := newLake(x)
	l.files["a"], l.files["b"] = []int{0}, []int{0}
	add := func(file string, n int) {
		n0 := x.Len()
		es := make([]Entry, n)
		for i := range es {
			es[i] = Entry{Key: rowset.Key{Lo: uint64(n0 + i)}, File: x.File(file), Pos: uint32(i)}
		}
		if err := x.Add(es, []uint32{x.File(file)}, l); err != nil {
			t.Fatal(err)
		}
	}
	add("a", small)
	if memory, disk := x.Bytes(); memory != int64(small*entrySize) || disk != 0 {
		t.Errorf("%d entries take %d bytes in memory, %d on disk", small, memory, disk)
	}
	add("b", large)
	memory, disk := x.Bytes()
	if disk == 0 || memory != 0 {
		t.Errorf("%d entries take %d bytes in memory, %d on disk", small+large, memory, disk)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.run"))
	size := int64(0)
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size != disk {
		t.Errorf("the files have %d bytes, not %d", size, disk)
	}
	if err := x.Abandon(); err != nil {
		t.Fatal(err)
	}
}

// TestMergeMemory checks that merging large runs takes little memory, however large they are.
func TestMergeMemory(t *testing.T) {
	const rows = 400_000 // 12.8 MB
	dir := t.TempDir()
	x, _, err := Open(dir, "t", always)
	if err != nil {
		t.Fatal(err)
	}
	l := newLake(x)
	l.files["a"], l.files["b"] = []int{0}, []int{0}
	for i, file := range []string{"a", "b"} {
		es := make([]Entry, rows)
		for j := range es {
			es[j] = Entry{Key: rowset.Key{Lo: uint64(2*j + i)}, File: x.File(file), Pos: uint32(j)}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := x.Add(es, []uint32{x.File(file)}, l); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
			t.Errorf("file %s: adding %d entries took %d bytes beside them", file, rows, n)
		}
	}
	if memory, disk := x.Bytes(); memory != 0 || disk == 0 || disk > 2*rows*12 {
		t.Errorf("%d bytes in memory, %d on disk", memory, disk)
	}
	if err := x.Abandon(); err != nil {
		t.Fatal(err)
	}
}
