package commit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"golang.org/x/sync/errgroup"
)

// Receipt proves that an epoch is in every table it touches. Only a finished commit makes
// one, and only a Receipt moves the pipeline's position.
type Receipt struct {
	epoch int64
	end   capture.Position
}

// Epoch is the epoch's number.
func (r Receipt) Epoch() int64 { return r.epoch }

// End is the position behind the epoch.
func (r Receipt) End() capture.Position { return r.end }

const (
	// parallelTables bounds the tables that are committed at the same time.
	parallelTables = 4
	// rebaseTries bounds how often a share is built anew because the table moved.
	rebaseTries = 5
)

// committer lands epochs. It is used by one goroutine at a time, which has the members'
// tables to itself meanwhile.
type committer struct {
	cfg      table.Config
	pipeline string
	timeline int64
	fence    int64
	// quarantine has a table leave that cannot follow.
	quarantine bool
}

// landing is what a commit of one table came to.
type landing struct {
	member  *member
	mark    table.Mark
	change  *capture.Change   // of the table's shape, where that is what landed
	left    *table.Quarantine // why it was the table's last commit; nil: it was not
	changes Changes
	reused  int // data files that an attempt before had uploaded
	took    time.Duration
	unnoted error // an intent that could not be written: no harm either
	debris  error // old metadata that could not be removed: no harm, but worth a log line
}

// task is one table's part in a commit.
type task struct {
	member *member
	share  *share     // nil: the Mark alone
	load   table.Load // as of the epoch's end
}

