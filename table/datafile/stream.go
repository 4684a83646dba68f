package datafile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
)

const (
	// readBatchRows bounds the rows of a record, readBatchBytes about their size. The first
	// record is small, since how large values are shows only when they are read.
	readBatchRows  = 64 << 10
	readBatchBytes = 8 << 20
	readFirstRows  = 64
	// readAhead is what is read of a column at once.
	readAhead = 2 << 20
)

// Reader reads columns of one data file, whoever wrote it, in the order of its rows. At any
// time it holds one record, and one page and readAhead bytes a column.
type Reader struct {
	path    string
	pf      *file.Reader
	mem     memory.Allocator
	ids     []int
	want    []arrow.Field           // what ids are read as; nil: as they are in the file
	initial []arrow.Array           // of want: one value where the file may lack a field, nil for NULL
	columns []*pqarrow.ColumnReader // as they are in the file
	schema  *arrow.Schema           // of columns
	base    int64                   // position of the next row
	rows    int64                   // of the file
	next    int64                   // rows of the next record
}

// Rows is a run of a data file's rows. The row ids and sequence numbers are nil where the
// file has no such column.
type Rows struct {
	Record    arrow.RecordBatch // the columns that were asked for, in that order
	Base      int64             // position of the first row
	RowIDs    *array.Int64
	Sequences *array.Int64 // _last_updated_sequence_number
	all       arrow.RecordBatch
}

// Release frees the rows.
func (r *Rows) Release() {
	r.Record.Release()
	r.all.Release()
}

// OpenReader opens a data file to read the table's columns as the layout has them, whatever
// schema the file was written under: a field that it lacks has its initial default, and a type
// that has been widened since is widened.
func (l *Layout) OpenReader(ctx context.Context, fs iceio.IO, path string, mem memory.Allocator) (*Reader, error) {
	return l.openReader(ctx, fs, path, mem, readAhead)
}

func (l *Layout) openReader(ctx context.Context, fs iceio.IO, path string, mem memory.Allocator, ahead int64) (*Reader, error) {
	r := &Reader{want: l.plain.arrow.Fields()}
	for i, f := range l.schema.Fields() {
		value, err := initialArray(f, r.want[i].Type)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		r.ids, r.initial = append(r.ids, f.ID), append(r.initial, value)
	}
	if err := r.open(ctx, fs, path, mem, ahead); err != nil {
		return nil, err
	}
	return r, nil
}

// OpenReader opens a data file to read the columns with the given field ids, which it has, as
// they are in it.
func OpenReader(ctx context.Context, fs iceio.IO, path string, ids []int, mem memory.Allocator) (*Reader, error) {
	r := &Reader{ids: ids}
	if err := r.open(ctx, fs, path, mem, readAhead); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Reader) open(ctx context.Context, fs iceio.IO, path string, mem memory.Allocator, ahead int64) error {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	props := parquet.NewReaderProperties(mem)
	props.BufferedStreamEnabled, props.BufferSize = true, ahead
	pf, err := file.NewParquetReader(f, file.WithReadProps(props))
	if err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", path, err), f.Close())
	}
	r.path, r.pf, r.mem, r.rows, r.next = path, pf, mem, pf.NumRows(), readFirstRows
	if err := r.begin(ctx); err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", path, err), r.Close())
	}
	return nil
}

// begin finds the columns.
func (r *Reader) begin(ctx context.Context) error {
	reader, err := pqarrow.NewFileReader(r.pf, pqarrow.ArrowReadProperties{}, r.mem)
	if err != nil {
		return err
	}
	groups := make([]int, r.pf.NumRowGroups())
	for i := range groups {
		groups[i] = i
	}
	r.columns, r.schema, err = reader.GetFieldReaders(ctx, leavesOf(r.pf, r.ids), groups)
	if err != nil {
		return err
	}
	for i, id := range r.ids {
		k := columnOf(r.schema, id)
		switch {
		case k < 0 && (r.want == nil || !r.want[i].Nullable):
			return fmt.Errorf("it lacks field %d", id)
		case k >= 0 && r.want != nil && !capture.Promotes(r.schema.Field(k).Type, r.want[i].Type):
			return fmt.Errorf("field %d is %s, and cannot be read as %s", id, r.schema.Field(k).Type, r.want[i].Type)
		}
	}
	return nil
}

// NumRows is the number of the file's rows.
func (r *Reader) NumRows() int64 { return r.rows }

