package table

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"cdcd/table/fileio"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

// The refs that every table of ours has beside main.
const (
	// refFence is a branch on a snapshot without parent and content whose summary holds the
	// fence number. Every commit asserts it.
	refFence = "cdcd_fence"
	// refPosition is a tag on the newest snapshot that carries a Mark. It keeps that
	// snapshot from expiring and shows when main was set back behind it.
	refPosition = "cdcd_pos"
)

// Head is a table as loaded: what a commit asserts, and the Mark that main stands for.
type Head struct {
	Name     Name
	UUID     uuid.UUID
	Version  int   // of the table's format
	Snapshot int64 // of main; 0: none
	Fence    int64 // the number; 0: none
	Schema   int   // id
	Spec     int   // id
	Sequence int64 // the last sequence number
	NextRow  int64 // the next row id
	Mark     Mark  // zero while Snapshot is 0
	Source   Source
	// Quarantine is why the table is not replicated any more; nil: it is.
	Quarantine *Quarantine
	// Trouble is why there is no Mark to go on from. It is nil but where the table was loaded
	// for repair.
	Trouble  error
	branch   string // that the head is of; "": main
	meta     icetable.Metadata
	store    fileio.Store
	location string // of the metadata file
}

// Begun reports whether the table has a first snapshot. One without was created by a
// daemon that ended before it could begin.
func (h *Head) Begun() bool { return h.Snapshot != 0 }

// Same reports that nothing that a commit depends on differs between two loads.
func (h *Head) Same(o *Head) bool {
	return h.UUID == o.UUID && h.Version == o.Version && h.Snapshot == o.Snapshot && h.Fence == o.Fence && h.Schema == o.Schema && h.Spec == o.Spec &&
		h.Sequence == o.Sequence && h.NextRow == o.NextRow
}

// Rows is the number of rows that the table's current snapshot counts in its summary,
// deleted ones included, and of those deleted.
func (h *Head) Rows() (total, deleted int64) {
	s := h.tip()
	if s == nil || s.Summary == nil {
		return 0, 0
	}
	p := s.Summary.Properties
	return counter(p, "total-records"), counter(p, "total-position-deletes")
}

// newHead reads main's head out of table metadata.
func newHead(n Name, t *icetable.Table, cfg Config) (*Head, error) { return newHeadOn(n, t, cfg, "") }

