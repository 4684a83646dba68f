package table

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cdcd/table/datafile"
	"cdcd/table/fileio"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
)

// LiveFile is one data file of a snapshot, as planning sees it.
type LiveFile struct {
	Path      string
	Spec      int32
	Partition string // "" where there is none; equal strings of a spec are the same partition
	Rows      int64  // deleted ones included
	Deleted   int64
	Bytes     int64
	Sequence  int64 // the data sequence number
}

// Survey is what a table's snapshot is made of. It does not change, and is used by any
// number of goroutines while the table goes on.
type Survey struct {
	Name     Name
	Snapshot int64      // 0: none
	Epoch    int64      // of the Mark
	Files    []LiveFile // oldest first
	Target   int64      // how many bytes a data file may have, about
	inputs   map[string]surveyed
	layout   *datafile.Layout
	specs    map[int32]iceberg.PartitionSpec
	store    fileio.Store
	location string // of the table
	mem      memory.Allocator
}

// surveyed is what reading a data file takes. Nothing in it is shared with the table but what
// never changes.
type surveyed struct {
	file       LiveFile
	firstRowID int64
	partition  map[int]any
	vector     iceberg.DataFile // the delete file; nil: it has none of its own
	bits       *bitmap          // that are deleted; nil where the table had no need of them yet
}

// Survey gives what the table's current snapshot is made of. It reads nothing, and takes
// time in proportion to the number of files.
func (t *Table) Survey() *Survey {
	s := &Survey{
		Name: t.Name(), Snapshot: t.head.Snapshot, Epoch: t.head.Mark.Epoch, Files: make([]LiveFile, 0, len(t.content.files)), Target: t.head.TargetFileSize(),
		inputs: make(map[string]surveyed, len(t.content.files)), layout: t.layout, specs: map[int32]iceberg.PartitionSpec{},
		store: t.head.store, location: t.head.meta.Location(), mem: t.mem,
	}
	for _, spec := range t.head.meta.PartitionSpecs() {
		s.specs[int32(spec.ID())] = spec
	}
	for _, f := range t.content.files {
		in := surveyed{firstRowID: f.firstRowID, partition: f.partition, file: LiveFile{
			Path: f.path, Spec: f.spec, Partition: partitionText(f.partition), Rows: f.rows, Bytes: f.bytes, Sequence: f.sequence,
		}}
		if f.deleted != nil {
			in.bits, in.file.Deleted = f.deleted.bits, f.deleted.rows
			if f.deleted.entry != nil {
				in.vector = f.deleted.entry.DataFile()
			}
		}
		s.inputs[f.path], s.Files = in, append(s.Files, in.file)
	}
	slices.SortFunc(s.Files, func(a, b LiveFile) int {
		return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), strings.Compare(a.Path, b.Path))
	})
	return s
}

// partitionText tells partitions of a spec apart.
func partitionText(values map[int]any) string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "%d=%T:%q;", id, values[id], fmt.Sprint(values[id]))
	}
	return b.String()
}

// deleted gives the positions of an input that are deleted in the snapshot, nil where there
// are none. They must not be changed.
func (s *Survey) deleted(ctx context.Context, in surveyed) (*bitmap, error) {
	if in.vector == nil || in.bits != nil {
		return in.bits, nil
	}
	return readDeletes(s.store.IO(ctx), in.vector)
}
