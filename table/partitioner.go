package table

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"cdcd/capture"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go"
)

// partitioner tells which partition a row belongs to. It does not change.
type partitioner struct{ fields []partitionColumn }

// partitionColumn makes one value of a partition.
type partitionColumn struct {
	field     int // its id
	column    int // among the table's
	transform iceberg.Transform
}

// partition is some rows of one partition.
type partition struct {
	values map[int]any // by the ids of the spec's fields; nil in a table without partitions
	places []int
}

func newPartitioner(schema *iceberg.Schema, spec iceberg.PartitionSpec) (*partitioner, error) {
	p := &partitioner{}
	for _, f := range spec.Fields() {
		column := -1
		for i, c := range schema.Fields() {
			if len(f.SourceIDs) == 1 && c.ID == f.SourceID() {
				column = i
			}
		}
		_, unknown := f.Transform.(iceberg.UnknownTransform)
		if column < 0 || unknown {
			return nil, fmt.Errorf("%w: rows cannot be partitioned by %s", ErrForeignShape, f.Name)
		}
		p.fields = append(p.fields, partitionColumn{f.FieldID, column, f.Transform})
	}
	return p, nil
}

// split divides places by the partitions of their rows, and keeps their order in each. The
// partitions come in the order in which their first rows do.
func (p *partitioner) split(places []int, refs []rowset.Ref, batches []*capture.Batch) ([]partition, error) {
	if len(p.fields) == 0 {
		return []partition{{places: places}}, nil
	}
	known := map[string]int{}
	var out []partition
	var counts []int
	of := make([]int, len(places)) // the number of each place's partition
	values := make([]iceberg.Optional[iceberg.Literal], len(p.fields))
	var key []byte
	for i, place := range places {
		var err error
		ref := refs[place]
		if key, err = p.row(key[:0], values, batches[ref.Batch].Record, int(ref.Row)); err != nil {
			return nil, err
		}
		n, ok := known[string(key)]
		if !ok {
			n = len(out)
			known[string(key)] = n
			out, counts = append(out, partition{values: p.values(values)}), append(counts, 0)
		}
		of[i] = n
		counts[n]++
	}
	for n := range out {
		out[n].places = make([]int, 0, counts[n])
	}
	for i, n := range of {
		out[n].places = append(out[n].places, places[i])
	}
	return out, nil
}

// row computes a row's values and appends to key what tells them apart.
func (p *partitioner) row(key []byte, values []iceberg.Optional[iceberg.Literal], rec arrow.RecordBatch, row int) ([]byte, error) {
	for i, f := range p.fields {
		v, err := literalOf(rec.Column(f.column), row)
		if err != nil {
			return nil, err
		}
		values[i] = f.transform.Apply(v)
		if values[i].Valid != v.Valid {
			return nil, fmt.Errorf("%w: %s of %s", ErrForeignShape, f.transform, rec.Column(f.column).DataType())
		}
		if key, err = appendLiteral(key, values[i]); err != nil {
			return nil, err
		}
	}
	return key, nil
}

// values gives a copy of a row's values, as a data file has them.
func (p *partitioner) values(row []iceberg.Optional[iceberg.Literal]) map[int]any {
	out := make(map[int]any, len(row))
	for i, v := range row {
		out[p.fields[i].field] = nil
		if v.Valid {
			out[p.fields[i].field] = ownedValue(v.Val)
		}
	}
	return out
}

// literalOf gives a value of a column. Texts and bytes share the column's memory.
func literalOf(c arrow.Array, row int) (iceberg.Optional[iceberg.Literal], error) {
	if c.IsNull(row) {
		return iceberg.Optional[iceberg.Literal]{}, nil
	}
	some := func(l iceberg.Literal) (iceberg.Optional[iceberg.Literal], error) {
		return iceberg.Optional[iceberg.Literal]{Valid: true, Val: l}, nil
	}
	switch c := c.(type) {
	case *array.Boolean:
		return some(iceberg.BoolLiteral(c.Value(row)))
	case *array.Int32:
		return some(iceberg.Int32Literal(c.Value(row)))
	case *array.Int64:
		return some(iceberg.Int64Literal(c.Value(row)))
	case *array.Decimal128:
		scale := int(c.DataType().(*arrow.Decimal128Type).Scale)
		return some(iceberg.DecimalLiteral{Val: c.Value(row), Scale: scale})
	case *array.Date32:
		return some(iceberg.DateLiteral(c.Value(row)))
	case *array.Timestamp:
		return some(iceberg.TimestampLiteral(c.Value(row)))
	case *array.String:
		return some(iceberg.StringLiteral(c.Value(row)))
	case *array.Binary:
		return some(iceberg.BinaryLiteral(c.Value(row)))
	}
	return iceberg.Optional[iceberg.Literal]{}, fmt.Errorf("%w: rows cannot be partitioned by values of %s", ErrForeignShape, c.DataType())
}

// appendLiteral appends a value so that no two rows of values look the same.
func appendLiteral(key []byte, v iceberg.Optional[iceberg.Literal]) ([]byte, error) {
	if !v.Valid {
		return append(key, 0), nil
	}
	key = append(key, 1)
	switch l := v.Val.(type) {
	case iceberg.BoolLiteral:
		if l {
			return append(key, 1), nil
		}
		return append(key, 0), nil
	case iceberg.Int32Literal:
		return binary.LittleEndian.AppendUint32(key, uint32(l)), nil
	case iceberg.DateLiteral:
		return binary.LittleEndian.AppendUint32(key, uint32(l)), nil
	case iceberg.Int64Literal:
		return binary.LittleEndian.AppendUint64(key, uint64(l)), nil
	case iceberg.TimestampLiteral:
		return binary.LittleEndian.AppendUint64(key, uint64(l)), nil
	case iceberg.DecimalLiteral:
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(key, uint64(l.Val.HighBits())), l.Val.LowBits()), nil
	case iceberg.StringLiteral:
		return append(binary.AppendUvarint(key, uint64(len(l))), l...), nil
	case iceberg.BinaryLiteral:
		return append(binary.AppendUvarint(key, uint64(len(l))), l...), nil
	}
	return nil, fmt.Errorf("%w: a partition of %s", ErrForeignShape, v.Val.Type())
}

// ownedValue gives a literal's value in memory of its own.
func ownedValue(l iceberg.Literal) any {
	switch l := l.(type) {
	case iceberg.StringLiteral:
		return strings.Clone(string(l))
	case iceberg.BinaryLiteral:
		return slices.Clone([]byte(l))
	}
	return l.Any()
}
