package table

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// outline renders all that a content knows, to compare the one that was followed through
// commits with one that was loaded.
func outline(t *testing.T, c *content) []string {
	t.Helper()
	var out []string
	for _, path := range slices.Sorted(maps.Keys(c.files)) {
		f := c.files[path]
		line := fmt.Sprintf("file %s spec %d rows %d bytes %d first %d in %s", path, f.spec, f.rows, f.bytes, f.firstRowID, f.manifest)
		bits, err := c.bits(f)
		if err != nil {
			t.Fatal(err)
		}
		if bits != nil {
			d := f.deleted.entry
			line += fmt.Sprintf(" deleted %v by %s seq %d in %s", slices.Collect(bits.Positions()), d.DataFile().FilePath(), d.SequenceNum(), f.deleted.manifest)
		}
		out = append(out, line)
	}
	for _, m := range c.data {
		out = append(out, "data manifest "+m.FilePath())
	}
	for _, path := range slices.Sorted(maps.Keys(c.deletes)) {
		out = append(out, fmt.Sprintf("delete manifest %s of %v", path, slices.Sorted(maps.Keys(c.deletes[path].live))))
	}
	return out
}

// TestManyCommits follows a table through many small commits: what is kept in memory
// equals what is stored, and nothing that a commit walks grows with their number.
func TestManyCommits(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, testSource(false), memory.DefaultAllocator)
	defer l.cat.Close()
	const commits = 2*keepSnapshots + 20
	for i := range commits {
		rows := []row{{id: i, val: fmt.Sprint(i)}, {id: i / 2, val: "again", op: capture.OpUpdate}}
		if i%10 == 9 {
			rows = append(rows, row{id: i - 5, op: capture.OpDelete})
		}
		b := l.batch(memory.DefaultAllocator, rows)
		l.commit([]*capture.Batch{b})
		b.Release()
		if i%60 != 0 && i != commits-1 {
			continue
		}
		loaded, err := loadContent(context.Background(), l.load())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := outline(t, l.table.content), outline(t, loaded); !slices.Equal(got, want) {
			t.Fatalf("after commit %d:\n%q\nloaded:\n%q", i, got, want)
		}
		if got, want := l.table.content.stats(), loaded.stats(); got != want || want.DeletedRows == 0 && i > 0 {
			t.Fatalf("after commit %d: %+v, loaded: %+v", i, got, want)
		}
	}
	h := l.load()
	all := h.meta.Snapshots()
	hours := int(all[len(all)-1].TimestampMs/3_600_000 - all[0].TimestampMs/3_600_000) // each keeps its first
	if n := len(all); n > keepSnapshots+3+hours {                                      // with main, the fence and the new one
		t.Errorf("%d snapshots are kept, over %d hours", n, hours)
	}
	if n := l.table.Stats().DataManifests; n > mergeManifestsAt {
		t.Errorf("%d data manifests", n)
	}
	files, err := filepath.Glob(filepath.Join(dir, "warehouse", "shop", "orders", "metadata", "*.metadata.json"))
	if err != nil || len(files) > previousVersions+2 {
		t.Errorf("%d metadata files, %v", len(files), err)
	}
	if got := len(l.read()); got == 0 {
		t.Error("no rows")
	}
}

// TestPlanManifests checks the layout rules without I/O.
func TestPlanManifests(t *testing.T) {
	c := &content{files: map[string]*dataFile{}, deletes: map[string]*deleteManifest{}}
	var touched []string
	for i := range 2*vectorsPerManifest + 10 {
		path := fmt.Sprintf("f%05d", i)
		c.files[path] = &dataFile{path: path}
		touched = append(touched, path)
	}
	p := planManifests(c, map[string]int32{"new": 0}, touched, nil)
	if len(p.deletes) != 3 || len(p.added) != 1 {
		t.Fatalf("%d delete manifests, %d data manifests", len(p.deletes), len(p.added))
	}
	total := 0
	for _, g := range p.deletes {
		if g.size > vectorsPerManifest || g.size != len(g.fresh) {
			t.Errorf("group of %d with %d vectors", g.size, len(g.fresh))
		}
		total += g.size
	}
	if total != len(touched) {
		t.Errorf("%d vectors placed, want %d", total, len(touched))
	}
}

func TestScanOfEmptyTable(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, testSource(false), memory.DefaultAllocator)
	defer l.cat.Close()
	if got := l.read(); len(got) != 0 {
		t.Error(got)
	}
	if err := l.table.Refresh(context.Background(), l.load()); err != nil {
		t.Error(err)
	}
}
