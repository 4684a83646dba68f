package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	icetable "github.com/apache/iceberg-go/table"
)

// The errors of commits that others ask for. With each of them nothing was changed.
var (
	// ErrForbidden reports a change that nobody but cdcd makes to its tables.
	ErrForbidden = errors.New("not allowed on a table that cdcd writes")
	// ErrStale reports a commit that was made for a table as it was before.
	ErrStale = errors.New("the table is not as this commit wants it")
	// ErrMalformed reports a request that is none, or whose updates do not fit the table.
	ErrMalformed = errors.New("the request cannot be carried out")
	// ErrUnavailable reports that the catalog cannot be read, or new metadata not be written.
	ErrUnavailable = errors.New("the catalog cannot take commits now")
)

// ForeignCommit is a commit that another program asks for: maintenance of a table, which
// changes how its rows are stored, and no row.
type ForeignCommit struct {
	requirements []icetable.Requirement
	updates      []icetable.Update
	changes      []wanted
}

// MovesSnapshots reports whether the commit makes or removes snapshots.
func (f *ForeignCommit) MovesSnapshots() bool {
	return slices.ContainsFunc(f.changes, func(c wanted) bool {
		return c.Action == icetable.UpdateAddSnapshot || c.Action == icetable.UpdateRemoveSnapshots
	})
}

// wanted is an update as far as it is judged. It is decoded from what the library has
// understood, and not from the request: what is judged is what is applied.
type wanted struct {
	Action   string             `json:"action"`
	Ref      string             `json:"ref-name"`
	Kind     string             `json:"type"`
	Target   int64              `json:"snapshot-id"`
	Removed  []int64            `json:"snapshot-ids"`
	Snapshot *icetable.Snapshot `json:"snapshot"`
}

