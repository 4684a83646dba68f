package table

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

// digest names what a data file holds: rows, row ids and their order, under a schema and a
// partition spec. Files with the same digest may stand for each other.
type digest [sha256.Size]byte

// digestOf computes the digest of a data file of a partition that is to hold columns, with ids
// or, where those are nil, without. ok is false where a column is of a kind that it does not
// know.
func (t *Table) digestOf(columns []arrow.Array, ids []int64, partition map[int]any) (sum digest, ok bool) {
	h := sha256.New()
	h.Write(fmt.Appendf(nil, "%d %d %d ids %d\n", t.head.meta.Version(), t.head.Schema, t.head.Spec, len(ids)))
	if partition != nil {
		text := partitionText(partition)
		h.Write(fmt.Appendf(nil, "partition %d %s\n", len(text), text))
	}
	w := words{hash: h}
	for _, id := range ids {
		w.add(uint64(id))
	}
	w.flush()
	for _, c := range columns {
		if !digestColumn(h, c) {
			return digest{}, false
		}
	}
	h.Sum(sum[:0])
	return sum, true
}

// digestColumn adds a column. Each part has its length before it, so that no two columns
// look the same to the hash.
func digestColumn(h hash.Hash, c arrow.Array) bool {
	data := c.Data()
	n, offset := data.Len(), data.Offset()
	h.Write(fmt.Appendf(nil, "%s %d %d\n", c.DataType(), n, c.NullN()))
	if c.NullN() > 0 {
		h.Write(bits(data.Buffers()[0].Bytes(), offset, n))
	}
	switch c := c.(type) {
	case *array.Boolean:
		h.Write(bits(data.Buffers()[1].Bytes(), offset, n))
	case array.BinaryLike:
		return digestTexts(h, c)
	default:
		width, ok := c.DataType().(arrow.FixedWidthDataType)
		if !ok || len(data.Buffers()) != 2 || width.BitWidth()%8 != 0 {
			return false
		}
		if n > 0 {
			size := width.BitWidth() / 8
			h.Write(data.Buffers()[1].Bytes()[offset*size : (offset+n)*size])
		}
	}
	return true
}

// digestTexts adds the values of a column of texts: their lengths, then all of them.
func digestTexts(h hash.Hash, c array.BinaryLike) bool {
	w := words{hash: h}
	for i := range c.Len() {
		w.add(uint64(c.ValueLen(i)))
	}
	w.flush()
	h.Write(c.ValueBytes())
	return true
}

// words hands numbers to a hash, many at a time.
type words struct {
	hash hash.Hash
	buf  []byte
}

// wordsBytes is how much is collected for the hash.
const wordsBytes = 4096

func (w *words) add(n uint64) {
	if w.buf = binary.LittleEndian.AppendUint64(w.buf, n); len(w.buf) >= wordsBytes {
		w.flush()
	}
}

func (w *words) flush() {
	w.hash.Write(w.buf)
	w.buf = w.buf[:0]
}

// bits gives n bits of a bitmap from an offset on, with zeros behind them.
func bits(from []byte, offset, n int) []byte {
	out := make([]byte, bitutil.BytesForBits(int64(n)))
	bitutil.CopyBitmap(from, offset, n, out, 0)
	return out
}
