package capture

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Op is what a row of a Batch says happened.
type Op uint8

// The operations. An update that changes the key is a Delete of the old key followed by an
// Update with the new one.
const (
	OpInsert Op = iota // the row is the new row
	OpUpdate           // the row is the row after the update
	OpDelete           // the row is the row before the delete, of which only the key is sure
	OpLoad             // the row was read by the initial load
)

// Batch is changes of one table, in the order of the source.
//
// Whoever holds a Batch owns it and calls Release once; what is kept longer is retained
// through Arrow.
type Batch struct {
	Table  *Table
	Record arrow.RecordBatch // ArrowSchema's columns; values of all rows
	Ops    []Op              // one a row
	// Partial tells, in order, of the rows of updates that do not know all columns.
	Partial []Partial
	// Origins tells, in order, which transactions the rows are of, where nobody enforces what
	// tells the table's rows apart: what is wrong with a row is then told with its GTID.
	Origins []Origin
}

// Origin is the transaction of a run of rows.
type Origin struct {
	To     int // the row of the Batch behind the run, which begins where the one before ends
	GTID   GTID
	Flavor Flavor
}

// Origin names the transaction that a row is of, "" where that is not known.
func (b *Batch) Origin(row int) string {
	i, _ := slices.BinarySearchFunc(b.Origins, row, func(o Origin, row int) int { return cmp.Compare(o.To, row+1) })
	if i == len(b.Origins) {
		return ""
	}
	return b.Origins[i].GTID.Text(b.Origins[i].Flavor)
}

// Partial is a run of rows of updates that were logged without all columns. An OpUpdate in it
// is NULL where it does not know a column: that is as it was before, in the row with its key,
// or, directly behind an OpDelete of the run, in the row that this one deletes.
type Partial struct {
	From, To int    // rows of the Batch
	Known    []byte // bitmap of the columns
	// Patched is a bitmap of columns of which an OpUpdate holds a patch (see [PatchJSON]), which
	// makes what they are of what they were. They are not in Known. nil: there are none.
	Patched []byte
	GTID    GTID // of the transaction, for messages
	Flavor  Flavor
}

// Rows is the number of changes.
func (b *Batch) Rows() int { return len(b.Ops) }

// Bytes is about the memory that the values take.
func (b *Batch) Bytes() int64 {
	n := int64(len(b.Ops) + len(b.Partial)*partialBytes)
	for _, c := range b.Record.Columns() {
		for _, buf := range c.Data().Buffers() {
			if buf != nil {
				n += int64(buf.Len())
			}
		}
	}
	return n
}

// Moved reports whether the key of a row changed that does not know all columns.
func (b *Batch) Moved() bool {
	for _, p := range b.Partial {
		if slices.Contains(b.Ops[p.From:p.To], OpDelete) {
			return true
		}
	}
	return false
}

// Release gives the values' memory back.
func (b *Batch) Release() { b.Record.Release() }

// partialBytes is about what a Partial takes of memory.
const partialBytes = 128

// rowBuffer collects the rows of one table until they become a Batch. Rows up to sealed
// belong to whole transactions; those behind it can still be dropped.
type rowBuffer struct {
	table   *Table
	schema  *arrow.Schema
	options TypeOptions
	timed   bool     // the schema has the commit time
	columns []vector // those of the schema
	ops     []Op
	partial []Partial
	origins []Origin
	sealed  int
	noDates int64 // values that became NULL because they are no date
	// sealedNoDates are those of whole transactions.
	sealedNoDates int64
}

func newRowBuffer(t *Table, o TypeOptions, commitTime bool, mem memory.Allocator) (*rowBuffer, error) {
	schema, err := ArrowSchema(t, o, commitTime)
	if err != nil {
		return nil, err
	}
	b := &rowBuffer{table: t, schema: schema, options: o, timed: commitTime}
	for _, f := range schema.Fields() {
		b.columns = append(b.columns, newVector(f.Type, mem))
	}
	return b, nil
}

// closeRow ends a row of which every table column has been closed.
func (b *rowBuffer) closeRow(op Op, committed time.Time) {
	n := len(b.table.Columns)
	if b.timed {
		if v := &b.columns[n]; committed.IsZero() {
			v.appendNull()
		} else {
			v.appendInt64(committed.UnixMicro())
			v.commit()
		}
		n++
	}
	if n < len(b.columns) { // CopyColumn
		b.columns[n].appendInt64(0)
		b.columns[n].commit()
	}
	b.ops = append(b.ops, op)
}

