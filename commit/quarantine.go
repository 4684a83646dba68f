package commit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// A table leaves the pipeline where something concerns it alone that cannot be followed. Its last
// commit brings what came before, and says why in the table's properties; from then on nothing
// waits for it. Before that commit has landed nothing remembers it: a restart meets the same
// again, for the table's own position is before it.

// leaving is how a share is the last one of its table.
type leaving struct {
	why    table.Quarantine
	before capture.Position // that the table gets
	newest capture.Witness  // of a transaction in before
	// committed is the commit time of the newest one that this process has delivered before it.
	committed time.Time
	// torn tells that nothing of the share is kept: the table stays as it is.
	torn bool
}

// keep makes a Mark, made for the epoch's end, that of the table, which has was.
func (v *leaving) keep(mark *table.Mark, was table.Mark) {
	if mutated("leaveend") {
		return
	}
	mark.Position, mark.Committed, mark.Last = was.Position, was.Committed, was.Last
	if v.torn {
		mark.Load = was.Load
		return
	}
	mark.Position, mark.Last = v.before.Union(was.Position), later(v.newest, was)
	if v.committed.After(was.Committed) {
		mark.Committed = v.committed
	}
}

// ofTable reports whether an error concerns one table alone, which stays as it is.
func ofTable(err error) bool {
	var stop *capture.Stop
	return errors.As(err, &stop) && stop.Alone != (capture.Name{}) || errors.Is(err, table.ErrIncomplete)
}

// whyOf renders an error that ofTable holds for.
func whyOf(err error, now time.Time) table.Quarantine {
	var stop *capture.Stop
	if errors.As(err, &stop) {
		return table.Quarantine{Kind: kindOf(stop.Cause), Reason: stop.Reason(), GTID: stop.GTID, Since: now.UTC()}
	}
	return table.Quarantine{Kind: table.Unsupported, Reason: err.Error(), Since: now.UTC()}
}

// commitShare lands one table's share of an epoch. A table that cannot follow leaves as it is.
func (c *committer) commitShare(ctx context.Context, e *epoch, t task) (landing, error) {
	var l landing
	var err error
	if s := t.share; s != nil && s.spill != nil {
		err = s.spill.refused
	}
	if err == nil {
		l, err = c.landShare(ctx, e, t)
	}
	if !c.quarantine || t.share == nil || !ofTable(err) {
		return l, err
	}
	t.share.discard()
	t.share.left = &leaving{why: whyOf(err, c.cfg.Now()), torn: true}
	return c.landShare(ctx, e, t)
}

// depart takes tables out of the pipeline that the stream has let go. committed is the commit time
// of the epoch before the segment that says so.
func (l *loop) depart(left []capture.Departure, committed time.Time) {
	for _, d := range left {
		m := l.members[d.Table]
		if m == nil {
			continue
		}
		if d.Committed.After(committed) {
			committed = d.Committed
		}
		l.came = append(l.came, d.Table) // the source may have a table of its name
		l.leave(m, leaving{why: whyOf(d.Why, l.p.cfg.Tables.Now()), before: d.Before, newest: d.Newest, committed: committed, torn: d.Torn})
	}
}

// refusal is a table that cannot be loaded.
type refusal struct {
	member *member
	err    error
}

// onRefusal takes a table out of the pipeline that cannot be loaded.
func (l *loop) onRefusal(r refusal) {
	if r.member.left == nil {
		l.leave(r.member, leaving{why: whyOf(r.err, l.p.cfg.Tables.Now()), torn: true})
		l.forgets = append(l.forgets, r.member.name())
	}
}

// leave has a member leave with the open epoch.
func (l *loop) leave(m *member, how leaving) {
	s := l.epoch.share(m)
	if how.torn {
		l.epoch.forgo(s)
	}
	s.left, l.epoch.leaves = &how, true
	l.epoch.start(time.Now())
	l.part(m, &how.why)
}

// forgo gives up what a share holds.
func (e *epoch) forgo(s *share) {
	for _, b := range s.batches() {
		e.bytes -= b.Bytes()
	}
	s.discard()
}

// part takes a member out of the pipeline.
func (l *loop) part(m *member, why *table.Quarantine) {
	m.left = why
	m.gone.Store(true)
	m.load.abandon()
	delete(l.members, m.name())
	l.cuts.other = true
	l.p.aside[m.name()] = m
}

// onLeft takes in that the last commit of a table has landed. Where it was the committer that
// could not follow, the open epoch has more of the table, or the stream has let it go since: what
// has landed counts. Nothing is written to it any more.
func (l *loop) onLeft(ld landing) error {
	m := ld.member
	if s := l.epoch.shares[m]; s != nil {
		m.left = ld.left
		l.epoch.forgo(s)
		delete(l.epoch.shares, m)
		if l.epoch.empty() {
			l.epoch.began, l.epoch.altered, l.epoch.leaves = time.Time{}, false, false
		}
	}
	if l.members[m.name()] == m {
		l.part(m, ld.left)
		l.forgets = append(l.forgets, m.name())
	}
	l.p.logAside(m)
	t := m.table
	m.table = nil
	return t.Abandon()
}

// forget tells the stream, which is not read at the moment, of tables that have left.
func (l *loop) forget() {
	for _, n := range l.forgets {
		l.stream.Forget(n)
	}
	l.forgets = nil
}

// putAside notes a table that had left before the pipeline was opened.
func (p *Pipeline) putAside(m *member) {
	p.aside[m.name()] = m
	p.logAside(m)
}

// givesUp takes a table out of which others have changed the load anew. That is not stored: it is
// seen at each start, until the load begins again.
func (p *Pipeline) givesUp(m *member, h *table.Head, err error) bool {
	if !p.cfg.Quarantine || !errors.Is(err, table.ErrForeignLoad) {
		return false
	}
	left := *h
	left.Quarantine = &table.Quarantine{Kind: table.Interrupted, Reason: err.Error(), Since: p.cfg.Tables.Now().UTC()}
	delete(p.members, m.name())
	m.setAside(&left)
	p.putAside(m)
	return true
}

func (p *Pipeline) logAside(m *member) {
	if m.left.Dropped() {
		p.cfg.Logger.Warn("the source has dropped a table: its rows stay as they are", "table", m.Lake.String(), "source", m.name().String(), "gtid", m.left.GTID, "by", m.left.Reason)
		return
	}
	p.cfg.Logger.Error("table is quarantined: it stays as it is, the others go on", "table", m.Lake.String(), "source", m.name().String(),
		"gtid", m.left.GTID, "err", m.left.Reason, "repair", "cdcd resnapshot "+m.Lake.String())
}

// setAside makes a member one that has left.
func (m *member) setAside(h *table.Head) {
	m.left, m.position, m.last = h.Quarantine, h.Mark.Position, h
	m.gone.Store(true)
}

// arrive takes a chunk in.
func (m *member) arrive(a *arrival) {
	if m.left != nil {
		a.abandon()
		return
	}
	m.load.arrive(a)
}

// errGone reports a table that has left the pipeline while it was loaded.
var errGone = errors.New("the table is not replicated any more")

// unlessGone passes an error of a load on, but for those that end with the table.
func (s *loaders) unlessGone(ctx context.Context, m *member, err error) error {
	switch {
	case err == nil, errors.Is(err, errGone):
		return nil
	case !s.cfg.Quarantine || !ofTable(err):
		return fmt.Errorf("load %s: %w", m.name(), err)
	}
	select {
	case s.refusals <- refusal{m, err}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
