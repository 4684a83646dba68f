package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPlot draws all charts of a small run: each is an SVG file with a line for each column.
func TestPlot(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	commits := "commit,took_ms\n" + strings.Repeat("1,20.5\n", 120)
	samples := "epochs,data_files,delete_files,data_manifests,delete_manifests,data_bytes,reclaimable_bytes,debt_bytes,written_bytes,compaction_written_bytes,rss_bytes,heap_bytes,index_disk_bytes\n" +
		"0,1,0,1,0,100,0,0,0,0,1000000,1000,10\n" + "120,5,4,3,1,200,50,20,300,500,90000000,100000,20\n"
	for name, content := range map[string]string{"commits.csv": commits, "samples.csv": samples} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(from, to); err != nil {
		t.Fatal(err)
	}
	for name, lines := range map[string]int{"commit-time.svg": 2, "files.svg": 3, "debt.svg": 3, "write-amplification.svg": 2, "memory.svg": 3} {
		b, err := os.ReadFile(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		if n := polylines(t, b); n != lines {
			t.Errorf("%s has %d lines, want %d", name, n, lines)
		}
	}
}

func polylines(t *testing.T, svg []byte) (n int) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			n++
		}
	}
}

func TestTicks(t *testing.T) {
	for most, want := range map[float64][]float64{5000: {0, 1000, 2000, 3000, 4000, 5000}, 0.9: {0, 0.2, 0.4, 0.6000000000000001, 0.8}, 1: {0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}} {
		if got := slices.Collect(ticks(most, 5)); !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", most, got, want)
		}
	}
}
