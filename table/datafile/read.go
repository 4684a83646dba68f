package datafile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
)

const readBatchRows = 64 << 10

// ReadKeys streams the columns with the given field ids, in that order, out of a data
// file. base is the position of a record's first row; rowIDs holds the _row_id column
// where the file has one, else nil. visit must not keep what it is given.
func ReadKeys(ctx context.Context, fs iceio.IO, path string, ids []int, mem memory.Allocator,
	visit func(record arrow.RecordBatch, base int64, rowIDs *array.Int64) error,
) error {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	pf, err := file.NewParquetReader(f)
	if err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", path, err), f.Close())
	}
	defer pf.Close()
	columns := leavesOf(pf, ids)
	reader, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: readBatchRows}, mem)
	if err != nil {
		return err
	}
	records, err := reader.GetRecordReader(ctx, columns, nil)
	if err != nil {
		return err
	}
	defer records.Release()
	base := int64(0)
	for {
		rec, err := records.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if err := visitKeys(rec, base, ids, visit); err != nil {
			return err
		}
		base += rec.NumRows()
	}
}

// leavesOf finds the columns with the given field ids, and the row ids.
func leavesOf(pf *file.Reader, ids []int) []int {
	wanted := map[int32]bool{iceberg.RowIDFieldID: true}
	for _, id := range ids {
		wanted[int32(id)] = true
	}
	var out []int
	schema := pf.MetaData().Schema
	for i := range schema.NumColumns() {
		if wanted[schema.Column(i).SchemaNode().FieldID()] {
			out = append(out, i)
		}
	}
	return out
}

// visitKeys puts the columns of a record into the order of ids.
func visitKeys(rec arrow.RecordBatch, base int64, ids []int, visit func(arrow.RecordBatch, int64, *array.Int64) error) error {
	fields, columns := make([]arrow.Field, len(ids)), make([]arrow.Array, len(ids))
	for i, id := range ids {
		k := columnOf(rec, id)
		if k < 0 {
			return fmt.Errorf("a data file lacks field %d", id)
		}
		fields[i], columns[i] = rec.Schema().Field(k), rec.Column(k)
	}
	var rowIDs *array.Int64
	if k := columnOf(rec, iceberg.RowIDFieldID); k >= 0 {
		rowIDs, _ = rec.Column(k).(*array.Int64)
	}
	keys := array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, rec.NumRows())
	defer keys.Release()
	return visit(keys, base, rowIDs)
}

// columnOf finds the column with a field id, or gives -1.
func columnOf(rec arrow.RecordBatch, id int) int {
	for i, f := range rec.Schema().Fields() {
		if v, ok := f.Metadata.GetValue("PARQUET:field_id"); ok && v == strconv.Itoa(id) {
			return i
		}
	}
	return -1
}
