package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"cdcd/capture/binlog"
	"github.com/apache/arrow-go/v18/arrow"
)

// decoder appends the value at the front of b to the open row of v and tells how many
// bytes it took.
type decoder func(v *vector, b []byte) (int, error)

// errNoDate reports a date that is none ('0000-00-00', '2024-02-31'): what becomes of it
// is the user's choice.
var errNoDate = errors.New("no valid date")

// errOverflow reports a number that the chosen type cannot hold.
var errOverflow = errors.New("value above 9223372036854775807 (types.bigint_unsigned: decimal holds it)")

// span tells how long a stored value is without decoding it.
type span struct {
	fixed  int // bytes; 0: the value begins with its length
	prefix int // bytes of that length
}

// of gives the length of the value at the front of b.
func (s span) of(b []byte) (int, error) {
	n := s.fixed
	if n == 0 {
		if len(b) < s.prefix {
			return 0, binlog.ErrTruncated
		}
		for i := s.prefix - 1; i >= 0; i-- {
			n = n<<8 | int(b[i])
		}
		n += s.prefix
	}
	if n > len(b) {
		return 0, binlog.ErrTruncated
	}
	return n, nil
}

// content gives the bytes of a value with a length, and its whole size.
func (s span) content(b []byte) (data []byte, n int, err error) {
	n, err = s.of(b)
	if err != nil {
		return nil, 0, err
	}
	return b[s.prefix:n], n, nil
}

// columnDecoder returns how c, stored as wire says, is decoded into vectors of type dt.
func columnDecoder(c Column, wire binlog.TableMapColumn, dt arrow.DataType) (decoder, span, error) {
	switch c.Type {
	case TypeTinyInt, TypeSmallInt, TypeMediumInt, TypeInt, TypeBigInt, TypeYear:
		return integerDecoder(c, dt)
	case TypeFloat:
		return decodeFloat, span{fixed: 4}, nil
	case TypeDouble:
		return decodeDouble, span{fixed: 8}, nil
	case TypeDecimal:
		return decimalDecoder(c)
	case TypeBit:
		return bitDecoder(c, wire)
	case TypeDate, TypeDatetime, TypeTimestamp, TypeTime:
		return temporalDecoder(c)
	}
	return textualDecoder(c, wire)
}

func integerDecoder(c Column, dt arrow.DataType) (decoder, span, error) {
	type key struct {
		t        Type
		unsigned bool
	}
	k := key{c.Type, c.Unsigned}
	if c.Type == TypeYear {
		k.unsigned = false // always reported unsigned
	}
	switch k {
	case key{TypeTinyInt, false}:
		return decodeInt8, span{fixed: 1}, nil
	case key{TypeTinyInt, true}:
		return decodeUint8, span{fixed: 1}, nil
	case key{TypeSmallInt, false}:
		return decodeInt16, span{fixed: 2}, nil
	case key{TypeSmallInt, true}:
		return decodeUint16, span{fixed: 2}, nil
	case key{TypeMediumInt, false}:
		return decodeInt24, span{fixed: 3}, nil
	case key{TypeMediumInt, true}:
		return decodeUint24, span{fixed: 3}, nil
	case key{TypeInt, false}:
		return decodeInt32, span{fixed: 4}, nil
	case key{TypeInt, true}:
		return decodeUint32, span{fixed: 4}, nil
	case key{TypeBigInt, false}:
		return decodeInt64, span{fixed: 8}, nil
	case key{TypeBigInt, true}:
		if dt.ID() == arrow.DECIMAL128 {
			return decodeUint64AsDecimal, span{fixed: 8}, nil
		}
		return decodeUint64AsLong, span{fixed: 8}, nil
	case key{TypeYear, false}:
		return decodeYear, span{fixed: 1}, nil
	}
	return nil, span{}, fmt.Errorf("%w: %s", ErrUnsupportedType, c.Type)
}

func decodeInt8(v *vector, b []byte) (int, error) {
	if len(b) < 1 {
		return 0, binlog.ErrTruncated
	}
	v.appendInt32(int32(int8(b[0])))
	return 1, nil
}

