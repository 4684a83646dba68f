package commit

import (
	"context"
	"errors"
	"time"

	"cdcd/capture"
	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"
)

// loaders read tables for their initial load: one goroutine plans chunks, the others read
// them. Each has a connection of its own while there is something to do.
type loaders struct {
	cfg      Config
	server   string
	flavor   capture.Flavor
	toLoad   <-chan []*member
	openings chan<- opening
	arrivals chan<- *arrival
	refusals chan<- refusal
	jobs     chan job

	throttle  throttle        // of the planner alone
	throttles chan<- Throttle // what it tells the loop
}

const (
	// idleConnection is how long a connection without work is kept.
	idleConnection = 10 * time.Second
	// readFor bounds how long a chunk that cannot be read is tried again.
	readFor = 5 * time.Minute
	// alteredPoll is how often it is seen whether the stream has passed an ALTER TABLE whose
	// effect is met on the server.
	alteredPoll = 200 * time.Millisecond
	// chunkBytes is about what a chunk holds, where the user does not say.
	chunkBytes   = 8 << 20
	minChunkRows = 500
	maxChunkRows = 50_000
)

func newLoaders(cfg Config, l *loop) *loaders {
	return &loaders{
		cfg: cfg, server: l.server, flavor: l.delivered.Flavor(), toLoad: l.toLoad,
		openings: l.openings, arrivals: l.arrivals, refusals: l.refusals, jobs: make(chan job),
		throttle: throttle{state: Throttle{Limit: cfg.LoadMaxRunning}}, throttles: l.throttle.told,
	}
}

// start starts the goroutines in g.
func (s *loaders) start(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return s.plan(ctx) })
	for range s.cfg.LoadConnections {
		g.Go(func() error { return s.read(ctx) })
	}
}

// reader opens a reader, trying again where waiting can help.
func (s *loaders) reader(ctx context.Context) (Reader, error) {
	return backoff.Retry(ctx, func() (Reader, error) {
		return s.cfg.Source.Reader(ctx, s.flavor, s.server)
	}, backoff.WithMaxElapsedTime(readFor))
}

