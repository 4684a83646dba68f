package charset

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// readUCS2 reads sixteen bits. Surrogates stand for nothing.
func readUCS2(src []byte) (rune, int) {
	if len(src) < 2 {
		return 0, 0
	}
	return valid(rune(binary.BigEndian.Uint16(src)), 2)
}

func readUTF16(src []byte) (rune, int) { return readUnits(src, binary.BigEndian) }

func readUTF16LE(src []byte) (rune, int) { return readUnits(src, binary.LittleEndian) }

func readUnits(src []byte, order binary.ByteOrder) (rune, int) {
	if len(src) < 2 {
		return 0, 0
	}
	first := rune(order.Uint16(src))
	if !utf16.IsSurrogate(first) {
		return first, 2
	}
	if len(src) < 4 {
		return 0, 0
	}
	r := utf16.DecodeRune(first, rune(order.Uint16(src[2:])))
	if r == utf8.RuneError {
		return 0, 0
	}
	return r, 4
}

func readUTF32(src []byte) (rune, int) {
	if len(src) < 4 {
		return 0, 0
	}
	return valid(rune(binary.BigEndian.Uint32(src)), 4)
}

func valid(r rune, n int) (rune, int) {
	if !utf8.ValidRune(r) {
		return 0, 0
	}
	return r, n
}
