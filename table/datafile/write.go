package datafile

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
)

const (
	rowGroupRows = 1 << 20
	zstdLevel    = 1
	createdBy    = "cdcd"
)

// Write makes one data file at path out of columns of equal length, one a table column in
// order. rowIDs holds a row id for each row, negative for none, or is nil when no row has
// one. The columns stay the caller's.
func (l *Layout) Write(fs iceio.WriteFileIO, path string, columns []arrow.Array, rowIDs []int64) (iceberg.DataFile, error) {
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
	meta, err := writeParquet(counted, sh.arrow, record)
	if err := errors.Join(err, counted.err); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), drop(out))
	}
	if err := out.Close(); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return table.DataFileFromMetadata(table.DataFileArgs{
		Schema: sh.iceberg, Spec: l.spec, FilePath: path, FileSize: counted.n, Format: iceberg.ParquetFile,
		Metadata: meta, Content: iceberg.EntryContentData, FormatVersion: l.version,
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

func writeParquet(w io.Writer, schema *arrow.Schema, record arrow.RecordBatch) (any, error) {
	props := []parquet.WriterProperty{
		parquet.WithCreatedBy(createdBy), parquet.WithRootName("table"),
		parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(zstdLevel),
		parquet.WithStoreDecimalAsInteger(true), parquet.WithMaxRowGroupLength(rowGroupRows),
		parquet.WithDictionaryDefault(false), parquet.WithStats(true), parquet.WithPageIndexEnabled(true),
	}
	for i, f := range schema.Fields() {
		if repeats(record.Column(i)) {
			props = append(props, parquet.WithDictionaryFor(f.Name, true))
		}
	}
	pw, err := pqarrow.NewFileWriter(schema, w, parquet.NewWriterProperties(props...), pqarrow.NewArrowWriterProperties())
	if err != nil {
		return nil, err
	}
	if err := errors.Join(pw.Write(record), pw.Close()); err != nil {
		return nil, err
	}
	return pw.FileMetadata()
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

const (
	sampleRows     = 1024
	sampleDistinct = sampleRows / 16
)

// repeats samples a column of texts or bytes and reports whether few values make up all of
// it.
func repeats(a arrow.Array) bool {
	values, ok := a.(interface {
		ValueString(int) string
		arrow.Array
	})
	if s, isString := a.(*array.String); isString {
		return sample(s.Len(), s.IsNull, s.Value)
	}
	return ok && sample(values.Len(), values.IsNull, values.ValueString)
}

func sample(n int, null func(int) bool, value func(int) string) bool {
	if n < sampleRows {
		return false
	}
	seen := make(map[string]struct{}, sampleDistinct)
	step := n / sampleRows
	for i := 0; i < n; i += step {
		if null(i) {
			continue
		}
		seen[value(i)] = struct{}{}
		if len(seen) > sampleDistinct {
			return false
		}
	}
	return true
}
