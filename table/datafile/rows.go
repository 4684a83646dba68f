package datafile

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/memory"
	iceio "github.com/apache/iceberg-go/io"
)

const (
	// seekBytes is about how much of a column can be read in the time that it takes to find
	// another page of it.
	seekBytes = 512 << 10
	// pickRows bounds the rows of a record, and pickAhead what is read of a column at once.
	pickRows  = 8 << 10
	pickAhead = 512 << 10
)

// Picker reads chosen rows of one data file, in the order of their positions. It reads the pages
// that hold them, and little more.
type Picker struct {
	r         *Reader
	positions []uint32 // that are left, ascending
	near      int64    // rows that are rather read than passed over
}

// Pick opens a data file to read the rows at positions, which ascend, as [Layout.OpenReader] does.
func (l *Layout) Pick(ctx context.Context, fs iceio.IO, path string, positions []uint32, mem memory.Allocator) (*Picker, error) {
	r, err := l.openReader(ctx, fs, path, mem, pickAhead)
	if err != nil {
		return nil, err
	}
	if n := len(positions); n > 0 && int64(positions[n-1]) >= r.rows {
		return nil, errors.Join(fmt.Errorf("%s has %d rows, none at %d", path, r.rows, positions[n-1]), r.Close())
	}
	return &Picker{r: r, positions: positions, near: r.near()}, nil
}

// Next gives some rows, which the caller releases, and which of them were chosen, as ascending
// places in the record. The error is io.EOF behind the last.
func (p *Picker) Next() (*Rows, []int32, error) {
	if len(p.positions) == 0 {
		return nil, nil, io.EOF
	}
	for {
		from := int64(p.positions[0])
		if from < p.r.base || from-p.r.base > p.near {
			if err := p.r.seek(from); err != nil {
				return nil, nil, err
			}
		}
		p.r.next = p.span()
		rows, err := p.r.Next()
		if err != nil {
			return nil, nil, err
		}
		if chosen := p.choose(rows); len(chosen) > 0 {
			return rows, chosen, nil
		}
		rows.Release()
	}
}

// span gives how many rows to read: up to the last position that is near the one before it.
func (p *Picker) span() int64 {
	last := int64(p.positions[0])
	for _, next := range p.positions[1:] {
		if int64(next)-last > p.near || int64(next) >= p.r.base+pickRows {
			break
		}
		last = int64(next)
	}
	return min(pickRows, last-p.r.base+1)
}

// choose takes the positions of rows that were read out of those that are left.
func (p *Picker) choose(rows *Rows) []int32 {
	var chosen []int32
	for end := rows.Base + rows.Record.NumRows(); len(p.positions) > 0 && int64(p.positions[0]) < end; p.positions = p.positions[1:] {
		chosen = append(chosen, int32(int64(p.positions[0])-rows.Base))
	}
	return chosen
}

// Close frees the picker. It does not free rows.
func (p *Picker) Close() error { return p.r.Close() }

// seek makes the row at a position the next one.
func (r *Reader) seek(position int64) error {
	for _, c := range r.columns {
		if err := c.SeekToRow(position); err != nil {
			return fmt.Errorf("read %s: find row %d: %w", r.path, position, err)
		}
	}
	r.base = position
	return nil
}

// near gives how many rows are read in about the time that it takes to find others.
func (r *Reader) near() int64 {
	bytes := int64(0)
	for i := range r.pf.NumRowGroups() {
		bytes += r.pf.MetaData().RowGroup(i).TotalByteSize()
	}
	return int64(len(r.columns)) * seekBytes * r.rows / max(1, bytes)
}
