package keyindex

import (
	"encoding/binary"
	"math/bits"

	"cdcd/table/rowset"
)

// A block is up to blockEntries entries in packed columns: of each column the least value, and
// how far above it each entry is, in as many bits as the farthest needs. So any entry is
// reached without those before it.
const (
	blockEntries = 256
	blockHeader  = 8*columns + columns + 1 + 2 // least values, widths, number of entries
	blockPadding = 8                           // readable bytes behind the last block
)

// The columns of a block, in order.
const (
	columnHi = iota
	columnLo
	columnFile
	columnPos
	columnRow // row id plus one, so that implicit ids are zero
	columns
)

func columnsOf(e *Entry) [columns]uint64 {
	return [columns]uint64{e.Key.Hi, e.Key.Lo, uint64(e.File), uint64(e.Pos), uint64(e.RowID - ImplicitRowID)}
}

// appendBlock appends a block of entries.
func appendBlock(dst []byte, entries []Entry) []byte {
	least := columnsOf(&entries[0])
	most := least
	for i := range entries {
		for c, v := range columnsOf(&entries[i]) {
			least[c], most[c] = min(least[c], v), max(most[c], v)
		}
	}
	var width [columns]int
	size := 0
	for c := range width {
		width[c] = bits.Len64(most[c] - least[c])
		dst = binary.LittleEndian.AppendUint64(dst, least[c])
		size += len(entries) * width[c]
	}
	for _, w := range width {
		dst = append(dst, byte(w))
	}
	dst = binary.LittleEndian.AppendUint16(append(dst, 0), uint16(len(entries)))
	start := len(dst)
	dst = append(dst, make([]byte, (size+7)/8+blockPadding)...)
	packColumns(dst[start:], entries, least, width)
	return dst[:len(dst)-blockPadding]
}

// packColumns writes how far entries are above the least values, column by column.
func packColumns(dst []byte, entries []Entry, least [columns]uint64, width [columns]int) {
	var at [columns]int
	for c := 1; c < columns; c++ {
		at[c] = at[c-1] + len(entries)*width[c-1]
	}
	for i := range entries {
		for c, v := range columnsOf(&entries[i]) {
			packBits(dst, at[c], width[c], v-least[c])
			at[c] += width[c]
		}
	}
}

// packBits sets w bits, which are zero so far. Eight bytes from the first on are there.
func packBits(b []byte, at, w int, v uint64) {
	p, shift := at>>3, at&7
	binary.LittleEndian.PutUint64(b[p:], binary.LittleEndian.Uint64(b[p:])|v<<shift)
	if shift+w > 64 {
		b[p+8] |= byte(v >> (64 - shift))
	}
}

// unpackBits reads w bits. Eight bytes from the first on are there.
func unpackBits(b []byte, at, w int) uint64 {
	p, shift := at>>3, at&7
	v := binary.LittleEndian.Uint64(b[p:]) >> shift
	if shift+w > 64 {
		v |= uint64(b[p+8]) << (64 - shift)
	}
	return v & (1<<w - 1)
}

// block is a block that is being read.
type block struct {
	data  []byte // behind the header
	least [columns]uint64
	width [columns]int
	at    [columns]int // where a column begins, in bits
	n     int
}

// openBlock reads the header of the block that b begins with. Its checksum is right.
func openBlock(b []byte) block {
	var out block
	out.n = int(binary.LittleEndian.Uint16(b[blockHeader-2:]))
	at := 0
	for c := range columns {
		out.least[c] = binary.LittleEndian.Uint64(b[8*c:])
		out.width[c] = int(b[8*columns+c])
		out.at[c] = at
		at += out.n * out.width[c]
	}
	out.data = b[blockHeader:]
	return out
}

func (b *block) column(c, i int) uint64 {
	return b.least[c] + unpackBits(b.data, b.at[c]+i*b.width[c], b.width[c])
}

func (b *block) key(i int) rowset.Key {
	return rowset.Key{Hi: b.column(columnHi, i), Lo: b.column(columnLo, i)}
}

func (b *block) entry(i int) Entry {
	return Entry{
		Key: b.key(i), File: uint32(b.column(columnFile, i)), Pos: uint32(b.column(columnPos, i)),
		RowID: int64(b.column(columnRow, i)) + ImplicitRowID,
	}
}

// find gives the entry of a key. Keys ascend.
func (b *block) find(k rowset.Key) (Entry, bool) {
	low, high := 0, b.n
	for low < high {
		middle := int(uint(low+high) >> 1)
		if b.key(middle).Less(k) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == b.n || b.key(low) != k {
		return Entry{}, false
	}
	return b.entry(low), true
}

// appendEntries appends all entries.
func (b *block) appendEntries(dst []Entry) []Entry {
	for i := range b.n {
		dst = append(dst, b.entry(i))
	}
	return dst
}
