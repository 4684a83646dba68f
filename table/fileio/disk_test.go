package fileio

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	name := "file://" + dir + "/a/b/c.parquet"
	if err := (Disk{}).WriteFile(name, []byte("content")); err != nil {
		t.Fatal(err)
	}
	got, err := Disk{}.ReadFile(name)
	if err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	if err := (Disk{}).WriteFile(name, []byte("other")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwriting: %v", err)
	}
	if err := (Disk{}).Remove(name); err != nil {
		t.Error(err)
	}
}

func TestPath(t *testing.T) {
	for in, want := range map[string]string{
		"file:///a/b":    "/a/b",
		"file:/a/b":      "/a/b",
		"file:///a/b%20": "/a/b%20",
		"/a/b":           "/a/b",
	} {
		if got, err := Path(in); err != nil || got != want {
			t.Errorf("Path(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"s3://b/k", "file://host/a", "::", "a/b", ""} {
		if got, err := Path(in); err == nil {
			t.Errorf("Path(%q) = %q", in, got)
		}
	}
}

func TestReplaceFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, content := range []string{"one", "two"} {
		if err := ReplaceFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q, %v", got, err)
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
