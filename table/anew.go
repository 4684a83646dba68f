package table

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// A table is loaded anew on a branch of its own, beside the rows that readers see. The branch
// begins behind main, or behind what was left of a load before, with all files gone and with the
// schema of the source's table as it is now; from there on it is committed to like main. One last
// commit makes main what the branch has become, and removes the branch. Files, field ids and row
// ids are the table's own all the time.

// refLoad is that branch.
const refLoad = "cdcd_load"

// Anew reports that a load of the table beside main is to be gone on with.
func (h *Head) Anew() bool {
	return h.Quarantine == nil && h.meta.SnapshotByName(refLoad) != nil
}

// OnBranch reports that the head is of the branch and not of main.
func (h *Head) OnBranch() bool { return h.branch != "" }

// Branch gives the head of the branch on which a table is loaded anew. Main has to be as it was
// left: what others did to it is not to be written over.
func (h *Head) Branch(cfg Config) (*Head, error) {
	if err := new(Table).lay(h); err != nil {
		return nil, err
	}
	return newHeadOn(h.Name, icetable.New(h.Name.identifier(), h.meta, h.location, nil, nil), cfg, refLoad)
}

// LoadAs loads a table as it was seen before: on its branch, for as long as there is one.
func LoadAs(ctx context.Context, cfg Config, seen *Head) (*Head, error) {
	return loadHeadOn(ctx, cfg, seen.Name, seen.branch)
}

// SameShape reports that neither the schema, nor main's, nor the partition spec differs between two
// loads.
func (h *Head) SameShape(o *Head) bool { return h.Schema == o.Schema && h.sameMain(o) }

func (h *Head) sameMain(o *Head) bool {
	return h.Spec == o.Spec && h.meta.CurrentSchema().ID == o.meta.CurrentSchema().ID
}

// KeptMain reports that main has the shape that it had before an attempt which is to change that of
// the branch only. Of others it is true.
func (a *Attempt) KeptMain(now *Head) bool {
	return !a.Head.OnBranch() || a.publishes || now.sameMain(a.Head)
}

// fork gives the head that a load anew begins on.
func (h *Head) fork() *Head {
	f := *h
	f.branch = refLoad
	s := f.tip()
	f.Snapshot, f.Schema = s.SnapshotID, h.meta.CurrentSchema().ID
	if s.SchemaID != nil {
		f.Schema = *s.SchemaID
	}
	return &f
}

// tip is the newest snapshot of what the head is of, nil where there is none.
func (h *Head) tip() *icetable.Snapshot {
	if s := h.meta.SnapshotByName(refLoad); h.OnBranch() && s != nil {
		return s
	}
	return h.meta.CurrentSnapshot()
}

// schema is the one that the head's rows have.
func (h *Head) schema() *iceberg.Schema {
	if h.OnBranch() {
		if s := schemaOf(h.meta, h.Schema); s != nil {
			return s
		}
	}
	return h.meta.CurrentSchema()
}

func schemaOf(meta icetable.Metadata, id int) *iceberg.Schema {
	for _, s := range meta.Schemas() {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// readBranch makes a head that of the branch.
func (h *Head) readBranch(s *icetable.Snapshot, props iceberg.Properties) error {
	h.branch, h.Snapshot = refLoad, s.SnapshotID
	if s.SchemaID == nil || schemaOf(h.meta, *s.SchemaID) == nil {
		return fmt.Errorf("%w: it has no schema", ErrCorrupt)
	}
	h.Schema = *s.SchemaID
	var err error
	if h.Source, err = parseSource(props[keyLoadSource]); err != nil {
		return err
	}
	newest := h.newestMarked()
	if newest == nil {
		return ErrForeignRows
	}
	h.Mark, _, err = markOf(newest)
	return err
}

// foreignLoad tells what to do about a load that is not as it was left.
func (h *Head) foreignLoad(err error) error {
	return fmt.Errorf("%s: %w: %w; to begin it again (with on_table_error: quarantine): cdcd resnapshot %s", h.Name, ErrForeignLoad, err, h.Name)
}

// newestMarked gives the newest snapshot with a Mark, nil where others have done more than rewrite
// since.
func (h *Head) newestMarked() *icetable.Snapshot {
	for s := h.tip(); s != nil; s = parentOf(h.meta, s) {
		if _, has, err := markOf(s); has || err != nil {
			return s
		}
		if s.Summary == nil || s.Summary.Operation != icetable.OpReplace {
			return nil
		}
	}
	return nil
}

// PrepareAnew uploads what begins to load a table anew, from the shape that its source has at the
// Mark's position. What is there of a load before is given up. The local index goes: nothing in it
// is of use any more.
func PrepareAnew(ctx context.Context, cfg Config, h *Head, source Source, m Mark) (*Attempt, error) {
	if err := new(Table).lay(h); err != nil {
		return nil, err
	}
	f := h.fork()
	e, err := anew(f, source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", h.Name, ErrUnfit, err)
	}
	c, err := loadContentOf(ctx, f, f.tip())
	if err != nil {
		return nil, err
	}
	d := emptied(f.Snapshot, c)
	d.evolves, d.anew = e, true
	a, err := assemble(f, c, d, m, f.Version)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.Name, err)
	}
	return a.finish(ctx, cfg.Now())
}