// commit lands an epoch in every table that has a task. It owns the epoch's batches.
func (c *committer) commit(ctx context.Context, e *epoch, tasks []task) (Receipt, []landing, error) {
	defer e.release()
	landings := make([]landing, len(tasks))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelTables)
	for i, t := range tasks {
		g.Go(func() (err error) {
			landings[i], err = c.commitShare(gctx, e, t)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Receipt{}, nil, err
	}
	return Receipt{epoch: e.number, end: e.end}, landings, nil
}

// markOf is the Mark that a table gets.
func (c *committer) markOf(e *epoch, t task) table.Mark {
	m, s := t.member, t.share
	mark := table.Mark{
		Pipeline: c.pipeline, Timeline: c.timeline, Fence: c.fence, Epoch: e.number,
		Position: e.end, Committed: e.committed, Last: e.newest, Load: t.load,
	}
	if h := m.table.Head(); h.Begun() { // the table may be ahead of the epoch: what it has stays in its position
		if h.Mark.Timeline == mark.Timeline { // positions of two timelines have nothing to do with each other
			mark.Position, mark.Last = e.end.Union(h.Mark.Position), e.lastOf(h.Mark)
		}
		if mutated("split") && s != nil {
			mark.Position, mark.Last = h.Mark.Position, h.Mark.Last
		}
		if mark.Committed.IsZero() {
			mark.Committed = h.Mark.Committed
		}
		if s != nil && s.left != nil {
			s.left.keep(&mark, h.Mark)
		}
	}
	return mark
}

// landShare lands one table's share of an epoch, of which the table can follow all.
func (c *committer) landShare(ctx context.Context, e *epoch, t task) (landing, error) {
	m, s, mark := t.member, t.share, c.markOf(e, t)
	began := time.Now()
	l := landing{member: m, mark: mark}
	if s != nil {
		l.change = s.change
	}
	for range rebaseTries {
		d, err := c.build(ctx, e, t)
		if err != nil {
			return landing{}, err
		}
		if s != nil && s.left != nil {
			l.left = &s.left.why
			d.Leave(s.left.why)
		}
		if s != nil && d.Empty() && !s.loaded && m.table.Head().Marked() {
			return landing{member: m}, nil // the changes cancel out: the position may lag
		}
		what, err := c.land(ctx, m, d, mark, &l)
		l.changes.Inserted, l.changes.Updated, l.changes.Deleted, l.changes.Commits, l.changes.Written = d.Inserted, d.Updated, d.Deleted, 1, d.Written()
		l.took, l.reused = time.Since(began), d.Reused
		if err != nil || what == landed {
			return l, err
		}
		if s != nil && s.spill != nil {
			return landing{}, fmt.Errorf("%s: %w while an epoch larger than memory was written", m.Lake, table.ErrMoved)
		}
	}
	return landing{}, fmt.Errorf("%s: %w %d times while one epoch was written", m.Lake, table.ErrMoved, rebaseTries)
}

// build makes the Delta of a share on the table's current snapshot.
func (c *committer) build(ctx context.Context, e *epoch, t task) (*table.Delta, error) {
	m, s := t.member, t.share
	if s == nil {
		return m.table.Build(c.fence, e.number).Delta(), nil
	}
	b := m.table.Build(c.fence, e.number)
	if s.spill != nil {
		b = s.spill.build
	}
	if s.change != nil && s.change.Truncated {
		return m.table.Truncate(), nil
	}
	if s.change != nil {
		return m.table.Evolve(s.change)
	}
	if err := b.Loading(!t.load.Complete).Add(ctx, s.batches()); err != nil {
		return nil, err
	}
	failpoint("data-files-written")
	return b.Delta(), nil
}

// land commits a Delta. With landed the member's table has moved on to the new snapshot;
// with dead it has moved on to the one that won, where the Delta must be made anew.
func (c *committer) land(ctx context.Context, m *member, d *table.Delta, mark table.Mark, l *landing) (outcome, error) {
	var before []*table.Attempt // on the same snapshot: any of them may still land
	for range rebaseTries {
		a, err := m.table.Prepare(ctx, d, mark)
		if err != nil && len(before) == 0 {
			return 0, notOffered{err}
		}
		if err != nil {
			return 0, err
		}
		l.unnoted = errors.Join(l.unnoted, a.Unnoted)
		failpoint("uploaded")
		h, what, err := settle(ctx, c.cfg, a, c.fence)
		if err != nil {
			return 0, err
		}
		switch what {
		case landed:
			return landed, c.advance(ctx, m, a, d, h, l)
		case fenced:
			return 0, fencedBy(h, c.fence)
		}
		l.changes.Conflicts++
		if what == dead {
			if slices.ContainsFunc(before, func(b *table.Attempt) bool { return b.Landed(h) }) {
				return landed, m.table.Refresh(ctx, h)
			}
			if !mutated("norecheck") { // what has landed cannot be used again
				m.table.Keep(d)
			}
			return dead, c.rebase(ctx, m, h)
		}
		before = append(before, a)
		// Only numbers moved: the same Delta on the same snapshot, in a new attempt.
		if err := m.table.Refresh(ctx, h); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%s: other branches of the table do not come to rest", m.Lake)
}

// advance moves the member's table to the head that an attempt made. If others have
// already built on it, the table is loaded as it is now.
func (c *committer) advance(ctx context.Context, m *member, a *table.Attempt, d *table.Delta, h *table.Head, l *landing) error {
	failpoint("landed")
	if h.Snapshot != a.Snapshot {
		return m.table.Refresh(ctx, h)
	}
	err := m.table.Advance(ctx, a, d, h)
	if errors.Is(err, table.ErrDebris) {
		l.debris, err = err, nil
	}
	return err
}

// rebase moves the member's table to a head that others made. Only rewrites that change no
// row leave the position as it was; anything else was refused when the head was read.
func (c *committer) rebase(ctx context.Context, m *member, h *table.Head) error {
	if h.Fence > c.fence && !mutated("nofence") {
		return fmt.Errorf("%s: %w", m.Lake, ErrFenced)
	}
	if !h.Mark.Position.Equal(m.table.Head().Mark.Position) && !mutated("norecheck") {
		return fmt.Errorf("%s: %w: its position is %s, we left it at %s", m.Lake, table.ErrForeignRows, h.Mark.Position, m.table.Head().Mark.Position)
	}
	return m.table.Refresh(ctx, h)
}

// spill writes a part of an epoch to data files, so that a transaction larger than the
// budget can go on. It owns the part's batches.
func (c *committer) spill(ctx context.Context, e *epoch) error {
	defer e.release()
	for m, s := range e.shares {
		if s.spill.refused != nil {
			continue
		}
		if s.spill.build == nil {
			s.spill.build = m.table.Build(c.fence, e.number)
		}
		err := s.spill.build.Loading(s.loading).Add(ctx, s.batches())
		if c.quarantine && ofTable(err) {
			s.spill.refused, err = err, nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
