package commit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"golang.org/x/sync/errgroup"
)

// A table is loaded anew as one that came into being, but on a branch of its lake table: main
// stays as it is, and in no cut, until one commit makes it what the branch has become. Where the
// table stands is in the lake: it has left, or has such a branch, or neither.

// ErrNotRenewed reports a table that is not loaded anew. It is as it was, or has left because its name
// means no table any more.
var ErrNotRenewed = errors.New("the table is not loaded anew")

// renewal asks that a table is loaded anew.
type renewal struct {
	table table.Name
	reply chan error // has room for the one answer; nil: nobody waits
}

func (r renewal) answer(err error) {
	if r.reply != nil {
		r.reply <- err
	}
}

// Resnapshot begins to load a table anew, whether it has left or not, in the shape that it has on
// the source now. Readers see the rows of before until all of it is there. One that
// cannot be loaded leaves, and the status says why. After an error see ErrNotRenewed, unless the pipeline
// ends with one of its own.
func (p *Pipeline) Resnapshot(ctx context.Context, n table.Name) error {
	r := renewal{n, make(chan error, 1)}
	select {
	case p.renewals <- r:
	case <-p.ended:
		return errRenewEnding
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.reply:
		return err
	case <-p.ended:
		return errRenewEnding
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errRenewEnding = fmt.Errorf("%w: the daemon ends", ErrNotRenewed)

// renewalsWanted gives the channel of renewals while there is room for one.
func (l *loop) renewalsWanted() <-chan renewal {
	if len(l.renewals) > 0 {
		return nil
	}
	return l.p.renewals
}

// stepRenewal begins the renewal that waits, once the stream stands still and nothing is collected
// or in flight: so no change of the table is on its way to where it was.
func (l *loop) stepRenewal(ctx context.Context) error {
	if len(l.renewals) == 0 || l.hold.phase != free {
		return nil
	}
	if !l.renewing {
		l.renewing = true
		l.stream.Hold(true)
	}
	if l.draining {
		l.endRenewal(errRenewEnding)
		return nil
	}
	if l.working || l.reading || l.next != nil || l.epoch.open || !l.epoch.empty() {
		return nil
	}
	l.forget() // what is still to be forgotten is the table as it was
	err := l.renew(ctx, l.renewals[0].table)
	var refused notOffered
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	if err != nil && l.renewals[0].reply == nil {
		if capture.Transient(err) || errors.As(err, new(unanswered)) { // nobody would ask again before the next start
			return err
		}
		if err := l.stays(ctx, l.renewals[0].table, err); err != nil {
			return err
		}
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrNotRenewed, err)
		l.p.cfg.Logger.Warn("table is not loaded anew", "table", l.renewals[0].table.String(), "err", err)
	}
	l.endRenewal(err)
	return nil
}

func (l *loop) endRenewal(err error) {
	l.renewals[0].answer(err)
	l.renewals, l.renewing = l.renewals[1:], false
	l.stream.Hold(false)
}

// renew begins to load a table anew, or has it leave where it cannot be loaded. An error that is
// notOffered leaves all as it was, or says that there is no such table any more.
func (l *loop) renew(ctx context.Context, n table.Name) error {
	old, err := l.renewable(n)
	if err != nil {
		return notOffered{err}
	}
	fresh, at, ok, err := l.p.describe(ctx, old.Member.name(), l.delivered)
	switch {
	case err != nil:
		return notOffered{err}
	case !ok:
		return notOffered{fmt.Errorf("%s is gone from the source", old.Member.name())}
	case fresh.Lake != n:
		return notOffered{fmt.Errorf("by the configuration %s belongs to %s", old.Member.name(), fresh.Lake)}
	}
	l.p.epoch = l.epoch.number // all that is written of the table is of it, or of one behind
	h, err := l.p.fork(ctx, fresh, at)
	if err != nil {
		return err
	}
	if old.table != nil {
		if err := old.table.Abandon(); err != nil {
			return err
		}
		old.table = nil
	}
	if err := table.DropIndex(l.p.cfg.Tables, h); err != nil {
		return err
	}
	m := &member{Member: fresh, anew: true, former: h.Fence, changes: old.changes}
	if err := l.p.openTable(ctx, m, h, h.Mark.Position); err != nil {
		return err
	}
	l.p.cfg.Logger.Info("table is loaded anew", "table", n.String(), "source", m.name().String(), "position", h.Mark.Position.String())
	if err := l.p.loadWhole(ctx, m, &l.counters); err != nil {
		return err
	}
	if m.left != nil { // it could not be loaded
		old.gone.Store(true)
		delete(l.counters.content, old)
		l.stream.Forget(m.name())
		l.cuts.other = true
		l.publish() // who asked looks at the status next
		if m.left.OfName() {
			return notOffered{errors.New(m.left.Reason)}
		}
		return nil
	}
	return l.replace(old, m)
}

// renewable finds a table and tells why it cannot be loaded anew now.
func (l *loop) renewable(n table.Name) (*member, error) {
	for _, m := range l.p.aside {
		if m.Lake == n {
			return m, nil
		}
	}
	for _, m := range l.members {
		switch {
		case m.Lake != n:
		case m.anew || !m.loaded:
			return nil, errors.New("it is being loaded")
		default:
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", n, ErrUnknownTable)
}

// replace puts a member in the place of one that is not to be followed any more.
func (l *loop) replace(old, m *member) error {
	name := m.name()
	old.gone.Store(true)
	delete(l.p.aside, name)
	delete(l.counters.content, old)
	l.stream.Forget(name)
	if err := l.stream.Capture(m.capture()); err != nil {
		return err
	}
	m.take(m.Source.Table)
	l.members[name], l.cuts.other = m, true
	l.counters.look(m)
	if !m.load.complete {
		l.unloaded = append(l.unloaded, m)
	}
	l.publish() // who asked looks at the status next
	return nil
}

// fork begins the branch on which a table is loaded anew, at a position at which the source's table
// has the member's shape. What the table has is in that position too: the load shows all of it.
func (p *Pipeline) fork(ctx context.Context, m Member, at capture.Position) (*table.Head, error) {
	h, err := table.LoadHead(ctx, p.cfg.Tables, m.Lake)
	if err != nil {
		return nil, notOffered{ofLake(err)}
	}
	if h == nil || !h.Begun() {
		return nil, notOffered{fmt.Errorf("%s: there are no rows of it in the lake", m.Lake)}
	}
	return p.land(ctx, h, func(h *table.Head) (*table.Attempt, error) { // again where maintenance moves the table on
		if h.Fence > p.committer.fence {
			return nil, fencedBy(h, p.committer.fence)
		}
		a, err := table.PrepareAnew(ctx, p.cfg.Tables, h, m.Source, table.Mark{
			Pipeline: p.cfg.Pipeline, Timeline: p.committer.timeline, Fence: p.committer.fence, Epoch: p.epoch,
			Position: at.Union(h.Mark.Position), Committed: h.Mark.Committed, Last: h.Mark.Last,
		})
		if err != nil {
			return nil, notOffered{ofLake(err)}
		}
		return a, nil
	})
}

// unanswered is an error of the catalog or the store, which says nothing of the table.
type unanswered struct{ error }

// Unwrap gives the error.
func (e unanswered) Unwrap() error { return e.error }

// ofLake tells an error of the catalog or the store from what stands in the way of a load anew.
func ofLake(err error) error {
	if errors.Is(err, table.ErrUnfit) || permanent(err) {
		return err
	}
	return unanswered{err}
}

// takeStates finds out which tables have left, and goes on with the loads anew that were under way,
// whose positions are those of the branches. It is for heads behind the fence: what was loaded
// before may be older than the former owner's last commit.
func (p *Pipeline) takeStates(heads map[*member]*table.Head) error {
	for m, h := range heads {
		switch {
		case m == p.control:
			continue
		case h.Quarantine != nil:
			delete(p.members, m.name())
			m.setAside(h)
			p.putAside(m)
			continue
		case h.Anew():
			b, err := h.Branch(p.cfg.Tables)
			if p.givesUp(m, h, err) {
				continue
			}
			if err != nil {
				return err
			}
			h, heads[m], m.anew = b, b, true
			p.cfg.Logger.Info("table is loaded anew", "table", m.Lake.String(), "position", b.Mark.Position.String())
		}
		if err := m.takeSource(h); err != nil {
			return err
		}
	}
	return nil
}

// publishable gives a member that is loaded anew and can take main's place now: it is whole, and what
// its chunks may have shown too early has been delivered.
func (l *loop) publishable() *member {
	for _, m := range l.members {
		if m.anew && m.loaded && m.settled != nil && l.finished.Reaches(*m.settled) && l.replaceable(m) {
			return m
		}
	}
	return nil
}

// startPublish has a table that is loaded anew take main's place. Nothing may be in flight.
func (l *loop) startPublish(ctx context.Context, g *errgroup.Group) {
	m := l.publishable()
	if m == nil {
		return
	}
	l.working = true
	g.Go(func() error {
		began := time.Now()
		ld, err := l.p.committer.publish(ctx, m)
		l.works <- work{published: &ld, took: time.Since(began), err: err}
		return nil
	})
}

// publish lands what makes main what a table has become on its branch.
func (c *committer) publish(ctx context.Context, m *member) (landing, error) {
	l := landing{member: m}
	for range rebaseTries {
		d, err := m.table.Publish()
		if err != nil {
			return l, err
		}
		l.mark = m.table.Head().Mark
		l.mark.Fence = c.fence
		what, err := c.land(ctx, m, d, l.mark, &l)
		if err != nil || what == landed {
			return l, err
		}
	}
	return l, fmt.Errorf("%s: %w %d times while it took main's place", m.Lake, table.ErrMoved, rebaseTries)
}

// onPublished takes in that a table has taken main's place.
func (l *loop) onPublished(w work) {
	m := w.published.member
	m.anew = false
	l.cuts.other = true
	l.counters.look(m)
	l.cuts.commits++
	l.logDebris(*w.published)
	l.p.cfg.Logger.Info("table loaded anew is published", "table", m.Lake.String(), "snapshot_id", m.table.Head().Snapshot,
		"position", w.published.mark.Position.String(), "took_ms", fractional(w.took))
	l.publish()
}

// inCuts counts the members of which cuts are made.
func (l *loop) inCuts() int {
	n := 0
	for _, m := range l.members {
		if !m.anew {
			n++
		}
	}
	return n
}
