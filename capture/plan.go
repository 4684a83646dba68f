package capture

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"cdcd/capture/binlog"
)

// plan is how the rows of one TABLE_MAP are decoded. It is made once and used until the
// server announces the table in other words.
type plan struct {
	wire    *binlog.TableMap
	buffer  *rowBuffer
	columns []planColumn
	lastKey int   // the last column of the key in column order
	json    []int // the columns of type JSON
	rowEnd  int   // the column that tells current rows from history; negative: there is no history
	images  []*imageShape
	cells   [2][]cell // of one row, where images are incomplete
}

type planColumn struct {
	decode decoder
	span   span
	key    bool
}

// errChanged reports a table whose rows in the log no longer have the shape that the lake
// knows.
var errChanged = errors.New("the table's columns in the log differ from the captured ones")

// newPlan checks that the log's description of a table agrees with the captured one and
// prepares to decode it.
func newPlan(wire *binlog.TableMap, b *rowBuffer, collations map[uint64]string) (*plan, error) {
	if !wire.Full {
		return nil, fmt.Errorf("%s: the log has no column names: binlog_row_metadata is not FULL in the session that wrote it", b.table.Name)
	}
	seen, err := tableOf(wire, b.table, collations)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.table.Name, err)
	}
	if diff := b.table.Difference(seen); diff != "" {
		return nil, fmt.Errorf("%s: %w: %s", b.table.Name, errChanged, diff)
	}
	p := &plan{wire: wire, buffer: b, columns: make([]planColumn, len(b.table.Columns)), rowEnd: -1}
	for i, c := range seen.Columns {
		decode, span, err := columnDecoder(c, wire.Columns[i], b.schema.Field(i).Type)
		if err != nil {
			return nil, fmt.Errorf("%s: column %q: %w", b.table.Name, c.Name, err)
		}
		p.columns[i] = planColumn{decode: decode, span: span, key: b.table.IsKey(i)}
		if p.columns[i].key {
			p.lastKey = i
		}
		if c.Type == TypeJSON {
			p.json = append(p.json, i)
		}
	}
	return p, p.addVersions()
}

// append decodes a row event into the buffer and gives the number of source rows in it.
func (p *plan) append(r binlog.Rows, o origin) (int, error) {
	if r.Columns != len(p.columns) {
		return 0, fmt.Errorf("%s: row of %d columns, the table map has %d", p.buffer.table.Name, r.Columns, len(p.columns))
	}
	if p.buffer.table.Identity == Appended && r.Kind != binlog.RowInsert {
		return 0, fmt.Errorf("%s: %w", p.buffer.table.Name, errNotAppended)
	}
	if r.Partial || p.rowEnd >= 0 || !binlog.Complete(r.Present, r.Columns) || !binlog.Complete(r.After, r.Columns) {
		return p.appendIncomplete(r, o)
	}
	rows, err := p.appendWhole(r, o.committed)
	p.buffer.noteOrigin(o)
	return rows, err
}

// errNotAppended reports a changed row in a table of which the user says that there are none.
var errNotAppended = errors.New("a row was updated or deleted, and tables[].mode is append")

// errNullKey reports a row that the columns which the user has named do not identify.
var errNullKey = errors.New("NULL in a column of tables[].key")

// appendWhole decodes images that hold all columns.
func (p *plan) appendWhole(r binlog.Rows, committed time.Time) (int, error) {
	rows := 0
	for images := r.Images; len(images) > 0; rows++ {
		var err error
		switch r.Kind {
		case binlog.RowInsert:
			images, err = p.appendRow(images, OpInsert, committed)
		case binlog.RowDelete:
			images, err = p.appendRow(images, OpDelete, committed)
		default:
			images, err = p.appendUpdate(images, committed)
		}
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// appendRow decodes one image.
func (p *plan) appendRow(image []byte, op Op, committed time.Time) (rest []byte, err error) {
	nulls, b, err := p.cut(image)
	if err != nil {
		return nil, err
	}
	columns := p.buffer.columns
	for i := range p.columns {
		if nulls[i>>3]&(1<<(i&7)) != 0 {
			if p.columns[i].key {
				return nil, fmt.Errorf("%s: column %q: %w", p.buffer.table.Name, p.buffer.table.Columns[i].Name, errNullKey)
			}
			columns[i].appendNull()
			continue
		}
		n, err := p.columns[i].decode(&columns[i], b)
		if err != nil {
			if err := p.buffer.closeColumn(i, err); err != nil {
				return nil, err
			}
		} else {
			columns[i].commit()
		}
		b = b[n:]
	}
	p.buffer.closeRow(op, committed)
	return b, nil
}

// appendUpdate decodes a before and an after image. Of the before image only what identifies
// the row matters: where that changed, the old row is deleted first. Where nobody enforces it, the
// new row then is an inserted one, which may meet another.
func (p *plan) appendUpdate(image []byte, committed time.Time) (rest []byte, err error) {
	after, err := p.skip(image, len(p.columns))
	if err != nil {
		return nil, err
	}
	same, op := false, OpUpdate
	if p.buffer.table.Identity != ByRow {
		if same, err = p.sameKey(image, after); err != nil {
			return nil, err
		}
	}
	if !same {
		if _, err := p.appendRow(image, OpDelete, committed); err != nil {
			return nil, err
		}
	}
	if !same && p.buffer.table.Identity.matched() {
		op = OpInsert
	}
	return p.appendRow(after, op, committed)
}

// cut splits an image into its NULL bitmap and its values.
func (p *plan) cut(image []byte) (nulls, values []byte, err error) {
	n := (len(p.columns) + 7) / 8
	if len(image) < n {
		return nil, nil, fmt.Errorf("%s: %w", p.buffer.table.Name, binlog.ErrTruncated)
	}
	return image[:n], image[n:], nil
}

// skip walks over the first n columns of an image and gives what follows them.
func (p *plan) skip(image []byte, n int) ([]byte, error) {
	nulls, b, err := p.cut(image)
	if err != nil {
		return nil, err
	}
	for i := range n {
		if nulls[i>>3]&(1<<(i&7)) != 0 {
			continue
		}
		size, err := p.columns[i].span.of(b)
		if err != nil {
			return nil, fmt.Errorf("%s: column %q: %w", p.buffer.table.Name, p.buffer.table.Columns[i].Name, err)
		}
		b = b[size:]
	}
	return b, nil
}

// sameKey compares the stored bytes of the key columns of two images. Equal values have
// equal bytes; the collation does not matter.
func (p *plan) sameKey(before, after []byte) (bool, error) {
	nullsB, b, err := p.cut(before)
	if err != nil {
		return false, err
	}
	nullsA, a, err := p.cut(after)
	if err != nil {
		return false, err
	}
	for i := range p.lastKey + 1 {
		vb, rb, err := p.columns[i].value(nullsB, i, b)
		if err != nil {
			return false, err
		}
		va, ra, err := p.columns[i].value(nullsA, i, a)
		if err != nil {
			return false, err
		}
		if p.columns[i].key && !bytes.Equal(va, vb) {
			return false, nil
		}
		b, a = rb, ra
	}
	return true, nil
}

// value gives the stored bytes of column i at the front of b, and what follows.
func (c *planColumn) value(nulls []byte, i int, b []byte) (value, rest []byte, err error) {
	if nulls[i>>3]&(1<<(i&7)) != 0 {
		return nil, b, nil
	}
	n, err := c.span.of(b)
	if err != nil {
		return nil, nil, err
	}
	return b[:n], b[n:], nil
}
