package verify

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"strings"

	"cdcd/capture"
	"cdcd/table"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// row is one row of a side, valid until the next is read.
type row struct {
	key, all digest   // hashes of its key and of all its values
	values   [][]byte // of the key
	version  int64    // as found.version
}

// lakeTable is a table of the lake at a snapshot, or with 0 at the one that its head shows.
type lakeTable struct {
	head     *table.Head
	snapshot int64
}

// visitor gets every row of a side.
type visitor func(r row)

// rowReader hashes rows of one table.
type rowReader struct {
	hash    hasher
	source  table.Source
	isKey   []bool // all of them, where no key tells rows apart
	key     [][]byte
	keyBuf  []byte
	rowBuf  []byte
	columns []capture.Column
}

func newRowReader(h hasher, s table.Source) *rowReader {
	r := &rowReader{hash: h, source: s, columns: s.Table.Columns, isKey: make([]bool, len(s.Table.Columns))}
	for i := range r.isKey {
		r.isKey[i] = r.keyless() || s.Table.IsKey(i)
	}
	return r
}

// shownBytes is how much is shown of a value of a row without a key.
const shownBytes = 40

// keyless reports that no key tells the table's rows apart: equal rows are counted.
func (r *rowReader) keyless() bool { return len(r.source.Table.Key) == 0 }

// searchable reports that a row can be found by the text of its key: a FLOAT's text is
// not its value. A row that is its own key is not searched for.
func (r *rowReader) searchable() bool {
	if r.keyless() {
		return false
	}
	for i, c := range r.columns {
		if r.isKey[i] && (c.Type == capture.TypeFloat || c.Type == capture.TypeDouble) {
			return false
		}
	}
	return true
}

func (r *rowReader) begin() {
	r.key, r.keyBuf, r.rowBuf = r.key[:0], r.keyBuf[:0], r.rowBuf[:0]
}

func (r *rowReader) value(i int, text []byte, null bool) {
	r.rowBuf = appendValue(r.rowBuf, text, null)
	if r.isKey[i] {
		r.keyBuf = appendValue(r.keyBuf, text, null)
		if r.keyless() && len(text) > shownBytes { // it is kept for messages only
			text = text[:shownBytes]
		}
		r.key = append(r.key, text)
	}
}

func (r *rowReader) end(version int64, visit visitor) {
	visit(row{r.hash.sum(r.keyBuf), r.hash.sum(r.rowBuf), r.key, version})
}

// readSource reads the source's rows: all of them, or those that a condition selects.
func (r *rowReader) readSource(ctx context.Context, conn *sql.Conn, where string, args []any, visit visitor) error {
	exprs := make([]string, len(r.columns))
	for i, c := range r.columns {
		exprs[i] = expression(c)
	}
	query := "SELECT " + strings.Join(exprs, ", ") + " FROM " + r.source.Table.Name.SQL() + where
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.source.Table.Name, err)
	}
	defer rows.Close()
	values := make([]sql.RawBytes, len(r.columns))
	targets := make([]any, len(values))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		r.begin()
		for i, c := range r.columns {
			if values[i] == nil {
				r.value(i, nil, true)
				continue
			}
			text, null := sourceText(c, r.source.Options, values[i])
			r.value(i, text, null)
		}
		r.end(0, visit)
	}
	return rows.Err()
}

// readLake reads the rows that a snapshot of a table shows.
func (r *rowReader) readLake(ctx context.Context, l lakeTable, visit visitor) error {
	h := l.head
	records, err := h.Scan(ctx, table.ScanOptions{Snapshot: l.snapshot, Lineage: h.KeepsLineage()})
	if err != nil {
		return err
	}
	for rec, err := range records {
		if err != nil {
			return fmt.Errorf("read %s: %w", h.Name, err)
		}
		err = r.record(rec, l, visit)
		rec.Release()
		if err != nil {
			return fmt.Errorf("read %s: %w", h.Name, err)
		}
	}
	return nil
}

func (r *rowReader) record(rec arrow.RecordBatch, l lakeTable, visit visitor) error {
	version := func(int) int64 { return cmp.Or(l.snapshot, l.head.Snapshot) }
	if l.head.KeepsLineage() {
		versions, err := versionColumn(rec)
		if err != nil {
			return err
		}
		version = versions.Value
	}
	for i := range int(rec.NumRows()) {
		r.begin()
		for j, c := range r.columns {
			col := rec.Column(j)
			if col.IsNull(i) {
				r.value(j, nil, true)
				continue
			}
			text, err := lakeText(c, col, i)
			if err != nil {
				return err
			}
			r.value(j, text, false)
		}
		r.end(version(i), visit)
	}
	return nil
}

// versionColumn is the column of the sequence numbers in which the rows were last written.
func versionColumn(rec arrow.RecordBatch) (*array.Int64, error) {
	const name = "_last_updated_sequence_number"
	at := rec.Schema().FieldIndices(name)
	if len(at) != 1 {
		return nil, fmt.Errorf("it has no column %s", name)
	}
	versions, ok := rec.Column(at[0]).(*array.Int64)
	if !ok {
		return nil, fmt.Errorf("column %s is %s", name, rec.Column(at[0]).DataType())
	}
	return versions, nil
}