// Next gives the next rows, which the caller releases. The error is io.EOF behind the last.
func (r *Reader) Next() (*Rows, error) {
	n := min(r.next, r.rows-r.base)
	if n == 0 {
		return nil, io.EOF
	}
	columns := make([]arrow.Array, 0, len(r.columns))
	defer func() { release(columns) }()
	for _, c := range r.columns {
		a, err := r.take(c, n)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", r.path, err)
		}
		columns = append(columns, a)
	}
	rows, err := r.arrange(array.NewRecordBatch(r.schema, columns, n))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.path, err)
	}
	r.base += n
	r.pace(n, SizeOf(rows.all.Columns()...))
	return rows, nil
}

// take reads n values of a column.
func (r *Reader) take(c *pqarrow.ColumnReader, n int64) (arrow.Array, error) {
	chunks, err := c.NextBatch(n)
	if err != nil {
		return nil, err
	}
	defer chunks.Release()
	if int64(chunks.Len()) != n {
		return nil, fmt.Errorf("%d values of %s where there have to be %d", chunks.Len(), c.Field().Name, n)
	}
	if len(chunks.Chunks()) == 1 {
		a := chunks.Chunk(0)
		a.Retain()
		return a, nil
	}
	return array.Concatenate(chunks.Chunks(), r.mem)
}

// arrange puts the columns of a record, which it takes over, into the order asked for.
func (r *Reader) arrange(all arrow.RecordBatch) (*Rows, error) {
	fields, columns := make([]arrow.Field, len(r.ids)), make([]arrow.Array, 0, len(r.ids))
	defer func() { release(columns) }()
	for i, id := range r.ids {
		var c arrow.Array
		var err error
		k := columnOf(r.schema, id)
		switch {
		case k < 0:
			fields[i] = r.want[i]
			c, err = r.fill(i, int(all.NumRows()))
		case r.want != nil:
			fields[i] = r.want[i]
			c, err = widen(all.Column(k), r.want[i].Type, r.mem)
		default:
			fields[i], c = r.schema.Field(k), all.Column(k)
			c.Retain()
		}
		if err != nil {
			all.Release()
			return nil, err
		}
		columns = append(columns, c)
	}
	rows := &Rows{Record: array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, all.NumRows()), Base: r.base, all: all}
	if k := columnOf(r.schema, iceberg.RowIDFieldID); k >= 0 {
		rows.RowIDs, _ = all.Column(k).(*array.Int64)
	}
	if k := columnOf(r.schema, iceberg.LastUpdatedSequenceNumberFieldID); k >= 0 {
		rows.Sequences, _ = all.Column(k).(*array.Int64)
	}
	return rows, nil
}

// fill gives a field that the file lacks: its initial default, n times.
func (r *Reader) fill(i, n int) (arrow.Array, error) {
	if r.initial[i] == nil {
		return array.MakeArrayOfNull(r.mem, r.want[i].Type, n), nil
	}
	return repeat(r.initial[i], n, r.mem)
}

// pace sets the size of the next record by that of the last.
func (r *Reader) pace(rows, bytes int64) {
	fits := readBatchBytes / max(1, bytes/rows)
	r.next = max(1, min(fits, 4*rows, readBatchRows))
}

// Close frees the reader. It does not free rows.
func (r *Reader) Close() error {
	for _, c := range r.columns {
		if c != nil {
			c.Release()
		}
	}
	return r.pf.Close()
}

// SizeOf is about the memory that columns take.
func SizeOf(columns ...arrow.Array) int64 {
	n := int64(0)
	for _, c := range columns {
		for _, b := range c.Data().Buffers() {
			if b != nil {
				n += int64(b.Len())
			}
		}
	}
	return n
}

func release(columns []arrow.Array) {
	for _, c := range columns {
		c.Release()
	}
}

// leavesOf finds the columns with the given field ids, and those of the rows' lineage.
func leavesOf(pf *file.Reader, ids []int) []int {
	wanted := map[int32]bool{iceberg.RowIDFieldID: true, iceberg.LastUpdatedSequenceNumberFieldID: true}
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

// columnOf finds the column with a field id, or gives -1.
func columnOf(s *arrow.Schema, id int) int {
	for i, f := range s.Fields() {
		if v, ok := f.Metadata.GetValue("PARQUET:field_id"); ok && v == strconv.Itoa(id) {
			return i
		}
	}
	return -1
}
