package table

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// forever is a ref age that no expiry reaches.
const forever = math.MaxInt64

// finish uploads the assembled objects and makes the attempt.
func (a *assembly) finish(ctx context.Context, now time.Time) (*Attempt, error) {
	h := a.head
	manifests, err := a.manifests()
	if err != nil {
		return nil, fmt.Errorf("%s: build manifests: %w", h.Name, err)
	}
	var parent *int64
	previous := iceberg.Properties{}
	if s := a.parent; s != nil {
		parent = &s.SnapshotID
		if s.Summary != nil {
			previous = s.Summary.Properties
		}
	}
	list, rows, err := writeList(a.version, a.names.list(a.id), a.id, h.Sequence+1, h.NextRow, parent, manifests)
	if err != nil {
		return nil, fmt.Errorf("%s: build manifest list: %w", h.Name, err)
	}
	if err := upload(ctx, h.store, append(a.objects, list)); err != nil {
		return nil, fmt.Errorf("%s: upload: %w", h.Name, err)
	}
	summary, err := a.summary(previous)
	if err != nil {
		return nil, err
	}
	schema := a.delta.schemaID(h)
	snapshot := &icetable.Snapshot{
		SnapshotID: a.id, ParentSnapshotID: parent, SequenceNumber: h.Sequence + 1, TimestampMs: timestamp(h.meta, now),
		ManifestList: list.path, SchemaID: &schema, FirstRowID: firstRow(a.version, h), AddedRows: rows,
		Summary: &icetable.Summary{Operation: a.operation(), Properties: summary},
	}
	updates, err := a.updates(snapshot)
	if err != nil {
		return nil, err
	}
	if a.version > h.Version {
		updates = append([]icetable.Update{icetable.NewUpgradeFormatVersionUpdate(a.version)}, updates...)
	}
	if expired := a.expired(now); len(expired) > 0 {
		updates = append(updates, icetable.NewRemoveSnapshotsUpdate(expired, false))
	}
	return &Attempt{
		Head: h, Snapshot: a.id, requirements: append(requirements(h), a.delta.evolves.requirements(h)...), updates: updates, evolves: a.delta.evolves, publishes: a.delta.publishes,
		list: list.content, written: a.written, bits: a.bits, removed: a.removed,
	}, nil
}

// updates are the snapshot with its Mark, and what the Delta does to the table as a whole.
func (a *assembly) updates(s *icetable.Snapshot) ([]icetable.Update, error) {
	h, d := a.head, a.delta
	before, behind, err := d.evolves.updates(h)
	if err != nil {
		return nil, err
	}
	updates := branchUpdates(s)
	if d.publishes || !h.OnBranch() {
		if updates, err = markUpdates(h, s, a.mark); err != nil {
			return nil, err
		}
	}
	if d.publishes {
		before, behind = publishUpdates(h)
	}
	updates = append(append(before, updates...), behind...)
	if d.anew && h.Quarantine != nil {
		updates = append(updates, icetable.NewRemovePropertiesUpdate([]string{keyQuarantine}))
	}
	if d.leaves == nil {
		return updates, nil
	}
	props, err := d.leaves.property()
	return append(updates, icetable.NewSetPropertiesUpdate(props)), err
}

// firstRow is the first row id of a new snapshot, nil in a version without.
func firstRow(version int, h *Head) *int64 {
	if version < versionVectors {
		return nil
	}
	first := h.NextRow
	return &first
}

// mainSnapshot is the snapshot that main is on, nil where there is none.
func mainSnapshot(meta icetable.Metadata) *int64 {
	if s := meta.CurrentSnapshot(); s != nil {
		return &s.SnapshotID
	}
	return nil
}

// timestamp is the time of a new snapshot. Catalogs refuse times that go back.
func timestamp(meta icetable.Metadata, now time.Time) int64 {
	return max(now.UnixMilli(), meta.LastUpdatedMillis()+1)
}

// requirements pin a commit to a head: nothing that it was built on may have changed.
func requirements(h *Head) []icetable.Requirement {
	reqs := []icetable.Requirement{
		icetable.AssertTableUUID(h.UUID),
		icetable.AssertRefSnapshotID(icetable.MainBranch, mainSnapshot(h.meta)),
		icetable.AssertRefSnapshotID(refFence, refSnapshot(h.meta, refFence)),
		// Where a catalog does not check sequence numbers, this is what refuses a doubled
		// request that arrives after main was set back.
		icetable.AssertRefSnapshotID(refPosition, refSnapshot(h.meta, refPosition)),
		icetable.AssertCurrentSchemaID(h.meta.CurrentSchema().ID),
		icetable.AssertDefaultSpecID(h.Spec),
	}
	if h.OnBranch() {
		reqs = append(reqs, icetable.AssertRefSnapshotID(refLoad, refSnapshot(h.meta, refLoad)))
	}
	return mutantRequirements(reqs)
}

