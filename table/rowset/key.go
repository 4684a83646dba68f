package rowset

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/dchest/siphash"
)

// Key identifies a row of one table.
type Key struct{ Hi, Lo uint64 }

// Compare orders keys.
func (k Key) Compare(o Key) int {
	if c := cmp.Compare(k.Hi, o.Hi); c != 0 {
		return c
	}
	return cmp.Compare(k.Lo, o.Lo)
}

// Less reports k < o.
func (k Key) Less(o Key) bool { return k.Hi < o.Hi || k.Hi == o.Hi && k.Lo < o.Lo }

// Secret keys the hash of one table's index.
type Secret [16]byte

// maxWords is how many 64-bit words an exact key has at most.
const maxWords = 2

// Encoder encodes the keys of one table's rows. It is used by one goroutine at a time.
type Encoder struct {
	columns []int // of the record, in key order
	words   []int // 64-bit words of each, when exact
	exact   bool
	copies  int // the column that numbers equal rows; negative: there is none
	k0, k1  uint64
	scratch []byte
}

// NewEncoder returns an encoder for records with the table's columns.
func NewEncoder(t *capture.Table, secret Secret) *Encoder {
	e := &Encoder{exact: true, copies: -1, k0: binary.LittleEndian.Uint64(secret[:]), k1: binary.LittleEndian.Uint64(secret[8:])}
	if t.Identity == capture.ByRow {
		e.ofRows(len(t.Columns))
		return e
	}
	total := 0
	for _, i := range t.Key {
		n := exactWords(t.Columns[i])
		e.columns = append(e.columns, i)
		e.words = append(e.words, n)
		e.exact = e.exact && n > 0
		total += n
	}
	e.exact = e.exact && total <= maxWords
	return e
}

// NewColumnEncoder is NewEncoder for records that hold only the key columns, in key order.
func NewColumnEncoder(t *capture.Table, secret Secret) *Encoder {
	e := NewEncoder(t, secret)
	for i := range e.columns {
		e.columns[i] = i
	}
	return e
}

// ofRows makes e encode whole rows.
func (e *Encoder) ofRows(columns int) {
	e.exact, e.copies = false, columns // in records that hold it
	for i := range columns {
		e.columns = append(e.columns, i)
	}
}

// exactWords gives the words that hold every value of a column in order, or 0 where none
// do.
func exactWords(c capture.Column) int {
	switch c.Type {
	case capture.TypeTinyInt, capture.TypeSmallInt, capture.TypeMediumInt, capture.TypeInt, capture.TypeBigInt, capture.TypeYear,
		capture.TypeDate, capture.TypeDatetime, capture.TypeTimestamp:
		return 1
	case capture.TypeBit:
		if c.Size == 1 { // a boolean
			return 1
		}
	case capture.TypeBinary:
		if c.Size <= 8*maxWords {
			return (c.Size + 7) / 8
		}
	}
	return 0
}

// Exact reports whether keys are the values themselves, in the values' order.
func (e *Encoder) Exact() bool { return e.exact }

