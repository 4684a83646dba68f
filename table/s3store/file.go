package s3store

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"time"

	"cdcd/table/fileio"
	iceio "github.com/apache/iceberg-go/io"
)

const (
	// tailBytes are read when a Parquet file is opened: its index is at the end. What has no
	// index is read from its beginning.
	tailBytes = 64 << 10
	// aheadBytes are read at once where a file is read in order.
	aheadBytes = 4 << 20
)

// IO gives the objects to the Iceberg library.
func (s *Store) IO(ctx context.Context) fileio.IO { return objectIO{ctx, s} }

// objectIO is a Store for the library, whose calls carry no context.
type objectIO struct {
	ctx   context.Context
	store *Store
}

// Open opens an object for reading. Small ones are read by that.
func (io objectIO) Open(name string) (iceio.File, error) {
	o, err := parse("open", name)
	if err != nil {
		return nil, err
	}
	span := ""
	if path.Ext(o.key) == ".parquet" {
		span = fmt.Sprintf("bytes=-%d", tailBytes)
	}
	p, err := io.store.get(io.ctx, o, span, "")
	if statusOf(err) == http.StatusRequestedRangeNotSatisfiable { // it has no last byte
		p, err = io.store.get(io.ctx, o, "", "")
	}
	if err != nil {
		return nil, o.fail("open", err)
	}
	return &file{ctx: io.ctx, store: io.store, object: o, opened: p}, nil
}

// ReadFile reads a whole object.
func (io objectIO) ReadFile(name string) ([]byte, error) {
	b, _, err := io.store.Read(io.ctx, name)
	return b, err
}

// Create begins an object.
func (io objectIO) Create(name string) (iceio.FileWriter, error) {
	w, err := io.store.Create(io.ctx, name)
	if err != nil {
		return nil, err // and not a nil pointer in an interface
	}
	return w, nil
}

// WriteFile makes an object of the given content.
func (io objectIO) WriteFile(name string, content []byte) error {
	_, err := io.store.Put(io.ctx, name, content)
	return err
}

// Remove removes an object.
func (io objectIO) Remove(name string) error { return io.store.Remove(io.ctx, name) }

// file is an object that is being read. The ctx is that of the call that opened it, for its
// interface has no place for another.
type file struct {
	ctx    context.Context
	store  *Store
	object object
	opened part // what opening it has read
	ahead  part // what Read has read last
	pos    int64
	closed bool
}

// ReadAt reads at an offset. It may be called by several goroutines at the same time.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case f.closed:
		return 0, f.object.fail("read", fs.ErrClosed)
	case off < 0:
		return 0, f.object.fail("read", fs.ErrInvalid)
	case len(p) == 0:
		return 0, nil
	case off >= f.opened.size:
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), f.opened.size-off))
	if !f.opened.copyTo(p[:n], off) {
		if err := f.store.fill(f.ctx, f.object, f.opened.tag, off, p[:n]); err != nil {
			return 0, f.object.fail("read", err)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// copyTo copies from what was read, if all of it was.
func (p *part) copyTo(into []byte, off int64) bool {
	from := off - p.at
	if from < 0 || from+int64(len(into)) > int64(len(p.content)) {
		return false
	}
	copy(into, p.content[from:])
	return true
}

// Read reads on.
func (f *file) Read(p []byte) (int, error) {
	if f.closed || f.pos >= f.opened.size || len(p) == 0 {
		return f.ReadAt(p, f.pos)
	}
	have := &f.opened
	if !have.holds(f.pos) {
		have = &f.ahead
	}
	if !have.holds(f.pos) {
		b := make([]byte, min(aheadBytes, f.opened.size-f.pos))
		if _, err := f.ReadAt(b, f.pos); err != nil {
			return 0, err
		}
		f.ahead = part{at: f.pos, content: b}
	}
	n := copy(p, have.content[f.pos-have.at:])
	f.pos += int64(n)
	return n, nil
}

func (p *part) holds(off int64) bool { return off >= p.at && off < p.at+int64(len(p.content)) }

// Seek sets where Read goes on.
func (f *file) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += f.opened.size
	}
	if f.closed || offset < 0 {
		return 0, f.object.fail("seek", fs.ErrInvalid)
	}
	f.pos = offset
	return offset, nil
}

// Stat describes the object.
func (f *file) Stat() (fs.FileInfo, error) { return info{f}, nil }

// Close ends the reading.
func (f *file) Close() error {
	if f.closed {
		return f.object.fail("close", fs.ErrClosed)
	}
	f.closed = true
	return nil
}

// info describes an object that is being read.
type info struct{ f *file }

func (i info) Name() string       { return path.Base(i.f.object.key) }
func (i info) Size() int64        { return i.f.opened.size }
func (i info) Mode() fs.FileMode  { return 0o444 }
func (i info) ModTime() time.Time { return i.f.opened.modified }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