// ParseForeignCommit reads the body of a commit request of Iceberg's REST protocol.
func ParseForeignCommit(body []byte) (*ForeignCommit, error) {
	var request struct {
		Requirements icetable.Requirements `json:"requirements"`
		Updates      icetable.Updates      `json:"updates"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	f := &ForeignCommit{updates: request.Updates}
	for _, r := range request.Requirements {
		f.requirements = append(f.requirements, demanded{r})
	}
	for _, u := range request.Updates {
		b, err := json.Marshal(u)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		var c wanted
		if err := json.Unmarshal(b, &c); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		f.changes = append(f.changes, c)
	}
	f.requirements = append(f.requirements, permitted{f.changes})
	return f, nil
}

// Committer is what a foreign commit needs of a catalog.
type Committer interface {
	CommitTable(ctx context.Context, ident icetable.Identifier, reqs []icetable.Requirement, updates []icetable.Update) (icetable.Metadata, string, error)
}

// CommitForeign offers a commit of somebody else to a catalog of ours, once. Whether it is
// allowed is judged on the very metadata that it is then made on. With an error that is none of
// the four above the outcome is open.
func CommitForeign(ctx context.Context, c Committer, n Name, f *ForeignCommit) (location string, content []byte, err error) {
	meta, location, err := c.CommitTable(ctx, n.identifier(), f.requirements, f.updates)
	switch {
	case errors.Is(err, icetable.ErrCommitFailed):
		return "", nil, fmt.Errorf("%w: %w", ErrStale, err)
	case err != nil:
		return "", nil, err
	}
	content, err = encodeMetadata(meta)
	return location, content, err
}

// demanded is a requirement of the client.
type demanded struct{ icetable.Requirement }

// Validate reports metadata that are not as the client wants them.
func (d demanded) Validate(meta icetable.Metadata) error {
	if err := d.Requirement.Validate(meta); err != nil {
		return fmt.Errorf("%w: %w", ErrStale, err)
	}
	return nil
}

// permitted is the requirement that the changes are allowed on a table. That it is one lets
// the catalog check it where it checks the others: no commit comes in between.
type permitted struct{ changes []wanted }

// GetType names the requirement.
func (permitted) GetType() string { return "cdcd-permitted" }

// Validate judges the changes.
func (p permitted) Validate(meta icetable.Metadata) error {
	if meta.Properties()[keyPipeline] == "" {
		return fmt.Errorf("%w: it was not created by cdcd, and this endpoint serves its tables only", ErrForbidden)
	}
	v := &verdict{meta: meta, refs: map[string]int64{}, added: map[int64]*icetable.Snapshot{}, removed: map[int64]bool{}}
	for name, ref := range meta.Refs() {
		v.refs[name] = ref.SnapshotID
	}
	for _, c := range p.changes {
		if err := v.judge(c); err != nil {
			return err
		}
	}
	return v.removal()
}

// verdict is a table as it is while changes are judged one after the other.
type verdict struct {
	meta    icetable.Metadata
	refs    map[string]int64
	added   map[int64]*icetable.Snapshot
	removed map[int64]bool
}

func (v *verdict) judge(c wanted) error {
	switch c.Action {
	case icetable.UpdateAddSnapshot:
		return v.add(c.Snapshot)
	case icetable.UpdateSetSnapshotRef:
		return v.setRef(c)
	case icetable.UpdateRemoveSnapshotRef:
		if c.Ref == icetable.MainBranch || ownRef(c.Ref) {
			return fmt.Errorf("%w: the ref %s is not yours to remove", ErrForbidden, c.Ref)
		}
		delete(v.refs, c.Ref)
		return nil
	case icetable.UpdateRemoveSnapshots:
		for _, id := range c.Removed {
			v.removed[id] = true
		}
		return nil
	case icetable.UpdateSetStatistics, icetable.UpdateRemoveStatistics, icetable.UpdateSetPartitionStatistics, icetable.UpdateRemovePartitionStatistics:
		return nil
	}
	return fmt.Errorf("%w: %s; maintenance may rewrite files, expire snapshots and keep statistics", ErrForbidden, c.Action)
}

// ownRef reports whether a ref is of the protocol.
func ownRef(name string) bool { return strings.HasPrefix(name, "cdcd_") }

// add judges a new snapshot: of rewrites only, for replication writes the rows, and without a
// Mark, for only cdcd knows a position.
func (v *verdict) add(s *icetable.Snapshot) error {
	switch {
	case s == nil || s.Summary == nil:
		return fmt.Errorf("%w: a snapshot needs a summary with its operation", ErrMalformed)
	case s.Summary.Operation != icetable.OpReplace:
		return fmt.Errorf("%w: a snapshot that changes rows (%s): the rows are the source's, and only rewrites (replace) are accepted", ErrForbidden, s.Summary.Operation)
	case s.SequenceNumber <= v.meta.LastSequenceNumber(), s.FirstRowID != nil && *s.FirstRowID < v.meta.NextRowID(), v.meta.SnapshotByID(s.SnapshotID) != nil:
		return fmt.Errorf("%w: the snapshot was made before one that is there by now", ErrStale)
	case s.SchemaID == nil || *s.SchemaID != v.meta.CurrentSchema().ID:
		return fmt.Errorf("%w: a snapshot of another schema than the table's", ErrForbidden)
	}
	for key := range s.Summary.Properties {
		if strings.HasPrefix(key, "cdcd.") {
			return fmt.Errorf("%w: a snapshot with %s in its summary", ErrForbidden, key)
		}
	}
	v.added[s.SnapshotID] = s
	return nil
}

// setRef judges where a ref goes: main only, and forward.
func (v *verdict) setRef(c wanted) error {
	if c.Ref != icetable.MainBranch || c.Kind != string(icetable.BranchRef) {
		return fmt.Errorf("%w: the ref %s is not yours to set: maintenance moves the branch main alone", ErrForbidden, c.Ref)
	}
	now := v.refs[icetable.MainBranch]
	for id := c.Target; id != now; {
		s := v.added[id]
		switch {
		case s == nil && v.meta.SnapshotByID(id) != nil && v.added[c.Target] == nil:
			return fmt.Errorf("%w: it would set main to snapshot %d, which is not a rewrite of what main shows", ErrForbidden, c.Target)
		case s == nil || s.ParentSnapshotID == nil:
			return fmt.Errorf("%w: main has moved on from the snapshot that was rewritten", ErrStale)
		}
		id = *s.ParentSnapshotID
	}
	v.refs[icetable.MainBranch] = c.Target
	return nil
}

// removal judges the snapshots that go, as of the end of all changes. The library drops a ref
// whose snapshot goes.
func (v *verdict) removal() error {
	for name, id := range v.refs {
		if v.removed[id] {
			return fmt.Errorf("%w: the ref %s is on snapshot %d by now", ErrStale, name, id)
		}
	}
	for s := v.snapshot(v.refs[icetable.MainBranch]); s != nil; {
		if _, marked, err := markOf(s); marked || err != nil {
			return err
		}
		if v.removed[s.SnapshotID] {
			return fmt.Errorf("%w: snapshot %d leads from main to the position that main stands for; it may expire when cdcd has committed to the table again", ErrForbidden, s.SnapshotID)
		}
		if s.ParentSnapshotID == nil {
			return nil
		}
		s = v.snapshot(*s.ParentSnapshotID)
	}
	return nil
}

func (v *verdict) snapshot(id int64) *icetable.Snapshot {
	if s := v.added[id]; s != nil {
		return s
	}
	return v.meta.SnapshotByID(id)
}
