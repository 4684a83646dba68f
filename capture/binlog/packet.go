package binlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"
)

const (
	readBufferSize = 1 << 20
	// keepBufferSize is the largest buffer kept once a huge event has been handed over.
	keepBufferSize = 8 << 20
	maxPacketSize  = 1<<24 - 1
	// maxEventSize bounds one event: max_allowed_packet of replicas ends at 1 GiB.
	maxEventSize = 1<<30 + 1<<20
)

// ErrEnd reports that the server ended the dump. It is an io.EOF, as a connection that breaks
// between two packets is.
var ErrEnd = fmt.Errorf("the server ended the dump: %w", io.EOF)

// packetReader cuts the socket's bytes into protocol packets, in one buffer. A read that
// times out in the middle of a packet loses nothing: the next call goes on.
type packetReader struct {
	conn  net.Conn
	buf   []byte
	r, w  int       // unread bytes are buf[r:w]
	joint []byte    // a packet that arrived in several parts
	heard time.Time // when bytes last arrived
}

func newPacketReader(conn net.Conn) *packetReader {
	return &packetReader{conn: conn, buf: make([]byte, readBufferSize), heard: time.Now()}
}

func (p *packetReader) buffered() int { return p.w - p.r }

// next returns the next packet's payload, valid until the following call.
func (p *packetReader) next(deadline time.Time) ([]byte, error) {
	p.shrink()
	for {
		if err := p.fill(4, deadline); err != nil {
			return nil, err
		}
		n := int(p.buf[p.r]) | int(p.buf[p.r+1])<<8 | int(p.buf[p.r+2])<<16
		if err := p.fill(4+n, deadline); err != nil {
			return nil, err
		}
		part := p.buf[p.r+4 : p.r+4+n]
		p.r += 4 + n
		if n < maxPacketSize && len(p.joint) == 0 {
			return part, nil
		}
		if len(p.joint)+n > maxEventSize {
			return nil, fmt.Errorf("event larger than %d bytes", maxEventSize)
		}
		p.joint = append(p.joint, part...)
		if n < maxPacketSize {
			whole := p.joint
			p.joint = p.joint[:0]
			return whole, nil
		}
	}
}

// fill reads until need bytes are unread.
func (p *packetReader) fill(need int, deadline time.Time) error {
	if p.w-p.r >= need {
		return nil
	}
	switch {
	case need > len(p.buf):
		bigger := make([]byte, need+need/2)
		p.w = copy(bigger, p.buf[p.r:p.w])
		p.r, p.buf = 0, bigger
	case len(p.buf)-p.r < need:
		p.w = copy(p.buf, p.buf[p.r:p.w])
		p.r = 0
	}
	if err := p.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	for p.w-p.r < need {
		n, err := p.conn.Read(p.buf[p.w:])
		if n > 0 {
			p.heard = time.Now()
		}
		p.w += n
		if err != nil {
			return err
		}
	}
	return nil
}

// shrink gives the memory of a huge event back once nothing unread is in it.
func (p *packetReader) shrink() {
	if p.r == p.w {
		p.r, p.w = 0, 0
		if len(p.buf) > keepBufferSize {
			p.buf = make([]byte, readBufferSize)
		}
	}
	if len(p.joint) == 0 && cap(p.joint) > keepBufferSize {
		p.joint = nil
	}
}

// verifyChecksum checks the CRC32 at the end of raw and cuts it off.
func verifyChecksum(raw []byte) ([]byte, error) {
	n := len(raw) - checksumSize
	if n < headerSize {
		return nil, ErrTruncated
	}
	if crc32.ChecksumIEEE(raw[:n]) != binary.LittleEndian.Uint32(raw[n:]) {
		return nil, ErrChecksum
	}
	return raw[:n], nil
}
