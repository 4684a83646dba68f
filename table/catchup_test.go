package table

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// filled makes a table of files with new rows each.
func filled(t fatal, dir string, textKey bool, files, rows int) *lab {
	l := newLab(t, dir, testSource(textKey), memory.DefaultAllocator)
	for f := range files {
		part := make([]row, rows)
		for i := range part {
			part[i] = row{id: f*rows + i, val: "some"}
		}
		batch := l.batch(memory.DefaultAllocator, part)
		l.commit([]*capture.Batch{batch})
		batch.Release()
	}
	return l
}

// forget closes the table and deletes its index.
func (l *lab) forget() {
	if err := errors.Join(l.table.Abandon(), os.RemoveAll(l.cfg.IndexDir)); err != nil {
		l.t.Fatal(err)
	}
}

// TestLostFileStopsCatchUp checks that a rebuild which cannot read a file ends, although other
// files are being read.
func TestLostFileStopsCatchUp(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := filled(t, dir, false, 8, 3)
	defer l.cat.Close()
	for path := range l.table.content.files {
		if err := l.cfg.store().Remove(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		break
	}
	h := l.table.Head()
	l.forget()
	if _, err := Open(t.Context(), l.cfg, h); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opened: %v", err)
	}
}

// TestCatchUpIsInterrupted checks that a rebuild ends with its context.
func TestCatchUpIsInterrupted(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := filled(t, dir, false, 8, 3)
	defer l.cat.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	parts := make(chan keyPart) // nobody takes them
	var files []*dataFile
	for _, f := range l.table.content.files {
		files = append(files, f)
	}
	if err := readKeys(ctx, l.table.keyReaders(files), parts); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	l.forget()
}

var catchUpRows = flag.Int("catchup", 2_000_000, "rows of the table of BenchmarkCatchUp")

// BenchmarkCatchUp rebuilds the key index of a table from its data files.
func BenchmarkCatchUp(b *testing.B) {
	const files = 16
	rows := *catchUpRows / files
	for _, textKey := range []bool{false, true} {
		b.Run(fmt.Sprintf("text key %v", textKey), func(b *testing.B) {
			dir := fastDir(b)
			defer os.RemoveAll(dir)
			l := filled(b, dir, textKey, files, rows)
			defer l.cat.Close()
			h := l.table.Head()
			for b.Loop() {
				l.forget()
				var err error
				if l.table, err = Open(b.Context(), l.cfg, h); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*files*rows)/b.Elapsed().Seconds()/1e6, "Mrows/s")
			l.forget()
		})
	}
}
