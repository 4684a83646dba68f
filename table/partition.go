package table

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// PartitionField is one part of what rows are divided into partitions by: a column, and what
// is made of its values.
type PartitionField struct {
	Transform string // identity, bucket, truncate, year, month, day or hour
	Width     int    // of bucket and truncate
	Column    string
}

// String gives the field as the configuration has it.
func (p PartitionField) String() string {
	switch {
	case p.Transform == "identity":
		return p.Column
	case p.Width > 0:
		return fmt.Sprintf("%s(%d, %s)", p.Transform, p.Width, p.Column)
	}
	return p.Transform + "(" + p.Column + ")"
}

// fieldText describes a field of a spec in the same way.
func fieldText(schema *iceberg.Schema, f iceberg.PartitionField) string {
	p := PartitionField{Transform: f.Transform.String(), Column: f.Name}
	if column, ok := schema.FindFieldByID(f.SourceID()); ok {
		p.Column = column.Name
	}
	switch t := f.Transform.(type) {
	case iceberg.BucketTransform:
		p.Transform, p.Width = "bucket", t.NumBuckets
	case iceberg.TruncateTransform:
		p.Transform, p.Width = "truncate", t.Width
	}
	return p.String()
}

// transform gives what is made of the values, and what types it takes.
func (p PartitionField) transform() (t iceberg.Transform, takes string, err error) {
	switch p.Transform {
	case "identity":
		return iceberg.IdentityTransform{}, "every type but float and double", nil
	case "bucket":
		return iceberg.BucketTransform{NumBuckets: p.Width}, "whole numbers, decimals, texts, bytes, dates and timestamps", nil
	case "truncate":
		return iceberg.TruncateTransform{Width: p.Width}, "whole numbers, decimals, texts and bytes", nil
	case "year":
		return iceberg.YearTransform{}, "dates and timestamps", nil
	case "month":
		return iceberg.MonthTransform{}, "dates and timestamps", nil
	case "day":
		return iceberg.DayTransform{}, "dates and timestamps", nil
	case "hour":
		return iceberg.HourTransform{}, "timestamps", nil
	}
	return nil, "", fmt.Errorf("there is no transform %q", p.Transform)
}

// takes reports whether a transform takes values of a type. Identity does not take floating
// point: readers disagree on whether 0.0 and -0.0 are one partition.
func takesType(t iceberg.Transform, typ iceberg.Type) bool {
	switch typ.(type) {
	case iceberg.Float32Type, iceberg.Float64Type:
		return false
	}
	return t.CanTransform(typ)
}

// spec makes the partition spec of a schema. The ids of spec and fields are those of a table's
// first spec.
func (s Storage) spec(table string, schema *iceberg.Schema) (iceberg.PartitionSpec, error) {
	var fields []iceberg.PartitionField
	for i, p := range s.Partition {
		wrong := func(format string, args ...any) (iceberg.PartitionSpec, error) {
			return iceberg.PartitionSpec{}, fmt.Errorf("%s: %s.partition[%d]: %s: %s", table, s.Place, i, p, fmt.Sprintf(format, args...))
		}
		column, ok := findColumn(schema, p.Column)
		if !ok {
			return wrong("there is no column %q", p.Column)
		}
		t, takes, err := p.transform()
		if err != nil {
			return wrong("%v", err)
		}
		if !takesType(t, column.Type) {
			return wrong("column %q is %s in the lake; %s takes %s", column.Name, column.Type, p.Transform, takes)
		}
		f := iceberg.PartitionField{SourceIDs: []int{column.ID}, FieldID: iceberg.PartitionDataIDStart + i, Transform: t, Name: partitionName(schema, column, p)}
		for j, other := range fields {
			if redundant(f, other) {
				return wrong("it says nothing beside %s", s.Partition[j])
			}
		}
		fields = append(fields, f)
	}
	return iceberg.NewPartitionSpecID(0, fields...), nil
}

// findColumn finds a column by its name, in which case does not count: no two of a table
// differ in it alone.
func findColumn(schema *iceberg.Schema, name string) (iceberg.NestedField, bool) {
	for _, f := range schema.Fields() {
		if strings.EqualFold(f.Name, name) {
			return f, true
		}
	}
	return iceberg.NestedField{}, false
}

// partitionName names a field of a spec, as Spark does for fields that are added. The name
// must be no other column's, and no two transforms of a column may share it.
func partitionName(schema *iceberg.Schema, column iceberg.NestedField, p PartitionField) string {
	if p.Transform == "identity" {
		return column.Name
	}
	name := column.Name + "_" + cmp.Or(map[string]string{"truncate": "trunc"}[p.Transform], p.Transform)
	if p.Width > 0 {
		name = fmt.Sprintf("%s_%d", name, p.Width)
	}
	for {
		if _, taken := findColumn(schema, name); !taken {
			return name
		}
		name += "_p"
	}
}

// redundant reports whether of two fields one is enough. Iceberg takes no two transforms of
// time of one column, for the finer one says it all.
func redundant(a, b iceberg.PartitionField) bool {
	if a.SourceID() != b.SourceID() {
		return false
	}
	return a.Transform.Equals(b.Transform) || ofTime(a.Transform) && ofTime(b.Transform)
}

func ofTime(t iceberg.Transform) bool {
	switch t.(type) {
	case iceberg.YearTransform, iceberg.MonthTransform, iceberg.DayTransform, iceberg.HourTransform:
		return true
	}
	return false
}

// numberFields gives the fields of a new spec of a table their ids: a field that an older spec
// has keeps its id, as the specification wants, and others get new ones.
func numberFields(spec iceberg.PartitionSpec, meta icetable.Metadata) iceberg.PartitionSpec {
	next := iceberg.PartitionDataIDStart - 1
	if id := meta.LastPartitionSpecID(); id != nil {
		next = *id
	}
	var fields []iceberg.PartitionField
	for _, f := range spec.Fields() {
		id := knownField(f, meta.PartitionSpecs())
		if id == 0 {
			next++
			id = next
		}
		f.FieldID = id
		fields = append(fields, f)
	}
	id := 0
	for _, old := range meta.PartitionSpecs() {
		id = max(id, old.ID()+1)
	}
	return iceberg.NewPartitionSpecID(id, fields...)
}

// knownField gives the id of a field that some spec has, 0 where none does.
func knownField(f iceberg.PartitionField, specs []iceberg.PartitionSpec) int {
	for _, spec := range specs {
		for _, old := range spec.Fields() {
			if old.SourceID() == f.SourceID() && len(old.SourceIDs) == 1 && old.Name == f.Name && old.Transform.Equals(f.Transform) {
				return old.FieldID
			}
		}
	}
	return 0
}
