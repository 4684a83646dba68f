package rowset

import (
	"encoding/binary"
	"fmt"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Take gathers rows into one array a column. The caller releases them.
func Take(batches []*capture.Batch, refs []Ref, mem memory.Allocator) ([]arrow.Array, error) {
	columns := make([]arrow.Array, batches[0].Record.NumCols())
	if whole(batches, refs) {
		for i := range columns {
			columns[i] = batches[0].Record.Column(i)
			columns[i].Retain()
		}
		return columns, nil
	}
	sources := make([]arrow.Array, len(batches))
	for i := range columns {
		for j, b := range batches {
			sources[j] = b.Record.Column(i)
		}
		a, err := takeColumn(sources, refs, mem)
		if err != nil {
			for _, done := range columns[:i] {
				done.Release()
			}
			return nil, err
		}
		columns[i] = a
	}
	return columns, nil
}

// whole reports that refs are exactly the rows of the one batch: then there is nothing to
// copy.
func whole(batches []*capture.Batch, refs []Ref) bool {
	if len(batches) != 1 || len(refs) != batches[0].Rows() {
		return false
	}
	for i, r := range refs {
		if int(r.Row) != i {
			return false
		}
	}
	return true
}

func takeColumn(sources []arrow.Array, refs []Ref, mem memory.Allocator) (arrow.Array, error) {
	valid, nulls := takeValid(sources, refs, mem)
	buffers := []*memory.Buffer{valid}
	switch t := sources[0].DataType().(type) {
	case *arrow.BooleanType:
		buffers = append(buffers, takeBits(sources, refs, mem))
	case arrow.BinaryDataType:
		offsets, data := takeBytes(sources, refs, mem)
		buffers = append(buffers, offsets, data)
	case arrow.FixedWidthDataType:
		buffers = append(buffers, takeFixed(sources, refs, t.Bytes(), mem))
	default:
		return nil, fmt.Errorf("column of type %s", t)
	}
	data := array.NewData(sources[0].DataType(), len(refs), buffers, nil, nulls, 0)
	defer data.Release()
	for _, b := range buffers {
		if b != nil {
			b.Release()
		}
	}
	return array.MakeFromData(data), nil
}

func newBuffer(size int, mem memory.Allocator) *memory.Buffer {
	b := memory.NewResizableBuffer(mem)
	b.Resize(size)
	return b
}

// takeValid gathers the bitmap; nil where nothing is null.
func takeValid(sources []arrow.Array, refs []Ref, mem memory.Allocator) (*memory.Buffer, int) {
	some := false
	for _, s := range sources {
		some = some || s.NullN() > 0
	}
	if !some {
		return nil, 0
	}
	out := newBuffer(int(bitutil.BytesForBits(int64(len(refs)))), mem)
	bits := out.Bytes()
	clear(bits)
	nulls := 0
	for i, r := range refs {
		if sources[r.Batch].IsValid(int(r.Row)) {
			bits[i>>3] |= 1 << (i & 7)
		} else {
			nulls++
		}
	}
	return out, nulls
}

// values gives the i-th buffer of an array. Batches are never slices of larger arrays.
func values(a arrow.Array, i int) []byte {
	if a.Data().Offset() != 0 {
		panic("rowset: array with an offset")
	}
	if b := a.Data().Buffers()[i]; b != nil {
		return b.Bytes()
	}
	return nil
}

func takeBits(sources []arrow.Array, refs []Ref, mem memory.Allocator) *memory.Buffer {
	out := newBuffer(int(bitutil.BytesForBits(int64(len(refs)))), mem)
	bits := out.Bytes()
	clear(bits)
	for i, r := range refs {
		if bitutil.BitIsSet(values(sources[r.Batch], 1), int(r.Row)) {
			bits[i>>3] |= 1 << (i & 7)
		}
	}
	return out
}

func takeFixed(sources []arrow.Array, refs []Ref, width int, mem memory.Allocator) *memory.Buffer {
	from := make([][]byte, len(sources))
	for i, s := range sources {
		from[i] = values(s, 1)
	}
	out := newBuffer(width*len(refs), mem)
	to := out.Bytes()
	switch width {
	case 4:
		for i, r := range refs {
			binary.LittleEndian.PutUint32(to[4*i:], binary.LittleEndian.Uint32(from[r.Batch][4*int(r.Row):]))
		}
	case 8:
		for i, r := range refs {
			binary.LittleEndian.PutUint64(to[8*i:], binary.LittleEndian.Uint64(from[r.Batch][8*int(r.Row):]))
		}
	default:
		for i, r := range refs {
			copy(to[width*i:width*(i+1)], from[r.Batch][width*int(r.Row):])
		}
	}
	return out
}

const offsetSize = 4

func takeBytes(sources []arrow.Array, refs []Ref, mem memory.Allocator) (offsets, data *memory.Buffer) {
	offs, from := make([][]byte, len(sources)), make([][]byte, len(sources))
	for i, s := range sources {
		offs[i], from[i] = values(s, 1), values(s, 2)
	}
	at := func(r Ref) (begin, end uint32) {
		o := offs[r.Batch][offsetSize*int(r.Row):]
		return binary.LittleEndian.Uint32(o), binary.LittleEndian.Uint32(o[offsetSize:])
	}
	offsets = newBuffer(offsetSize*(len(refs)+1), mem)
	ends := offsets.Bytes()
	total := uint32(0)
	binary.LittleEndian.PutUint32(ends, 0)
	for i, r := range refs {
		begin, end := at(r)
		total += end - begin
		binary.LittleEndian.PutUint32(ends[offsetSize*(i+1):], total)
	}
	data = newBuffer(int(total), mem)
	to := data.Bytes()
	for _, r := range refs {
		begin, end := at(r)
		to = to[copy(to, from[r.Batch][begin:end]):]
	}
	return offsets, data
}
