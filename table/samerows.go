package table

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/apache/arrow-go/v18/arrow"
)

// rowSum is a number for a set of rows: whatever their order and however they are spread over
// files, equal sets have equal sums. Sets that differ have the same one only by accident of
// 256 bits: the hash is keyed by chance, so nobody can aim at it.
type rowSum struct {
	rows  int64
	lanes [sha256.Size / 8]uint64
}

// rowHasher sums up rows.
type rowHasher struct {
	key  [sha256.Size]byte
	hash hash.Hash
	size [8]byte
}

func newRowHasher() *rowHasher {
	h := &rowHasher{hash: sha256.New()}
	_, _ = rand.Read(h.key[:]) // it never fails
	return h
}

// add adds a row to a sum.
func (h *rowHasher) add(to *rowSum, rec arrow.RecordBatch, row int) {
	h.hash.Reset()
	h.hash.Write(h.key[:])
	for _, c := range rec.Columns() {
		if c.IsNull(row) {
			h.hash.Write([]byte{0})
			continue
		}
		v := c.ValueStr(row)
		binary.LittleEndian.PutUint64(h.size[:], uint64(len(v)))
		h.hash.Write([]byte{1})
		h.hash.Write(h.size[:])
		h.hash.Write([]byte(v))
	}
	sum := h.hash.Sum(nil)
	to.rows++
	for i := range to.lanes {
		to.lanes[i] += binary.LittleEndian.Uint64(sum[8*i:])
	}
}

// Comparison is what a comparison of two snapshots' rows came to.
type Comparison struct {
	Equal       bool
	Rows, Other int64 // in the two
}

// CompareRows reads the live rows of two snapshots, one after the other, and compares all
// their values. Both must have the table's schema.
func (h *Head) CompareRows(ctx context.Context, snapshot, other int64) (Comparison, error) {
	hasher := newRowHasher()
	var sums [2]rowSum
	for i, s := range []int64{snapshot, other} {
		if err := h.Restorable(s); err != nil {
			return Comparison{}, err
		}
		if err := h.sumRows(ctx, hasher, s, &sums[i]); err != nil {
			return Comparison{}, err
		}
	}
	return Comparison{Equal: sums[0] == sums[1], Rows: sums[0].rows, Other: sums[1].rows}, nil
}

func (h *Head) sumRows(ctx context.Context, hasher *rowHasher, snapshot int64, to *rowSum) error {
	records, err := h.Scan(ctx, ScanOptions{Snapshot: snapshot})
	if err != nil {
		return err
	}
	for rec, err := range records {
		if err != nil {
			return err
		}
		for row := range int(rec.NumRows()) {
			hasher.add(to, rec, row)
		}
		rec.Release()
	}
	return nil
}
