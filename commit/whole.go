package commit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"
)

// A table of which the server enforces no key is loaded before the stream is opened, in one
// snapshot of the source whose position is known exactly, and in one commit. Its position is that
// of the snapshot, so the stream passes over what the rows show already, as it does for any table
// that is ahead of it. A load that is cut off leaves nothing but files that nothing names.

// wholeTries bounds how often such a load is begun again because its connection broke.
const wholeTries = 5

// prepare does what has to be done before the stream is opened. done says that the pipeline was
// stopped meanwhile.
func (p *Pipeline) prepare(ctx context.Context, stop <-chan struct{}) (done bool, err error) {
	loading, cancel := context.WithCancel(ctx)
	var g errgroup.Group
	g.Go(func() error {
		select {
		case <-stop:
			cancel()
		case <-loading.Done():
		}
		return nil
	})
	err = p.loadWholes(loading)
	stopped := loading.Err() != nil && ctx.Err() == nil
	cancel()
	_ = g.Wait() // it has no errors
	if err != nil && stopped {
		return true, nil
	}
	return false, err
}

// loadWholes loads the members that are to be loaded in one snapshot.
func (p *Pipeline) loadWholes(ctx context.Context) error {
	members := slices.SortedFunc(maps.Values(p.members), func(a, b *member) int { return strings.Compare(a.name().String(), b.name().String()) })
	for _, m := range members {
		if err := p.loadWhole(ctx, m, &p.counters); err != nil {
			return err
		}
	}
	return nil
}

// loadWhole loads a member that is to be loaded in one snapshot, if it is not yet, and counts that.
func (p *Pipeline) loadWhole(ctx context.Context, m *member, c *counters) error {
	if m.load.complete || m.Source.Table.Identity == capture.ByKey {
		return nil
	}
	p.cfg.Logger.Info("loading table in one snapshot", "table", m.name().String(), "rows_estimate", m.Rows)
	noDates, err := backoff.Retry(ctx, func() (int64, error) {
		noDates, err := p.loadOnce(ctx, m)
		if err != nil && !capture.Transient(err) {
			return 0, backoff.Permanent(err)
		}
		if err != nil {
			p.cfg.Logger.Warn("initial load interrupted", "table", m.name().String(), "err", err)
		}
		return noDates, err
	}, backoff.WithMaxTries(wholeTries), backoff.WithMaxElapsedTime(0))
	if ofTable(err) && p.leavesFor(err) {
		return p.leaveUnloaded(ctx, m, err)
	}
	if err != nil {
		return fmt.Errorf("load %s: %w", m.name(), err)
	}
	c.LoadedRows += m.load.rows
	c.NoDates += noDates
	c.look(m)
	p.cfg.Logger.Info("table loaded", "table", m.name().String(), "rows", m.load.rows, "position", m.position.String())
	return nil
}

// leavesFor reports whether a table leaves that cannot be loaded, and the pipeline goes on.
func (p *Pipeline) leavesFor(err error) bool {
	var stop *capture.Stop
	if errors.As(err, &stop) && stop.Cause == capture.Dropped {
		return p.cfg.LeaveDropped
	}
	return p.cfg.Quarantine
}

// leaveUnloaded takes a member out of the pipeline that cannot be loaded.
func (p *Pipeline) leaveUnloaded(ctx context.Context, m *member, why error) error {
	s := &share{left: &leaving{why: whyOf(why, p.cfg.Tables.Now()), torn: true}}
	l, err := p.committer.commitShare(ctx, newEpoch(p.epoch, m.position), task{member: m, share: s, load: m.load.mark()})
	if err != nil {
		return err
	}
	m.left = l.left
	m.gone.Store(true)
	delete(p.members, m.name())
	p.putAside(m)
	t := m.table
	m.table = nil
	return t.Abandon()
}

// loadOnce reads a member's table and commits it. It gives how many dates that are none it had.
func (p *Pipeline) loadOnce(ctx context.Context, m *member) (noDates int64, err error) {
	r, err := p.cfg.Source.Reader(ctx, m.position.Flavor(), "")
	if err != nil {
		return 0, err
	}
	defer r.Close()
	w, err := r.ReadWhole(ctx, m.shape(), m.position)
	if err != nil {
		return 0, err
	}
	defer w.Close()
	now, err := p.cfg.Source.Position(ctx, &m.position)
	if err != nil {
		return 0, err
	}
	s := &share{loaded: true, spill: &spill{build: m.table.Build(p.committer.fence, p.epoch)}}
	rows, noDates, err := p.upload(ctx, w, s.spill.build)
	if err != nil {
		return 0, err
	}
	// What is prepared only is not executed: the position must not hold it.
	e := newEpoch(p.epoch, w.At().Intersect(now))
	l, err := p.committer.commitShare(ctx, e, task{m, s, table.Load{Complete: true}})
	if err != nil {
		return 0, err
	}
	m.position, m.load.complete, m.load.rows = l.mark.Position, true, rows
	m.loaded, m.loadedAt = true, time.Now()
	m.changes.add(l.changes)
	return noDates, nil
}

// upload makes data files of all rows of a table, as large as the memory of an epoch allows.
func (p *Pipeline) upload(ctx context.Context, w Whole, to *table.Builder) (rows, noDates int64, err error) {
	for {
		batches, none, err := gather(w, p.cfg.MaxBytes)
		noDates += none
		if err == nil {
			err = to.Add(ctx, batches)
		}
		for _, b := range batches {
			rows += int64(b.Rows())
			b.Release()
		}
		if err != nil || len(batches) == 0 {
			return rows, noDates, err
		}
	}
}

// gather reads until the rows take so much memory. The caller releases the batches, which it gets
// with an error too.
func gather(w Whole, limit int64) (out []*capture.Batch, noDates int64, err error) {
	for bytes := int64(0); bytes < limit; {
		b, none, err := w.Next()
		noDates += none
		if err != nil || b == nil {
			return out, noDates, err
		}
		out, bytes = append(out, b), bytes+b.Bytes()
	}
	return out, noDates, nil
}
