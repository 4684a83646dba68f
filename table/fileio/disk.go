package fileio

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	iceio "github.com/apache/iceberg-go/io"
)

// Disk is the local file system. Names are file:// URLs or paths.
type Disk struct{}

var _ Store = Disk{}

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

// begin is what every call on a file begins with.
func begin(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return Path(name)
}

// Read reads a whole file. Its tag is a hash of the content.
func (Disk) Read(ctx context.Context, name string) ([]byte, Tag, error) {
	p, err := begin(ctx, name)
	if err != nil {
		return nil, "", err
	}
	b, err := os.ReadFile(p)
	return b, tagOf(b), err
}

func tagOf(content []byte) Tag {
	sum := sha256.Sum256(content)
	return Tag(hex.EncodeToString(sum[:]))
}

// ReadRange reads a part of a file.
func (Disk) ReadRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	p, err := begin(ctx, name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, length)
	if _, err := f.ReadAt(b, offset); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: bytes %d to %d: %w", name, offset, offset+length, io.ErrUnexpectedEOF)
	} else if err != nil {
		return nil, err
	}
	return b, nil
}

// List lists files. Those that are still being put there are left out.
func (Disk) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		path, err := begin(ctx, prefix)
		if err != nil {
			yield(Object{}, err)
			return
		}
		scheme := strings.TrimSuffix(prefix, path)
		visit := func(p string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // removed meanwhile, or a prefix without objects
			case err != nil:
				return err
			case ctx.Err() != nil:
				return fmt.Errorf("%s: %w", prefix, ctx.Err())
			case d.IsDir():
				return skipUnless(within(p+"/", path))
			case !strings.HasPrefix(p, path) || isTemporary(d.Name()):
				return nil
			}
			o, err := listed(scheme+p, d)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && !yield(o, nil) {
				return fs.SkipAll
			}
			return err
		}
		if err := filepath.WalkDir(filepath.Dir(path+"x"), visit); err != nil {
			yield(Object{}, err)
		}
	}
}

func listed(name string, d fs.DirEntry) (Object, error) {
	info, err := d.Info()
	if err != nil {
		return Object{}, err
	}
	return Object{Name: name, Size: info.Size(), Modified: info.ModTime()}, nil
}

// within reports whether a directory may hold, or be below, what begins with a prefix.
func within(dir, prefix string) bool {
	return strings.HasPrefix(dir, prefix) || strings.HasPrefix(prefix, dir)
}

func skipUnless(wanted bool) error {
	if wanted {
		return nil
	}
	return fs.SkipDir
}

// Remove removes a file.
func (Disk) Remove(ctx context.Context, name string) error {
	p, err := begin(ctx, name)
	if err != nil {
		return err
	}
	unlock, err := lockDir(ctx, filepath.Dir(p))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = os.Remove(p)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, unlock())
}

// IO gives the files to the Iceberg library.
func (Disk) IO(ctx context.Context) IO { return diskIO{ctx} }

// diskIO is Disk for the library, whose calls carry no context.
type diskIO struct{ ctx context.Context }

// Open opens a file for reading.
func (d diskIO) Open(name string) (iceio.File, error) {
	p, err := begin(d.ctx, name)
	if err != nil {
		return nil, err
	}
	return os.Open(p)
}

// ReadFile reads a whole file.
func (d diskIO) ReadFile(name string) ([]byte, error) {
	p, err := begin(d.ctx, name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(p)
}

// Create makes a file.
func (d diskIO) Create(name string) (iceio.FileWriter, error) {
	w, err := Disk{}.Create(d.ctx, name)
	if err != nil {
		return nil, err // and not a nil pointer in an interface
	}
	return w, nil
}

// WriteFile makes a file of the given content.
func (d diskIO) WriteFile(name string, content []byte) error {
	w, err := Disk{}.Create(d.ctx, name)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Close()
}

// Remove removes a file.
func (d diskIO) Remove(name string) error { return Disk{}.Remove(d.ctx, name) }
