package fileio

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"sync"
	"time"

	iceio "github.com/apache/iceberg-go/io"
)

// Store keeps objects. It is used by any number of goroutines.
//
// A missing object is fs.ErrNotExist, and one in the way fs.ErrExist. Any other error of a
// write leaves open whether it was done.
type Store interface {
	// IO gives the store as Iceberg's library wants it. Its calls end with ctx.
	IO(ctx context.Context) IO
	// Read gives an object's content, and the tag to replace it by.
	Read(ctx context.Context, name string) ([]byte, Tag, error)
	// ReadRange gives length bytes from an offset on. Where the object ends before, the error
	// is io.ErrUnexpectedEOF.
	ReadRange(ctx context.Context, name string, offset, length int64) ([]byte, error)
	// Create begins a new object that is written as a stream. What is in the way shows here
	// or when the writer is closed.
	Create(ctx context.Context, name string) (Writer, error)
	// Put makes a new object. Of several that race for a name, one wins.
	Put(ctx context.Context, name string, content []byte) (Tag, error)
	// Replace gives an object that has the old tag a new content. Any other object, and none,
	// is ErrChanged.
	Replace(ctx context.Context, name string, content []byte, old Tag) (Tag, error)
	// List gives all objects whose names begin with a prefix, in no particular order.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	// Remove removes an object. It is no error where there is none.
	Remove(ctx context.Context, name string) error
}

// ErrChanged reports an object that is not the one that was to be replaced.
var ErrChanged = errors.New("the object has changed")

// ErrAccess reports a store that is not there or does not let us in, which takes a person.
var ErrAccess = errors.New("the store cannot be used")

// ErrBusy reports a store that another process keeps from changing for longer than it takes.
var ErrBusy = errors.New("the store is busy")

// Tag names one content of an object. Equal contents may have the same tag.
type Tag string

// Object is a listed object.
type Object struct {
	Name     string
	Size     int64 // bytes
	Modified time.Time
}

// Writer writes an object, which is durable once Close has returned without error. Who does
// not close it has to abort it.
type Writer interface {
	iceio.FileWriter
	// Size is how many bytes were written.
	Size() int64
	// Abort drops what was written. After Close it does nothing.
	Abort() error
}

// IO is everything by which the Iceberg library reads and writes single objects.
type IO interface {
	iceio.WriteFileIO
	iceio.ReadFileIO
}

// Install makes the Iceberg library use Disk for local locations; its own file I/O does not
// sync.
func Install() { installOnce() }

// installOnce leaves no moment, but for the first time, in which there is no file I/O for
// local locations.
var installOnce = sync.OnceFunc(func() {
	for _, scheme := range []string{"file", ""} {
		Register(scheme, Disk{})
	}
})

// ReadFile reads an object of the store that is registered for its scheme.
func ReadFile(ctx context.Context, name string) ([]byte, error) {
	s, err := iceio.LoadFS(ctx, nil, name)
	if err != nil {
		return nil, err
	}
	reader, ok := s.(iceio.ReadFileIO)
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, errors.ErrUnsupported)
	}
	return reader.ReadFile(name)
}

// registering makes one step of what are two in the library's registry.
var registering sync.Mutex

// Register makes the Iceberg library use a store for locations of a scheme. The registry is
// global to the process, so the caller does this once for a scheme, before any table is
// opened.
func Register(scheme string, s Store) {
	registering.Lock()
	defer registering.Unlock()
	iceio.Unregister(scheme)
	iceio.Register(scheme, func(ctx context.Context, _ *url.URL, _ map[string]string) (iceio.IO, error) { return s.IO(ctx), nil })
}
