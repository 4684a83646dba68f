package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"cdcd/capture"
	"cdcd/table/datafile"
	"cdcd/table/manifest"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"pgregory.net/rapid"
)

// version2Lab makes a lab whose table is of version 2.
func version2Lab(t *testing.T) *lab {
	t.Helper()
	dir := fastDir(t)
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := newLabOf(t, dir, testSource(false), Storage{}, memory.DefaultAllocator, 2)
	cat := l.cat
	t.Cleanup(func() { cat.Close() })
	return l
}

// TestVersion2AgainstModel runs random epochs on a table of version 2, with rewrites, restarts,
// lost indexes and other programs' delete files in between. At some time it becomes a table of
// version 3, and from then on rows keep their ids.
func TestVersion2AgainstModel(t *testing.T) {
	lands, late, strays, upgrades := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		dir := fastDir(t)
		defer os.RemoveAll(dir)
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		l := &rewritten{lab: newLabOf(t, dir, testSource(false), Storage{}, mem, 2)}
		defer l.cat.Close()
		model := map[int]*modelRow{}
		for range rapid.IntRange(4, 16).Draw(t, "steps") {
			switch rapid.IntRange(0, 13).Draw(t, "what") {
			case 0, 1:
				l.begin(t)
			case 2, 3:
				l.land(t, true)
			case 4:
				l.land(t, false)
			case 5:
				if len(l.table.content.deletes) > 0 && l.table.head.Version < versionVectors {
					strays++
					l.scatter(t)
				}
			case 6:
				if l.upgraded == 0 {
					upgrades++
					l.upgrade(t)
				}
			default:
				l.step(t, mem, model)
			}
			l.compare(t, model)
			l.sameAsLoaded(t)
			l.checkDeletes(t)
		}
		mem.AssertSize(t, 0)
		if err := l.table.Abandon(); err != nil {
			t.Fatal(err)
		}
		lands, late = lands+l.lands, late+l.late
	})
	t.Logf("%d rewrites landed, %d with late deletes; %d times strays, %d upgrades", lands, late, strays, upgrades)
	if lands < 10 || late < 1 || strays < 2 || upgrades < 10 {
		t.Error("too few to show anything")
	}
}

// upgrade moves the table to version 3 by a commit of a Mark alone, and may restart on it.
func (l *rewritten) upgrade(t *rapid.T) {
	l.cfg.FormatVersion = 3
	if err := l.table.Close(); err != nil {
		t.Fatal(err)
	}
	l.open()
	l.commit()
	l.pending = nil // they are of files without row ids
	h := l.table.Head()
	l.upgraded = h.Sequence
	if h.Version != 3 || l.table.content.noRows {
		t.Fatalf("version %d, files without row ids: %v", h.Version, l.table.content.noRows)
	}
	if rapid.Bool().Draw(t, "restart") {
		if err := l.table.Close(); err != nil {
			t.Fatal(err)
		}
		l.open()
	}
}

// checkDeletes looks at the manifests: a data file has at most one delete file, of the kind that
// the version writes, or an older one that no commit has touched since.
func (l *lab) checkDeletes(t fatal) {
	t.Helper()
	h := l.load()
	of := map[string]string{}
	for _, d := range liveDeletes(t, h) {
		path := datafile.Referenced(d)
		if other, twice := of[path]; twice {
			t.Fatalf("%s and %s are both of %s", other, d.FilePath(), path)
		}
		of[path] = d.FilePath()
		if lower := string(d.LowerBoundValues()[2147483546]); !isVector(d) && (lower != path || d.ReferencedDataFile() == nil && h.Version == 2) {
			t.Fatalf("%s is of %s, and its bound is %q", d.FilePath(), path, lower)
		}
		if h.Version < versionVectors && isVector(d) {
			t.Fatalf("a deletion vector in version %d", h.Version)
		}
	}
	if h.Mark.Epoch == 0 {
		return
	}
	p := h.meta.CurrentSnapshot().Summary.Properties
	if got := p["total-delete-files"]; got != fmt.Sprint(len(of)) {
		t.Fatalf("the summary counts %s delete files, there are %d", got, len(of))
	}
}

func liveDeletes(t fatal, h *Head) []iceberg.DataFile {
	t.Helper()
	var out []iceberg.DataFile
	fs := h.store.IO(context.Background())
	manifests, err := h.meta.CurrentSnapshot().Manifests(fs)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifests {
		if m.ManifestContent() == iceberg.ManifestContentData {
			continue
		}
		for e, err := range m.Entries(fs, true) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, e.DataFile())
		}
	}
	return out
}

