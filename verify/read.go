package verify

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"cdcd/capture"
	"cdcd/table"
)

// visitor gets every row of a side: the hash of its key, of the whole row, and the key's
// values, valid during the call.
type visitor func(key, row digest, values [][]byte)

// rowReader hashes rows of one table.
type rowReader struct {
	hash    hasher
	source  table.Source
	isKey   []bool
	key     [][]byte
	keyBuf  []byte
	rowBuf  []byte
	columns []capture.Column
}

func newRowReader(h hasher, s table.Source) *rowReader {
	r := &rowReader{hash: h, source: s, columns: s.Table.Columns, isKey: make([]bool, len(s.Table.Columns))}
	for _, k := range s.Table.Key {
		r.isKey[k] = true
	}
	return r
}

func (r *rowReader) begin() {
	r.key, r.keyBuf, r.rowBuf = r.key[:0], r.keyBuf[:0], r.rowBuf[:0]
}

func (r *rowReader) value(i int, text []byte, null bool) {
	r.rowBuf = appendValue(r.rowBuf, text, null)
	if r.isKey[i] {
		r.keyBuf = appendValue(r.keyBuf, text, null)
		r.key = append(r.key, text)
	}
}

func (r *rowReader) end(visit visitor) {
	visit(r.hash.sum(r.keyBuf), r.hash.sum(r.rowBuf), r.key)
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
		r.end(visit)
	}
	return rows.Err()
}

// readLake reads the rows that a head shows.
func (r *rowReader) readLake(ctx context.Context, h *table.Head, visit visitor) error {
	records, err := h.Scan(ctx, table.ScanOptions{})
	if err != nil {
		return err
	}
	for rec, err := range records {
		if err != nil {
			return fmt.Errorf("read %s: %w", h.Name, err)
		}
		for row := range int(rec.NumRows()) {
			r.begin()
			for i, c := range r.columns {
				col := rec.Column(i)
				if col.IsNull(row) {
					r.value(i, nil, true)
					continue
				}
				text, err := lakeText(c, col, row)
				if err != nil {
					rec.Release()
					return err
				}
				r.value(i, text, false)
			}
			r.end(visit)
		}
		rec.Release()
	}
	return nil
}
