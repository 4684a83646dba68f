package capture

import (
	"bytes"
	"fmt"
	"time"

	"cdcd/capture/binlog"
)

// origin is the transaction that rows are of.
type origin struct {
	gtid      GTID
	flavor    Flavor
	committed time.Time
}

// imageShape is which columns the row images of an event hold, of which at least one lacks some.
type imageShape struct {
	kind           binlog.RowKind
	partial        bool   // the after images may hold diffs of JSON documents
	present, after []byte // as in the event
	columns        [2][]int
	held           []byte // bitmap of what is in either image
	known          []byte // the same for an updated row; nil: all
}

// cell is a column's part of a row image.
type cell struct {
	stored    []byte
	diffs     []byte // of a JSON document, that in stored where has is set; nil: none
	has, null bool
}

// maxImages bounds the images that a plan remembers.
const maxImages = 64

// appendIncomplete is append for events whose images lack columns: because of
// binlog_row_image, which any session may choose.
func (p *plan) appendIncomplete(r binlog.Rows, o origin) (int, error) {
	if r.Columns != len(p.columns) {
		return 0, fmt.Errorf("%s: row of %d columns, the table map has %d", p.buffer.table.Name, r.Columns, len(p.columns))
	}
	m, err := p.imageOf(r, o.flavor)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.buffer.table.Name, err)
	}
	if p.cells[0] == nil {
		p.cells = [2][]cell{make([]cell, r.Columns), make([]cell, r.Columns)}
	}
	rows := 0
	for rest := r.Images; len(rest) > 0; rows++ {
		if rest, err = p.appendCut(m, rest, o); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// imageOf finds what an event's images hold, or refuses it.
func (p *plan) imageOf(r binlog.Rows, f Flavor) (*imageShape, error) {
	for _, m := range p.images {
		if m.kind == r.Kind && m.partial == r.Partial && bytes.Equal(m.present, r.Present) && bytes.Equal(m.after, r.After) {
			return m, nil
		}
	}
	m := &imageShape{kind: r.Kind, partial: r.Partial, present: bytes.Clone(r.Present), after: bytes.Clone(r.After)}
	for i := range r.Columns {
		if bitSet(m.present, i) {
			m.columns[0] = append(m.columns[0], i)
		}
		if r.Kind == binlog.RowUpdate && bitSet(m.after, i) {
			m.columns[1] = append(m.columns[1], i)
		}
	}
	if err := p.judge(m, f); err != nil {
		return nil, err
	}
	if len(p.images) >= maxImages {
		p.images = nil
	}
	p.images = append(p.images, m)
	return m, nil
}

// judge tells whether rows can be made of images with such columns, and what these know.
func (p *plan) judge(m *imageShape, f Flavor) error {
	t := p.buffer.table
	if p.rowEnd >= 0 && !bitSet(m.present, p.rowEnd) {
		return fmt.Errorf("column %q: %w: it tells current rows from history", t.RowEnd, errUntold)
	}
	if t.Identity.matched() {
		return judgeMatched(t, m)
	}
	if m.kind == binlog.RowInsert {
		if len(m.columns[0]) == 0 {
			return fmt.Errorf("%w: rows were inserted without any column, which does not even tell how many", errUntold)
		}
		for i, c := range t.Columns {
			if !bitSet(m.present, i) && c.Default == nil {
				return fmt.Errorf("column %q: %w: a row was inserted without it, and its default is not known", c.Name, errUntold)
			}
		}
		return nil
	}
	for _, c := range t.Key {
		if !bitSet(m.present, c) {
			return fmt.Errorf("column %q: %w: it is of the key, and the server does not identify rows by it", t.Columns[c].Name, errUntold)
		}
	}
	if m.kind == binlog.RowDelete {
		return nil
	}
	m.held = make([]byte, len(m.present))
	for i := range m.held {
		m.held[i] = m.present[i] | m.after[i]
	}
	if !binlog.Complete(m.held, len(t.Columns)) {
		m.known = m.held
	}
	if f == MariaDB {
		return judgeMariaDB(t, m)
	}
	return nil
}

// judgeMatched refuses images of a table whose rows are found by their values, for they lack some.
func judgeMatched(t *Table, m *imageShape) error {
	for i, c := range t.Columns {
		if bitSet(m.present, i) && (m.kind != binlog.RowUpdate || bitSet(m.after, i)) {
			continue
		}
		if c.Generated {
			return fmt.Errorf("column %q: %w: it is generated, and the server does not log it", c.Name, errUntold)
		}
		return fmt.Errorf("column %q: %w: no key of the server identifies the rows of this table, so all of their columns are needed", c.Name, errUntold)
	}
	return fmt.Errorf("%w: no key of the server identifies the rows of this table, so their JSON documents are needed, and not diffs (binlog_row_value_options)", errUntold)
}

// judgeMariaDB refuses updates of which MariaDB does not log all that it changed: generated
// columns, and columns that REPLACE set to their defaults. In the latter case the image has the
// key, for REPLACE names it.
func judgeMariaDB(t *Table, m *imageShape) error {
	if binlog.Complete(m.after, len(t.Columns)) {
		return nil
	}
	if !t.Described {
		return fmt.Errorf("%w: the table was created by a version that did not note which columns are generated", errUntold)
	}
	for i, c := range t.Columns {
		if c.Generated && !bitSet(m.after, i) {
			return fmt.Errorf("column %q: %w: it is generated, and MariaDB does not log it", c.Name, errUntold)
		}
	}
	for _, i := range t.Key {
		if c := t.Columns[i]; bitSet(m.after, i) || c.Default != nil {
			return fmt.Errorf("column %q: %w: MariaDB logs a REPLACE that meets a row like this, without the columns that became their defaults", c.Name, errUntold)
		}
	}
	return nil
}

// appendCut decodes one source row of an event.
func (p *plan) appendCut(m *imageShape, images []byte, o origin) (rest []byte, err error) {
	before, after := p.cells[0], p.cells[1]
	if rest, err = p.cutCells(images, m.columns[0], before, nil); err != nil {
		return nil, err
	}
	switch m.kind {
	case binlog.RowInsert, binlog.RowDelete:
		if !p.current(before) {
			return rest, nil
		}
		op := OpInsert
		if m.kind == binlog.RowDelete {
			op = OpDelete
		}
		return rest, p.appendCells(before, op, o)
	}
	if rest, err = p.cutAfter(m, rest, after); err != nil {
		return nil, err
	}
	moved := p.moved(before, after)
	if err := p.complete(after, before); err != nil {
		return nil, err
	}
	switch was, is := p.current(before), p.current(after); {
	case was && is:
		return rest, p.appendUpdated(m, before, after, moved, o)
	case was:
		return rest, p.appendCells(before, OpDelete, o)
	case is:
		return nil, fmt.Errorf("%s: %w", p.buffer.table.Name, errRevived)
	}
	return rest, nil
}

// appendUpdated appends an updated row, of which the after image is complete.
func (p *plan) appendUpdated(m *imageShape, before, after []cell, moved bool, o origin) error {
	from := len(p.buffer.ops)
	if moved {
		if err := p.appendCells(before, OpDelete, o); err != nil {
			return err
		}
	}
	if err := p.appendCells(after, OpUpdate, o); err != nil {
		return err
	}
	if known, patched := p.told(m, after); known != nil {
		p.buffer.notePartial(Partial{From: from, To: len(p.buffer.ops), Known: known, Patched: patched, GTID: o.gtid, Flavor: o.flavor})
	}
	return nil
}

// complete gives an after image what it lacks, which has not changed.
func (p *plan) complete(after, before []cell) error {
	for i := range after {
		switch c := &after[i]; {
		case !c.has:
			*c = before[i]
		case c.diffs == nil:
		case len(c.diffs) == 0:
			*c = before[i]
		case before[i].null:
			return fmt.Errorf("%s: column %q: %w: it was NULL", p.buffer.table.Name, p.buffer.table.Columns[i].Name, errMisfit)
		default:
			c.stored, c.has = before[i].stored, before[i].has
		}
	}
	return nil
}

// cutCells splits an image that holds the given columns. Those with a bit in diffs, of a JSON
// column each, hold diffs.
func (p *plan) cutCells(image []byte, columns []int, to []cell, diffs []byte) ([]byte, error) {
	clear(to)
	n := (len(columns) + 7) / 8
	if len(image) < n {
		return nil, fmt.Errorf("%s: %w", p.buffer.table.Name, binlog.ErrTruncated)
	}
	nulls, b := image[:n], image[n:]
	for at, i := range columns {
		if bitSet(nulls, at) {
			to[i] = cell{has: true, null: true}
			continue
		}
		var err error
		if diffs != nil && p.hasDiffs(diffs, i) {
			to[i].has = true
			to[i].diffs, b, err = binlog.CutDiffs(b)
		} else {
			to[i], b, err = p.cutCell(i, b)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: column %q: %w", p.buffer.table.Name, p.buffer.table.Columns[i].Name, err)
		}
	}
	return b, nil
}

func (p *plan) cutCell(i int, b []byte) (cell, []byte, error) {
	size, err := p.columns[i].span.of(b)
	if err != nil {
		return cell{}, nil, err
	}
	return cell{has: true, stored: b[:size]}, b[size:], nil
}

// moved reports whether an update changed the key.
func (p *plan) moved(before, after []cell) bool {
	for _, k := range p.buffer.table.Key {
		if after[k].has && (after[k].null != before[k].null || !bytes.Equal(after[k].stored, before[k].stored)) {
			return true
		}
	}
	return false
}

// appendCells appends a row. Columns that it does not have become their defaults in an
// inserted row, else NULL.
func (p *plan) appendCells(row []cell, op Op, o origin) error {
	columns := p.buffer.columns
	for i, c := range row[:len(p.buffer.table.Columns)] {
		var err error
		switch {
		case c.diffs != nil:
			err = p.buffer.closeColumn(i, p.appendDiffs(i, c))
		case !c.has && op == OpInsert:
			err = p.buffer.appendDefault(i)
		case !c.has || c.null:
			columns[i].appendNull()
		default:
			_, err = p.columns[i].decode(&columns[i], c.stored)
			err = p.buffer.closeColumn(i, err)
		}
		if err != nil {
			return err
		}
	}
	p.buffer.closeRow(op, o.committed)
	return nil
}

func bitSet(bitmap []byte, i int) bool { return bitmap[i>>3]&(1<<(i&7)) != 0 }
