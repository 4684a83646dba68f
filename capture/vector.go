package capture

import (
	"encoding/binary"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// growable is a byte slice whose memory comes from an Arrow allocator.
type growable struct {
	mem memory.Allocator
	b   []byte // its capacity is what was allocated
}

// extend adds n bytes of undefined content and returns them.
func (g *growable) extend(n int) []byte {
	if have := len(g.b); have+n <= cap(g.b) {
		g.b = g.b[:have+n]
		return g.b[have:]
	}
	return g.enlarge(n)
}

const smallestBuffer = 1 << 10

// enlarge is extend where the memory does not suffice.
func (g *growable) enlarge(n int) []byte {
	have, size := len(g.b), max(2*cap(g.b), smallestBuffer)
	for size < have+n {
		size *= 2
	}
	bigger := g.mem.Allocate(size)
	copy(bigger, g.b)
	g.free()
	g.b = bigger[: have+n : size]
	return g.b[have:]
}

// appendBytes adds a copy of p.
func (g *growable) appendBytes(p []byte) { copy(g.extend(len(p)), p) }

// cut drops the bytes from n on.
func (g *growable) cut(n int) { g.b = g.b[:n] }

func (g *growable) free() {
	if cap(g.b) > 0 {
		g.mem.Free(g.b[:cap(g.b)])
	}
	g.b = nil
}

// buffer hands the memory over to Arrow, which frees it at the last Release.
func (g *growable) buffer() *memory.Buffer {
	if cap(g.b) == 0 {
		return memory.NewBufferBytes(nil)
	}
	out := memory.NewBufferWithAllocator(g.b[:cap(g.b)], g.mem)
	g.b = nil
	return out
}

// layout says how a vector keeps its values.
type layout uint8

const (
	layoutFixed layout = iota // width bytes a value
	layoutBytes               // offsets into data
	layoutBits                // one bit a value
)

const offsetSize = 4

// vector collects one column's values in the form of Arrow's buffers, so that handing them
// over copies nothing. A decoder appends the value of the open row to data; commit or
// appendNull then closes the row.
type vector struct {
	dtype   arrow.DataType
	layout  layout
	width   int
	data    growable
	offsets growable // layoutBytes: rows+1 32-bit numbers
	valid   growable // bitmap; empty while there is no null
	rows    int
	nulls   int
}

func newVector(dtype arrow.DataType, mem memory.Allocator) vector {
	v := vector{dtype: dtype, data: growable{mem: mem}, offsets: growable{mem: mem}, valid: growable{mem: mem}}
	switch t := dtype.(type) {
	case *arrow.BooleanType:
		v.layout = layoutBits
	case arrow.FixedWidthDataType:
		v.width = t.Bytes()
	default:
		v.layout = layoutBytes
		v.pushOffset()
	}
	return v
}

func (v *vector) pushOffset() {
	binary.LittleEndian.PutUint32(v.offsets.extend(offsetSize), uint32(len(v.data.b)))
}

// offset gives where the value of a row begins in data.
func (v *vector) offset(row int) int {
	return int(binary.LittleEndian.Uint32(v.offsets.b[row*offsetSize:]))
}

// commit closes a row whose value has been appended to data.
func (v *vector) commit() {
	if v.layout == layoutBytes {
		v.pushOffset()
	}
	if v.nulls > 0 {
		v.pushValid(1)
	}
	v.rows++
}

// appendNull closes a row that is NULL.
func (v *vector) appendNull() {
	switch v.layout {
	case layoutBytes:
		v.pushOffset()
	case layoutBits:
		v.appendBit(false)
	default:
		clear(v.data.extend(v.width))
	}
	if v.nulls == 0 {
		v.startValid()
	}
	v.pushValid(0)
	v.rows++
	v.nulls++
}

// startValid begins the bitmap with every row so far valid.
func (v *vector) startValid() {
	v.valid.cut(0)
	for i := range v.valid.extend((v.rows + 7) / 8) {
		v.valid.b[i] = 0xff
	}
	clearBits(v.valid.b, v.rows)
}

// pushValid adds the open row's bit.
func (v *vector) pushValid(bit byte) {
	if v.rows>>3 == len(v.valid.b) {
		v.valid.extend(1)[0] = 0
	}
	v.valid.b[v.rows>>3] |= bit << (v.rows & 7)
}

// appendBit appends the value of the open row of a boolean vector.
func (v *vector) appendBit(set bool) {
	if v.rows>>3 == len(v.data.b) {
		v.data.extend(1)[0] = 0
	}
	if set {
		v.data.b[v.rows>>3] |= 1 << (v.rows & 7)
	}
}

func (v *vector) appendInt32(x int32) { binary.LittleEndian.PutUint32(v.data.extend(4), uint32(x)) }

func (v *vector) appendInt64(x int64) { binary.LittleEndian.PutUint64(v.data.extend(8), uint64(x)) }

// appendInt128 appends a two's complement 128-bit number.
func (v *vector) appendInt128(hi int64, lo uint64) {
	b := v.data.extend(16)
	binary.LittleEndian.PutUint64(b, lo)
	binary.LittleEndian.PutUint64(b[8:], uint64(hi))
}

// rewind drops what a decoder appended to the open row, so that it can be made NULL or
// dropped.
func (v *vector) rewind() {
	switch v.layout {
	case layoutBytes:
		v.data.cut(v.offset(v.rows))
	case layoutFixed:
		v.data.cut(v.rows * v.width)
	case layoutBits:
		v.data.cut((v.rows + 7) / 8) // an open bit may have begun a byte
		clearBits(v.data.b, v.rows)
	}
}

// truncate drops the rows from n on.
func (v *vector) truncate(n int) {
	if n >= v.rows {
		return
	}
	switch v.layout {
	case layoutBytes:
		v.data.cut(v.offset(n))
		v.offsets.cut((n + 1) * offsetSize)
	case layoutBits:
		v.data.cut((n + 7) / 8)
		clearBits(v.data.b, n)
	default:
		v.data.cut(n * v.width)
	}
	if v.nulls > 0 {
		v.valid.cut((n + 7) / 8)
		clearBits(v.valid.b, n)
		v.nulls = n - countBits(v.valid.b)
	}
	v.rows = n
}

// clearBits clears the bits of the last byte from bit n on: bits are only ever set once.
func clearBits(b []byte, n int) {
	if n&7 != 0 && n>>3 < len(b) {
		b[n>>3] &= 1<<(n&7) - 1
	}
}

func countBits(b []byte) int {
	n := 0
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// bytes is the memory the values take.
func (v *vector) bytes() int { return len(v.data.b) + len(v.offsets.b) + len(v.valid.b) }

// take hands the values over as an Arrow array, which the caller releases, and leaves v
// empty.
func (v *vector) take() arrow.Array {
	var buffers []*memory.Buffer
	if v.nulls > 0 {
		buffers = append(buffers, v.valid.buffer())
	} else {
		v.valid.free()
		buffers = append(buffers, nil)
	}
	size := len(v.data.b)
	if v.layout == layoutBytes {
		buffers = append(buffers, v.offsets.buffer())
	}
	buffers = append(buffers, v.data.buffer())
	data := array.NewData(v.dtype, v.rows, buffers, nil, v.nulls, 0)
	defer data.Release()
	for _, b := range buffers {
		if b != nil {
			b.Release() // the array holds its own reference
		}
	}
	v.rows, v.nulls = 0, 0
	if v.data.extend(size); v.layout == layoutBytes {
		v.data.cut(0)
		v.pushOffset()
	}
	v.data.cut(0)
	return array.MakeFromData(data)
}

// free gives the memory back.
func (v *vector) free() {
	v.data.free()
	v.offsets.free()
	v.valid.free()
}
