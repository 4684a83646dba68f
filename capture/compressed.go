package capture

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
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
	var scratch bytes.Buffer
	return func(dst *growable, src []byte) error {
		if len(src) == 0 {
			return read(dst, nil)
		}
		switch head := src[0]; head >> 4 {
		case methodNone:
			return read(dst, src[1:])
		case methodZlib:
			scratch.Reset()
			if err := inflate(&scratch, head, src[1:]); err != nil {
				return err
			}
			return read(dst, scratch.Bytes())
		}
		return fmt.Errorf("%w: method %d", errNotCompressed, src[0]>>4)
	}
}

// inflate appends what src holds, and checks that it is as long as it says.
func inflate(dst *bytes.Buffer, head byte, src []byte) error {
	n := int(head & lengthOfSize)
	if len(src) < n || n > 4 {
		return errNotCompressed
	}
	size := int64(0)
	for _, b := range src[:n] {
		size = size<<8 | int64(b)
	}
	from, err := inflater(head, src[n:])
	if err != nil {
		return fmt.Errorf("%w: %w", errNotCompressed, err)
	}
	got, err := io.Copy(dst, io.LimitReader(from, size+1))
	if err != nil {
		return fmt.Errorf("%w: %w", errNotCompressed, err)
	}
	if got != size {
		return fmt.Errorf("%w: another length", errNotCompressed)
	}
	return from.Close()
}

func inflater(head byte, src []byte) (io.ReadCloser, error) {
	if head&withoutZlib != 0 {
		return flate.NewReader(bytes.NewReader(src)), nil
	}
	return zlib.NewReader(bytes.NewReader(src))
}
