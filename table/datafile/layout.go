package datafile

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// lineageVersion is the first format version in which rows have ids.
const lineageVersion = 3

// Layout is how files of one table schema look. It does not change once made.
type Layout struct {
	schema  *iceberg.Schema // of the table
	spec    iceberg.PartitionSpec
	version int
	packed  Compression
	plain   shape
	lineage shape // with _row_id
	full    shape // with _row_id and _last_updated_sequence_number
}

// shape is a file's schema in the three forms that writing needs.
type shape struct {
	iceberg *iceberg.Schema
	arrow   *arrow.Schema
}

// NewLayout prepares for files of a table with that schema, partition spec and format
// version, to be compressed as is said.
func NewLayout(schema *iceberg.Schema, spec iceberg.PartitionSpec, version int, packed Compression) (*Layout, error) {
	l := &Layout{schema: schema, spec: spec, version: version, packed: packed}
	for _, s := range []struct {
		to              *shape
		rowID, sequence bool
	}{{&l.plain, false, false}, {&l.lineage, true, false}, {&l.full, true, true}} {
		s.to.iceberg = iceberg.SchemaWithRowLineageColumns(schema, s.rowID, s.sequence)
		a, err := table.SchemaToArrowSchema(s.to.iceberg, nil, true, false)
		if err != nil {
			return nil, err
		}
		s.to.arrow = a
	}
	return l, nil
}

// FieldIDs gives the field ids of the table's columns, in order.
func (l *Layout) FieldIDs() []int {
	out := make([]int, 0, len(l.schema.Fields()))
	for _, f := range l.schema.Fields() {
		out = append(out, f.ID)
	}
	return out
}

// Arrow gives the Arrow schema of the table's columns.
func (l *Layout) Arrow() *arrow.Schema { return l.plain.arrow }

// Check reports whether records of the given schema can be written: the same columns with
// the same types.
func (l *Layout) Check(s *arrow.Schema) error {
	if s.NumFields() != l.plain.arrow.NumFields() {
		return fmt.Errorf("%d columns, the table has %d", s.NumFields(), l.plain.arrow.NumFields())
	}
	for i, f := range l.plain.arrow.Fields() {
		if g := s.Field(i); g.Name != f.Name || !arrow.TypeEqual(g.Type, f.Type) {
			return fmt.Errorf("column %d is %s %s, the table has %s %s", i+1, g.Name, g.Type, f.Name, f.Type)
		}
	}
	return nil
}