// closeColumn ends the open row of column i after its decoder or parser returned err.
func (b *rowBuffer) closeColumn(i int, err error) error {
	v := &b.columns[i]
	switch {
	case err == nil:
		v.commit()
		return nil
	case errors.Is(err, errNoDate) && b.table.IsKey(i):
		err = fmt.Errorf("%w in the table's key", err)
	case errors.Is(err, errNoDate) && b.options.ZeroDateAsNull:
		v.rewind()
		v.appendNull()
		b.noDates++
		return nil
	case errors.Is(err, errNoDate):
		err = fmt.Errorf("%w (types.zero_date: null reads such values as NULL)", err)
	}
	return fmt.Errorf("%s: column %q: %w", b.table.Name, b.table.Columns[i].Name, err)
}

// notePartial notes rows that do not know all columns, which were appended last.
func (b *rowBuffer) notePartial(p Partial) {
	if n := len(b.partial); n > 0 {
		last := &b.partial[n-1]
		if last.To == p.From && last.GTID == p.GTID && bytes.Equal(last.Known, p.Known) && bytes.Equal(last.Patched, p.Patched) {
			last.To = p.To
			return
		}
	}
	b.partial = append(b.partial, p)
}

// noteOrigin notes the transaction of the rows that were appended last.
func (b *rowBuffer) noteOrigin(o origin) {
	if !b.table.Identity.matched() {
		return
	}
	if n := len(b.origins); n > 0 && b.origins[n-1].GTID == o.gtid {
		b.origins[n-1].To = len(b.ops)
		return
	}
	b.origins = append(b.origins, Origin{To: len(b.ops), GTID: o.gtid, Flavor: o.flavor})
}

// dropOrigins forgets the transactions of the rows behind a number.
func (b *rowBuffer) dropOrigins(rows int) {
	for n := len(b.origins); n > 0 && b.origins[n-1].To > rows; n-- {
		from := 0
		if n > 1 {
			from = b.origins[n-2].To
		}
		if from < rows {
			b.origins[n-1].To = rows
			return
		}
		b.origins = b.origins[:n-1]
	}
}

// seal marks all rows as belonging to whole transactions.
func (b *rowBuffer) seal() { b.sealed, b.sealedNoDates = len(b.ops), b.noDates }

// rowMark is how far a rowBuffer was filled.
type rowMark struct {
	rows    int
	noDates int64
}

// mark gives how far the buffer is filled.
func (b *rowBuffer) mark() rowMark { return rowMark{len(b.ops), b.noDates} }

// drop removes the rows behind the seal, and any half row.
func (b *rowBuffer) drop() { b.dropTo(rowMark{b.sealed, b.sealedNoDates}) }

// dropTo removes the rows behind a mark, which is not before the seal, and any half row.
func (b *rowBuffer) dropTo(m rowMark) {
	for i := range b.columns {
		b.columns[i].truncate(m.rows)
		b.columns[i].rewind()
	}
	b.ops, b.noDates = b.ops[:m.rows], m.noDates
	b.dropOrigins(m.rows)
	for n := len(b.partial); n > 0 && b.partial[n-1].To > m.rows; n-- {
		if last := &b.partial[n-1]; last.From < m.rows {
			last.To = m.rows
			return
		}
		b.partial = b.partial[:n-1]
	}
}

// takeNoDates hands the count over and starts anew.
func (b *rowBuffer) takeNoDates() int64 {
	n := b.noDates
	b.noDates, b.sealedNoDates = 0, 0
	return n
}

// bytes is about the memory the rows take.
func (b *rowBuffer) bytes() int {
	n := len(b.ops) + len(b.partial)*partialBytes
	for i := range b.columns {
		n += b.columns[i].bytes()
	}
	return n
}

// free gives the memory back.
func (b *rowBuffer) free() {
	for i := range b.columns {
		b.columns[i].free()
	}
}

// take hands all rows over and leaves the buffer empty.
func (b *rowBuffer) take() *Batch {
	columns := make([]arrow.Array, len(b.columns))
	for i := range b.columns {
		columns[i] = b.columns[i].take()
	}
	record := array.NewRecordBatch(b.schema, columns, int64(len(b.ops)))
	for _, c := range columns {
		c.Release()
	}
	out := &Batch{Table: b.table, Record: record, Ops: b.ops, Partial: b.partial, Origins: b.origins}
	b.partial, b.origins = nil, nil
	b.ops = make([]Op, 0, len(out.Ops)+len(out.Ops)/8)
	b.sealed = 0
	return out
}
