package capture

import (
	"encoding/binary"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// layout says how a vector keeps its values.
type layout uint8

const (
	layoutFixed layout = iota // width bytes a value
	layoutBytes               // offsets into data
	layoutBits                // one bit a value
)

// vector collects one column's values in the form of Arrow's buffers, so that handing them
// over copies nothing. Values are appended to data by the column's decoder; commit or
// appendNull then closes the row.
type vector struct {
	dtype   arrow.DataType
	layout  layout
	width   int
	data    []byte
	offsets []int32 // layoutBytes: rows+1 of them
	valid   []byte  // bitmap; nil while there is no null
	rows    int
	nulls   int
}

func newVector(dtype arrow.DataType) vector {
	v := vector{dtype: dtype}
	switch t := dtype.(type) {
	case *arrow.BooleanType:
		v.layout = layoutBits
	case arrow.FixedWidthDataType:
		v.width = t.Bytes()
	default:
		v.layout = layoutBytes
		v.offsets = []int32{0}
	}
	return v
}

// commit closes a row whose value has been appended to data.
func (v *vector) commit() {
	if v.layout == layoutBytes {
		v.offsets = append(v.offsets, int32(len(v.data)))
	}
	if v.valid != nil {
		v.setValid(v.rows)
	}
	v.rows++
}

// appendNull closes a row that is NULL.
func (v *vector) appendNull() {
	switch v.layout {
	case layoutBytes:
		v.offsets = append(v.offsets, int32(len(v.data)))
	case layoutBits:
		v.appendBit(false)
	default:
		v.data = append(v.data, make([]byte, v.width)...)
	}
	if v.valid == nil {
		v.makeValid()
	}
	if v.rows&7 == 0 && v.rows>>3 == len(v.valid) {
		v.valid = append(v.valid, 0)
	}
	v.rows++
	v.nulls++
}

// makeValid starts the bitmap with every row so far valid.
func (v *vector) makeValid() {
	v.valid = make([]byte, (v.rows+7)/8, max(64, (v.rows+7)/8*2))
	for i := range v.rows {
		v.valid[i>>3] |= 1 << (i & 7)
	}
}

func (v *vector) setValid(row int) {
	if row>>3 == len(v.valid) {
		v.valid = append(v.valid, 0)
	}
	v.valid[row>>3] |= 1 << (row & 7)
}

// appendBit appends the value of a boolean row that is not closed yet.
func (v *vector) appendBit(set bool) {
	if v.rows>>3 == len(v.data) {
		v.data = append(v.data, 0)
	}
	if set {
		v.data[v.rows>>3] |= 1 << (v.rows & 7)
	}
}

func (v *vector) appendInt32(x int32) { v.data = binary.LittleEndian.AppendUint32(v.data, uint32(x)) }

func (v *vector) appendInt64(x int64) { v.data = binary.LittleEndian.AppendUint64(v.data, uint64(x)) }

// appendInt128 appends a two's complement 128-bit number.
func (v *vector) appendInt128(hi int64, lo uint64) {
	v.data = binary.LittleEndian.AppendUint64(v.data, lo)
	v.data = binary.LittleEndian.AppendUint64(v.data, uint64(hi))
}

// rewind drops what a decoder appended for a row that is not closed, so that the row can
// be made NULL instead.
func (v *vector) rewind() {
	switch v.layout {
	case layoutBytes:
		v.data = v.data[:v.offsets[v.rows]]
	case layoutFixed:
		v.data = v.data[:v.rows*v.width]
	}
}

// truncate drops the rows from n on.
func (v *vector) truncate(n int) {
	if n >= v.rows {
		return
	}
	switch v.layout {
	case layoutBytes:
		v.data = v.data[:v.offsets[n]]
		v.offsets = v.offsets[:n+1]
	case layoutBits:
		v.data = truncateBits(v.data, n)
	default:
		v.data = v.data[:n*v.width]
	}
	if v.valid != nil {
		v.valid = truncateBits(v.valid, n)
		v.nulls = n - countBits(v.valid)
	}
	v.rows = n
}

// truncateBits cuts a bitmap to n bits and clears what is left of its last byte: bits are
// only ever set after a row is known.
func truncateBits(b []byte, n int) []byte {
	b = b[:(n+7)/8]
	if n&7 != 0 {
		b[n>>3] &= 1<<(n&7) - 1
	}
	return b
}

func countBits(b []byte) int {
	n := 0
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// bytes is the memory the values take.
func (v *vector) bytes() int { return len(v.data) + 4*len(v.offsets) + len(v.valid) }

// take hands the values over as an Arrow array, which the caller releases, and leaves v
// empty with new memory of about the same size.
func (v *vector) take() arrow.Array {
	buffers := []*memory.Buffer{nil, memory.NewBufferBytes(v.data)}
	if v.nulls > 0 {
		buffers[0] = memory.NewBufferBytes(v.valid)
	}
	if v.layout == layoutBytes {
		buffers = []*memory.Buffer{buffers[0], memory.NewBufferBytes(int32Bytes(v.offsets)), buffers[1]}
	}
	data := array.NewData(v.dtype, v.rows, buffers, nil, v.nulls, 0)
	defer data.Release()
	v.reset()
	return array.MakeFromData(data)
}

// reset leaves v empty. Memory that was handed over is not touched again.
func (v *vector) reset() {
	data, offsets := len(v.data), len(v.offsets)
	*v = vector{dtype: v.dtype, layout: v.layout, width: v.width, data: make([]byte, 0, data+data/8)}
	if v.layout == layoutBytes {
		v.offsets = append(make([]int32, 0, offsets+offsets/8+1), 0)
	}
}

func int32Bytes(s []int32) []byte {
	return arrow.Int32Traits.CastToBytes(s)
}