// newHeadOn reads the head of a branch out of table metadata; main's where there is no such branch.
func newHeadOn(n Name, t *icetable.Table, cfg Config, branch string) (*Head, error) {
	meta := t.Metadata()
	h := &Head{
		Name: n, UUID: meta.TableUUID(), Version: meta.Version(), Schema: meta.CurrentSchema().ID, Spec: meta.DefaultPartitionSpec(),
		Sequence: meta.LastSequenceNumber(), NextRow: meta.NextRowID(), meta: meta, location: t.MetadataLocation(), store: cfg.store(),
	}
	props := meta.Properties()
	switch owner, ours := props[keyPipeline]; {
	case !ours:
		return nil, fmt.Errorf("%s: %w", n, ErrNotOurs)
	case owner != cfg.Pipeline:
		return nil, fmt.Errorf("%s: %w: %q", n, ErrOtherPipeline, owner)
	}
	if h.Version < oldestVersion {
		return nil, fmt.Errorf("%s: %w: format version %d", n, ErrForeignShape, h.Version)
	}
	var err error
	if h.Source, err = parseSource(props[keySource]); err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	if h.Fence, err = fenceOf(meta); err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	if h.Quarantine, err = quarantineOf(props); err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	if s := meta.CurrentSnapshot(); s != nil {
		h.Snapshot = s.SnapshotID
		h.Mark, err = readMark(meta, props)
	}
	if branch != "" && mutated("blindbranch") {
		err = nil
	}
	if errors.Is(err, ErrRolledBack) || errors.Is(err, ErrForeignRows) {
		err = fmt.Errorf("%s: %w; to have it looked at and repaired: cdcd adopt %s", n, err, n)
		if cfg.Repair {
			h.Trouble = err
			return h, nil
		}
		return nil, err
	}
	if s := meta.SnapshotByName(refLoad); err == nil && branch != "" && s != nil { // of a main that is in order
		if err = h.readBranch(s, props); err != nil {
			return nil, h.foreignLoad(err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	return h, nil
}

func fenceOf(meta icetable.Metadata) (int64, error) {
	s := meta.SnapshotByName(refFence)
	if s == nil {
		return 0, nil
	}
	if s.Summary == nil {
		return 0, fmt.Errorf("%w: the fence has no number", ErrCorrupt)
	}
	f, err := strconv.ParseInt(s.Summary.Properties[keyFence], 10, 64)
	if err != nil || f < 1 {
		return 0, fmt.Errorf("%w: the fence number is %q", ErrCorrupt, s.Summary.Properties[keyFence])
	}
	return f, nil
}

// refSnapshot is the snapshot that a ref is on, nil where there is none.
func refSnapshot(meta icetable.Metadata, ref string) *int64 {
	if s := meta.SnapshotByName(ref); s != nil {
		return &s.SnapshotID
	}
	return nil
}

// readMark walks back from main to the newest snapshot with a Mark. In between only
// rewrites that change no row are accepted. The places where the Mark is repeated must not
// know of a snapshot outside of main's history: then main was set back.
func readMark(meta icetable.Metadata, props iceberg.Properties) (Mark, error) {
	if mutated("headonly") || mutated("proponly") || mutated("notag") {
		return mutantMark(meta, props)
	}
	ancestors := map[int64]bool{}
	var found Mark
	ok := false
	for s := meta.CurrentSnapshot(); s != nil; s = parentOf(meta, s) {
		if ancestors[s.SnapshotID] {
			return Mark{}, fmt.Errorf("%w: main's history is a circle", ErrCorrupt)
		}
		ancestors[s.SnapshotID] = true
		if ok || s.Summary == nil {
			continue
		}
		m, has, err := markOf(s)
		if err != nil {
			return Mark{}, err
		}
		if has {
			found, ok = m, true
		} else if s.Summary.Operation != icetable.OpReplace {
			return Mark{}, fmt.Errorf("%w: snapshot %d (%s)", ErrForeignRows, s.SnapshotID, s.Summary.Operation)
		}
	}
	if err := checkRepeats(meta, props, ancestors); err != nil {
		return Mark{}, err
	}
	if !ok {
		return Mark{}, fmt.Errorf("%w: no snapshot of main has a position", ErrRolledBack)
	}
	return found, nil
}

func parentOf(meta icetable.Metadata, s *icetable.Snapshot) *icetable.Snapshot {
	if s.ParentSnapshotID == nil {
		return nil
	}
	return meta.SnapshotByID(*s.ParentSnapshotID)
}

// checkRepeats compares the tag and the property with main's history.
func checkRepeats(meta icetable.Metadata, props iceberg.Properties, ancestors map[int64]bool) error {
	if mutated("norollback") {
		return nil
	}
	tag := meta.SnapshotByName(refPosition)
	if tag == nil {
		return fmt.Errorf("%w: the tag %s is gone", ErrRolledBack, refPosition)
	}
	named, err := strconv.ParseInt(props[keySnapshot], 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %s is %q", ErrCorrupt, keySnapshot, props[keySnapshot])
	}
	if !ancestors[tag.SnapshotID] || !ancestors[named] {
		return ErrRolledBack
	}
	if tag.SnapshotID != named {
		return fmt.Errorf("%w: tag and property name different snapshots", ErrCorrupt)
	}
	return nil
}

// InHistory reports whether a snapshot is in the history of what the head is of, as far as that is
// retained.
func (h *Head) InHistory(snapshot int64) bool {
	for s := h.tip(); s != nil; s = parentOf(h.meta, s) {
		if s.SnapshotID == snapshot {
			return true
		}
	}
	return false
}

func counter(p iceberg.Properties, key string) int64 {
	n, err := strconv.ParseInt(p[key], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Marked reports whether the head's snapshot itself carries the Mark. Where it does not, another
// program rewrote the table since.
func (h *Head) Marked() bool {
	if h.OnBranch() {
		s := h.newestMarked()
		return s != nil && s.SnapshotID == h.Snapshot
	}
	at := refSnapshot(h.meta, refPosition)
	return at != nil && *at == h.Snapshot
}

// Ages gives for every retained snapshot how many newer ones are retained: the oldest are the
// next to expire, whether or not they are in main's history.
func (h *Head) Ages() map[int64]int {
	all := slices.Clone(h.meta.Snapshots())
	slices.SortFunc(all, func(x, y icetable.Snapshot) int { return cmp.Compare(y.SequenceNumber, x.SequenceNumber) })
	out := map[int64]int{}
	for i, s := range all {
		out[s.SnapshotID] = i
	}
	return out
}

// MarkOf gives the Mark that a retained snapshot carries. A snapshot of another program has none.
func (h *Head) MarkOf(snapshot int64) (Mark, bool) {
	s := h.meta.SnapshotByID(snapshot)
	if s == nil {
		return Mark{}, false
	}
	m, ok, err := markOf(s)
	return m, ok && err == nil
}

// Marked is a snapshot with its Mark.
type Marked struct {
	Snapshot int64
	Mark     Mark
}

// History gives main's snapshots that carry a Mark, oldest first.
func (h *Head) History() []Marked {
	var out []Marked
	for s := h.tip(); s != nil; s = parentOf(h.meta, s) {
		if m, ok, err := markOf(s); ok && err == nil {
			out = append(out, Marked{s.SnapshotID, m})
		}
	}
	slices.Reverse(out)
	return out
}
