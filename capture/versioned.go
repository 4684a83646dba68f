package capture

import (
	"bytes"
	"errors"
	"fmt"

	"cdcd/capture/binlog"
)

// A system-versioned table of MariaDB keeps the rows that it had. A column of each row says until
// when it was current, and the largest value that rows still are. Rows that are not current are
// history: no plain SELECT shows them, and the lake has none of them. In the log a DELETE is an
// update of that column, an UPDATE one of the current row and an insert of history.

// The columns that MariaDB adds where the table declares none. They stand behind all others, in
// the log alone.
const (
	hiddenRowStart = "row_start"
	hiddenRowEnd   = "row_end"
	hiddenColumns  = 2
)

var errRevived = errors.New("a row of history became current")

// hidden gives how many columns of the log information_schema does not have.
func (t *Table) hidden() int {
	if t.RowEnd == "" || t.column(t.RowEnd) >= 0 {
		return 0
	}
	return hiddenColumns
}

// visible gives the columns of the log that a captured table is to have.
func visible(wire *binlog.TableMap, captured *Table) []binlog.TableMapColumn {
	n := len(wire.Columns) - captured.hidden()
	if n < 0 || n < len(wire.Columns) && (wire.Columns[n].Name != hiddenRowStart || wire.Columns[n+1].Name != hiddenRowEnd) {
		return wire.Columns
	}
	return wire.Columns[:n]
}

// addVersions prepares to tell current rows from history, where the table has any.
func (p *plan) addVersions() error {
	t := p.buffer.table
	if t.RowEnd == "" {
		return nil
	}
	for i := len(p.columns); i < len(p.wire.Columns); i++ {
		p.columns = append(p.columns, planColumn{span: span{fixed: 4 + fractionBytes(6)}})
	}
	for i, w := range p.wire.Columns {
		if w.Name == t.RowEnd && w.Type == binlog.ColumnTimestamp2 && w.Meta == 6 {
			p.rowEnd = i
			return nil
		}
	}
	return fmt.Errorf("%s: %w: it is not system-versioned by %q", t.Name, errChanged, t.RowEnd)
}

// endless are the values that a current row has: of servers whose TIMESTAMP ends in 2038 or 2106.
// The log does not say which; on the latter only rows that somebody inserted into the history can
// end in the last microsecond of the former.
var endless = [2]string{"\x7f\xff\xff\xff\x0f\x42\x3f", "\xff\xff\xff\xff\x0f\x42\x3f"}

// current reports whether a row is no history. Where there is none, all rows are current.
func (p *plan) current(row []cell) bool {
	if p.rowEnd < 0 {
		return true
	}
	end := row[p.rowEnd].stored
	return bytes.Equal(end, []byte(endless[0])) || bytes.Equal(end, []byte(endless[1]))
}
