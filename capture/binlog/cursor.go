package binlog

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// ErrTruncated reports bytes that end before the format says.
var ErrTruncated = errors.New("event ends before its content")

// cursor reads foreign bytes. The first read past the end sets err; from then on every
// read gives zero values, so that a parser checks err once at its end.
type cursor struct {
	b   []byte
	err error
}

// take returns the next n bytes, or nil.
func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.err = ErrTruncated
		c.b = nil
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 { return c.uint(8) }

// uint reads n bytes, little endian.
func (c *cursor) uint(n int) uint64 {
	var v uint64
	for i, x := range c.take(n) {
		v |= uint64(x) << (8 * i)
	}
	return v
}

// lenenc reads a length-encoded integer.
func (c *cursor) lenenc() uint64 {
	switch b := c.u8(); b {
	case 0xfc:
		return c.uint(2)
	case 0xfd:
		return c.uint(3)
	case 0xfe:
		return c.uint(8)
	default:
		return uint64(b)
	}
}

// varint reads an integer of mysql::serialization: as many ones as bytes follow, a zero,
// then the value, all from the lowest bit up.
func (c *cursor) varint() uint64 {
	if len(c.b) == 0 {
		c.take(-1)
		return 0
	}
	n := bits.TrailingZeros8(^c.b[0]) + 1
	if n > 8 {
		c.take(1)
		return c.u64()
	}
	return c.uint(n) >> n
}

// count reads a length-encoded number of things that take at least one byte each, so that
// a damaged count cannot ask for more memory than the event has bytes.
func (c *cursor) count() int {
	n := c.lenenc()
	if n > uint64(len(c.b)) {
		c.take(-1)
		return 0
	}
	return int(n)
}

// str reads a length-encoded string.
func (c *cursor) str() []byte { return c.take(c.count()) }

func bitLSB(b []byte, i int) bool { return b[i>>3]&(1<<(i&7)) != 0 }

func bitMSB(b []byte, i int) bool { return i>>3 < len(b) && b[i>>3]&(0x80>>(i&7)) != 0 }
