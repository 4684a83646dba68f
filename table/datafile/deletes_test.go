package datafile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"cdcd/table/fileio"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table/dv"
	"pgregory.net/rapid"
)

func bitsOf(positions ...uint64) *dv.RoaringPositionBitmap {
	b := dv.NewRoaringPositionBitmap()
	for _, p := range positions {
		b.Set(p)
	}
	return b
}

// TestDeletesComeBack: what is encoded is read back, and its entry says which data file it is of.
func TestDeletesComeBack(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		of := "s3://bucket/" + rapid.StringMatching(`[a-z~/ü]{0,300}`).Draw(t, "path")
		positions := rapid.SliceOfN(rapid.Uint64Range(0, 1<<20), 1, 300).Draw(t, "positions")
		bits := bitsOf(positions...)
		path := fmt.Sprintf("file://%s/%d.parquet", dir, n)
		content, d, err := EncodeDeletes(path, of, bits.Positions(), *iceberg.UnpartitionedSpec, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d.ContentType() != iceberg.EntryContentPosDeletes || d.Count() != bits.Cardinality() || d.FileSizeBytes() != int64(len(content)) ||
			*d.ReferencedDataFile() != of || string(d.LowerBoundValues()[deletePathID]) != of || string(d.UpperBoundValues()[deletePathID]) != of {
			t.Fatalf("the entry is %v", d)
		}
		fs := fileio.Disk{}.IO(t.Context())
		if err := fs.WriteFile(path, content); err != nil {
			t.Fatal(err)
		}
		got, err := ReadDeletes(fs, path)
		if err != nil || !slices.Equal(slices.Collect(maps.Keys(got)), []string{of}) || !slices.Equal(slices.Collect(got[of].Positions()), slices.Collect(bits.Positions())) {
			t.Fatalf("%v, %v", got, err)
		}
		own, err := ReadPositions(fs, path)
		if err != nil || !slices.Equal(slices.Collect(own.Positions()), slices.Collect(bits.Positions())) || Referenced(d) != of {
			t.Fatalf("%v, %v", own, err)
		}
	})
}

// TestManyDeletes crosses the borders of row groups, pages and records.
func TestManyDeletes(t *testing.T) {
	bits := dv.NewRoaringPositionBitmap()
	for p := range uint64(rowGroupRows + readBatchRows + 7) {
		bits.Set(p * 3)
	}
	path := "file://" + t.TempDir() + "/d.parquet"
	of := "s3://lake/" + strings.Repeat("x", 5000) // longer than what statistics hold by default
	content, d, err := EncodeDeletes(path, of, bits.Positions(), *iceberg.UnpartitionedSpec, nil)
	if err != nil || d.Count() != bits.Cardinality() {
		t.Fatal(d, err)
	}
	fs := fileio.Disk{}.IO(t.Context())
	if err := fs.WriteFile(path, content); err != nil {
		t.Fatal(err)
	}
	got, err := ReadDeletes(fs, path)
	if err != nil || !slices.Equal(slices.Collect(got[of].Positions()), slices.Collect(bits.Positions())) {
		t.Fatal(err)
	}
}

// BenchmarkDeletes tells what a delete file of a million rows costs, a part of them deleted.
func BenchmarkDeletes(b *testing.B) {
	for _, part := range []uint64{1000, 100, 10, 2} {
		bits := dv.NewRoaringPositionBitmap()
		for p := uint64(0); p < 1_000_000; p += part {
			bits.Set(p/part*part + p*7919%part)
		}
		path := "file://" + b.TempDir() + "/d.parquet"
		of := "s3://bucket/warehouse/shop/orders/data/e12-k345678-0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f-1.parquet"
		fs := fileio.Disk{}.IO(b.Context())
		b.Run(fmt.Sprintf("encode/1of%d", part), func(b *testing.B) {
			for b.Loop() {
				content, _, err := EncodeDeletes(path, of, bits.Positions(), *iceberg.UnpartitionedSpec, nil)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(content)), "bytes")
			}
		})
		content, _, err := EncodeDeletes(path, of, bits.Positions(), *iceberg.UnpartitionedSpec, nil)
		if err := errors.Join(err, fs.WriteFile(path, content)); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("read/1of%d", part), func(b *testing.B) {
			for b.Loop() {
				if _, err := ReadPositions(fs, path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
