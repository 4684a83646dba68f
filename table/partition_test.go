package table

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"

	"cdcd/capture"
	"cdcd/table/datafile"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// storages are ways in which the test table may be kept.
func storages() []Storage {
	bucket := PartitionField{Transform: "bucket", Width: 3, Column: "id"}
	return []Storage{
		{},
		{Partition: []PartitionField{bucket}},
		{Partition: []PartitionField{{Transform: "truncate", Width: 1, Column: "VAL"}, bucket}},
		{Partition: []PartitionField{{Transform: "truncate", Width: 1000, Column: "price"}}, TargetFileSize: 100},
		{Partition: []PartitionField{{Transform: "identity", Column: "price"}}, NoLineage: true},
		{TargetFileSize: 200, Properties: map[string]string{"a.b": "c", "write.parquet.compression-codec": "snappy"}},
	}
}

// arrange brings the table to a storage, as a start with another configuration does.
func (l *lab) arrange(s Storage) {
	l.t.Helper()
	before := l.load()
	a, err := PrepareStorage(before, s)
	if err != nil {
		l.t.Fatal(err)
	}
	if a == nil {
		return
	}
	h, err := Swap(context.Background(), l.cfg, a)
	if err != nil || !a.Landed(h) || h.Snapshot != before.Snapshot {
		l.t.Fatal(err)
	}
	if again, err := PrepareStorage(h, s); again != nil || err != nil {
		l.t.Fatalf("%+v is not what it was changed to (%v)", again, err)
	}
}

// TestPartitionsAgainstModel is as TestReplaceAgainstModel, with a table that is kept in another
// way from time to time.
func TestPartitionsAgainstModel(t *testing.T) {
	lands, specs := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		dir := fastDir(t)
		defer os.RemoveAll(dir)
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		storage := rapid.SampledFrom(storages())
		l := &rewritten{lab: newStoredLab(t, dir, testSource(rapid.Bool().Draw(t, "text key")), storage.Draw(t, "storage"), mem)}
		defer l.cat.Close()
		model := map[int]*modelRow{}
		for range rapid.IntRange(4, 16).Draw(t, "steps") {
			switch rapid.IntRange(0, 8).Draw(t, "what") {
			case 0:
				l.beginPartition(t)
			case 1, 2:
				l.land(t, rapid.Bool().Draw(t, "advance"))
			case 3:
				if err := l.table.Abandon(); err != nil {
					t.Fatal(err)
				}
				l.arrange(storage.Draw(t, "storage"))
				l.open()
			default:
				l.step(t, mem, model)
			}
			l.compare(t, model)
			l.sameAsLoaded(t)
			l.inPartitions(t)
		}
		mem.AssertSize(t, 0)
		if err := l.table.Abandon(); err != nil {
			t.Fatal(err)
		}
		lands, specs = lands+l.lands, specs+len(l.load().meta.PartitionSpecs())
	})
	t.Logf("%d rewrites landed, %d specs", lands, specs)
	if lands < 10 || specs < 100 {
		t.Error("too few to show anything")
	}
}

// TestPreparedPartitionsAreUsed is as TestPreparedIsUsed, with a file a partition. Under another
// spec none is used again.
func TestPreparedPartitionsAreUsed(t *testing.T) {
	for _, same := range []bool{true, false} {
		l := intentLabOf(t, Storage{Partition: []PartitionField{{Transform: "bucket", Width: 5, Column: "id"}}})
		before := l.read()
		d, _ := l.prepare(change())
		if err := l.table.Abandon(); err != nil {
			t.Fatal(err)
		}
		if !same {
			l.arrange(storages()[2])
		}
		l.fence(l.load(), 2)
		l.open()
		if r := l.recover(1); len(d.files) < 2 || r.Files != len(d.files) {
			t.Fatalf("%d of %d files were recovered", r.Files, len(d.files))
		}
		l.epoch--
		again := l.commit([]*capture.Batch{l.batch(memory.DefaultAllocator, change())})
		if want := map[bool]int{true: len(d.files)}[same]; again.Reused != want {
			t.Errorf("the same spec: %v: %d files were used again", same, again.Reused)
		}
		l.wantChange(before)
		for i, f := range again.files {
			if same && (f.FilePath() != d.files[i].FilePath() || valueText(f.Partition()[1000]) != valueText(d.files[i].Partition()[1000])) {
				t.Errorf("%s is of %v, was of %v", f.FilePath(), f.Partition(), d.files[i].Partition())
			}
		}
	}
}

