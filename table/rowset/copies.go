package rowset

import (
	"encoding/binary"
	"fmt"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/dchest/siphash"
)

// Net is what changes of a table without a key come to: of each row that there are more or fewer
// of than before, how many, in ascending order of what stands for it.
type Net struct {
	Rows []Key // each stands for a row with all of its values
	By   []int // how many more there are of it; never 0
	// Refs are rows like it that came, as many as there are more. Where there are fewer it is one
	// that went.
	Refs [][]Ref
}

// Count reduces changes to what they come to. Equal rows are not told apart, so the order of the
// changes does not matter.
func Count(batches []*capture.Batch, e *Encoder) (*Net, error) {
	var rows []Key
	for _, b := range batches {
		var err error
		if rows, err = e.appendHashed(rows, b.Record); err != nil {
			return nil, err
		}
	}
	refs := refsOf(batches, len(rows))
	out := &Net{}
	for _, same := range byKey(rows) {
		by := 0
		var came []Ref
		last := refs[same[len(same)-1].order]
		for _, c := range same {
			r := refs[c.order]
			if batches[r.Batch].Ops[r.Row] == capture.OpDelete {
				by, last = by-1, r
			} else {
				by, came = by+1, append(came, r)
			}
		}
		switch {
		case by > 0:
			out.Rows, out.By, out.Refs = append(out.Rows, same[0].key), append(out.By, by), append(out.Refs, came[len(came)-by:])
		case by < 0:
			out.Rows, out.By, out.Refs = append(out.Rows, same[0].key), append(out.By, by), append(out.Refs, []Ref{last})
		}
	}
	return out, nil
}

// Copy gives the key of one of several equal rows, which are numbered from 0.
func (e *Encoder) Copy(row Key, number int64) Key {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[:], row.Hi)
	binary.LittleEndian.PutUint64(b[8:], row.Lo)
	binary.LittleEndian.PutUint64(b[16:], uint64(number))
	hi, lo := siphash.Hash128(e.k0, e.k1, b[:])
	return Key{hi, lo}
}

// appendCopies appends the keys of rows that are numbered.
func (e *Encoder) appendCopies(dst []Key, rec arrow.RecordBatch) ([]Key, error) {
	numbers, ok := rec.Column(e.copies).(*array.Int64)
	if !ok || numbers.NullN() > 0 {
		return nil, fmt.Errorf("column %s does not number equal rows", capture.CopyColumn)
	}
	from := len(dst)
	dst, err := e.appendHashed(dst, rec)
	if err != nil {
		return nil, err
	}
	for i := range dst[from:] {
		dst[from+i] = e.Copy(dst[from+i], numbers.Value(i))
	}
	return dst, nil
}

// All gives all rows of batches, each as a new one. Their keys mean nothing.
func All(batches []*capture.Batch) *Folded {
	total := 0
	for _, b := range batches {
		total += b.Rows()
	}
	out := &Folded{Keys: make([]Key, total), Refs: refsOf(batches, total)}
	out.Present = present(batches, out.Refs)
	return out
}
