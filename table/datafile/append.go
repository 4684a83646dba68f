package datafile

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
)

// groupBytes is about how much an Appender collects before it writes a row group: it bounds
// the memory that a file takes, whatever its size.
const groupBytes = 64 << 20

// Appender writes one data file, as [Layout.Write] would, of which not all rows are there
// at once. From version 3 on every row has its lineage; before there is none, and what is given
// is not written. It is used by one goroutine, and ends with Close or Abort.
type Appender struct {
	layout    *Layout
	shape     shape
	path      string
	spec      iceberg.PartitionSpec
	partition map[int]any
	out       io.WriteCloser
	counted   *countingWriter
	pw        *pqarrow.FileWriter // nil before the first row group
	pieces    [][]arrow.Array     // of the next row group, by column
	rows      int64               // in pieces
	bytes     int64               // about those of pieces
	total     int64               // rows that were added
	most      int64               // bytes from which on a row group is written
}

// Append begins a data file at path, in a partition of a spec.
func (l *Layout) Append(fs iceio.WriteFileIO, path string, spec iceberg.PartitionSpec, partition map[int]any) (*Appender, error) {
	out, err := fs.Create(path)
	if err != nil {
		return nil, err
	}
	sh := l.full
	if l.version < lineageVersion {
		sh = l.plain
	}
	return &Appender{
		layout: l, shape: sh, path: path, spec: spec, partition: partition, out: out, counted: &countingWriter{w: out},
		pieces: make([][]arrow.Array, sh.arrow.NumFields()), most: groupBytes,
	}, nil
}

// Add adds rows: columns of equal length, one a table column in order, with the row id and
// the _last_updated_sequence_number of each. The columns stay the caller's.
func (a *Appender) Add(columns []arrow.Array, rowIDs, sequences []int64) error {
	if want := a.layout.plain.arrow.NumFields(); len(columns) != want {
		return fmt.Errorf("write %s: %d columns, the table has %d", a.path, len(columns), want)
	}
	n := int64(len(rowIDs))
	if len(columns) < len(a.pieces) {
		lineage := []arrow.Array{rowIDArray(rowIDs), rowIDArray(sequences)}
		defer release(lineage)
		columns = append(columns[:len(columns):len(columns)], lineage...)
	}
	for i, c := range columns {
		if f := a.shape.arrow.Field(i); int64(c.Len()) != n || !arrow.TypeEqual(c.DataType(), f.Type) {
			return fmt.Errorf("write %s: %d values of %s for %d of %s %s", a.path, c.Len(), c.DataType(), n, f.Name, f.Type)
		}
	}
	for i, c := range columns {
		c.Retain()
		a.pieces[i] = append(a.pieces[i], c)
		a.bytes += SizeOf(c)
	}
	a.rows, a.total = a.rows+n, a.total+n
	if a.bytes < a.most && a.rows < rowGroupRows {
		return nil
	}
	return a.flush()
}

// Rows is the number of rows that were added.
func (a *Appender) Rows() int64 { return a.total }

// flush writes what was collected as one row group.
func (a *Appender) flush() error {
	defer a.drop()
	if err := a.writeGroup(); err != nil {
		return fmt.Errorf("write %s: %w", a.path, err)
	}
	return nil
}

func (a *Appender) writeGroup() error {
	schema := a.shape.arrow
	if a.pw == nil {
		pw, err := a.layout.newParquet(a.counted, schema, a.pieces)
		if err != nil {
			return err
		}
		a.pw = pw
	}
	for done := int64(0); done < a.rows; done += rowGroupRows {
		if err := a.pw.NewRowGroupChecked(); err != nil {
			return err
		}
		for i, pieces := range a.pieces {
			column := arrow.NewChunked(schema.Field(i).Type, pieces)
			err := a.pw.WriteColumnChunked(column, done, min(rowGroupRows, a.rows-done))
			column.Release()
			if err := errors.Join(err, a.counted.err); err != nil {
				return err
			}
		}
	}
	return nil
}

// drop frees what was collected.
func (a *Appender) drop() {
	for i, pieces := range a.pieces {
		release(pieces)
		clear(pieces)
		a.pieces[i] = slices.Delete(pieces, 0, len(pieces))
	}
	a.rows, a.bytes = 0, 0
}

// Close completes the file and makes it durable. Where it fails, nothing is left.
func (a *Appender) Close() (iceberg.DataFile, error) {
	if a.total == 0 {
		return nil, errors.Join(fmt.Errorf("write %s: it has no row", a.path), a.Abort())
	}
	if a.rows > 0 {
		if err := a.flush(); err != nil {
			return nil, errors.Join(err, a.Abort())
		}
	}
	err := errors.Join(a.pw.Close(), a.counted.err)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", a.path, err), drop(a.out))
	}
	meta, err := a.pw.FileMetadata()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", a.path, err), drop(a.out))
	}
	if err := a.out.Close(); err != nil {
		return nil, fmt.Errorf("write %s: %w", a.path, err)
	}
	return a.layout.dataFile(a.shape, a.path, a.counted.n, meta, a.spec, a.partition)
}

// Abort gives the file up and removes it.
func (a *Appender) Abort() error {
	a.drop()
	if a.pw != nil {
		_ = a.pw.Close() // which frees it; what it writes is dropped
	}
	return drop(a.out)
}
