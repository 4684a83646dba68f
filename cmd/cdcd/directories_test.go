package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdcd/cmd/cdcd/config"
)

// TestDirectoryWarnings looks for directories that are there, that can be made, and that cannot.
func TestDirectoryWarnings(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	of := func(state, warehouse string) string {
		c := config.Config{State: state}
		c.Warehouse.Location = warehouse
		var words []string
		for _, p := range directoryWarnings(c) {
			words = append(words, p.What)
		}
		return strings.Join(words, "\n")
	}
	if got := of(dir, "file://"+filepath.Join(dir, "not", "yet")); got != "" {
		t.Error(got)
	}
	if got := of(filepath.Join(dir, "state"), "s3://lake/p"); got != "" {
		t.Error(got)
	}
	if got := of(file, "file://"+filepath.Join(file, "warehouse")); strings.Count(got, "\n") != 1 || !strings.Contains(got, "state: ") || !strings.Contains(got, "warehouse: ") {
		t.Errorf("got %q", got)
	}
	if got := of(filepath.Join(file, "state"), ""); !strings.Contains(got, "not a directory") {
		t.Errorf("got %q", got)
	}
}
