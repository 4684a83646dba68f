package table

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
)

// Source is what a lake table is a copy of, and the choices made when it was created. They
// are kept in the table's properties and cannot change under it.
type Source struct {
	Table      capture.Table       `json:"table"`
	Options    capture.TypeOptions `json:"options"`
	CommitTime bool                `json:"commit-time,omitempty"`
	// Empty says that the rows which the source had before are not in the copy.
	Empty bool `json:"starts-empty,omitempty"`
}

func (s Source) property() (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}

// SameTable reports whether two sources have tables of the same shape, as it is recorded.
func (s Source) SameTable(o Source) bool {
	a, errA := Source{Table: s.Table}.property()
	b, errB := Source{Table: o.Table}.property()
	return errA == nil && errB == nil && a == b
}

func parseSource(text string) (Source, error) {
	var s Source
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return Source{}, fmt.Errorf("%s: %w", keySource, err)
	}
	return s, nil
}

// Check tells why the lake cannot have a table for the source table, nil where it can.
func (s Source) Check() error {
	_, err := icebergSchema(s)
	return err
}

// longestElement is how long a name in a directory may be.
const longestElement = 255

// Check tells why no catalog has a table of that name, nil where one can.
func (n Name) Check() error {
	if err := catalog.ValidateTableIdentifier(n.identifier()); err != nil {
		return fmt.Errorf("the lake takes no table of the name %s: %w", n, err)
	}
	for _, part := range n.identifier() {
		if len(pathElement(part)) > longestElement {
			return fmt.Errorf("the lake takes no table of the name %s: no directory can be called %s", n, pathElement(part))
		}
	}
	return nil
}

// reservedNames are columns that Iceberg's readers make up themselves.
func reservedNames() []string {
	return []string{"_row_id", "_last_updated_sequence_number", "_file", "_pos", "_deleted", "_spec_id", "_partition", "_change_type", "_change_ordinal", "_commit_snapshot_id"}
}

// icebergSchema gives the lake's schema of a source table. Only key columns are required:
// the specification does not let a column become required later. The key becomes the
// identifier.
func icebergSchema(s Source) (*iceberg.Schema, error) {
	arrowSchema, err := capture.ArrowSchema(&s.Table, s.Options, s.CommitTime)
	if err != nil {
		return nil, err
	}
	var fields []iceberg.NestedField
	seen := map[string]string{}
	for i, f := range arrowSchema.Fields() {
		if slices.Contains(reservedNames(), strings.ToLower(f.Name)) {
			return nil, fmt.Errorf("%s: column %q has a name that Iceberg reserves", s.Table.Name, f.Name)
		}
		if other, twice := seen[strings.ToLower(f.Name)]; twice {
			return nil, fmt.Errorf("%s: columns %q and %q differ in case only", s.Table.Name, other, f.Name)
		}
		seen[strings.ToLower(f.Name)] = f.Name
		typ, err := icebergType(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: column %q: %w", s.Table.Name, f.Name, err)
		}
		field := iceberg.NestedField{ID: i + 1, Name: f.Name, Type: typ, Required: s.Table.IsKey(i)}
		if i < len(s.Table.Columns) {
			field.Doc = s.Table.Columns[i].SQLType()
		}
		fields = append(fields, field)
	}
	var key []int
	for _, i := range s.Table.Key {
		key = append(key, i+1)
	}
	return iceberg.NewSchemaWithIdentifiers(0, key, fields...), nil
}

// icebergType gives the Iceberg type of a batch's column.
func icebergType(t arrow.DataType) (iceberg.Type, error) {
	switch t := t.(type) {
	case *arrow.BooleanType:
		return iceberg.PrimitiveTypes.Bool, nil
	case *arrow.Int32Type:
		return iceberg.PrimitiveTypes.Int32, nil
	case *arrow.Int64Type:
		return iceberg.PrimitiveTypes.Int64, nil
	case *arrow.Float32Type:
		return iceberg.PrimitiveTypes.Float32, nil
	case *arrow.Float64Type:
		return iceberg.PrimitiveTypes.Float64, nil
	case *arrow.Decimal128Type:
		return iceberg.DecimalTypeOf(int(t.Precision), int(t.Scale)), nil
	case *arrow.Date32Type:
		return iceberg.PrimitiveTypes.Date, nil
	case *arrow.TimestampType:
		if t.TimeZone == "" {
			return iceberg.PrimitiveTypes.Timestamp, nil
		}
		return iceberg.PrimitiveTypes.TimestampTz, nil
	case *arrow.StringType:
		return iceberg.PrimitiveTypes.String, nil
	case *arrow.BinaryType:
		return iceberg.PrimitiveTypes.Binary, nil
	}
	return nil, fmt.Errorf("%s has no Iceberg type", t)
}
