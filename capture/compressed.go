package capture

import (
	"errors"
	"fmt"

	"cdcd/capture/binlog"
)

// A value of MariaDB's COMPRESSED columns that is not empty begins with a byte: the method in
// its upper half, zero for none; below, whether zlib's header is left out, and how many bytes
// of its true length follow, big-endian.
const (
	methodNone   = 0
	methodZlib   = 8
	withoutZlib  = 1 << 3
	lengthOfSize = 1<<3 - 1
)

var errNotCompressed = errors.New("a value that is not compressed as its column is")

// uncompressed gives read what a compressed value holds.
func uncompressed(read textReader) textReader {
	var content binlog.Deflated
	var scratch []byte
	return func(dst *growable, src []byte) error {
		if len(src) == 0 {
			return read(dst, nil)
		}
		switch head := src[0]; head >> 4 {
		case methodNone:
			return read(dst, src[1:])
		case methodZlib:
			var err error
			if scratch, err = inflate(&content, scratch[:0], head, src[1:]); err != nil {
				return err
			}
			return read(dst, scratch)
		}
		return fmt.Errorf("%w: method %d", errNotCompressed, src[0]>>4)
	}
}

// inflate appends what src holds, and checks that it is as long as it says.
func inflate(content *binlog.Deflated, dst []byte, head byte, src []byte) ([]byte, error) {
	n := int(head & lengthOfSize)
	if len(src) < n || n > 4 {
		return dst, errNotCompressed
	}
	size := 0
	for _, b := range src[:n] {
		size = size<<8 | int(b)
	}
	dst, err := content.Append(dst, src[n:], size, head&withoutZlib != 0)
	if err != nil {
		return dst, fmt.Errorf("%w: %w", errNotCompressed, err)
	}
	return dst, nil
}
