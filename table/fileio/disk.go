package fileio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	iceio "github.com/apache/iceberg-go/io"
)

// Disk is the local file system as Iceberg's file I/O. Names are file:// URLs or paths.
type Disk struct{}

// Disk serves every way in which the library writes.
var _ iceio.WriteFileIO = Disk{}

const (
	filePerm = 0o644
	dirPerm  = 0o755
)

// Path gives the path of a location: file:///x, file:/x as Java writes it, or a plain path.
// Nothing is unescaped: readers differ in whether they do, so names need no escaping.
func Path(location string) (string, error) {
	path := strings.TrimPrefix(location, "file:")
	if rest, ok := strings.CutPrefix(path, "//"); ok && path != location {
		path = rest
	}
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%q is not a local location", location)
	}
	return path, nil
}

// Open opens a file for reading.
func (Disk) Open(name string) (iceio.File, error) {
	p, err := Path(name)
	if err != nil {
		return nil, err
	}
	return os.Open(p)
}

// ReadFile reads a whole file.
func (Disk) ReadFile(name string) ([]byte, error) {
	p, err := Path(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(p)
}

// Remove removes a file.
func (Disk) Remove(name string) error {
	p, err := Path(name)
	if err != nil {
		return err
	}
	return os.Remove(p)
}

// Create makes a file. It is durable once Close has returned without error.
func (Disk) Create(name string) (iceio.FileWriter, error) {
	p, err := Path(name)
	if err != nil {
		return nil, err
	}
	if err := makeDir(filepath.Dir(p)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
	if err != nil {
		return nil, err
	}
	return &file{File: f, dir: filepath.Dir(p)}, nil
}

// WriteFile makes a durable file with the given content.
func (d Disk) WriteFile(name string, content []byte) error {
	w, err := d.Create(name)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return errors.Join(err, w.Close())
}

// file is a file being written.
type file struct {
	*os.File
	dir string
}

// Close makes the file durable.
func (f *file) Close() error {
	err := f.Sync()
	if err := errors.Join(err, f.File.Close()); err != nil {
		return err
	}
	return syncDir(f.dir)
}

// ReadFrom copies all of r.
func (f *file) ReadFrom(r io.Reader) (int64, error) { return f.File.ReadFrom(r) }

// makeDir makes a directory and its parents durable.
func makeDir(dir string) error {
	switch _, err := os.Stat(dir); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReplaceFile puts a file of the given content in the place of name, durably and at once:
// a reader sees the old content or the new.
func ReplaceFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// Install makes the library use Disk for file:// locations; its own file I/O does not sync.
// The registry is global to the process, so the caller does this once, before any table is
// opened.
func Install() {
	factory := func(context.Context, *url.URL, map[string]string) (iceio.IO, error) { return Disk{}, nil }
	for _, scheme := range []string{"file", ""} {
		iceio.Unregister(scheme)
		iceio.Register(scheme, factory)
	}
}
