package binlog

import "fmt"

// RowKind tells the three row events apart.
type RowKind uint8

// The row kinds.
const (
	RowInsert RowKind = iota
	RowUpdate
	RowDelete
)

// Rows is a row event cut into its parts. Everything aliases the event.
type Rows struct {
	Kind    RowKind
	TableID uint64
	Columns int
	Present []byte // bitmap of the columns in the (before) image
	After   []byte // bitmap of the columns in the after image of an update
	Images  []byte // row images, one after another; updates: before, after, before, after ...
	// Partial tells that after images may hold diffs of JSON documents: see CutPartial.
	Partial bool
}

// RowEvent reports whether t is a row event that ParseRows understands, and its kind.
func RowEvent(t Type) (kind RowKind, ok bool) {
	switch t {
	case TypeWriteRowsV1, TypeWriteRowsV2:
		return RowInsert, true
	case TypeUpdateRowsV1, TypeUpdateRowsV2, TypePartialUpdateRows:
		return RowUpdate, true
	case TypeDeleteRowsV1, TypeDeleteRowsV2:
		return RowDelete, true
	}
	return 0, false
}

// AnyRowEvent reports whether t carries rows in any form, also compressed and those not
// understood.
func AnyRowEvent(t Type) bool {
	if plain, ok := Compressed(t); ok {
		t = plain
	}
	if _, ok := RowEvent(t); ok {
		return true
	}
	return t >= 20 && t <= 22 // MySQL 5.1 pre-releases
}

// RowsTableID reads the table id of any row event.
func RowsTableID(body []byte) (uint64, error) {
	c := cursor{b: body}
	id := c.uint(6)
	return id, c.err
}

// ParseRows cuts the row event e into its parts.
func ParseRows(e Event) (Rows, error) {
	kind, ok := RowEvent(e.Type)
	if !ok {
		return Rows{}, fmt.Errorf("%v is not a row event", e.Type)
	}
	c := cursor{b: e.Body}
	r := Rows{Kind: kind, TableID: c.uint(6), Partial: e.Type == TypePartialUpdateRows}
	c.u16() // flags
	if e.Type >= TypeWriteRowsV2 && e.Type <= TypeDeleteRowsV2 || r.Partial {
		c.take(int(c.u16()) - 2) // extra data; its length counts itself
	}
	r.Columns = int(c.lenenc())
	if r.Columns < 0 || r.Columns > 1<<16 {
		return Rows{}, ErrTruncated
	}
	bitmap := (r.Columns + 7) / 8
	r.Present = c.take(bitmap)
	r.After = r.Present
	if kind == RowUpdate {
		r.After = c.take(bitmap)
	}
	r.Images = c.b
	return r, c.err
}

// Complete reports that bitmap has all n columns.
func Complete(bitmap []byte, n int) bool {
	for i := range n {
		if !bitLSB(bitmap, i) {
			return false
		}
	}
	return true
}
