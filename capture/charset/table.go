package charset

import (
	"cmp"
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

const (
	segmentBytes = 12
	isRun        = 1 << 31
	noCharacter  = 0xffff
	longestCode  = 4
)

// segment is a run of codes.
type segment struct {
	first, count uint32
	at           uint32 // the first one's character, or its place among the units
	run          bool
}

// table is a character set whose characters have to be looked up.
type table struct {
	single   [256]rune // of codes of one byte; -1: none
	segments []segment
	units    []byte
}

func parseTable(file []byte) *table {
	n := int(binary.BigEndian.Uint16(file))
	t := &table{segments: make([]segment, n), units: file[2+n*segmentBytes:]}
	for i := range t.segments {
		b := file[2+i*segmentBytes:]
		at := binary.BigEndian.Uint32(b[8:])
		t.segments[i] = segment{
			first: binary.BigEndian.Uint32(b), count: binary.BigEndian.Uint32(b[4:]),
			at: at &^ isRun, run: at&isRun != 0,
		}
	}
	for b := range t.single {
		t.single[b] = t.lookup(uint32(b))
	}
	return t
}

// lookup gives a code's character, -1 for none.
func (t *table) lookup(code uint32) rune {
	i, found := slices.BinarySearchFunc(t.segments, code, func(s segment, code uint32) int { return cmp.Compare(s.first, code) })
	if !found {
		i--
	}
	if i < 0 || code-t.segments[i].first >= t.segments[i].count {
		return -1
	}
	return t.character(t.segments[i], code-t.segments[i].first)
}

// character gives the nth character of a segment.
func (t *table) character(s segment, n uint32) rune {
	if s.run {
		return rune(s.at + n)
	}
	unit := binary.BigEndian.Uint16(t.units[2*(s.at+n):])
	if unit == noCharacter {
		return -1
	}
	return rune(unit)
}

// read tries the codes that src begins with. As no code begins another, at most one is in the
// table.
func (t *table) read(src []byte) (rune, int) {
	if len(src) == 0 {
		return 0, 0
	}
	if r := t.single[src[0]]; r >= 0 {
		return r, 1
	}
	for n := 2; n <= min(len(src), longestCode); n++ {
		code, ok := Code(src[:n])
		if !ok {
			continue
		}
		if r := t.lookup(code); r >= 0 {
			return r, n
		}
	}
	return 0, 0
}

// Code numbers the codes of tables: up to three bytes by their value; four bytes, which gb18030
// has alone, one after the other behind those. ok is false where four bytes are no code.
func Code(b []byte) (code uint32, ok bool) {
	if len(b) < longestCode {
		for _, x := range b {
			code = code<<8 | uint32(x)
		}
		return code, true
	}
	lead, digit := func(x byte) bool { return x >= 0x81 && x <= 0xfe }, func(x byte) bool { return x >= 0x30 && x <= 0x39 }
	if !lead(b[0]) || !digit(b[1]) || !lead(b[2]) || !digit(b[3]) {
		return 0, false
	}
	const leads, digits, behind = 0xfe - 0x81 + 1, 10, 1 << 24
	code = uint32(b[0]-0x81)*digits + uint32(b[1]-0x30)
	code = code*leads + uint32(b[2]-0x81)
	return behind + code*digits + uint32(b[3]-0x30), true
}

func (t *table) ascii() bool {
	for b := range utf8.RuneSelf {
		if t.single[b] != rune(b) {
			return false
		}
	}
	return true
}

func (t *table) injective() bool {
	seen := map[rune]bool{}
	for _, s := range t.segments {
		for n := range s.count {
			r := t.character(s, n)
			if r >= 0 && seen[r] {
				return false
			}
			seen[r] = true
		}
	}
	return true
}
