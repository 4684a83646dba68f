package datafile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	iceio "github.com/apache/iceberg-go/io"
)

// TestPickedRowsAreThoseThatAreThere picks rows at random positions, close and far apart, of files
// with one row group and with many, and compares them with what reading all of the file gives.
func TestPickedRowsAreThoseThatAreThere(t *testing.T) {
	const rows = 300_000
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	for name, most := range map[string]int64{"one group": groupBytes, "groups": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.parquet")
			appendRows(t, path, rows, 25, most)
			want := allTexts(t, path)
			for _, step := range []int{1, 5, 3000, 2 * pickRows, 60_000, 140_000} {
				mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
				var positions []uint32
				for at := random.IntN(step); at < rows; at += 1 + random.IntN(2*step) {
					positions = append(positions, uint32(at))
				}
				got := picked(t, path, positions, mem)
				for i, pos := range positions {
					if i >= len(got) || got[i] != want[pos] {
						t.Fatalf("seed %d, step %d: row %d is wrong", seed, step, pos)
					}
				}
				mem.AssertSize(t, 0)
			}
		})
	}
}

func picked(t *testing.T, path string, positions []uint32, mem memory.Allocator) []string {
	t.Helper()
	p, err := testLayout(t).Pick(context.Background(), iceio.LocalFS{}, path, positions, mem)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var out []string
	for {
		rows, chosen, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range chosen {
			out = append(out, textOfRow(rows, int(i)))
		}
		rows.Release()
	}
}

func textOfRow(rows *Rows, i int) string {
	var text []string
	for _, c := range rows.Record.Columns() {
		text = append(text, c.ValueStr(i))
	}
	return fmt.Sprint(text)
}

func allTexts(t *testing.T, path string) []string {
	t.Helper()
	var out []string
	if err := Read(context.Background(), iceio.LocalFS{}, path, testLayout(t).FieldIDs(), memory.DefaultAllocator, func(rows *Rows) error {
		for i := range int(rows.Record.NumRows()) {
			out = append(out, textOfRow(rows, i))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPickRefusesWhatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.parquet")
	appendRows(t, path, 10, 1, groupBytes)
	if _, err := testLayout(t).Pick(t.Context(), iceio.LocalFS{}, path, []uint32{3, 10}, memory.DefaultAllocator); err == nil {
		t.Error("a row behind the last is accepted")
	}
	if got := picked(t, path, nil, memory.DefaultAllocator); !slices.Equal(got, nil) {
		t.Errorf("without positions: %v", got)
	}
}

// BenchmarkPick picks rows that are far apart, beside reading all of them.
func BenchmarkPick(b *testing.B) {
	const rows = 2_000_000
	t := &testing.T{}
	path := filepath.Join(b.TempDir(), "f.parquet")
	appendRows(t, path, rows, 100, groupBytes)
	for _, step := range []int{1, 100, 20_000, 100_000, 400_000} {
		b.Run(fmt.Sprint("every ", step), func(b *testing.B) {
			n := 0
			for b.Loop() {
				var positions []uint32
				for at := 0; at < rows; at += step {
					positions = append(positions, uint32(at))
				}
				p, err := testLayout(t).Pick(context.Background(), iceio.LocalFS{}, path, positions, memory.DefaultAllocator)
				if err != nil {
					b.Fatal(err)
				}
				for {
					rows, chosen, err := p.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					n += len(chosen)
					rows.Release()
				}
				_ = p.Close()
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
