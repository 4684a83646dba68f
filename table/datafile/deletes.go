package datafile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
	"github.com/apache/iceberg-go/table/dv"
)

// The field ids of a position-delete file's columns.
const (
	deletePathID = 2147483546
	deletePosID  = 2147483545
)

// EncodeDeletes makes a position-delete file, to be stored at path, of some positions of one
// data file, in ascending order.
func EncodeDeletes(path, of string, positions iter.Seq[uint64], spec iceberg.PartitionSpec, partition map[int]any) ([]byte, iceberg.DataFile, error) {
	var out bytes.Buffer
	meta, err := writeDeletes(&out, of, positions)
	if err != nil {
		return nil, nil, fmt.Errorf("write %s: %w", path, err)
	}
	d, err := table.DataFileFromMetadata(table.DataFileArgs{
		Schema: iceberg.PositionalDeleteSchema, Spec: spec, FilePath: path, FileSize: int64(out.Len()), Format: iceberg.ParquetFile,
		Metadata: meta, Content: iceberg.EntryContentPosDeletes, PartitionValues: partition, ReferencedDataFile: &of, FormatVersion: 2,
	})
	return out.Bytes(), d, err
}

// Referenced gives the one data file that a delete file is of, by its entry; "" where it may be of
// several.
func Referenced(d iceberg.DataFile) string {
	if of := d.ReferencedDataFile(); of != nil {
		return *of
	}
	lower, upper := d.LowerBoundValues()[deletePathID], d.UpperBoundValues()[deletePathID]
	if bytes.Equal(lower, upper) {
		return string(lower)
	}
	return ""
}

// deleteSchema is the schema of a position-delete file whose paths are all the same.
func deleteSchema() *arrow.Schema {
	field := func(name string, id int, t arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: t, Metadata: arrow.NewMetadata([]string{"PARQUET:field_id"}, []string{strconv.Itoa(id)})}
	}
	path := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	return arrow.NewSchema([]arrow.Field{field("file_path", deletePathID, path), field("pos", deletePosID, arrow.PrimitiveTypes.Int64)}, nil)
}

// writeDeletes writes the path once, as a dictionary, and the positions.
func writeDeletes(out io.Writer, of string, positions iter.Seq[uint64]) (any, error) {
	column := array.NewInt64Builder(memory.DefaultAllocator)
	defer column.Release()
	for p := range positions {
		column.Append(int64(p))
	}
	pos := column.NewInt64Array()
	defer pos.Release()
	schema := deleteSchema()
	paths, err := samePath(schema.Field(0).Type, of, pos.Len())
	if err != nil {
		return nil, err
	}
	defer paths.Release()
	record := array.NewRecordBatch(schema, []arrow.Array{paths, pos}, int64(pos.Len()))
	defer record.Release()
	pw, err := pqarrow.NewFileWriter(schema, out, parquet.NewWriterProperties(
		parquet.WithCreatedBy(createdBy), parquet.WithRootName("table"), parquet.WithStats(true), parquet.WithMaxStatsSize(int64(len(of))+1),
		parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(zstdLevel), parquet.WithMaxRowGroupLength(rowGroupRows),
		parquet.WithDictionaryDefault(false), parquet.WithDictionaryFor("file_path", true),
	), pqarrow.NewArrowWriterProperties())
	if err != nil {
		return nil, err
	}
	if err := errors.Join(pw.Write(record), pw.Close()); err != nil {
		return nil, err
	}
	return pw.FileMetadata()
}

// samePath gives a column of one path.
func samePath(t arrow.DataType, of string, rows int) (arrow.Array, error) {
	values := array.NewStringBuilder(memory.DefaultAllocator)
	defer values.Release()
	values.Append(of)
	dictionary := values.NewArray()
	defer dictionary.Release()
	indices := array.NewInt32Builder(memory.DefaultAllocator)
	defer indices.Release()
	indices.AppendValues(make([]int32, rows), nil)
	column := indices.NewArray()
	defer column.Release()
	return array.NewValidatedDictionaryArray(t.(*arrow.DictionaryType), column, dictionary)
}

// ReadPositions reads a position-delete file of ours, which is of one data file.
func ReadPositions(fs iceio.IO, path string) (*dv.RoaringPositionBitmap, error) {
	bits := dv.NewRoaringPositionBitmap()
	return bits, eachDelete(fs, path, []int{deletePosID}, func(rows arrow.RecordBatch) error {
		return collectPositions(rows.Column(0), func(int) *dv.RoaringPositionBitmap { return bits })
	})
}

// ReadDeletes reads a position-delete file, whoever wrote it: the positions by the data files
// that they are of.
func ReadDeletes(fs iceio.IO, path string) (map[string]*dv.RoaringPositionBitmap, error) {
	out := map[string]*dv.RoaringPositionBitmap{}
	return out, eachDelete(fs, path, []int{deletePathID, deletePosID}, func(rows arrow.RecordBatch) error {
		paths, ok := rows.Column(0).(*array.String)
		if !ok || paths.NullN() > 0 {
			return errDeleteColumns
		}
		var of string
		var bits *dv.RoaringPositionBitmap
		return collectPositions(rows.Column(1), func(row int) *dv.RoaringPositionBitmap {
			if p := paths.Value(row); bits == nil || p != of {
				of = strings.Clone(p) // the record's memory is not kept
				if bits = out[of]; bits == nil {
					bits = dv.NewRoaringPositionBitmap()
					out[of] = bits
				}
			}
			return bits
		})
	})
}

var errDeleteColumns = errors.New("its columns are not a path and a position for every row")

// collectPositions adds the position of each row to the set that the row belongs to.
func collectPositions(column arrow.Array, to func(row int) *dv.RoaringPositionBitmap) error {
	positions, ok := column.(*array.Int64)
	if !ok || positions.NullN() > 0 {
		return errDeleteColumns
	}
	for i, pos := range positions.Int64Values() {
		if pos < 0 {
			return fmt.Errorf("position %d", pos)
		}
		to(i).Set(uint64(pos))
	}
	return nil
}

// eachDelete reads columns of a position-delete file.
func eachDelete(fs iceio.IO, path string, fields []int, visit func(arrow.RecordBatch) error) error {
	err := ReadKeys(context.Background(), fs, path, fields, memory.DefaultAllocator, func(rec arrow.RecordBatch, _ int64, _ *array.Int64) error {
		return visit(rec)
	})
	if err != nil {
		return fmt.Errorf("delete file %s: %w", path, err)
	}
	return nil
}
