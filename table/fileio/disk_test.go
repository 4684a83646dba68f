package fileio_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdcd/table/fileio"
	"cdcd/table/tabletest"
)

// TestDisk runs in memory where the machine has such, for it syncs a lot.
func TestDisk(t *testing.T) {
	tabletest.TestStore(t, func(t *testing.T) (fileio.Store, string) {
		parent := "/dev/shm"
		if _, err := os.Stat(parent); err != nil {
			parent = ""
		}
		dir, err := os.MkdirTemp(parent, "cdcd-fileio-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			noneTemporary(t, dir)
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
		return fileio.Disk{}, "file://" + dir + "/"
	})
}

// noneTemporary checks that nothing is left behind.
func noneTemporary(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".cdcd-tmp-") {
			t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestListLeavesTemporaryFilesOut has a file that a crash left behind.
func TestListLeavesTemporaryFilesOut(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".cdcd-tmp-x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for o, err := range (fileio.Disk{}).List(t.Context(), dir+"/") {
		t.Errorf("%v, %v", o, err)
	}
}

func TestPath(t *testing.T) {
	for in, want := range map[string]string{
		"file:///a/b":    "/a/b",
		"file:/a/b":      "/a/b",
		"file:///a/b%20": "/a/b%20",
		"/a/b":           "/a/b",
	} {
		if got, err := fileio.Path(in); err != nil || got != want {
			t.Errorf("Path(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"s3://b/k", "file://host/a", "::", "a/b", ""} {
		if got, err := fileio.Path(in); err == nil {
			t.Errorf("Path(%q) = %q", in, got)
		}
	}
}