// markUpdates adds a snapshot to main and repeats its Mark in the tag and the properties.
func markUpdates(h *Head, s *icetable.Snapshot, m Mark) ([]icetable.Update, error) {
	props, err := m.properties()
	if err != nil {
		return nil, err
	}
	props[keySnapshot] = strconv.FormatInt(s.SnapshotID, 10)
	keep := mainRetention(h.meta)
	return mutantUpdates([]icetable.Update{
		icetable.NewAddSnapshotUpdate(s),
		icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, s.SnapshotID, icetable.BranchRef, keep.maxRefAge, keep.maxSnapshotAge, keep.minSnapshots),
		icetable.NewSetSnapshotRefUpdate(refPosition, s.SnapshotID, icetable.TagRef, forever, 0, 0),
		icetable.NewSetPropertiesUpdate(props),
	}), nil
}

// retention is what somebody has set for expiry on a branch; setting the branch would
// drop it.
type retention struct {
	maxRefAge, maxSnapshotAge int64
	minSnapshots              int
}

func mainRetention(meta icetable.Metadata) retention {
	var r retention
	for name, ref := range meta.Refs() {
		if name != icetable.MainBranch {
			continue
		}
		if ref.MaxRefAgeMs != nil {
			r.maxRefAge = *ref.MaxRefAgeMs
		}
		if ref.MaxSnapshotAgeMs != nil {
			r.maxSnapshotAge = *ref.MaxSnapshotAgeMs
		}
		if ref.MinSnapshotsToKeep != nil {
			r.minSnapshots = *ref.MinSnapshotsToKeep
		}
	}
	return r
}

// fenceUpdates moves the fence branch to a new snapshot without parent or content, whose
// summary holds the number. It takes the next sequence number, so that whatever was built
// on the table before is refused by catalogs that check those.
func fenceUpdates(h *Head, number int64, now time.Time) (*icetable.Snapshot, []icetable.Update) {
	schema := h.Schema
	s := &icetable.Snapshot{
		SnapshotID: newSnapshotID(), SequenceNumber: h.Sequence + 1, TimestampMs: timestamp(h.meta, now),
		SchemaID: &schema, FirstRowID: firstRow(h.Version, h),
		Summary: &icetable.Summary{Operation: icetable.OpAppend, Properties: iceberg.Properties{
			keyFence: strconv.FormatInt(number, 10), "total-records": "0", "total-data-files": "0", "total-delete-files": "0",
			"total-files-size": "0", "total-position-deletes": "0", "total-equality-deletes": "0",
		}},
	}
	return s, []icetable.Update{
		icetable.NewAddSnapshotUpdate(s),
		icetable.NewSetSnapshotRefUpdate(refFence, s.SnapshotID, icetable.BranchRef, forever, 0, 0),
	}
}

// prepareFence makes the attempt that moves the fence branch. It asserts main as well: a
// snapshot without parent may carry any sequence number, and one made before a commit of the
// former owner would set the table's back.
func prepareFence(ctx context.Context, h *Head, number int64, now time.Time) (*Attempt, error) {
	names := newNamer(h.meta.Location(), number, 0)
	s, updates := fenceUpdates(h, number, now)
	list, rows, err := writeList(h.Version, names.list(s.SnapshotID), s.SnapshotID, s.SequenceNumber, h.NextRow, nil, nil)
	if err != nil {
		return nil, err
	}
	s.ManifestList, s.AddedRows = list.path, rows
	if err := upload(ctx, h.store, []object{list}); err != nil {
		return nil, fmt.Errorf("%s: upload: %w", h.Name, err)
	}
	reqs := []icetable.Requirement{
		icetable.AssertTableUUID(h.UUID),
		icetable.AssertRefSnapshotID(icetable.MainBranch, mainSnapshot(h.meta)),
		icetable.AssertRefSnapshotID(refFence, refSnapshot(h.meta, refFence)),
	}
	return &Attempt{Head: h, Snapshot: s.SnapshotID, requirements: reqs, updates: updates}, nil
}
