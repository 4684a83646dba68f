package commit

import (
	"context"
	"iter"

	"cdcd/capture"
	"cdcd/table"
	"cdcd/table/fileio"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"
)

// network is catalog and store as one daemon sees them. The daemons of lane 1 are those
// that the schedule is about.
type network struct {
	*world
	lane int
}

var (
	_ table.Catalog = (*network)(nil)
	_ fileio.Store  = (*network)(nil)
)

// LoadTable loads a table.
func (n *network) LoadTable(ctx context.Context, ident icetable.Identifier) (t *icetable.Table, err error) {
	object := tableOf(ident)
	at, f := n.arrive(n.lane, "load", object)
	n.traced(n.lane, at, f)
	if f == nil {
		return n.cat.LoadTable(ctx, ident)
	}
	n.act(f)
	if f.kind == stale {
		if old := n.previous(ident); old != nil {
			return old, nil
		}
	}
	err = n.carry(f, object, func() (err error) {
		t, err = n.cat.LoadTable(ctx, ident)
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// CommitTable offers a commit.
func (n *network) CommitTable(ctx context.Context, ident icetable.Identifier, reqs []icetable.Requirement, updates []icetable.Update) (meta icetable.Metadata, location string, err error) {
	ctx = context.WithoutCancel(ctx) // it may arrive when nobody waits for it any more
	e := n.offer(n.lane, ident, updates)
	delivered := false
	err = n.pass(n.lane, "commit", tableOf(ident), func() error {
		m, l, err := n.land(ctx, ident, reqs, updates)
		if !delivered { // what comes twice is answered once
			meta, location, delivered = m, l, true
		}
		e.applied = e.applied || err == nil
		return err
	})
	e.answered = err == nil
	n.note(*e)
	if err != nil {
		return nil, "", err
	}
	return meta, location, nil
}

// CreateTable creates a table.
func (n *network) CreateTable(ctx context.Context, ident icetable.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (t *icetable.Table, err error) {
	ctx = context.WithoutCancel(ctx)
	delivered := false
	err = n.pass(n.lane, "create", tableOf(ident), func() error {
		created, err := n.cat.CreateTable(ctx, ident, schema, opts...)
		if !delivered {
			t, delivered = created, true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// CreateNamespace creates a namespace.
func (n *network) CreateNamespace(ctx context.Context, namespace icetable.Identifier, props iceberg.Properties) error {
	ctx = context.WithoutCancel(ctx)
	return n.pass(n.lane, "namespace", namespace[0], func() error { return n.cat.CreateNamespace(ctx, namespace, props) })
}

// IO gives the store to the Iceberg library.
func (n *network) IO(ctx context.Context) fileio.IO { return &networkIO{n, ctx} }

// Read reads an object.
func (n *network) Read(ctx context.Context, name string) (b []byte, tag fileio.Tag, err error) {
	err = n.pass(n.lane, "read", objectOf(name), func() (err error) {
		b, tag, err = n.store.Read(ctx, name)
		return err
	})
	return b, tag, err
}

// ReadRange reads a part of an object.
func (n *network) ReadRange(ctx context.Context, name string, offset, length int64) (b []byte, err error) {
	err = n.pass(n.lane, "read", objectOf(name), func() (err error) {
		b, err = n.store.ReadRange(ctx, name, offset, length)
		return err
	})
	return b, err
}

// Create begins an object. It is put when it is closed.
func (n *network) Create(ctx context.Context, name string) (fileio.Writer, error) {
	w, err := n.store.Create(ctx, name)
	return &networkWriter{w, n, name}, err
}

// Put makes an object.
func (n *network) Put(ctx context.Context, name string, content []byte) (tag fileio.Tag, err error) {
	ctx = context.WithoutCancel(ctx)
	err = n.pass(n.lane, "put", objectOf(name), func() (err error) {
		tag, err = n.store.Put(ctx, name, content)
		return err
	})
	return tag, err
}

// Replace replaces an object.
func (n *network) Replace(ctx context.Context, name string, content []byte, old fileio.Tag) (tag fileio.Tag, err error) {
	err = n.pass(n.lane, "put", objectOf(name), func() (err error) {
		tag, err = n.store.Replace(ctx, name, content, old)
		return err
	})
	return tag, err
}

// List lists objects.
func (n *network) List(ctx context.Context, prefix string) iter.Seq2[fileio.Object, error] {
	if err := n.pass(n.lane, "list", objectOf(prefix), func() error { return nil }); err != nil {
		return func(yield func(fileio.Object, error) bool) { yield(fileio.Object{}, err) }
	}
	return n.store.List(ctx, prefix)
}

// Remove removes an object.
func (n *network) Remove(ctx context.Context, name string) error {
	ctx = context.WithoutCancel(ctx)
	return n.pass(n.lane, "remove", objectOf(name), func() error {
		n.removing(name)
		return n.store.Remove(ctx, name)
	})
}

// networkWriter writes an object.
type networkWriter struct {
	fileio.Writer
	n    *network
	name string
}

// Close makes the object.
func (w *networkWriter) Close() error {
	return w.n.pass(w.n.lane, "put", objectOf(w.name), w.Writer.Close)
}

// networkIO is the store for the library.
type networkIO struct {
	n   *network
	ctx context.Context
}

// Open opens an object.
func (o *networkIO) Open(name string) (f iceio.File, err error) {
	err = o.n.pass(o.n.lane, "read", objectOf(name), func() (err error) {
		f, err = o.n.store.IO(o.ctx).Open(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ReadFile reads an object.
func (o *networkIO) ReadFile(name string) ([]byte, error) {
	b, _, err := o.n.Read(o.ctx, name)
	return b, err
}

// Create makes an object.
func (o *networkIO) Create(name string) (iceio.FileWriter, error) { return o.n.Create(o.ctx, name) }

// WriteFile makes an object, of which half may be there after an error.
func (o *networkIO) WriteFile(name string, content []byte) error {
	ctx := context.WithoutCancel(o.ctx)
	at, f := o.n.arrive(o.n.lane, "put", objectOf(name))
	o.n.traced(o.n.lane, at, f)
	put := func() error { return o.n.store.IO(ctx).WriteFile(name, content) }
	switch {
	case f == nil:
		return put()
	case f.kind == torn:
		_ = o.n.store.IO(ctx).WriteFile(name, content[:len(content)/2])
		return errInjected
	}
	o.n.act(f)
	return o.n.carry(f, objectOf(name), put)
}

// Remove removes an object.
func (o *networkIO) Remove(name string) error { return o.n.Remove(o.ctx, name) }

// networkSource is the source as a daemon sees it.
type networkSource struct{ n *network }

func (s *networkSource) asked(op string) error {
	return s.n.pass(s.n.lane, op, "source", func() error { return nil })
}

func (s *networkSource) Position(ctx context.Context, known *capture.Position) (capture.Position, error) {
	if err := s.asked("position"); err != nil {
		return capture.Position{}, err
	}
	return s.n.server.Position(ctx, known)
}

func (s *networkSource) Executed(ctx context.Context) (capture.Position, error) {
	if err := s.asked("executed"); err != nil {
		return capture.Position{}, err
	}
	return s.n.server.Executed(ctx)
}

func (s *networkSource) Stream(start capture.Position, witnesses []capture.Witness, tables []capture.Capture) (Stream, error) {
	stream, err := s.n.server.Stream(start, witnesses, tables)
	return &networkStream{stream, s}, err
}

func (s *networkSource) Reader(ctx context.Context, flavor capture.Flavor, server string) (Reader, error) {
	r, err := s.n.server.Reader(ctx, flavor, server)
	return &networkReader{r, s}, err
}

func (s *networkSource) Member(ctx context.Context, name capture.Name) (Member, bool, error) {
	return s.n.server.Member(ctx, name)
}

// networkStream is the stream as a daemon sees it.
type networkStream struct {
	Stream
	source *networkSource
}

func (s *networkStream) Connect(ctx context.Context) error {
	if err := s.source.asked("connect"); err != nil {
		return err
	}
	return s.Stream.Connect(ctx)
}

func (s *networkStream) Next(ctx context.Context) (*capture.Segment, error) {
	if err := s.source.asked("next"); err != nil {
		return nil, err
	}
	return s.Stream.Next(ctx)
}

// networkReader reads chunks as a daemon does.
type networkReader struct {
	Reader
	source *networkSource
}

func (r *networkReader) Bound(ctx context.Context, t *capture.Table, within capture.Range, rows int) (capture.Bound, bool, error) {
	if err := r.source.asked("bound"); err != nil {
		return nil, false, err
	}
	return r.Reader.Bound(ctx, t, within, rows)
}

func (r *networkReader) Read(ctx context.Context, c capture.Capture, within capture.Range, after capture.Position) (*capture.Chunk, error) {
	if err := r.source.asked("chunk"); err != nil {
		return nil, err
	}
	return r.Reader.Read(ctx, c, within, after)
}
