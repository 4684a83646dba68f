package datafile

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	iceio "github.com/apache/iceberg-go/io"
)

// ReadKeys streams the columns with the given field ids, in that order, out of a data
// file. base is the position of a record's first row; rowIDs holds the _row_id column
// where the file has one, else nil. visit must not keep what it is given.
func ReadKeys(ctx context.Context, fs iceio.IO, path string, ids []int, mem memory.Allocator,
	visit func(record arrow.RecordBatch, base int64, rowIDs *array.Int64) error,
) error {
	return Read(ctx, fs, path, ids, mem, func(rows *Rows) error { return visit(rows.Record, rows.Base, rows.RowIDs) })
}

// Read walks the columns with the given field ids of a data file. visit must not keep what it is
// given.
func Read(ctx context.Context, fs iceio.IO, path string, ids []int, mem memory.Allocator, visit func(*Rows) error) (err error) {
	r, err := OpenReader(ctx, fs, path, ids, mem)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		rows, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = visit(rows)
		rows.Release()
		if err != nil {
			return err
		}
	}
}
