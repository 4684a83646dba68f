package binlog

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
)

// Deflated reads what was compressed by deflate, as MariaDB does with events and with values of
// COMPRESSED columns. It keeps what a decoder needs: use one for many.
type Deflated struct {
	source    bytes.Reader
	zlib, raw io.ReadCloser // nil before the first of its kind; also a zlib.Resetter and a flate.Resetter
	more      [1]byte
}

// Append appends the size bytes that src holds to dst, and checks that it holds no more. bare says
// that the header and the checksum of zlib are left out. What it allocates grows with what arrives,
// whatever size says.
func (d *Deflated) Append(dst, src []byte, size int, bare bool) ([]byte, error) {
	d.source.Reset(src)
	stream, err := d.open(bare)
	if err != nil {
		return dst, cutOff(err)
	}
	if dst, err = fill(stream, dst, len(dst)+size); err != nil {
		return dst, err
	}
	switch n, err := io.ReadFull(stream, d.more[:]); { // the checksum is read with the content's end
	case n > 0:
		return dst, errLonger
	case !errors.Is(err, io.EOF):
		return dst, cutOff(err)
	}
	return dst, nil
}

var errLonger = errors.New("content longer than it says")

// Rest is how many bytes of the last src are behind its content.
func (d *Deflated) Rest() int { return d.source.Len() }

func (d *Deflated) open(bare bool) (_ io.Reader, err error) {
	switch {
	case bare && d.raw == nil:
		d.raw = flate.NewReader(&d.source)
	case bare:
		err = d.raw.(flate.Resetter).Reset(&d.source, nil)
	case d.zlib == nil:
		d.zlib, err = zlib.NewReader(&d.source)
	default:
		err = d.zlib.(zlib.Resetter).Reset(&d.source, nil)
	}
	if bare {
		return d.raw, err
	}
	return d.zlib, err
}
