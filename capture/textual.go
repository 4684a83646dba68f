package capture

import (
	"fmt"

	"cdcd/capture/binlog"
)

// lengthPrefix gives the bytes of a string's length when it can hold up to max bytes.
func lengthPrefix(maxBytes int) int {
	if maxBytes > 255 {
		return 2
	}
	return 1
}

// lengthSpan gives the span of a value stored with its length.
func lengthSpan(c Column, wire binlog.TableMapColumn) span {
	switch c.Type {
	case TypeText, TypeBlob, TypeGeometry, TypeJSON:
		return span{prefix: int(wire.Meta)}
	case TypeVector:
		if wire.Type == binlog.ColumnVector { // else it is logged as VARBINARY
			return span{prefix: int(wire.Meta)}
		}
	}
	return span{prefix: lengthPrefix(wire.Length)}
}

// textualDecoder handles everything stored with a length, and ENUM and SET.
func textualDecoder(c Column, wire binlog.TableMapColumn) (decoder, span, error) {
	s := lengthSpan(c, wire)
	switch c.Type {
	case TypeChar, TypeVarchar, TypeText:
		text := textDecoder(c.Charset)
		if text == nil {
			return nil, s, fmt.Errorf("%w: character set %s", ErrUnsupportedType, c.Charset)
		}
		return contentDecoder(c, text, s)
	case TypeVarbinary, TypeBlob, TypeGeometry, TypeVector:
		return contentDecoder(c, readBytes, s)
	case TypeBinary:
		return paddedDecoder(s, c.Size)
	case TypeUUID, TypeInet4, TypeInet6:
		return printedDecoder(c, s)
	case TypeJSON:
		return jsonDecoder(s)
	case TypeEnum:
		return enumDecoder(c, wire)
	case TypeSet:
		return setDecoder(c, wire)
	}
	return nil, span{}, fmt.Errorf("%w: %s", ErrUnsupportedType, c.Type)
}

// contentDecoder hands what a value holds to read.
func contentDecoder(c Column, read textReader, s span) (decoder, span, error) {
	if c.Compressed {
		read = uncompressed(read)
	}
	return func(v *vector, b []byte) (int, error) {
		data, n, err := s.content(b)
		if err != nil {
			return 0, err
		}
		return n, read(&v.data, data)
	}, s, nil
}

// readBytes keeps bytes as they are.
func readBytes(dst *growable, src []byte) error {
	dst.appendBytes(src)
	return nil
}

// paddedDecoder gives bytes back the trailing zeros of BINARY(n) that the log strips.
func paddedDecoder(s span, size int) (decoder, span, error) {
	return func(v *vector, b []byte) (int, error) {
		data, n, err := s.content(b)
		if err != nil {
			return 0, err
		}
		v.data.appendBytes(data)
		if len(data) < size {
			clear(v.data.extend(size - len(data)))
		}
		return n, nil
	}, s, nil
}

func jsonDecoder(s span) (decoder, span, error) {
	if s.prefix < 1 || s.prefix > 4 { // nothing else of the table's shape tells it
		return nil, s, fmt.Errorf("JSON with lengths of %d bytes", s.prefix)
	}
	var scratch []byte
	return func(v *vector, b []byte) (int, error) {
		data, n, err := s.content(b)
		if err != nil {
			return 0, err
		}
		if scratch, err = appendJSON(scratch[:0], data); err != nil {
			return 0, err
		}
		v.data.appendBytes(scratch)
		return n, nil
	}, s, nil
}

// enumDecoder reads the element's number, from 1. 0 stands for an invalid value that was
// stored in spite of it, which MySQL shows as the empty string.
func enumDecoder(c Column, wire binlog.TableMapColumn) (decoder, span, error) {
	size := wire.Length
	if size != 1 && size != 2 {
		return nil, span{}, fmt.Errorf("ENUM stored in %d bytes", size)
	}
	elements, err := elementsOf(wire, c.Charset)
	if err != nil {
		return nil, span{}, err
	}
	return func(v *vector, b []byte) (int, error) {
		if len(b) < size {
			return 0, binlog.ErrTruncated
		}
		i := int(b[0])
		if size == 2 {
			i |= int(b[1]) << 8
		}
		if i > len(elements) {
			return size, fmt.Errorf("ENUM element %d of %d", i, len(elements))
		}
		if i > 0 {
			copy(v.data.extend(len(elements[i-1])), elements[i-1])
		}
		return size, nil
	}, span{fixed: size}, nil
}

// setDecoder reads a bit per element and renders the members as MySQL does, comma between.
func setDecoder(c Column, wire binlog.TableMapColumn) (decoder, span, error) {
	size := wire.Length
	if size < 1 || size > 8 {
		return nil, span{}, fmt.Errorf("SET stored in %d bytes", size)
	}
	elements, err := elementsOf(wire, c.Charset)
	if err != nil {
		return nil, span{}, err
	}
	return func(v *vector, b []byte) (int, error) {
		if len(b) < size {
			return 0, binlog.ErrTruncated
		}
		var members uint64
		for i, x := range b[:size] {
			members |= uint64(x) << (8 * i)
		}
		if len(elements) < 64 && members>>len(elements) != 0 {
			return size, fmt.Errorf("SET member beyond the %d declared", len(elements))
		}
		start := len(v.data.b)
		for i, e := range elements {
			if members&(1<<i) == 0 {
				continue
			}
			if len(v.data.b) > start {
				v.data.extend(1)[0] = ','
			}
			copy(v.data.extend(len(e)), e)
		}
		return size, nil
	}, span{fixed: size}, nil
}
