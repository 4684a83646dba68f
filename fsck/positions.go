package fsck

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"cdcd/table/datafile"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table/dv"
)

// The field ids of the columns of a file of positions.
const (
	fieldPath = 2147483546
	fieldPos  = 2147483545
)

func isVector(d iceberg.DataFile) bool {
	return d.ContentType() == iceberg.EntryContentPosDeletes && d.FileFormat() == iceberg.PuffinFile
}

func isPositions(d iceberg.DataFile) bool {
	return d.ContentType() == iceberg.EntryContentPosDeletes && d.FileFormat() == iceberg.ParquetFile
}

// referenced gives the one data file that a delete file is of, "" where its entry does not say.
func referenced(d iceberg.DataFile) string {
	if of := d.ReferencedDataFile(); of != nil {
		return *of
	}
	lower, upper := d.LowerBoundValues()[fieldPath], d.UpperBoundValues()[fieldPath]
	if !bytes.Equal(lower, upper) {
		return ""
	}
	return string(lower)
}

// loose reports whether a snapshot is of others and the entry is of a file of positions: such are
// of any data files until a commit of ours follows.
func (s *snapshot) loose(e *entry) bool { return s.mark == nil && isPositions(e.data) }

// eachPosition reads a file of positions.
func (r *reader) eachPosition(ctx context.Context, path string, visit func(of string, pos int64) error) error {
	return datafile.ReadKeys(ctx, r.store.IO(ctx), path, []int{fieldPath, fieldPos}, memory.DefaultAllocator, func(rec arrow.RecordBatch, _ int64, _ *array.Int64) error {
		paths, ok := rec.Column(0).(*array.String)
		positions, ok2 := rec.Column(1).(*array.Int64)
		if !ok || !ok2 || paths.NullN() > 0 || positions.NullN() > 0 {
			return errors.New("its columns are not a path and a position for every row")
		}
		for i := range paths.Len() {
			if err := visit(paths.Value(i), positions.Value(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// decodePositions reads a file of positions of ours and compares it with its entry.
func (r *reader) decodePositions(ctx context.Context, path string, e iceberg.DataFile) (*dv.RoaringPositionBitmap, error) {
	target, last, rows := referenced(e), int64(-1), int64(0)
	bits := dv.NewRoaringPositionBitmap()
	err := r.eachPosition(ctx, path, func(of string, pos int64) error {
		if of != target {
			return errors.New("it names another data file than its entry")
		}
		if pos <= last {
			return fmt.Errorf("position %d follows %d", pos, last)
		}
		last = pos
		rows++
		bits.Set(uint64(pos))
		return nil
	})
	if err == nil && rows != e.Count() {
		err = fmt.Errorf("it has %d positions, and its entry says %d", rows, e.Count())
	}
	return bits, err
}

// strays gives what files of positions of others delete of a data file, nil for nothing.
func (k *keyCheck) strays(ctx context.Context, path string) (*dv.RoaringPositionBitmap, error) {
	if k.gone == nil {
		k.gone = map[string]*dv.RoaringPositionBitmap{}
		for _, e := range k.live.strays {
			err := k.r.eachPosition(ctx, e.path, func(of string, pos int64) error {
				if pos < 0 {
					return fmt.Errorf("position %d", pos)
				}
				if k.gone[of] == nil {
					k.gone[of] = dv.NewRoaringPositionBitmap()
				}
				k.gone[of].Set(uint64(pos))
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("the keys cannot be checked without the delete file %s: %w", e.path, err)
			}
		}
	}
	return k.gone[path], nil
}
