package main

import (
	"strings"
	"testing"
)

func TestReadLake(t *testing.T) {
	for _, c := range []struct{ store, catalog, refused string }{
		{"", "", ""},
		{"disk", "embedded", ""},
		{"", "rest", ""},
		{"s3", "rest", ""},
		{"s3", "", "needs CATALOG=rest"},
		{"tape", "", "STORE=tape"},
		{"", "hive", "CATALOG=hive"},
	} {
		t.Setenv("STORE", c.store)
		t.Setenv("CATALOG", c.catalog)
		err := (&settings{}).readLake()
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("STORE=%s CATALOG=%s: %v", c.store, c.catalog, err)
		}
	}
}

// TestReaderLines: what is pasted names the store where there is one, and its secret nowhere else.
func TestReaderLines(t *testing.T) {
	for _, endpoint := range []string{"", "http://127.0.0.1:28333"} {
		for _, r := range readerLines("127.0.0.1:28181", endpoint) {
			if in := strings.Contains(r.lines, "127.0.0.1:28333") && strings.Contains(r.lines, s3Secret); in != (endpoint != "") {
				t.Errorf("%s with S3 at %q:\n%s", r.name, endpoint, r.lines)
			}
		}
	}
}
