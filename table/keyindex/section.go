package keyindex

import (
	"encoding/binary"
	"math/bits"

	"cdcd/table/rowset"
)

// A section is up to sectionBlocks blocks behind a filter of their keys and a table of where
// they begin. It is what a checksum is of, and what a look-up goes to directly.
const (
	sectionBlocks  = 32
	sectionEntries = sectionBlocks * blockEntries
	lineBytes      = 64 // a filter's unit: a key is in one line
	lineKeys       = 48 // 10.7 bits a key
	lineBits       = 6  // that a key sets
)

// filterBytes is the size of the filter of n keys.
func filterBytes(n int) int { return (n + lineKeys - 1) / lineKeys * lineBytes }

// keyHash spreads keys over the filter's lines and bits. That one can craft keys that fall
// together does no harm: a filter in vain costs the look into a block that it should save.
func keyHash(k rowset.Key) uint64 {
	h := k.Lo ^ bits.RotateLeft64(k.Hi*0x9e3779b97f4a7c15, 32)
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// filterLine gives the line of a hash, and the bits to look at, nine bits for each.
func filterLine(filter []byte, h uint64) (line []byte, at uint64) {
	n := uint64(len(filter) / lineBytes)
	i := (h >> 32 * n) >> 32 * lineBytes
	return filter[i : i+lineBytes], h * 0x9fb21c651e98df25
}

func filterAdd(filter []byte, h uint64) {
	line, at := filterLine(filter, h)
	for range lineBits {
		line[at>>58] |= 1 << (at >> 55 & 7)
		at <<= 9
	}
}

func filterHas(filter []byte, h uint64) bool {
	line, at := filterLine(filter, h)
	for range lineBits {
		if line[at>>58]>>(at>>55&7)&1 == 0 {
			return false
		}
		at <<= 9
	}
	return true
}

// tableEntry is the size of what a section's table says of a block: its first key and where
// it begins in the section.
const tableEntry = 8 + 8 + 4

func blocksOf(n int) int { return (n + blockEntries - 1) / blockEntries }

// appendSection appends a section of entries, whose keys ascend.
func appendSection(dst []byte, entries []Entry) []byte {
	start, n := len(dst), len(entries)
	dst = append(dst, make([]byte, filterBytes(n)+blocksOf(n)*tableEntry)...)
	filter := dst[start : start+filterBytes(n)]
	for i := range entries {
		filterAdd(filter, keyHash(entries[i].Key))
	}
	at := start + filterBytes(n)
	for i := 0; i < n; i += blockEntries {
		binary.LittleEndian.PutUint64(dst[at:], entries[i].Key.Hi)
		binary.LittleEndian.PutUint64(dst[at+8:], entries[i].Key.Lo)
		binary.LittleEndian.PutUint32(dst[at+16:], uint32(len(dst)-start))
		at += tableEntry
		dst = appendBlock(dst, entries[i:min(i+blockEntries, n)])
	}
	return append(dst, make([]byte, blockPadding)...)
}

// section is a section that is being read. Its checksum is right.
type section struct {
	b []byte
	n int // entries
}

func (s section) has(h uint64) bool { return filterHas(s.b[:filterBytes(s.n)], h) }

func (s section) firstKey(i int) rowset.Key {
	at := filterBytes(s.n) + i*tableEntry
	return rowset.Key{Hi: binary.LittleEndian.Uint64(s.b[at:]), Lo: binary.LittleEndian.Uint64(s.b[at+8:])}
}

func (s section) block(i int) block {
	at := filterBytes(s.n) + i*tableEntry + 16
	return openBlock(s.b[binary.LittleEndian.Uint32(s.b[at:]):])
}

// find gives the entry of a key.
func (s section) find(k rowset.Key) (Entry, bool) {
	low, high := 0, blocksOf(s.n) // the last block that does not begin above the key
	for low < high {
		middle := int(uint(low+high) >> 1)
		if k.Less(s.firstKey(middle)) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	if low == 0 {
		return Entry{}, false
	}
	b := s.block(low - 1)
	return b.find(k)
}
