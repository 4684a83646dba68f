package fileio_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"cdcd/table/fileio"
)

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	if err := fileio.Probe(t.Context(), fileio.Disk{}, "file://"+dir); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir + "/_cdcd")
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// careless is a store that does not look at one of the conditions.
type careless struct {
	fileio.Disk
	put, replace bool
}

func (c careless) Put(ctx context.Context, name string, content []byte) (fileio.Tag, error) {
	if c.put {
		if err := c.Remove(ctx, name); err != nil {
			return "", err
		}
	}
	return c.Disk.Put(ctx, name, content)
}

func (c careless) Replace(ctx context.Context, name string, content []byte, old fileio.Tag) (fileio.Tag, error) {
	if c.replace {
		var err error
		if _, old, err = c.Read(ctx, name); err != nil {
			return "", err
		}
	}
	return c.Disk.Replace(ctx, name, content, old)
}

func TestProbeRefuses(t *testing.T) {
	for _, s := range []careless{{put: true}, {replace: true}} {
		if err := fileio.Probe(t.Context(), s, t.TempDir()); !errors.Is(err, fileio.ErrUnfit) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if err := fileio.Probe(t.Context(), fileio.Disk{}, "/proc/none"); err == nil || errors.Is(err, fileio.ErrUnfit) {
		t.Errorf("no access: %v", err)
	}
}
