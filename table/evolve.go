package table

import (
	"fmt"

	"cdcd/capture"
	"cdcd/table/datafile"
	"cdcd/table/rowset"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// evolution is another schema that a Delta gives its table. It changes no row.
type evolution struct {
	schema *iceberg.Schema // with the id that it gets
	source Source
}

// Evolve gives the Delta that follows an ALTER TABLE of the source. A column keeps its field id
// under any name and at any place; what was in a column that went is not shown by one that
// comes later with its name. The error is a [capture.Stop] where the table cannot follow.
func (t *Table) Evolve(c *capture.Change) (*Delta, error) {
	e, err := evolve(t.head, c)
	if err != nil {
		return nil, &capture.Stop{
			GTID: c.GTID, What: "this ALTER TABLE", Table: c.Table.Name.String(), Alone: c.Table.Name, Err: err,
			Hint: "exclude the table, or load it anew under another name (tables[].target)",
		}
	}
	return &Delta{base: t.head.Snapshot, deletes: map[string]*bitmap{}, evolves: e}, nil
}

// evolve makes the new schema.
func evolve(h *Head, c *capture.Change) (*evolution, error) {
	source := h.Source
	source.Table = *c.Table
	plain, err := icebergSchema(source) // with ids of its own
	if err != nil {
		return nil, err
	}
	was := h.schema().Fields()
	if len(c.From) != len(c.Table.Columns) || len(was) < len(h.Source.Table.Columns) {
		return nil, fmt.Errorf("%w: %d columns, the change is of %d", ErrCorrupt, len(c.Table.Columns), len(c.From))
	}
	next := h.meta.LastColumnID()
	fields := plain.Fields()
	for i := range fields {
		f := &fields[i]
		switch {
		case i >= len(c.From): // the commit time
			*f = was[len(was)-1]
		case c.From[i] >= 0:
			old := was[c.From[i]]
			f.ID, f.InitialDefault, f.WriteDefault = old.ID, old.InitialDefault, old.WriteDefault
		default:
			next++
			f.ID = next
			if err := setDefault(h, f, c, i); err != nil {
				return nil, err
			}
		}
	}
	if err := keepsPartitions(h.meta, h.schema(), fields); err != nil {
		return nil, err
	}
	var key []int
	for _, k := range c.Table.Key {
		key = append(key, fields[k].ID)
	}
	return &evolution{numbered(h.meta, key, fields), source}, nil
}

// setDefault gives a new field what the rows before it have in it.
func setDefault(h *Head, f *iceberg.NestedField, c *capture.Change, i int) error {
	if c.Initial[i] == nil {
		return nil
	}
	if h.Version < versionVectors {
		return fmt.Errorf("column %q has a default, which takes format version 3", f.Name)
	}
	value, err := datafile.DefaultOf(c.Initial[i])
	f.InitialDefault, f.WriteDefault = value, value
	return err
}

// numbered gives a schema the id that the catalog will give it: that of an equal one which the
// table had before, or else the next.
func numbered(meta icetable.Metadata, key []int, fields []iceberg.NestedField) *iceberg.Schema {
	id := 0
	for _, s := range meta.Schemas() {
		if s.Equals(iceberg.NewSchemaWithIdentifiers(s.ID, key, fields...)) {
			return s
		}
		id = max(id, s.ID+1)
	}
	return iceberg.NewSchemaWithIdentifiers(id, key, fields...)
}

// keepsPartitions refuses to drop or widen a column that files are divided by: engines do not
// read such tables, or compare values of two types.
func keepsPartitions(meta icetable.Metadata, schema *iceberg.Schema, fields []iceberg.NestedField) error {
	now := map[int]iceberg.Type{}
	for _, f := range fields {
		now[f.ID] = f.Type
	}
	for _, spec := range meta.PartitionSpecs() {
		for _, p := range spec.Fields() {
			for _, id := range p.SourceIDs {
				was, ok := schema.FindFieldByID(id)
				if ok && (now[id] == nil || !now[id].Equals(was.Type)) {
					return fmt.Errorf("the lake table is, or was, divided by %q", was.Name)
				}
			}
		}
	}
	return nil
}

// schemaID is the schema under which a Delta's snapshot is.
func (d *Delta) schemaID(h *Head) int {
	if d.evolves == nil {
		return h.Schema
	}
	return d.evolves.schema.ID
}

// updates gives what comes before the snapshot, and behind it.
func (e *evolution) updates(h *Head) (before, behind []icetable.Update, err error) {
	if e == nil {
		return nil, nil, nil
	}
	source, err := e.source.property()
	if err != nil {
		return nil, nil, err
	}
	if h.OnBranch() {
		behind = []icetable.Update{icetable.NewSetPropertiesUpdate(iceberg.Properties{keyLoadSource: source})}
		if schemaOf(h.meta, e.schema.ID) == nil {
			before = []icetable.Update{icetable.NewAddSchemaUpdate(e.schema)}
		}
		return before, behind, nil
	}
	behind = []icetable.Update{icetable.NewSetPropertiesUpdate(iceberg.Properties{keySource: source})}
	if e.schema.ID == h.Schema {
		return nil, behind, nil
	}
	return []icetable.Update{icetable.NewAddSchemaUpdate(e.schema), icetable.NewSetCurrentSchemaUpdate(lastAdded)}, behind, nil
}

// requirements are those of an attempt that changes the schema, beside what pins any other: no
// field id may have been given away.
func (e *evolution) requirements(h *Head) []icetable.Requirement {
	if e == nil {
		return nil
	}
	return []icetable.Requirement{icetable.AssertLastAssignedFieldID(h.meta.LastColumnID())}
}

// reshape prepares for rows in the shape of a head, where it has another than the one before.
func (t *Table) reshape(old, h *Head) error {
	if h.Schema == old.Schema && h.Source.SameTable(old.Source) {
		return nil
	}
	t.uploads = nil // of the schema before
	t.keys = rowset.NewEncoder(&h.Source.Table, t.index.Secret())
	return t.lay(h)
}