func decodeUint8(v *vector, b []byte) (int, error) {
	if len(b) < 1 {
		return 0, binlog.ErrTruncated
	}
	v.appendInt32(int32(b[0]))
	return 1, nil
}

func decodeInt16(v *vector, b []byte) (int, error) {
	if len(b) < 2 {
		return 0, binlog.ErrTruncated
	}
	v.appendInt32(int32(int16(binary.LittleEndian.Uint16(b))))
	return 2, nil
}

func decodeUint16(v *vector, b []byte) (int, error) {
	if len(b) < 2 {
		return 0, binlog.ErrTruncated
	}
	v.appendInt32(int32(binary.LittleEndian.Uint16(b)))
	return 2, nil
}

func decodeInt24(v *vector, b []byte) (int, error) {
	if len(b) < 3 {
		return 0, binlog.ErrTruncated
	}
	v.appendInt32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24) >> 8)
	return 3, nil
}

func decodeUint24(v *vector, b []byte) (int, error) {
	if len(b) < 3 {
		return 0, binlog.ErrTruncated
	}
	v.appendInt32(int32(b[0]) | int32(b[1])<<8 | int32(b[2])<<16)
	return 3, nil
}

func decodeInt32(v *vector, b []byte) (int, error) {
	if len(b) < 4 {
		return 0, binlog.ErrTruncated
	}
	copy(v.data.extend(4), b)
	return 4, nil
}

func decodeUint32(v *vector, b []byte) (int, error) {
	if len(b) < 4 {
		return 0, binlog.ErrTruncated
	}
	v.appendInt64(int64(binary.LittleEndian.Uint32(b)))
	return 4, nil
}

func decodeInt64(v *vector, b []byte) (int, error) {
	if len(b) < 8 {
		return 0, binlog.ErrTruncated
	}
	copy(v.data.extend(8), b)
	return 8, nil
}

func decodeUint64AsDecimal(v *vector, b []byte) (int, error) {
	if len(b) < 8 {
		return 0, binlog.ErrTruncated
	}
	v.appendInt128(0, binary.LittleEndian.Uint64(b))
	return 8, nil
}

func decodeUint64AsLong(v *vector, b []byte) (int, error) {
	if len(b) < 8 {
		return 0, binlog.ErrTruncated
	}
	if binary.LittleEndian.Uint64(b) > math.MaxInt64 {
		return 0, errOverflow
	}
	copy(v.data.extend(8), b)
	return 8, nil
}

// decodeFloat and decodeDouble keep the stored bits.
func decodeFloat(v *vector, b []byte) (int, error) {
	if len(b) < 4 {
		return 0, binlog.ErrTruncated
	}
	copy(v.data.extend(4), b)
	return 4, nil
}

func decodeDouble(v *vector, b []byte) (int, error) {
	if len(b) < 8 {
		return 0, binlog.ErrTruncated
	}
	copy(v.data.extend(8), b)
	return 8, nil
}

// decodeYear reads the stored number of years since 1900; 0 is the year 0000.
func decodeYear(v *vector, b []byte) (int, error) {
	if len(b) < 1 {
		return 0, binlog.ErrTruncated
	}
	year := int32(b[0])
	if year > 0 {
		year += 1900
	}
	v.appendInt32(year)
	return 1, nil
}

// bitDecoder reads BIT(1) as boolean and longer ones as big-endian bytes.
func bitDecoder(c Column, wire binlog.TableMapColumn) (decoder, span, error) {
	size := (int(wire.Meta>>8)*8 + int(wire.Meta&0xff) + 7) / 8
	if size != (c.Size+7)/8 {
		return nil, span{}, fmt.Errorf("BIT(%d) is stored in %d bytes", c.Size, size)
	}
	s := span{fixed: size}
	if c.Size == 1 {
		return decodeBool, s, nil
	}
	return func(v *vector, b []byte) (int, error) {
		if len(b) < size {
			return 0, binlog.ErrTruncated
		}
		v.data.appendBytes(b[:size])
		return size, nil
	}, s, nil
}

func decodeBool(v *vector, b []byte) (int, error) {
	if len(b) < 1 {
		return 0, binlog.ErrTruncated
	}
	v.appendBit(b[0] != 0)
	return 1, nil
}