// plan plans the chunks of one table after another.
func (s *loaders) plan(ctx context.Context) error {
	var queue []*member
	for {
		if len(queue) == 0 {
			select {
			case queue = <-s.toLoad:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err := s.unlessGone(ctx, queue[0], s.planTable(ctx, queue[0])); err != nil {
			return err
		}
		queue = queue[1:]
		select {
		case more := <-s.toLoad:
			queue = append(queue, more...)
		default:
		}
	}
}

// planTable hands out the chunks that a table lacks, in the order of its key.
func (s *loaders) planTable(ctx context.Context, m *member) error {
	r, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { r.Close() }()
	number, size := 0, s.chunkRows(m)
	for _, gap := range capture.Gaps(m.load.done) {
		for last := false; !last; number++ {
			if m.gone.Load() {
				return errGone
			}
			bound, end, err := s.bound(ctx, &r, m, gap, size)
			if err != nil {
				return err
			}
			last = end
			j := job{member: m, number: number, within: capture.Range{After: gap.After, UpTo: bound}}
			gap.After = bound
			if err := s.hand(ctx, &r, j); err != nil {
				return err
			}
		}
	}
	return nil
}

// bound finds where the next chunk of a gap ends.
func (s *loaders) bound(ctx context.Context, r *Reader, m *member, gap capture.Range, size int) (bound capture.Bound, last bool, err error) {
	for since := time.Now(); ; {
		err := s.retry(ctx, r, func() (err error) {
			bound, last, err = (*r).Bound(ctx, m.now.Load(), gap, size)
			return err
		})
		if err == nil {
			return bound, last, nil
		}
		if err := s.awaitStream(ctx, m, err, since); err != nil {
			return nil, false, err
		}
	}
}

// chunkRows is how many rows a chunk of a table has.
func (s *loaders) chunkRows(m *member) int {
	if s.cfg.ChunkRows > 0 {
		return s.cfg.ChunkRows
	}
	n := maxChunkRows
	if m.RowBytes > 0 {
		n = int(chunkBytes / m.RowBytes)
	}
	return min(max(n, minChunkRows), maxChunkRows, s.cfg.MaxRows)
}

// retry runs an action on a reader, which is opened anew after an error.
func (s *loaders) retry(ctx context.Context, r *Reader, action func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := action()
		if err == nil || ctx.Err() != nil {
			return struct{}{}, err
		}
		if !capture.Transient(err) {
			return struct{}{}, backoff.Permanent(err)
		}
		s.cfg.Logger.Warn("initial load interrupted", "err", err)
		fresh, openErr := s.cfg.Source.Reader(ctx, s.flavor, s.server)
		if openErr != nil {
			return struct{}{}, openErr
		}
		(*r).Close()
		*r = fresh
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(readFor))
	return err
}

// read reads chunks.
func (s *loaders) read(ctx context.Context) error {
	var r Reader
	closeReader := func() {
		if r != nil {
			r.Close()
			r = nil
		}
	}
	defer closeReader()
	for {
		idle := time.NewTimer(idleConnection)
		select {
		case j := <-s.jobs:
			idle.Stop()
			if r == nil {
				var err error
				if r, err = s.reader(ctx); err != nil {
					return err
				}
			}
			if err := s.unlessGone(ctx, j.member, s.readChunk(ctx, &r, j)); err != nil {
				return err
			}
		case <-idle.C:
			closeReader()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// readChunk reads one chunk, in parts where its rows are larger than expected, and waits
// until each has joined an epoch: so each connection holds at most one part in memory.
func (s *loaders) readChunk(ctx context.Context, r *Reader, j job) error {
	since := time.Now()
	for rest := []capture.Range{j.within}; len(rest) > 0; {
		a := &arrival{job: j, joined: make(chan struct{})}
		var err error
		if a.window, err = s.openWindow(ctx, j); err != nil {
			return err
		}
		left := rest
		if a.chunk, left, err = s.readFirst(ctx, r, a.window.table, rest, a.window.after); err != nil {
			if err := s.awaitStream(ctx, j.member, err, since); err != nil {
				return err
			}
			a.chunk, a.window.shape, left = &capture.Chunk{Range: rest[0], High: a.window.after}, unread, rest[1:]
		}
		rest = left
		a.part = len(rest) > 0
		whole, rows := a.chunk.Range, 0
		if a.chunk.Batch != nil {
			rows = a.chunk.Batch.Rows()
		}
		if err := s.deliver(ctx, a); err != nil {
			return err
		}
		if j.member.gone.Load() {
			return errGone
		}
		if !a.stale {
			continue
		}
		again, err := s.split(ctx, r, a.window.table.Table, whole, rows/2) // the less is read at once, the sooner is it fresh
		if errors.Is(err, capture.ErrAltered) {
			again, err = []capture.Range{whole}, nil
		}
		if err != nil {
			return err
		}
		rest = append(again, rest...)
	}
	return nil
}

// split cuts a range in two, the first of so many rows, where it has more.
func (s *loaders) split(ctx context.Context, r *Reader, t *capture.Table, whole capture.Range, rows int) ([]capture.Range, error) {
	if rows == 0 {
		return []capture.Range{whole}, nil
	}
	var bound capture.Bound
	last := false
	err := s.retry(ctx, r, func() (err error) {
		bound, last, err = (*r).Bound(ctx, t, whole, rows)
		return err
	})
	if err != nil || last {
		return []capture.Range{whole}, err
	}
	return []capture.Range{{After: whole.After, UpTo: bound}, {After: bound, UpTo: whole.UpTo}}, nil
}

// awaitStream waits a little where a table was altered and the stream is still to meet that. It
// gives any other error back, and that one where it has lasted too long.
func (s *loaders) awaitStream(ctx context.Context, m *member, err error, since time.Time) error {
	if m.gone.Load() {
		return errGone
	}
	if !errors.Is(err, capture.ErrAltered) || time.Since(since) > readFor {
		return err
	}
	return pause(ctx, alteredPoll)
}

func (s *loaders) openWindow(ctx context.Context, j job) (window, error) {
	o := opening{job: j, reply: make(chan window, 1)}
	select {
	case s.openings <- o:
	case <-ctx.Done():
		return window{}, context.Cause(ctx)
	}
	select {
	case w := <-o.reply:
		if j.member.gone.Load() {
			return window{}, errGone
		}
		return w, nil
	case <-ctx.Done():
		return window{}, context.Cause(ctx)
	}
}

// readFirst reads the first range, or as much of it as fits into memory, and gives what is
// left.
func (s *loaders) readFirst(ctx context.Context, r *Reader, shape capture.Capture, ranges []capture.Range, after capture.Position) (*capture.Chunk, []capture.Range, error) {
	for {
		var chunk *capture.Chunk
		err := s.retry(ctx, r, func() (err error) {
			chunk, err = (*r).Read(ctx, shape, ranges[0], after)
			return err
		})
		var large *capture.TooLarge
		if !errors.As(err, &large) {
			return chunk, ranges[1:], err
		}
		parts, err := s.split(ctx, r, shape.Table, ranges[0], large.Rows/2) // one, where rows are gone meanwhile: it is smaller now
		if err != nil {
			return nil, nil, err
		}
		ranges = append(parts, ranges[1:]...)
	}
}

// deliver hands a chunk to the loop and waits until it has joined an epoch.
func (s *loaders) deliver(ctx context.Context, a *arrival) error {
	select {
	case s.arrivals <- a:
	case <-ctx.Done():
		if a.chunk.Batch != nil {
			a.chunk.Batch.Release()
		}
		return context.Cause(ctx)
	}
	select {
	case <-a.joined:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
