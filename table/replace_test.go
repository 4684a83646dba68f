package table

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"testing"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table/dv"
	"pgregory.net/rapid"
)

// rewritten is a rewrite under way: what was read of the table may be old by the time it lands.
type rewritten struct {
	*lab
	pending []*Rewrite
	lands   int // that did
	late    int // of those, with rows that were deleted since they were read
}

// begin rewrites some files of the table as it is now.
func (l *rewritten) begin(t *rapid.T) {
	s := l.table.Survey()
	if len(s.Files) == 0 {
		return
	}
	chosen := rapid.Permutation(paths(s)).Draw(t, "order")
	r, err := s.Rewrite(context.Background(), chosen[:rapid.IntRange(1, len(chosen)).Draw(t, "inputs")], RewriteOptions{Stem: NewStem(1, s.Epoch)})
	if err != nil {
		t.Fatal(err)
	}
	l.pending = append(l.pending, r)
}

// land offers the oldest rewrite. One that shares a file with one that has landed is outdated.
func (l *rewritten) land(t *rapid.T, advance bool) {
	if len(l.pending) == 0 {
		return
	}
	ctx, r := context.Background(), l.pending[0]
	l.pending = l.pending[1:]
	live := map[string]bool{}
	for path := range l.table.content.files {
		live[path] = true
	}
	gone := slices.ContainsFunc(r.Inputs, func(in RewriteInput) bool { return !live[in.Path] })
	d, err := l.table.Replace(r)
	if gone != errors.Is(err, ErrOutdated) || !gone && err != nil {
		t.Fatalf("an input is gone: %v; %v", gone, err)
	}
	if gone {
		return
	}
	m := l.table.Head().Mark
	a, err := l.table.Prepare(ctx, d, m)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Swap(ctx, l.cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	l.lands++
	l.late += len(d.deletes)
	if !advance { // the daemon dies here
		if err := l.table.Abandon(); err != nil {
			t.Fatal(err)
		}
		l.open()
		return
	}
	if err := l.table.Advance(ctx, a, d, h); err != nil {
		t.Fatal(err)
	}
	if !h.Mark.Position.Equal(m.Position) || h.Mark.Epoch != m.Epoch {
		t.Fatal("a rewrite has moved the Mark")
	}
}

// sameAsLoaded compares what the table believes its content to be with what a load finds.
func (l *rewritten) sameAsLoaded(t *rapid.T) {
	c, err := loadContent(context.Background(), l.load())
	if err != nil {
		t.Fatal(err)
	}
	if c.sums != l.table.content.sums {
		t.Fatalf("the table counts %+v, its manifests %+v", l.table.content.sums, c.sums)
	}
	for path, f := range c.files {
		own := l.table.content.files[path]
		if own == nil || own.firstRowID != f.firstRowID || own.sequence != f.sequence || own.manifest != f.manifest || (own.deleted == nil) != (f.deleted == nil) {
			t.Fatalf("%s is %+v, a load finds %+v", path, own, f)
		}
	}
}

// TestReplaceAgainstModel runs random epochs, with rewrites that begin at one time and land
// later, restarts, crashes and lost indexes in between. A rewrite changes no row, no row's id
// and no row's age, and keys are found where they are afterwards.
func TestReplaceAgainstModel(t *testing.T) {
	lands, late := 0, 0
	for _, textKey := range []bool{false, true} {
		rapid.Check(t, func(t *rapid.T) {
			dir := fastDir(t)
			defer os.RemoveAll(dir)
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			l := &rewritten{lab: newLab(t, dir, testSource(textKey), mem)}
			defer l.cat.Close()
			model := map[int]*modelRow{}
			for range rapid.IntRange(4, 16).Draw(t, "steps") {
				switch rapid.IntRange(0, 8).Draw(t, "rewrite") {
				case 0, 1:
					l.begin(t)
				case 2, 3, 4:
					l.land(t, true)
				case 5:
					l.land(t, false)
				default:
					l.step(t, mem, model)
				}
				l.compare(t, model)
				l.sameAsLoaded(t)
			}
			mem.AssertSize(t, 0)
			if err := l.table.Abandon(); err != nil {
				t.Fatal(err)
			}
			lands, late = lands+l.lands, late+l.late
		})
	}
	t.Logf("%d rewrites landed, %d with late deletes", lands, late)
	if lands < 20 || late < 5 {
		t.Error("too few to show anything")
	}
}

// TestReplaceManifests looks at what a rewrite leaves: no manifest lists a file that is gone as
// live, its vectors are gone, and the next commit drops manifests without live files.
func TestReplaceManifests(t *testing.T) {
	l := newRewriteLab(t, memory.DefaultAllocator)
	s := l.table.Survey()
	r, err := s.Rewrite(context.Background(), paths(s), RewriteOptions{Stem: NewStem(1, s.Epoch)})
	if err != nil {
		t.Fatal(err)
	}
	l.land(r)
	files := slices.Collect(maps.Keys(l.table.content.files))
	if len(files) != 1 || files[0] != r.Output.FilePath() {
		t.Fatalf("the table has %v, want the output alone", files)
	}
	st := l.table.Stats()
	if st.DeleteFiles != 0 || st.DVManifest != 0 || st.Rows != r.Rows {
		t.Fatalf("%+v after a rewrite of everything", st)
	}
	l.commit([]*capture.Batch{l.batch(memory.DefaultAllocator, []row{{id: 1000, val: "next"}})})
	for _, m := range l.table.content.data {
		if m.AddedDataFiles()+m.ExistingDataFiles() == 0 {
			t.Errorf("manifest %s lists no live file and is kept", m.FilePath())
		}
	}
}

// land lands a rewrite.
func (l *lab) land(r *Rewrite) {
	l.t.Helper()
	ctx := context.Background()
	d, err := l.table.Replace(r)
	if err != nil {
		l.t.Fatal(err)
	}
	a, err := l.table.Prepare(ctx, d, l.table.Head().Mark)
	if err != nil {
		l.t.Fatal(err)
	}
	h, err := Swap(ctx, l.cfg, a)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.table.Advance(ctx, a, d, h); err != nil {
		l.t.Fatal(err)
	}
}

// TestReplaceRefuses tries rewrites that must not land.
func TestReplaceRefuses(t *testing.T) {
	l := newRewriteLab(t, memory.DefaultAllocator)
	s := l.table.Survey()
	r, err := s.Rewrite(context.Background(), paths(s), RewriteOptions{Stem: NewStem(1, s.Epoch)})
	if err != nil {
		t.Fatal(err)
	}
	short := *r
	short.Rows--
	if _, err := l.table.Replace(&short); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a rewrite that lacks a row: %v", err)
	}
	revived := *r
	revived.Inputs = slices.Clone(r.Inputs)
	for i := range revived.Inputs {
		if revived.Inputs[i].Seen == nil {
			b := dv.NewRoaringPositionBitmap()
			b.Set(0)
			revived.Inputs[i].Seen = b
			break
		}
	}
	if _, err := l.table.Replace(&revived); !errors.Is(err, ErrOutdated) {
		t.Errorf("a rewrite without a row that is live: %v", err)
	}
	l.land(r)
	if _, err := l.table.Replace(r); !errors.Is(err, ErrOutdated) {
		t.Errorf("the same rewrite again: %v", err)
	}
}

// TestReplaceReadsVectors has a vector that cannot be read: that is no reason to throw a rewrite
// away.
func TestReplaceReadsVectors(t *testing.T) {
	l := newRewriteLab(t, memory.DefaultAllocator)
	s := l.table.Survey()
	r, err := s.Rewrite(context.Background(), paths(s), RewriteOptions{Stem: NewStem(1, s.Epoch)})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.table.Abandon(); err != nil {
		t.Fatal(err)
	}
	l.open() // with no vector read
	for _, f := range l.table.content.files {
		if f.deleted != nil {
			f.deleted.bits = nil
			f.deleted.entry = goneEntry{f.deleted.entry}
		}
	}
	if _, err := l.table.Replace(r); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrOutdated) {
		t.Errorf("%v", err)
	}
}

// goneEntry is an entry whose file is not there.
type goneEntry struct{ iceberg.ManifestEntry }

func (g goneEntry) DataFile() iceberg.DataFile { return goneFile{g.ManifestEntry.DataFile()} }
