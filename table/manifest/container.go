package manifest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var (
	errContainer = errors.New("not a sound Avro container")
	magic        = []byte("Obj\x01")
)

// markerSize is the length of the marker that ends the header and each block.
const markerSize = 16

// container is an Avro object container file that is read.
type container struct {
	meta   map[string][]byte
	marker []byte
	rest   []byte // what is not read yet
}

// openContainer reads the header.
func openContainer(raw []byte) (*container, error) {
	c := &container{meta: map[string][]byte{}}
	var ok bool
	if c.rest, ok = bytes.CutPrefix(raw, magic); !ok {
		return nil, errContainer
	}
	for {
		n, err := c.long()
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		if n < 0 { // the block's size in bytes follows
			n = -n
			if _, err := c.long(); err != nil {
				return nil, err
			}
		}
		if err := c.entries(n); err != nil {
			return nil, err
		}
	}
	var err error
	c.marker, err = c.take(markerSize)
	return c, err
}

// entries reads so many keys and values of the header.
func (c *container) entries(n int64) error {
	for range n {
		key, err := c.text()
		if err != nil {
			return err
		}
		if c.meta[string(key)], err = c.text(); err != nil {
			return err
		}
	}
	return nil
}

// block gives the next block's number of data and the data; io.EOF where there is none.
func (c *container) block() (int64, []byte, error) {
	if len(c.rest) == 0 {
		return 0, nil, io.EOF
	}
	n, err := c.long()
	if err != nil || n < 0 {
		return 0, nil, errContainer
	}
	data, err := c.text()
	if err != nil {
		return 0, nil, err
	}
	if marker, err := c.take(markerSize); err != nil || !bytes.Equal(marker, c.marker) {
		return 0, nil, errContainer
	}
	switch name := string(c.meta["avro.codec"]); name {
	case "", "null":
	case "deflate":
		if data, err = inflate(data); err != nil {
			return 0, nil, err
		}
	default:
		return 0, nil, fmt.Errorf("%w: codec %q", errContainer, name)
	}
	return n, data, nil
}

// maxBlock bounds a block, unpacked; the library's bound is the same.
const maxBlock = 256 << 20

func inflate(packed []byte) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxBlock+1))
	if err == nil && len(data) > maxBlock {
		err = fmt.Errorf("%w: a block of more than %d bytes", errContainer, maxBlock)
	}
	return data, err
}

func (c *container) long() (int64, error) {
	n, size := binary.Varint(c.rest)
	if size <= 0 {
		return 0, errContainer
	}
	c.rest = c.rest[size:]
	return n, nil
}

// text reads bytes with their length before them.
func (c *container) text() ([]byte, error) {
	n, err := c.long()
	if err != nil {
		return nil, err
	}
	return c.take(n)
}

func (c *container) take(n int64) ([]byte, error) {
	if n < 0 || n > int64(len(c.rest)) {
		return nil, errContainer
	}
	out := c.rest[:n]
	c.rest = c.rest[n:]
	return out, nil
}
