package table

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdcd/capture"
	"cdcd/table/manifest"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"pgregory.net/rapid"
)

// TestFileNames reads back what a namer makes, and refuses what it does not.
func TestFileNames(t *testing.T) {
	n := newNamer("file:///lake/shop/orders", 12, 340)
	for _, c := range []struct{ path, dir string }{
		{n.dataFile(), "data"}, {n.vector(), "data"}, {n.manifest(), "metadata"}, {n.list(77), "metadata"}, {n.list(0), "metadata"},
	} {
		got, ok := ParseFileName(filepath.Base(c.path))
		want := FileName{12, 340, n.prefix, c.dir}
		if !ok || got != want || !strings.Contains(c.path, "/"+c.dir+"/") {
			t.Errorf("%s: %+v, %v", c.path, got, ok)
		}
	}
	id := n.prefix[len("e12-k340-"):]
	for _, name := range []string{
		"", "e", "e1-k2", "e1-k2-", "e1-k2-" + id, "e1-k2-" + id + ".parquet", "e1-k2-" + id + "-.parquet", "e1-k2-" + id + "-x.parquet",
		"e1-k2-" + id + "-1.parquet.tmp", "e1-k2-" + id + "-1.txt", "e1-k2-" + id + "-m1.parquet", "e1-k2-" + id + "-1.avro", "e1-k2-" + id + ".avro",
		"e-1-k2-" + id + "-1.parquet", "e01-k2-" + id + "-1.parquet", "e1-k+2-" + id + "-1.parquet", "xe1-k2-" + id + "-1.parquet",
		"e1-k2-" + strings.ToUpper(id) + "-1.parquet", "e99999999999999999999-k2-" + id + "-1.parquet", "snap-1-e1-k2-" + id + "-m1.avro",
		"snap-x-e1-k2-" + id + ".avro", "snap-" + id + ".avro", "00000-" + id + ".metadata.json", "foreign-" + id + ".parquet", id + "-m0.avro",
	} {
		if got, ok := ParseFileName(name); ok {
			t.Errorf("%q: %+v", name, got)
		}
	}
}

// walked gives the names of all files that any snapshot of a table names, read with no memory.
func (l *lab) walked() []string {
	l.t.Helper()
	ctx, h := context.Background(), l.load()
	out := []string{filepath.Base(h.location)}
	for e := range h.meta.PreviousFiles() {
		out = append(out, filepath.Base(e.MetadataFile))
	}
	fs := h.store.IO(ctx)
	for _, s := range h.meta.Snapshots() {
		out = append(out, filepath.Base(s.ManifestList))
		manifests, err := s.Manifests(fs)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, m := range manifests {
			out = append(out, filepath.Base(m.FilePath()))
			err := eachEntry(fs, m, func(_ iceberg.ManifestFile, e manifest.Entry) error {
				out = append(out, filepath.Base(e.DataFile().FilePath()))
				return nil
			})
			if err != nil {
				l.t.Fatal(err)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestReach compares what a Reacher remembers with what is read anew, after commits, tags,
// branches, rollbacks and expiry in any order.
func TestReach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := fastDir(t)
		defer os.RemoveAll(dir)
		l := newLab(t, dir, testSource(false), memory.DefaultAllocator)
		defer l.cat.Close()
		r := NewReacher(l.cfg)
		for i := range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				l.tag(int64(i+1), l.table.Head().Snapshot)
			case 1:
				l.foreign(icetable.NewSetSnapshotRefUpdate(fmt.Sprint("b", i), l.table.Head().Snapshot, icetable.BranchRef, forever, 0, 0))
			case 2:
				l.expireAll()
			default:
				l.write(row{i, "x", capture.OpInsert}, row{i - 1, "y", capture.OpUpdate})
			}
			l.table.head = l.load()
			l.checkReach(t, r)
		}
	})
}

func (l *lab) checkReach(t *rapid.T, r *Reacher) {
	t.Helper()
	got, err := r.Reach(context.Background(), testName())
	if err != nil {
		t.Fatal(err)
	}
	want := l.walked()
	for _, name := range want {
		if !got.Names(name) {
			t.Fatalf("%s is not among the named", name)
		}
	}
	if len(got.names) != len(want) {
		t.Fatalf("%d are named, want %d", len(got.names), len(want))
	}
	if h := l.load(); got.UUID != h.UUID || got.Fence != h.Fence || got.Mark.Epoch != h.Mark.Epoch || got.Location != h.meta.Location() {
		t.Fatalf("%+v", got)
	}
}

// TestReachReadsOnce counts what is read for a table of which nothing has changed.
func TestReachReadsOnce(t *testing.T) {
	l := intentLab(t)
	for i := range 20 {
		l.write(row{i, "x", capture.OpInsert})
	}
	r := NewReacher(l.cfg)
	l.mustReach(r)
	// All manifests and lists are out of the way: what is known does not need them.
	meta := filepath.Join(l.dir, "warehouse", "shop", "orders", "metadata")
	files, err := filepath.Glob(filepath.Join(meta, "*.avro"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Rename(f, f+".away"); err != nil {
			t.Fatal(err)
		}
	}
	l.mustReach(r)
	if _, err := NewReacher(l.cfg).Reach(context.Background(), testName()); err == nil {
		t.Error("manifests that are gone are not missed")
	}
}

func (l *lab) mustReach(r *Reacher) *Reach {
	l.t.Helper()
	got, err := r.Reach(context.Background(), testName())
	if err != nil || got == nil {
		l.t.Fatal(err)
	}
	return got
}

// TestReachStatistics has another program's statistics named.
func TestReachStatistics(t *testing.T) {
	l := intentLab(t)
	at := l.table.Head().Snapshot
	var update icetable.Update = icetable.NewSetStatisticsUpdate(icetable.StatisticsFile{
		SnapshotID: at, StatisticsPath: "file:///x/metadata/stats.puffin", FileSizeInBytes: 1, FileFooterSizeInBytes: 1, BlobMetadata: []icetable.BlobMetadata{},
	})
	l.foreign(update)
	if !l.mustReach(NewReacher(l.cfg)).Names("stats.puffin") {
		content, _ := json.Marshal(update)
		t.Errorf("%s is not followed", content)
	}
}