// TestReplacedDeletes: a commit that deletes in a data file again leaves its old delete file in no
// manifest but as deleted, and the new one holds the union.
func TestReplacedDeletes(t *testing.T) {
	l := version2Lab(t)
	l.write(row{id: 1, val: "a"}, row{id: 2, val: "b"}, row{id: 3, val: "c"})
	l.write(row{id: 1, op: capture.OpDelete})
	first := liveDeletes(t, l.load())
	l.write(row{id: 3, op: capture.OpDelete})
	second := liveDeletes(t, l.load())
	if len(first) != 1 || len(second) != 1 || first[0].FilePath() == second[0].FilePath() {
		t.Fatalf("delete files %v, then %v", first, second)
	}
	by, err := datafile.ReadDeletes(l.load().store.IO(t.Context()), second[0].FilePath())
	if err != nil || len(by) != 1 || !slices.Equal(slices.Collect(by[*second[0].ReferencedDataFile()].Positions()), []uint64{0, 2}) {
		t.Errorf("%v, %v", by, err)
	}
	p := l.load().meta.CurrentSnapshot().Summary.Properties
	for key, want := range map[string]string{
		"added-delete-files": "1", "added-position-delete-files": "1", "added-dvs": "", "removed-delete-files": "1", "removed-position-delete-files": "1",
		"added-position-deletes": "2", "removed-position-deletes": "1", "total-position-deletes": "2", "total-delete-files": "1",
	} {
		if p[key] != want {
			t.Errorf("%s is %q, want %q", key, p[key], want)
		}
	}
	for s := range slices.Values(l.load().meta.Snapshots()) {
		if s.FirstRowID != nil || s.AddedRows != nil {
			t.Errorf("snapshot %d has row ids", s.SnapshotID)
		}
	}
	if got := slices.Sorted(maps.Keys(l.read())); !slices.Equal(got, []string{"2"}) {
		t.Errorf("rows %v", got)
	}
}

// TestUpgradeKeepsDeletes: the delete files of version 2 stay until their data file is touched,
// and then a vector with the union is in the place of one.
func TestUpgradeKeepsDeletes(t *testing.T) {
	l := version2Lab(t)
	l.write(row{id: 1, val: "a"}, row{id: 2, val: "b"}, row{id: 3, val: "c"})
	l.write(row{id: 4, val: "d"}, row{id: 5, val: "e"})
	l.write(row{id: 1, op: capture.OpDelete}, row{id: 4, op: capture.OpDelete})
	l.cfg.FormatVersion = 3
	if err := l.table.Close(); err != nil {
		t.Fatal(err)
	}
	l.open()
	l.commit()
	h := l.load()
	kinds := func() (vectors, files int) {
		for _, d := range liveDeletes(t, l.load()) {
			if isVector(d) {
				vectors++
			} else {
				files++
			}
		}
		return vectors, files
	}
	if v, f := kinds(); v != 0 || f != 2 || h.Version != 3 || h.NextRow != 5 {
		t.Fatalf("%d vectors, %d files, version %d, next row id %d", v, f, h.Version, h.NextRow)
	}
	before := l.read()
	l.write(row{id: 2, val: "B", op: capture.OpUpdate})
	if v, f := kinds(); v != 1 || f != 1 {
		t.Errorf("%d vectors and %d files, want one of each", v, f)
	}
	after := l.read()
	if len(after) != 3 || after["2"].rowID != before["2"].rowID || after["2"].val != "B" || after["3"] != before["3"] {
		t.Errorf("rows\n%v\nwere\n%v", after, before)
	}
}

// TestUpgradeByOthers: a table that somebody else has moved to version 3 while a commit was
// prepared takes none that was made for version 2, and goes on in version 3.
func TestUpgradeByOthers(t *testing.T) {
	l := version2Lab(t)
	l.write(row{id: 1, val: "a"}, row{id: 2, val: "b"})
	a, err := l.table.Prepare(t.Context(), nil, l.mark())
	if err != nil {
		t.Fatal(err)
	}
	l.foreign(icetable.NewUpgradeFormatVersionUpdate(3))
	if _, err := Swap(t.Context(), l.cfg, a); err == nil {
		t.Fatal("a snapshot without row ids was taken")
	}
	if h := l.load(); h.Same(a.Head) {
		t.Error("the head looks the same")
	}
	if err := l.table.Refresh(t.Context(), l.load()); err != nil {
		t.Fatal(err)
	}
	s := l.table.Survey()
	r, err := s.Rewrite(t.Context(), paths(s), RewriteOptions{Stem: NewStem(1, s.Epoch)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.table.Replace(r); !errors.Is(err, ErrOutdated) {
		t.Errorf("a rewrite of rows that have no ids yet: %v", err)
	}
	l.write(row{id: 2, val: "c", op: capture.OpUpdate})
	if got := l.read(); len(got) != 2 || got["2"].val != "c" || got["1"].rowID == got["2"].rowID || l.table.content.noRows {
		t.Errorf("rows %v", got)
	}
}

// TestEqualityDeletesAreRefused in a table of either version.
func TestEqualityDeletesAreRefused(t *testing.T) {
	l := version2Lab(t)
	l.write(row{id: 1, val: "a"})
	b, err := iceberg.NewDataFileBuilder(l.load().meta.PartitionSpec(), iceberg.EntryContentEqDeletes, "file:///x.parquet", iceberg.ParquetFile, nil, nil, nil, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	e := iceberg.NewManifestEntry(iceberg.EntryStatusADDED, nil, nil, nil, b.EqualityFieldIDs([]int{1}).Build())
	m := iceberg.NewManifestFile(2, "m", 1, 0, 1).Content(iceberg.ManifestContentDeletes).Build()
	if err := l.table.content.takeDeletes(m, manifest.Entry{ManifestEntry: e}); !errors.Is(err, ErrForeignShape) {
		t.Errorf("%v", err)
	}
}
