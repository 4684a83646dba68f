package capture

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// query is a SELECT of whole rows under way.
type query struct {
	rows    *sql.Rows
	buffer  *rowBuffer
	parsers []parser
	values  []sql.RawBytes
	targets []any
}

// query selects the rows of a range.
func (r *Reader) query(ctx context.Context, c Capture, within Range) (*query, error) {
	b, err := newRowBuffer(c.Table, c.Options, c.CommitTime, r.mem)
	if err != nil {
		return nil, err
	}
	q := &query{buffer: b, parsers: make([]parser, len(c.Table.Columns))}
	q.values, q.targets = rawTargets(len(q.parsers))
	expressions := make([]string, len(c.Table.Columns))
	for i, col := range c.Table.Columns {
		if q.parsers[i], err = columnParser(col, b.schema.Field(i).Type); err != nil {
			b.free()
			return nil, err
		}
		expressions[i] = selectExpression(col)
	}
	q.rows, err = r.conn.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s",
		strings.Join(expressions, ", "), c.Table.Name.SQL(), within.condition(c.Table.KeyColumns())))
	if err != nil {
		b.free()
		return nil, err
	}
	return q, nil
}

func (q *query) close() {
	_ = q.rows.Close()
	q.buffer.free()
}

// selectExpression is how a column is read so that the text protocol loses nothing: a
// FLOAT would be rounded to six digits.
func selectExpression(c Column) string {
	if c.Type == TypeFloat {
		return "CAST(" + quoteName(c.Name) + " AS DOUBLE)"
	}
	return quoteName(c.Name)
}

// fill appends rows of the result until they take more memory than limit, which full reports,
// or there are no more.
func (q *query) fill(limit int) (full bool, err error) {
	for q.rows.Next() {
		if err := q.rows.Scan(q.targets...); err != nil {
			return false, err
		}
		if err := q.appendRow(); err != nil {
			return false, &Stop{What: "a value in the initial load", Table: q.buffer.table.Name.String(), Alone: q.buffer.table.Name, Err: err, Hint: loadAnew}
		}
		if q.buffer.bytes() > limit {
			return true, nil
		}
	}
	return false, q.rows.Err()
}

// appendRow parses the row that was scanned.
func (q *query) appendRow() error {
	b := q.buffer
	for i, parse := range q.parsers {
		if q.values[i] == nil {
			if b.table.IsKey(i) {
				return fmt.Errorf("column %q: %w", b.table.Columns[i].Name, errNullKey)
			}
			b.columns[i].appendNull()
			continue
		}
		if err := b.closeColumn(i, parse(&b.columns[i], q.values[i])); err != nil {
			return err
		}
	}
	b.closeRow(OpLoad, time.Time{})
	return nil
}
