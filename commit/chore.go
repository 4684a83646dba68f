package commit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cdcd/table"
	"golang.org/x/sync/errgroup"
)

// ErrUnknownTable reports a table that the pipeline does not write.
var ErrUnknownTable = errors.New("the pipeline writes no such table")

// errNoChores reports that nothing more is maintained.
var errNoChores = fmt.Errorf("the daemon ends: %w", context.Canceled)

// chore is what maintenance asks of the loop: a survey of a table, or that a rewrite lands. It is
// done between two commits.
type chore struct {
	table   table.Name
	rewrite *table.Rewrite   // nil: a survey
	reply   chan choreResult // has room for the one result
}

type choreResult struct {
	survey *table.Survey
	err    error
}

// Survey gives what a table of the pipeline, or its control table, is made of.
func (p *Pipeline) Survey(ctx context.Context, n table.Name) (*table.Survey, error) {
	r, err := p.ask(ctx, chore{table: n})
	return r.survey, err
}

// Replace lands a rewrite: its output takes the place of its inputs in one commit, which keeps
// the table's position. After any error the rewrite is not in the table, unless the pipeline
// ends with an error of its own; with [table.ErrOutdated] it never will be.
func (p *Pipeline) Replace(ctx context.Context, rw *table.Rewrite) error {
	_, err := p.ask(ctx, chore{table: rw.Name, rewrite: rw})
	return err
}

// ask hands a chore to the loop and waits for its result. Once a rewrite has been handed over, it
// is waited for whatever becomes of ctx: who asked has to know the outcome.
func (p *Pipeline) ask(ctx context.Context, c chore) (choreResult, error) {
	c.reply = make(chan choreResult, 1)
	select {
	case p.chores <- c:
	case <-p.ended:
		return choreResult{}, errNoChores
	case <-ctx.Done():
		return choreResult{}, ctx.Err()
	}
	select {
	case r := <-c.reply:
		return r, r.err
	case <-p.ended:
	}
	select {
	case r := <-c.reply: // before the end
		return r, r.err
	default:
		return choreResult{}, errNoChores
	}
}

// written gives the member that is kept in a lake table, nil where there is none.
func (l *loop) written(n table.Name) *member {
	if l.p.control.Lake == n {
		return l.p.control
	}
	for _, m := range l.members {
		if m.Lake == n {
			return m
		}
	}
	return nil
}

// startChore does the chore that waits, if it is its turn. Nothing may be in flight.
func (l *loop) startChore(ctx context.Context, g *errgroup.Group) {
	c := l.chore
	if c == nil {
		return
	}
	m := l.written(c.table)
	switch {
	case m == nil:
		l.answerChore(choreResult{err: fmt.Errorf("%s: %w", c.table, ErrUnknownTable)})
	case c.rewrite == nil:
		l.answerChore(choreResult{survey: m.table.Survey()})
	case l.draining:
		l.answerChore(choreResult{err: errNoChores})
	case l.replaceable(m):
		l.startReplace(ctx, g, m, c.rewrite)
	}
}

// choresWanted gives the channel of chores while there is room for one.
func (l *loop) choresWanted() <-chan chore {
	if l.chore != nil {
		return nil
	}
	return l.p.chores
}

func (l *loop) answerChore(r choreResult) {
	l.chore.reply <- r
	l.chore = nil
}

// replaceable reports whether a table may get another snapshot now: not while a part of an epoch
// is built on the one that it has, nor while somebody waits for a cut.
func (l *loop) replaceable(m *member) bool {
	s := l.epoch.shares[m]
	return l.hold.phase == free && (s == nil || s.spill == nil)
}

// replaceWork is a rewrite that was offered.
type replaceWork struct {
	landing landing
	refused error // it is not in the table, and the pipeline goes on
}

func (l *loop) startReplace(ctx context.Context, g *errgroup.Group, m *member, rw *table.Rewrite) {
	l.working = true
	g.Go(func() error {
		began := time.Now()
		ld, err := l.p.committer.replace(ctx, m, rw)
		w := work{replace: &replaceWork{landing: ld}, took: time.Since(began)}
		if errors.As(err, new(notOffered)) {
			w.replace.refused = err
		} else {
			w.err = err
		}
		l.works <- w
		return nil
	})
}

// onReplace takes the result of a rewrite in.
func (l *loop) onReplace(w work) {
	ld := w.replace.landing
	if w.replace.refused == nil {
		if ld.member != l.p.control {
			l.counters.look(ld.member)
			l.cuts.commits++ // so that the next cut is one of fewer files
		}
		l.logDebris(ld)
		l.p.cfg.Logger.Debug("files replaced", "table", ld.member.Lake.String(), "snapshot_id", ld.member.table.Head().Snapshot, "took_ms", fractional(w.took))
	}
	ld.member.changes.Conflicts += ld.changes.Conflicts
	l.publish() // who asked looks at the status next
	l.answerChore(choreResult{err: w.replace.refused})
}

// replace lands a rewrite with the table's own Mark. Where others have changed the table
// meanwhile, it is tried on what is there now.
func (c *committer) replace(ctx context.Context, m *member, rw *table.Rewrite) (landing, error) {
	l := landing{member: m}
	for range rebaseTries {
		d, err := m.table.Replace(rw)
		if err != nil {
			return l, notOffered{err}
		}
		l.mark = m.table.Head().Mark
		l.mark.Fence = c.fence
		what, err := c.land(ctx, m, d, l.mark, &l)
		if err != nil || what == landed {
			return l, err
		}
	}
	return l, notOffered{fmt.Errorf("%s: %w %d times while files were replaced", m.Lake, table.ErrMoved, rebaseTries)}
}

// notOffered is an error that ends nothing but what was asked for.
type notOffered struct{ error }

// Unwrap gives the error.
func (e notOffered) Unwrap() error { return e.error }
