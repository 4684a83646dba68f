package capture

import (
	"errors"
	"unicode/utf8"
)

// errNotText reports bytes that are not text in their column's charset.
var errNotText = errors.New("bytes that are not text in the column's character set")

// textReader appends src, stored text of one charset, to dst as UTF-8.
type textReader func(dst *growable, src []byte) error

// textDecoder returns how text of charset is read, or nil where that is not supported.
func textDecoder(charset string) textReader {
	switch charset {
	case "utf8mb4", "utf8mb3", "utf8":
		return readUTF8
	case "ascii":
		return readASCII
	case "latin1":
		return readLatin1
	}
	return nil
}

func readUTF8(dst *growable, src []byte) error {
	if !utf8.Valid(src) {
		return errNotText
	}
	dst.appendBytes(src)
	return nil
}

func readASCII(dst *growable, src []byte) error {
	if asciiPrefix(src) < len(src) {
		return errNotText
	}
	dst.appendBytes(src)
	return nil
}

func readLatin1(dst *growable, src []byte) error {
	for len(src) > 0 {
		n := asciiPrefix(src)
		dst.appendBytes(src[:n])
		if n < len(src) {
			var buf [utf8.UTFMax]byte
			dst.appendBytes(utf8.AppendRune(buf[:0], latin1Rune(src[n])))
			n++
		}
		src = src[n:]
	}
	return nil
}

// asciiPrefix counts the bytes before the first that is not ASCII.
func asciiPrefix(b []byte) int {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return i
		}
	}
	return len(b)
}

// latin1Rune maps a byte from 0x80 of MySQL's latin1, which is Windows-1252 with the five
// bytes that Windows leaves undefined kept as the control characters of their number.
func latin1Rune(b byte) rune {
	if b >= 0xa0 {
		return rune(b)
	}
	c1 := [...]rune{
		0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d, 0x017d, 0x8f,
		0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178,
	}
	return c1[b-0x80]
}