// DropIndex removes a table's key index, which must not be open.
func DropIndex(cfg Config, h *Head) error {
	return os.RemoveAll(filepath.Join(cfg.IndexDir, h.UUID.String()))
}

// anew gives the schema of a load anew. A column of the name of one that main has keeps its field
// id where its values are read as that one's; others get new ids.
func anew(h *Head, source Source) (*evolution, error) {
	plain, err := icebergSchema(source) // with ids of its own
	if err != nil {
		return nil, err
	}
	fields, next := plain.Fields(), h.meta.LastColumnID()
	for i := range fields {
		f := &fields[i]
		if old := fieldNamed(h.meta.CurrentSchema(), f.Name); old != nil && continues(*old, *f) {
			f.ID, f.InitialDefault, f.WriteDefault = old.ID, old.InitialDefault, old.WriteDefault
			continue
		}
		next++
		f.ID = next
	}
	if err := keepsPartitions(h.meta, h.meta.CurrentSchema(), fields); err != nil {
		return nil, fmt.Errorf("%w: load it under another name (tables[].target)", err)
	}
	var key []int
	for _, k := range source.Table.Key {
		key = append(key, fields[k].ID)
	}
	return &evolution{numbered(h.meta, key, fields), source}, nil
}

// fieldNamed finds a column by its name, in any case.
func fieldNamed(s *iceberg.Schema, name string) *iceberg.NestedField {
	for _, f := range s.Fields() {
		if strings.EqualFold(f.Name, name) {
			return &f
		}
	}
	return nil
}

// continues reports whether a column may have the field id of an older one: its type is the same
// or wider, and it did not become required, which Iceberg does not allow.
func continues(old, now iceberg.NestedField) bool {
	if now.Required && !old.Required {
		return false
	}
	if old.Type.Equals(now.Type) {
		return true
	}
	a, okA := old.Type.(iceberg.DecimalType)
	b, okB := now.Type.(iceberg.DecimalType)
	switch {
	case okA && okB:
		return a.Scale() == b.Scale() && a.Precision() <= b.Precision()
	case old.Type.Equals(iceberg.PrimitiveTypes.Int32):
		return now.Type.Equals(iceberg.PrimitiveTypes.Int64)
	case old.Type.Equals(iceberg.PrimitiveTypes.Float32):
		return now.Type.Equals(iceberg.PrimitiveTypes.Float64)
	}
	return false
}

// errNotOnBranch reports that there is nothing to publish.
var errNotOnBranch = errors.New("it is not loaded anew")

// Publish gives the Delta that makes main what has been loaded anew.
func (t *Table) Publish() (*Delta, error) {
	if !t.head.OnBranch() || !t.head.Mark.Load.Complete {
		return nil, fmt.Errorf("%s: %w", t.Name(), errNotOnBranch)
	}
	return &Delta{base: t.head.Snapshot, publishes: true}, nil
}

// branchUpdates put a snapshot on the branch.
func branchUpdates(s *icetable.Snapshot) []icetable.Update {
	return []icetable.Update{
		icetable.NewAddSnapshotUpdate(s),
		icetable.NewSetSnapshotRefUpdate(refLoad, s.SnapshotID, icetable.BranchRef, forever, 0, 0),
	}
}

// publishUpdates give main the schema and the source of the branch, which goes.
func publishUpdates(h *Head) (before, behind []icetable.Update) {
	if h.Schema != h.meta.CurrentSchema().ID {
		before = append(before, icetable.NewSetCurrentSchemaUpdate(h.Schema))
	}
	return before, append(endUpdates(), icetable.NewSetPropertiesUpdate(iceberg.Properties{keySource: h.meta.Properties()[keyLoadSource]}))
}

// endUpdates end a load anew.
func endUpdates() []icetable.Update {
	return []icetable.Update{
		icetable.NewRemoveSnapshotRefUpdate(refLoad), icetable.NewRemovePropertiesUpdate([]string{keyLoadSource}),
	}
}
