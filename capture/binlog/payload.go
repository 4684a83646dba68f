package binlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow bounds what a compressed transaction can make the decoder hold. Servers
// compress with windows of at most 128 MiB.
const maxZstdWindow = 128 << 20

// Payload reads the events inside TRANSACTION_PAYLOAD events. It decompresses as it goes,
// so that a large transaction is never held whole. Use one for many events.
type Payload struct {
	source bytes.Reader
	zstd   *zstd.Decoder
	stream io.Reader
	buf    []byte
}

// NewPayload returns a Payload with nothing to read.
func NewPayload() (*Payload, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
	if err != nil {
		return nil, err
	}
	return &Payload{zstd: d}, nil
}

// The field codes of a TRANSACTION_PAYLOAD header.
const (
	payloadEnd         = 0
	payloadSize        = 1
	payloadCompression = 2
	compressionZstd    = 0
	compressionNone    = 255
)

// Open starts on the body of a TRANSACTION_PAYLOAD event, which must stay valid until Next
// has returned io.EOF.
func (p *Payload) Open(body []byte) error {
	compression, content, err := payloadHeader(body)
	if err != nil {
		return err
	}
	p.source.Reset(content)
	switch compression {
	case compressionZstd:
		p.stream = p.zstd
		return p.zstd.Reset(&p.source)
	case compressionNone:
		p.stream = &p.source
		return nil
	}
	return fmt.Errorf("transaction compressed with unknown method %d", compression)
}

// payloadHeader reads how a payload is compressed, and cuts out its content.
func payloadHeader(body []byte) (compression uint64, content []byte, err error) {
	c := cursor{b: body}
	compression = compressionNone
	size, sized := uint64(0), false
	for {
		field := c.lenenc()
		if c.err != nil || field == payloadEnd {
			break
		}
		v := cursor{b: c.str()}
		switch field {
		case payloadSize:
			size, sized = v.lenenc(), true
		case payloadCompression:
			compression = v.lenenc()
		}
		if v.err != nil {
			return 0, nil, v.err
		}
	}
	if sized && size != uint64(len(c.b)) {
		c.take(-1) // what is cut off between two frames would pass for the end
	}
	return compression, c.b, c.err
}

// Next returns the next event of the transaction, valid until the following call, or
// io.EOF after the last one. Events inside a payload carry no checksums.
func (p *Payload) Next() (Event, error) {
	p.buf = grow(p.buf, headerSize)
	if _, err := io.ReadFull(p.stream, p.buf); err != nil {
		if errors.Is(err, io.EOF) {
			return Event{}, io.EOF
		}
		return Event{}, fmt.Errorf("compressed transaction: %w", cutOff(err))
	}
	size := int(binary.LittleEndian.Uint32(p.buf[9:]))
	if size < headerSize || size > maxEventSize {
		return Event{}, fmt.Errorf("compressed transaction: event of %d bytes", size)
	}
	var err error
	if p.buf, err = fill(p.stream, p.buf, size); err != nil {
		return Event{}, fmt.Errorf("compressed transaction: %w", err)
	}
	if Type(p.buf[4]) == TypeTransactionPayload { // its content would be read from under its own events
		return Event{}, errors.New("compressed transaction inside a compressed transaction")
	}
	return parseHeader(p.buf)
}

// fill extends buf to size bytes, out of stream. It grows as bytes arrive: a damaged size must
// not allocate what the stream does not hold.
func fill(stream io.Reader, buf []byte, size int) ([]byte, error) {
	const step = 1 << 20
	for have := len(buf); have < size; have = len(buf) {
		buf = grow(buf, have+min(size-have, max(step, have)))
		if _, err := io.ReadFull(stream, buf[have:]); err != nil {
			return buf, cutOff(err)
		}
	}
	return buf, nil
}

// cutOff keeps an end of the content from being taken for the connection's.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return err
}

// Close frees the decoder.
func (p *Payload) Close() { p.zstd.Close() }

// grow returns b with length n, keeping its content.
func grow(b []byte, n int) []byte {
	if cap(b) >= n {
		return b[:n]
	}
	bigger := make([]byte, n, n+n/2)
	copy(bigger, b)
	return bigger
}
