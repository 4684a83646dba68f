package tabletest

import (
	"context"
	"errors"
	"time"

	"cdcd/table"
	"cdcd/table/fileio"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

// ErrNothingToDo reports that a table is not in a state in which somebody else could do that.
var ErrNothingToDo = errors.New("there is nothing to do")

// Foreign is somebody else who changes a table: another program, or a person.
type Foreign struct {
	Catalog table.Catalog
	Store   fileio.Store
	Table   icetable.Identifier
}

// load gives the table's metadata and its current snapshot.
func (f Foreign) load(ctx context.Context) (icetable.Metadata, *icetable.Snapshot, error) {
	t, err := f.Catalog.LoadTable(ctx, f.Table)
	if err != nil {
		return nil, nil, err
	}
	s := t.Metadata().CurrentSnapshot()
	if s == nil {
		return nil, nil, ErrNothingToDo
	}
	return t.Metadata(), s, nil
}

func (f Foreign) commit(ctx context.Context, updates ...icetable.Update) error {
	_, _, err := f.Catalog.CommitTable(ctx, f.Table, nil, updates)
	return err
}

// snapshotID makes an id that is taken by nobody.
func snapshotID() int64 {
	id := uuid.New()
	out := int64(0)
	for _, b := range id[:8] {
		out = out<<8 | int64(b)
	}
	return out&(1<<62-1) | 1<<61
}

// next makes a snapshot that follows the current one on main.
func next(meta icetable.Metadata, op icetable.Operation) *icetable.Snapshot {
	parent := meta.CurrentSnapshot()
	schema := meta.CurrentSchema().ID
	s := &icetable.Snapshot{
		SnapshotID: snapshotID(), ParentSnapshotID: &parent.SnapshotID, SequenceNumber: meta.LastSequenceNumber() + 1,
		TimestampMs: max(time.Now().UnixMilli(), meta.LastUpdatedMillis()+1), ManifestList: parent.ManifestList,
		SchemaID: &schema, Summary: &icetable.Summary{Operation: op, Properties: iceberg.Properties{}},
	}
	if first, rows := meta.NextRowID(), int64(0); hasRowIDs(meta) {
		s.FirstRowID, s.AddedRows = &first, &rows
	}
	return s
}

// hasRowIDs reports whether rows of a table have ids.
func hasRowIDs(meta icetable.Metadata) bool { return meta.Version() >= 3 }

func toMain(s *icetable.Snapshot) []icetable.Update {
	return []icetable.Update{
		icetable.NewAddSnapshotUpdate(s),
		icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, s.SnapshotID, icetable.BranchRef, 0, 0, 0),
	}
}

// Expire drops all snapshots but main's and those with a ref.
func (f Foreign) Expire(ctx context.Context) error {
	meta, _, err := f.load(ctx)
	if err != nil {
		return err
	}
	held := map[int64]bool{}
	for _, ref := range meta.Refs() {
		held[ref.SnapshotID] = true
	}
	var gone []int64
	for _, s := range meta.Snapshots() {
		if !held[s.SnapshotID] {
			gone = append(gone, s.SnapshotID)
		}
	}
	if len(gone) == 0 {
		return ErrNothingToDo
	}
	return f.commit(ctx, icetable.NewRemoveSnapshotsUpdate(gone, false))
}

// Rollback sets main back by one snapshot.
func (f Foreign) Rollback(ctx context.Context) error {
	meta, now, err := f.load(ctx)
	if err != nil {
		return err
	}
	if now.ParentSnapshotID == nil || meta.SnapshotByID(*now.ParentSnapshotID) == nil {
		return ErrNothingToDo
	}
	return f.commit(ctx, icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, *now.ParentSnapshotID, icetable.BranchRef, 0, 0, 0))
}

// CoverUp sets main back, and leaves nothing that shows it but refs.
func (f Foreign) CoverUp(ctx context.Context) error {
	if err := f.Rollback(ctx); err != nil {
		return err
	}
	if err := f.Compact(ctx); err != nil && !errors.Is(err, ErrNothingToDo) {
		return err
	}
	if err := f.Expire(ctx); err != nil && !errors.Is(err, ErrNothingToDo) {
		return err
	}
	return nil
}

// Append commits a snapshot that says it adds rows.
func (f Foreign) Append(ctx context.Context) error {
	meta, _, err := f.load(ctx)
	if err != nil {
		return err
	}
	return f.commit(ctx, toMain(next(meta, icetable.OpAppend))...)
}

// Branch commits to a branch of its own: only the table's numbers move.
func (f Foreign) Branch(ctx context.Context) error {
	meta, _, err := f.load(ctx)
	if err != nil {
		return err
	}
	s := next(meta, icetable.OpAppend)
	return f.commit(ctx, icetable.NewAddSnapshotUpdate(s), icetable.NewSetSnapshotRefUpdate("audit", s.SnapshotID, icetable.BranchRef, 0, 0, 0))
}

// Untag removes a tag.
func (f Foreign) Untag(ctx context.Context, tag string) error {
	meta, _, err := f.load(ctx)
	if err != nil {
		return err
	}
	if meta.SnapshotByName(tag) == nil {
		return ErrNothingToDo
	}
	return f.commit(ctx, icetable.NewRemoveSnapshotRefUpdate(tag))
}

// Set sets a property.
func (f Foreign) Set(ctx context.Context, key, value string) error {
	if _, err := f.Catalog.LoadTable(ctx, f.Table); err != nil {
		return errors.Join(ErrNothingToDo, err)
	}
	return f.commit(ctx, icetable.NewSetPropertiesUpdate(iceberg.Properties{key: value}))
}

// Evolve adds a column.
func (f Foreign) Evolve(ctx context.Context) error {
	meta, _, err := f.load(ctx)
	if err != nil {
		return err
	}
	s := meta.CurrentSchema()
	fields := append(s.Fields(), iceberg.NestedField{ID: meta.LastColumnID() + 1, Name: "foreign", Type: iceberg.PrimitiveTypes.Int32})
	return f.commit(ctx, icetable.NewAddSchemaUpdate(iceberg.NewSchemaWithIdentifiers(s.ID+1, s.IdentifierFieldIDs, fields...)), icetable.NewSetCurrentSchemaUpdate(-1))
}
