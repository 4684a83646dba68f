package table

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"cdcd/table/fileio"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"
)

// Inspection is what a table's metadata says of its part in a pipeline. It is there also
// where no Head is to be had, because somebody set the table back or damaged it: nothing may
// be committed on it.
type Inspection struct {
	Name     Name
	Pipeline string           // that owns the table; "": none does
	Snapshot int64            // of main; 0: none
	Fence    int64            // the number; 0: none
	Tag      int64            // the snapshot that the tag cdcd_pos is on; 0: there is no tag
	Property int64            // the snapshot that the properties name; 0: none
	Mark     *Marked          // the newest in main's history; nil: there is none
	Foreign  []Foreign        // in front of the Mark on main, newest first
	Refs     map[string]int64 // all refs, and the snapshots that they are on
	// Retained holds every snapshot that is still there, Main those of main's history, with
	// how many of it follow.
	Retained map[int64]bool
	Main     map[int64]int
	// Quarantine is why the table is not replicated any more; nil: it is.
	Quarantine *Quarantine
	// Trouble is what keeps a Head from being loaded, nil where nothing does.
	Trouble error
	head    *Head
}

// Foreign is a snapshot without a Mark.
type Foreign struct {
	Snapshot  int64
	Operation string
	Time      time.Time
}

// Inspect looks at a table, whatever its state. It gives nil where there is no such table.
func Inspect(ctx context.Context, cfg Config, n Name) (*Inspection, error) {
	t, err := cfg.Catalog.LoadTable(ctx, n.identifier())
	if errors.Is(err, catalog.ErrNoSuchTable) || errors.Is(err, catalog.ErrNoSuchNamespace) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", n, err)
	}
	meta := t.Metadata()
	i := &Inspection{
		Name: n, Pipeline: meta.Properties()[keyPipeline], Refs: map[string]int64{}, Retained: map[int64]bool{},
		head: &Head{Name: n, meta: meta, location: t.MetadataLocation(), store: cfg.store()},
	}
	i.Quarantine, _ = quarantineOf(meta.Properties()) // what is wrong with it is the Trouble
	_, i.Trouble = newHead(n, t, cfg)
	for name, ref := range meta.Refs() {
		i.Refs[name] = ref.SnapshotID
	}
	for _, s := range meta.Snapshots() {
		i.Retained[s.SnapshotID] = true
	}
	i.Tag = i.Refs[refPosition]
	i.Property, _ = strconv.ParseInt(meta.Properties()[keySnapshot], 10, 64)
	i.Fence, _ = fenceOf(meta) // what is wrong with it is the Trouble
	i.readMain(meta)
	return i, nil
}

// readMain walks main's history. A circle ends the walk: it is the Trouble already.
func (i *Inspection) readMain(meta icetable.Metadata) {
	i.Main = map[int64]int{}
	if s := meta.CurrentSnapshot(); s != nil {
		i.Snapshot, i.head.Snapshot = s.SnapshotID, s.SnapshotID
	}
	for s := meta.CurrentSnapshot(); s != nil; s = parentOf(meta, s) {
		if _, seen := i.Main[s.SnapshotID]; seen {
			return
		}
		i.Main[s.SnapshotID] = len(i.Main)
		if i.Mark != nil {
			continue
		}
		f := Foreign{Snapshot: s.SnapshotID, Time: time.UnixMilli(s.TimestampMs)}
		if s.Summary != nil {
			f.Operation = string(s.Summary.Operation)
		}
		if m, ok, err := markOf(s); ok && err == nil {
			i.Mark = &Marked{s.SnapshotID, m}
			continue
		}
		i.Foreign = append(i.Foreign, f)
	}
}

// Begun reports whether main has a snapshot.
func (i *Inspection) Begun() bool { return i.Snapshot != 0 }

// Scan reads the rows that main shows, whether or not it ought to. The caller releases each
// record.
func (i *Inspection) Scan(ctx context.Context, o ScanOptions) (iter.Seq2[arrow.RecordBatch, error], error) {
	return i.head.Scan(ctx, o)
}

// Agree reports whether tag and properties name the snapshot that carries the newest Mark.
func (i *Inspection) Agree() bool {
	return i.Mark != nil && i.Tag == i.Mark.Snapshot && i.Property == i.Mark.Snapshot
}

// Held gives the refs that hold a snapshot, but for main and those that every table has.
func (i *Inspection) Held(snapshot int64) []string {
	var out []string
	for name, at := range i.Refs {
		if at == snapshot && name != icetable.MainBranch && name != refPosition && name != refFence {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Path gives a name as it is in paths.
func (n Name) Path() string { return pathElement(n.Namespace) + "/" + pathElement(n.Table) }

// Objects is the store of the tables' files.
func (c Config) Objects() fileio.Store { return c.store() }

// ParseSource reads the property in which a table keeps what it was captured from.
func ParseSource(property string) (Source, error) { return parseSource(property) }