// TestMovedRowKeepsItsID updates a row so that it is of another partition.
func TestMovedRowKeepsItsID(t *testing.T) {
	l := intentLabOf(t, Storage{Partition: []PartitionField{{Transform: "identity", Column: "val"}}})
	before := l.read()
	l.write(row{2, "moved", capture.OpUpdate})
	if now := l.read()[l.keyText(2)]; now.val != "moved" || now.rowID != before[l.keyText(2)].rowID {
		t.Errorf("%+v, was %+v", now, before[l.keyText(2)])
	}
	seen := map[any]int{}
	for _, f := range l.table.content.files {
		seen[f.partition[1000]]++
	}
	if len(seen) != 2 || seen["first"] != 1 || seen["moved"] != 1 {
		t.Error(seen)
	}
}

// beginPartition rewrites the files of one partition as they are now.
func (l *rewritten) beginPartition(t *rapid.T) {
	s := l.table.Survey()
	byPartition := map[[2]any][]string{}
	for _, f := range s.Files {
		key := [2]any{f.Spec, f.Partition}
		byPartition[key] = append(byPartition[key], f.Path)
	}
	if len(byPartition) == 0 {
		return
	}
	groups := slices.SortedFunc(maps.Values(byPartition), slices.Compare)
	r, err := s.Rewrite(context.Background(), rapid.SampledFrom(groups).Draw(t, "partition"), RewriteOptions{Stem: NewStem(1, s.Epoch)})
	if err != nil {
		t.Fatal(err)
	}
	l.pending = append(l.pending, r)
}

// inPartitions reads every live file, and computes for every row of it which partition it is of.
func (l *lab) inPartitions(t *rapid.T) {
	for _, f := range l.table.content.files {
		spec := l.table.head.meta.PartitionSpecByID(int(f.spec))
		p, err := newPartitioner(l.table.head.meta.CurrentSchema(), *spec)
		if err != nil {
			t.Fatal(err)
		}
		r, err := datafile.OpenReader(context.Background(), l.table.head.store.IO(context.Background()), f.path, l.table.layout.FieldIDs(), memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		for rows, err := r.Next(); !errors.Is(err, io.EOF); rows, err = r.Next() {
			if err != nil {
				t.Fatal(err)
			}
			l.inPartition(t, p, f, rows)
			rows.Release()
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if d := f.deleted; d != nil && (d.entry.DataFile().SpecID() != f.spec || !reflect.DeepEqual(d.entry.DataFile().Partition(), f.partition)) {
			t.Fatalf("%s: its vector is of partition %v, it is of %v", f.path, d.entry.DataFile().Partition(), f.partition)
		}
	}
}

func (l *lab) inPartition(t *rapid.T, p *partitioner, f *dataFile, rows *datafile.Rows) {
	n := int(rows.Record.NumRows())
	places, refs := make([]int, n), make([]rowset.Ref, n)
	for i := range n {
		places[i], refs[i].Row = i, int32(i)
	}
	parts, err := p.split(places, refs, []*capture.Batch{{Record: rows.Record}})
	if err != nil || len(parts) != 1 {
		t.Fatalf("%s has rows of %d partitions (%v)", f.path, len(parts), err)
	}
	for id, v := range parts[0].values {
		if valueText(v) != valueText(literalValue(f.partition[id])) {
			t.Fatalf("%s is listed with partition value %v, its rows are of %v", f.path, f.partition[id], v)
		}
	}
}
