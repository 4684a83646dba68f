package datafile

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
)

const (
	rowGroupRows = 1 << 20
	createdBy    = "cdcd"
)

// Write makes one data file at path out of columns of equal length, one a table column in
// order. rowIDs holds a row id for each row, negative for none, or is nil when no row has
// one. All rows are of the given partition of the layout's spec, nil where that has no fields.
// The columns stay the caller's.
func (l *Layout) Write(fs iceio.WriteFileIO, path string, columns []arrow.Array, rowIDs []int64, partition map[int]any) (iceberg.DataFile, error) {
	sh := l.plain
	if rowIDs != nil {
		sh = l.lineage
		ids := rowIDArray(rowIDs)
		defer ids.Release()
		columns = append(columns[:len(columns):len(columns)], ids)
	}
	record := array.NewRecordBatch(sh.arrow, columns, int64(columns[0].Len()))
	defer record.Release()
	out, err := fs.Create(path)
	if err != nil {
		return nil, err
	}
	counted := &countingWriter{w: out}
	meta, err := l.writeParquet(counted, sh.arrow, record)
	if err := errors.Join(err, counted.err); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), drop(out))
	}
	if err := out.Close(); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return l.dataFile(sh, path, counted.n, meta, l.spec, partition)
}

// dataFile describes a file that was written.
func (l *Layout) dataFile(sh shape, path string, size int64, meta any, spec iceberg.PartitionSpec, partition map[int]any) (iceberg.DataFile, error) {
	return table.DataFileFromMetadata(table.DataFileArgs{
		Schema: sh.iceberg, Spec: spec, FilePath: path, FileSize: size, Format: iceberg.ParquetFile,
		Metadata: meta, Content: iceberg.EntryContentData, PartitionValues: partition, FormatVersion: l.version,
	})
}

// drop gives up a file that is not complete, and removes it where the writer can do that.
func drop(w io.Closer) error {
	if a, ok := w.(interface{ Abort() error }); ok {
		return a.Abort()
	}
	return w.Close()
}

// rowIDArray builds the _row_id column.
func rowIDArray(ids []int64) arrow.Array {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.Reserve(len(ids))
	for _, id := range ids {
		if id < 0 {
			b.UnsafeAppendBoolToBitmap(false)
			continue
		}
		b.UnsafeAppend(id)
	}
	return b.NewArray()
}

func (l *Layout) writeParquet(w io.Writer, schema *arrow.Schema, record arrow.RecordBatch) (any, error) {
	columns := make([][]arrow.Array, record.NumCols())
	for i, c := range record.Columns() {
		columns[i] = []arrow.Array{c}
	}
	pw, err := l.newParquet(w, schema, columns)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(pw.Write(record), pw.Close()); err != nil {
		return nil, err
	}
	return pw.FileMetadata()
}

// newParquet begins a Parquet file that is like its first columns, each in pieces. Those that repeat
// get a dictionary. It writes so many rows at a time that a page is not much larger than it should
// be: the library looks at a page's size behind each such batch only, and holds a page in memory.
func (l *Layout) newParquet(w io.Writer, schema *arrow.Schema, columns [][]arrow.Array) (*pqarrow.FileWriter, error) {
	props := []parquet.WriterProperty{
		parquet.WithCreatedBy(createdBy), parquet.WithRootName("table"),
		parquet.WithCompression(l.packed.codec), parquet.WithCompressionLevel(l.packed.level),
		parquet.WithStoreDecimalAsInteger(true), parquet.WithMaxRowGroupLength(rowGroupRows),
		parquet.WithDictionaryDefault(false), parquet.WithStats(true), parquet.WithPageIndexEnabled(true),
	}
	batch := parquet.DefaultWriteBatchSize
	for i, f := range schema.Fields() {
		if f.Name == iceberg.LastUpdatedSequenceNumberColumnName || repeats(columns[i]) {
			props = append(props, parquet.WithDictionaryFor(f.Name, true))
		}
		batch = min(batch, rowsOfPage(columns[i]))
	}
	props = append(props, parquet.WithBatchSize(batch))
	return pqarrow.NewFileWriter(schema, w, parquet.NewWriterProperties(props...), pqarrow.NewArrowWriterProperties())
}

// countingWriter counts what is written, which is the file's size. It keeps the first error
// to itself: the Parquet writer does not release what it holds when a write fails.
type countingWriter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *countingWriter) Write(p []byte) (int, error) {
	if c.err == nil {
		_, c.err = c.w.Write(p)
	}
	c.n += int64(len(p))
	return len(p), nil
}

// rowsOfPage is how many rows of a column, in pieces, take a page, about; at least one.
func rowsOfPage(pieces []arrow.Array) int64 {
	rows := int64(0)
	for _, a := range pieces {
		rows += int64(a.Len())
	}
	return max(1, rows*parquet.DefaultDataPageSize/max(1, SizeOf(pieces...)))
}

const (
	sampleRows     = 1024
	sampleDistinct = sampleRows / 16
)

// repeats samples a column of texts or bytes, in pieces, and reports whether few values make
// up all of it.
func repeats(pieces []arrow.Array) bool {
	n := 0
	for _, a := range pieces {
		n += a.Len()
	}
	if n < sampleRows {
		return false
	}
	seen := make(map[string]struct{}, sampleDistinct)
	step, at := n/sampleRows, 0 // at is the next sample's place in the piece
	for _, a := range pieces {
		values, ok := a.(interface{ Value(int) string })
		if !ok {
			bytes, ok := a.(interface{ ValueString(int) string })
			if !ok {
				return false
			}
			values = textOf{bytes}
		}
		for ; at < a.Len(); at += step {
			if a.IsNull(at) {
				continue
			}
			if seen[values.Value(at)] = struct{}{}; len(seen) > sampleDistinct {
				return false
			}
		}
		at -= a.Len()
	}
	return true
}

// textOf gives bytes as text.
type textOf struct {
	bytes interface{ ValueString(int) string }
}

func (t textOf) Value(i int) string { return t.bytes.ValueString(i) }
