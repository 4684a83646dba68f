package datafile

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// Layout is how files of one table schema look. It does not change once made.
type Layout struct {
	schema  *iceberg.Schema // of the table
	spec    iceberg.PartitionSpec
	version int
	plain   shape
	lineage shape // with _row_id
}

// shape is a file's schema in the three forms that writing needs.
type shape struct {
	iceberg *iceberg.Schema
	arrow   *arrow.Schema
}

// NewLayout prepares for files of a table with that schema, partition spec and format
// version.
func NewLayout(schema *iceberg.Schema, spec iceberg.PartitionSpec, version int) (*Layout, error) {
	l := &Layout{schema: schema, spec: spec, version: version}
	for withRowID, to := range map[bool]*shape{false: &l.plain, true: &l.lineage} {
		to.iceberg = iceberg.SchemaWithRowLineageColumns(schema, withRowID, false)
		a, err := table.SchemaToArrowSchema(to.iceberg, nil, true, false)
		if err != nil {
			return nil, err
		}
		to.arrow = a
	}
	return l, nil
}

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
