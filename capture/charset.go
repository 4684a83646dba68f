package capture

import (
	"errors"
	"unicode/utf8"

	"cdcd/capture/charset"
)

// errNotText reports bytes that are not text in their column's charset.
var errNotText = errors.New("bytes that are not text in the column's character set")

// textReader appends src, stored text of one charset, to dst as UTF-8.
type textReader func(dst *growable, src []byte) error

// textDecoder returns how text of a character set is read, or nil where that is not known.
func textDecoder(name string) textReader {
	if isUTF8(name) {
		return readUTF8
	}
	c := charset.For(name)
	if c == nil {
		return nil
	}
	return func(dst *growable, src []byte) error { return transcode(dst, src, c) }
}

func isUTF8(charset string) bool {
	return charset == "utf8mb4" || charset == "utf8mb3" || charset == "utf8"
}

// injective tells that different texts of a character set are different as UTF-8.
func injective(name string) bool {
	c := charset.For(name)
	return isUTF8(name) || c != nil && c.Injective()
}

func readUTF8(dst *growable, src []byte) error {
	if !utf8.Valid(src) {
		return errNotText
	}
	dst.appendBytes(src)
	return nil
}

// transcode appends text of a character set to dst. Runs of ASCII, of which most text has some,
// are copied.
func transcode(dst *growable, src []byte, c *charset.Charset) error {
	for len(src) > 0 {
		ascii := 0
		if c.ASCII() { // where bytes below 128 are something else, all that follow may be such
			ascii = asciiPrefix(src)
		}
		if ascii > 0 {
			dst.appendBytes(src[:ascii])
			src = src[ascii:]
			continue
		}
		r, n := c.Rune(src)
		if n == 0 {
			return errNotText
		}
		var buf [utf8.UTFMax]byte
		dst.appendBytes(utf8.AppendRune(buf[:0], r))
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
