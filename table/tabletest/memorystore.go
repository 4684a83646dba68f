package tabletest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cdcd/table/fileio"
	iceio "github.com/apache/iceberg-go/io"
)

// Store is a store in memory. Any name will do.
type Store struct {
	mu      sync.Mutex
	objects map[string]stored
	tags    int // given so far
}

// stored is an object. Its content does not change.
type stored struct {
	content  []byte
	tag      fileio.Tag
	modified time.Time
}

var _ fileio.Store = (*Store)(nil)

// NewStore makes an empty store.
func NewStore() *Store { return &Store{objects: map[string]stored{}} }

// Clone gives a store of its own that has the same in it.
func (s *Store) Clone() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Store{objects: maps.Clone(s.objects), tags: s.tags}
}

// get gives an object.
func (s *Store) get(ctx context.Context, op, name string) (stored, error) {
	if err := ctx.Err(); err != nil {
		return stored{}, fmt.Errorf("%s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, there := s.objects[name]
	if !there {
		return stored{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return o, nil
}

// set puts an object there if what is there allows it.
func (s *Store) set(ctx context.Context, name string, content []byte, allowed func(old stored, there bool) error) (fileio.Tag, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, there := s.objects[name]
	if err := allowed(old, there); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	s.tags++
	o := stored{bytes.Clone(content), fileio.Tag(strconv.Itoa(s.tags)), time.Now()}
	s.objects[name] = o
	return o.tag, nil
}

func absent(_ stored, there bool) error {
	if there {
		return fs.ErrExist
	}
	return nil
}

// Names gives the names of all objects, sorted.
func (s *Store) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// Read reads an object.
func (s *Store) Read(ctx context.Context, name string) ([]byte, fileio.Tag, error) {
	o, err := s.get(ctx, "read", name)
	return bytes.Clone(o.content), o.tag, err
}

// ReadRange reads a part of an object.
func (s *Store) ReadRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	o, err := s.get(ctx, "read", name)
	if err != nil {
		return nil, err
	}
	if offset+length > int64(len(o.content)) {
		return nil, fmt.Errorf("%s: bytes %d to %d: %w", name, offset, offset+length, io.ErrUnexpectedEOF)
	}
	return bytes.Clone(o.content[offset : offset+length]), nil
}

// Put makes an object.
func (s *Store) Put(ctx context.Context, name string, content []byte) (fileio.Tag, error) {
	return s.set(ctx, name, content, absent)
}

// Replace gives an object a new content.
func (s *Store) Replace(ctx context.Context, name string, content []byte, old fileio.Tag) (fileio.Tag, error) {
	return s.set(ctx, name, content, func(now stored, there bool) error {
		if !there || now.tag != old {
			return fileio.ErrChanged
		}
		return nil
	})
}

// List lists objects.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[fileio.Object, error] {
	return func(yield func(fileio.Object, error) bool) {
		for _, name := range s.Names() {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			o, err := s.get(ctx, "list", name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if !yield(fileio.Object{Name: name, Size: int64(len(o.content)), Modified: o.modified}, err) || err != nil {
				return
			}
		}
	}
}

// Remove removes an object.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, name)
	return nil
}

// Create begins an object, which is there once its writer is closed.
func (s *Store) Create(ctx context.Context, name string) (fileio.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &memoryWriter{ctx: ctx, store: s, name: name}, nil
}

// memoryWriter is an object being written. Its interface has no place for a context but the
// call that made it.
type memoryWriter struct {
	ctx     context.Context
	store   *Store
	name    string
	content bytes.Buffer
	done    bool
}

// Write writes on.
func (w *memoryWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.content.Write(p)
}

// ReadFrom copies all of r.
func (w *memoryWriter) ReadFrom(r io.Reader) (int64, error) { return w.content.ReadFrom(r) }

// Size is how many bytes were written.
func (w *memoryWriter) Size() int64 { return int64(w.content.Len()) }

// Close makes the object.
func (w *memoryWriter) Close() error {
	if w.done {
		return fs.ErrClosed
	}
	w.done = true
	_, err := w.store.Put(w.ctx, w.name, w.content.Bytes())
	return err
}

// Abort drops what was written.
func (w *memoryWriter) Abort() error {
	w.done = true
	return nil
}

// IO gives the objects to the Iceberg library.
func (s *Store) IO(ctx context.Context) fileio.IO { return memoryIO{ctx, s} }

// memoryIO is a Store for the library, whose calls carry no context.
type memoryIO struct {
	ctx   context.Context
	store *Store
}

// Open opens an object for reading.
func (m memoryIO) Open(name string) (iceio.File, error) {
	o, err := m.store.get(m.ctx, "open", name)
	if err != nil {
		return nil, err
	}
	return &memoryFile{bytes.NewReader(o.content), name, o}, nil
}

// ReadFile reads a whole object.
func (m memoryIO) ReadFile(name string) ([]byte, error) {
	b, _, err := m.store.Read(m.ctx, name)
	return b, err
}

// Create makes an object.
func (m memoryIO) Create(name string) (iceio.FileWriter, error) { return m.store.Create(m.ctx, name) }

// WriteFile makes an object of the given content.
func (m memoryIO) WriteFile(name string, content []byte) error {
	_, err := m.store.Put(m.ctx, name, content)
	return err
}

// Remove removes an object.
func (m memoryIO) Remove(name string) error { return m.store.Remove(m.ctx, name) }

// memoryFile is an object being read.
type memoryFile struct {
	*bytes.Reader
	name   string
	object stored
}

// ReadAt reads at an offset. To read nothing is no error anywhere, as it is of files.
func (f *memoryFile) ReadAt(p []byte, at int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return f.Reader.ReadAt(p, at)
}

// Close does nothing.
func (f *memoryFile) Close() error { return nil }

// Stat describes the object.
func (f *memoryFile) Stat() (fs.FileInfo, error) { return memoryInfo{f}, nil }

// memoryInfo describes an object as a file.
type memoryInfo struct{ f *memoryFile }

// Name is the last part of the object's name.
func (i memoryInfo) Name() string { return path.Base(i.f.name) }

// Size is the object's size in bytes.
func (i memoryInfo) Size() int64 { return int64(len(i.f.object.content)) }

// Mode is that of a plain file.
func (i memoryInfo) Mode() fs.FileMode { return 0o444 }

// ModTime is when the object was made.
func (i memoryInfo) ModTime() time.Time { return i.f.object.modified }

// IsDir is false.
func (i memoryInfo) IsDir() bool { return false }

// Sys gives nothing.
func (i memoryInfo) Sys() any { return nil }
