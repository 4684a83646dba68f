package binlog

import "fmt"

// Inflater reads the events that MariaDB writes with log_bin_compress: a QUERY or row event
// whose last part, the statement or the row images, is compressed. Use one for many events.
type Inflater struct {
	content Deflated
	buf     []byte
}

// Compressed gives the type of the event that one of type t stands for, where t is one of
// MariaDB's compressed events.
func Compressed(t Type) (plain Type, ok bool) {
	switch t {
	case TypeQueryCompressed:
		return TypeQuery, true
	case TypeWriteRowsZV1, TypeUpdateRowsZV1, TypeDeleteRowsZV1:
		return t - TypeWriteRowsZV1 + TypeWriteRowsV1, true
	case TypeWriteRowsZ, TypeUpdateRowsZ, TypeDeleteRowsZ:
		return t - TypeWriteRowsZ + TypeWriteRowsV2, true
	}
	return 0, false
}

// Inflate gives the event that the compressed event e stands for, valid until the next call;
// any other event as it is.
func (z *Inflater) Inflate(e Event) (Event, error) {
	plain, ok := Compressed(e.Type)
	if !ok {
		return e, nil
	}
	tail, err := lastPart(Event{Type: plain, Body: e.Body})
	if err != nil {
		return Event{}, err
	}
	if cap(z.buf) > keepBufferSize {
		z.buf = nil // gives the memory of a huge event back
	}
	z.buf = append(z.buf[:0], e.Body[:len(e.Body)-len(tail)]...)
	if err := z.inflate(tail); err != nil {
		return Event{}, fmt.Errorf("compressed event: %w", err)
	}
	e.Type, e.Body = plain, z.buf
	return e, nil
}

// lastPart is what MariaDB compresses of an event.
func lastPart(e Event) ([]byte, error) {
	if e.Type == TypeQuery {
		q, err := ParseQuery(e.Body)
		return q.SQL, err
	}
	r, err := ParseRows(e)
	return r.Images, err
}

// What is compressed begins with a byte: a set bit, three of the method, zero for zlib, and
// in the lowest three how many bytes of the true length follow, big-endian.
const (
	inflatedZlib   = 0x80
	inflatedLength = 0x07
)

// inflate appends to buf what src holds.
func (z *Inflater) inflate(src []byte) error {
	c := cursor{b: src}
	head := c.u8()
	if n := head & inflatedLength; c.err != nil || head&^inflatedLength != inflatedZlib || n == 0 || n > 4 {
		return fmt.Errorf("unknown method %#x", head)
	}
	size := 0
	for _, b := range c.take(int(head & inflatedLength)) {
		size = size<<8 | int(b)
	}
	if c.err != nil {
		return c.err
	}
	if len(z.buf)+size > maxEventSize {
		return fmt.Errorf("event larger than %d bytes", maxEventSize)
	}
	var err error
	if z.buf, err = z.content.Append(z.buf, c.b, size, false); err == nil && z.content.Rest() > 0 {
		err = errLonger
	}
	return err
}
