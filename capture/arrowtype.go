package capture

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
)

// TypeOptions are the choices a user has where MySQL's type has no exact counterpart.
type TypeOptions struct {
	// UnsignedBigintAsLong maps BIGINT UNSIGNED to a 64-bit integer instead of
	// decimal(20,0). A value above 2^63-1 then is an error.
	UnsignedBigintAsLong bool `json:"bigint-unsigned-as-long,omitempty"`
	// ZeroDateAsNull reads dates that are none ('0000-00-00', '2024-02-00', '2024-02-31')
	// as NULL, counted, instead of as an error. It changes no type, so it may change over time.
	ZeroDateAsNull bool `json:"-"`
}

// maxDecimal is the largest precision of an exact decimal in Arrow and Iceberg.
const maxDecimal = 38

// ErrUnsupportedType reports a column that cannot be replicated exactly.
var ErrUnsupportedType = errors.New("type not supported")

// ArrowType gives the Arrow type that holds c's values exactly.
func ArrowType(c Column, o TypeOptions) (arrow.DataType, error) {
	switch c.Type {
	case TypeTinyInt, TypeSmallInt, TypeMediumInt, TypeYear:
		return arrow.PrimitiveTypes.Int32, nil
	case TypeInt:
		if c.Unsigned {
			return arrow.PrimitiveTypes.Int64, nil
		}
		return arrow.PrimitiveTypes.Int32, nil
	case TypeBigInt:
		if c.Unsigned && !o.UnsignedBigintAsLong {
			return &arrow.Decimal128Type{Precision: 20}, nil
		}
		return arrow.PrimitiveTypes.Int64, nil
	case TypeDecimal:
		if c.Precision > maxDecimal {
			return arrow.BinaryTypes.String, nil
		}
		return &arrow.Decimal128Type{Precision: int32(c.Precision), Scale: int32(c.Scale)}, nil
	case TypeFloat:
		return arrow.PrimitiveTypes.Float32, nil
	case TypeDouble:
		return arrow.PrimitiveTypes.Float64, nil
	case TypeBit:
		if c.Size == 1 {
			return arrow.FixedWidthTypes.Boolean, nil
		}
		return arrow.BinaryTypes.Binary, nil
	case TypeDate:
		return arrow.FixedWidthTypes.Date32, nil
	case TypeDatetime:
		return &arrow.TimestampType{Unit: arrow.Microsecond}, nil
	case TypeTimestamp:
		return arrow.FixedWidthTypes.Timestamp_us, nil
	case TypeBinary, TypeVarbinary, TypeBlob, TypeGeometry, TypeVector:
		return arrow.BinaryTypes.Binary, nil
	case TypeTime, TypeJSON, TypeUUID, TypeInet4, TypeInet6:
		return arrow.BinaryTypes.String, nil
	case TypeChar, TypeVarchar, TypeText, TypeEnum, TypeSet:
		if textDecoder(c.Charset) == nil {
			return nil, fmt.Errorf("%w: character set %s", ErrUnsupportedType, c.Charset)
		}
		return arrow.BinaryTypes.String, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnsupportedType, c.Type)
}

// CommitTimeColumn is the name of the optional column that holds each row's commit time on
// the source.
const CommitTimeColumn = "_cdcd_commit_ts"

// CopyColumn is the name of the column that tells equal rows apart, where rows are told apart
// ByRow: they are numbered from 0. In a Batch it is 0; the numbers are given in the lake.
const CopyColumn = "_cdcd_copy"

// ArrowSchema gives the schema of a table's batches: its columns in order, if asked for the
// commit time, and the CopyColumn where the table has one. Every field is nullable: what is required is the lake's business.
func ArrowSchema(t *Table, o TypeOptions, commitTime bool) (*arrow.Schema, error) {
	fields := make([]arrow.Field, 0, len(t.Columns)+1)
	for _, c := range t.Columns {
		dt, err := ArrowType(c, o)
		if err != nil {
			return nil, fmt.Errorf("%s: column %q: %w", t.Name, c.Name, err)
		}
		fields = append(fields, arrow.Field{Name: c.Name, Type: dt, Nullable: true})
	}
	if commitTime {
		fields = append(fields, arrow.Field{Name: CommitTimeColumn, Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true})
	}
	if t.Identity == ByRow {
		fields = append(fields, arrow.Field{Name: CopyColumn, Type: arrow.PrimitiveTypes.Int64, Nullable: true})
	}
	return arrow.NewSchema(fields, nil), nil
}