// Append appends the key of every row of rec. Where whole rows are encoded the last column of rec
// has to be the number among equal ones, as in the lake.
func (e *Encoder) Append(dst []Key, rec arrow.RecordBatch) ([]Key, error) {
	if e.copies >= 0 {
		return e.appendCopies(dst, rec)
	}
	if !e.exact {
		return e.appendHashed(dst, rec)
	}
	start := len(dst)
	dst = append(dst, make([]Key, rec.NumRows())...)
	for i, c := range e.columns {
		if err := appendWords(dst[start:], rec.Column(c), e.words[i]); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// appendWords shifts n words of each value into the keys.
func appendWords(keys []Key, a arrow.Array, n int) error {
	switch a := a.(type) {
	case *array.Int32:
		for i, x := range a.Int32Values() {
			keys[i] = keys[i].push(orderInt(int64(x)))
		}
	case *array.Date32:
		for i, x := range a.Date32Values() {
			keys[i] = keys[i].push(orderInt(int64(x)))
		}
	case *array.Int64:
		for i, x := range a.Int64Values() {
			keys[i] = keys[i].push(orderInt(x))
		}
	case *array.Timestamp:
		for i, x := range a.TimestampValues() {
			keys[i] = keys[i].push(orderInt(int64(x)))
		}
	case *array.Decimal128: // BIGINT UNSIGNED
		for i := range keys {
			keys[i] = keys[i].push(a.Value(i).LowBits())
		}
	case *array.Boolean:
		for i := range keys {
			keys[i] = keys[i].push(uint64(boolByte(a.Value(i))))
		}
	case *array.Binary:
		for i := range keys {
			keys[i] = keys[i].pushBytes(a.Value(i), n)
		}
	default:
		return fmt.Errorf("key column of type %s", a.DataType())
	}
	return nil
}

func (k Key) push(word uint64) Key { return Key{Hi: k.Lo, Lo: word} }

// pushBytes pushes n words of bytes, big endian, zeros behind.
func (k Key) pushBytes(b []byte, n int) Key {
	var buf [8 * maxWords]byte
	copy(buf[:], b)
	for i := range n {
		k = k.push(binary.BigEndian.Uint64(buf[8*i:]))
	}
	return k
}

// orderInt maps signed numbers to unsigned ones of the same order.
func orderInt(x int64) uint64 { return uint64(x) ^ 1<<63 }

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (e *Encoder) appendHashed(dst []Key, rec arrow.RecordBatch) ([]Key, error) {
	for row := range int(rec.NumRows()) {
		var err error
		if e.scratch, err = e.AppendOrdered(e.scratch[:0], rec, row); err != nil {
			return nil, err
		}
		hi, lo := siphash.Hash128(e.k0, e.k1, e.scratch)
		dst = append(dst, Key{hi, lo})
	}
	return dst, nil
}

// AppendOrdered appends bytes that order as the row's key columns do, and are equal only
// for equal keys. Of whole rows they have no order.
func (e *Encoder) AppendOrdered(dst []byte, rec arrow.RecordBatch, row int) ([]byte, error) {
	for _, c := range e.columns {
		a := rec.Column(c)
		if e.copies >= 0 {
			dst = append(dst, boolByte(a.IsValid(row)))
			if a.IsNull(row) {
				continue
			}
		}
		var err error
		if dst, err = appendValue(dst, a, row); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// appendValue appends a value that is not NULL.
func appendValue(dst []byte, a arrow.Array, row int) ([]byte, error) {
	switch a := a.(type) {
	case *array.Int32:
		dst = binary.BigEndian.AppendUint64(dst, orderInt(int64(a.Value(row))))
	case *array.Date32:
		dst = binary.BigEndian.AppendUint64(dst, orderInt(int64(a.Value(row))))
	case *array.Int64:
		dst = binary.BigEndian.AppendUint64(dst, orderInt(a.Value(row)))
	case *array.Timestamp:
		dst = binary.BigEndian.AppendUint64(dst, orderInt(int64(a.Value(row))))
	case *array.Decimal128:
		dst = binary.BigEndian.AppendUint64(dst, orderInt(a.Value(row).HighBits()))
		dst = binary.BigEndian.AppendUint64(dst, a.Value(row).LowBits())
	case *array.Boolean:
		dst = append(dst, boolByte(a.Value(row)))
	case *array.String:
		dst = appendEscaped(dst, a.Value(row))
	case *array.Binary:
		dst = appendEscaped(dst, a.ValueString(row))
	case *array.Float32: // of whole rows only
		dst = binary.BigEndian.AppendUint32(dst, math.Float32bits(a.Value(row)))
	case *array.Float64:
		dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(a.Value(row)))
	default:
		return nil, fmt.Errorf("key column of type %s", a.DataType())
	}
	return dst, nil
}

// appendEscaped appends bytes so that a prefix orders before what it begins: zero bytes
// are escaped, two zeros end the value.
func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		dst = append(dst, s[i])
		if s[i] == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 0)
}
