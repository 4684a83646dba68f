package commit

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"cdcd/capture"
	"golang.org/x/sync/errgroup"
)

const (
	// keepFences and keepRewinds bound those records in the control table.
	keepFences  = 20
	keepRewinds = 20
	// cutAfter is the number of commits of tables after which a cut is published whatever
	// the time: cuts are withdrawn only when one is published, and tables expire snapshots
	// with each commit.
	cutAfter = 20
	// cutDepth is how many snapshots of a table may follow the one that a cut names. It
	// leaves room for cutAfter commits before the table expires it.
	cutDepth = 60
)

// cutter publishes cuts: for every table the snapshot that shows the source at one
// position. It belongs to the loop.
type cutter struct {
	records []record // in the control table, as far as known
	newest  Cut      // that this process has published
	commits int      // of tables, since
	looked  int      // how many of these there were when old cuts were looked at
	number  int64    // of the newest epoch that landed; at start the greatest of any Mark
	other   bool     // the members or the cuts are no longer those of when taken was found out
	taken   bool     // no cut can have that number: one of it had other tables, or it is 0
}

// cutDue reports whether a cut is to be published now, or old ones are to be looked at where
// none can be. Nothing may be in flight. It is asked for every segment: what has to look at
// all tables comes last.
func (l *loop) cutDue(now time.Time) bool {
	c := &l.cuts
	switch {
	case c.commits == 0:
		return false
	case c.commits-c.looked >= cutAfter:
		return true
	}
	return (l.draining || now.Sub(c.newest.Published) >= l.p.cfg.Interval || l.reachedEnd()) && l.cuttable()
}

// renumber has a commit come before the next cut where a cut of the same number has other tables, or
// had them for a while: a table that comes back may have other rows. Who remembers the newest number
// would not learn of a table that came into cuts under it.
func (l *loop) renumber() {
	if !l.cuts.other {
		return
	}
	l.cuts.other = false
	old := numbered(l.cuts.records, l.cuts.number)
	had := map[string]bool{}
	for _, r := range old {
		had[r.table] = true
	}
	same := len(had) == l.inCuts()
	for _, m := range l.members {
		same = same && (m.anew || had[m.Lake.String()])
	}
	l.cuts.taken = l.cuts.taken || len(old) > 0 && !same || l.cuts.number == 0
}

// cuttable reports whether a cut can be published.
func (l *loop) cuttable() bool { return !l.cuts.taken && l.agreed() }

// numberless reports whether a cut could be published if there were a number for it.
func (l *loop) numberless() bool { return l.cuts.taken && l.agreed() }

// agreed reports whether the tables show the source at the finished position: all are
// loaded, and none is ahead.
func (l *loop) agreed() bool {
	if mutated("earlycut") {
		return l.inCuts() > 0
	}
	for _, m := range l.members {
		if m.anew {
			continue
		}
		if m.settled == nil || !l.finished.Reaches(*m.settled) || !l.finished.Covers(m.position) {
			return false
		}
	}
	return l.inCuts() > 0
}

// settling is the source's position at a moment, and the members whose load was over then.
type settling struct {
	members []*member
	at      capture.Position
	err     error
}

// startSettling asks for the source's position where loads have been over for long enough.
// An answer that does not come is asked for again.
func (l *loop) startSettling(ctx context.Context, g *errgroup.Group, now time.Time) {
	var over []*member
	for _, m := range l.members {
		if m.loaded && m.settled == nil && now.Sub(m.loadedAt) >= l.p.cfg.CutSettle {
			over = append(over, m)
		}
	}
	if l.settling || len(over) == 0 {
		return
	}
	l.settling = true
	g.Go(func() error {
		at, err := l.p.cfg.Source.Executed(ctx)
		l.settlings <- settling{over, at, err}
		return nil
	})
}

func (l *loop) onSettling(s settling, now time.Time) {
	l.settling = false
	for _, m := range s.members {
		if s.err != nil {
			m.loadedAt = now
			continue
		}
		m.settled = &s.at
	}
}

// startCut publishes a cut at the finished position, in the background. While a table is
// loaded there is none to publish, but those of before still have to go in time.
func (l *loop) startCut(ctx context.Context, g *errgroup.Group, now time.Time) {
	parts, remove := l.cutParts(), outdated(l.cuts.records, l.p.retained(), l.p.cfg.Tables.Now())
	if len(parts)+len(remove) == 0 {
		l.cuts.looked = l.cuts.commits
		return
	}
	if len(parts) > 0 { // one of that number shows the same rows of the same tables, perhaps at an earlier position
		remove = append(remove, numbered(l.cuts.records, l.cuts.number)...)
	}
	l.working = true
	cut := Cut{Number: l.cuts.number, Published: now, Position: l.finished}
	if len(parts) == 0 {
		cut = l.cuts.newest
	}
	number, at := l.cuts.number, l.finished
	members := slices.Collect(maps.Values(l.members)) // the loop may add to them meanwhile
	records := append(without(slices.Clone(l.cuts.records), remove), parts...)
	g.Go(func() error {
		began := time.Now()
		err := l.p.publish(ctx, number, at, parts, remove)
		took := time.Since(began)
		if err == nil {
			err = l.p.retag(ctx, members, records)
		}
		l.works <- work{cut: &cutWork{cut: cut, added: parts, removed: remove}, took: took, err: err}
		return nil
	})
}

// numbered gives the records of one cut.
func numbered(records []record, number int64) []record {
	var out []record
	for _, r := range records {
		if r.kind == kindCut && r.number == number {
			out = append(out, r)
		}
	}
	return out
}

// cutParts gives the records of a cut at the finished position, none where there can be no
// cut.
func (l *loop) cutParts() []record {
	if !l.cuttable() {
		return nil
	}
	var parts []record
	for _, m := range l.members {
		if m.anew {
			continue
		}
		parts = append(parts, record{
			kind: kindCut, number: l.cuts.number, table: m.Lake.String(), snapshot: m.table.Head().Snapshot, position: l.finished.String(),
			timeline: l.p.committer.timeline, sourceTime: l.counters.committedTime, recorded: l.p.cfg.Tables.Now(),
		})
	}
	return parts
}

// cutWork is a cut that was published.
type cutWork struct {
	cut            Cut
	added, removed []record
}

// publish commits records to the control table.
func (p *Pipeline) publish(ctx context.Context, number int64, at capture.Position, add, remove []record) error {
	e, err := p.controlEpoch(number, at, add, remove)
	if err != nil {
		return err
	}
	defer e.release()
	_, err = p.committer.commitShare(ctx, e, task{member: p.control, share: e.shares[p.control], load: p.control.load.mark()})
	return err
}

// recordFence notes in the control table who owns the pipeline now.
func (p *Pipeline) recordFence(ctx context.Context) error {
	owner, err := ownerName()
	if err != nil {
		return err
	}
	now := p.cfg.Tables.Now()
	own := record{
		kind: kindFence, number: p.committer.fence, timeline: p.committer.timeline, recorded: now,
		position: p.start.String(), owner: owner,
	}
	remove := outdated(p.records, p.retained(), now)
	if err := p.publish(ctx, p.epoch, p.start, []record{own}, remove); err != nil {
		return err
	}
	p.records = without(append(p.records, own), remove)
	return nil
}

// ownerName names this process to people.
func ownerName() (string, error) {
	host, err := os.Hostname()
	return fmt.Sprintf("%s, process %d", host, os.Getpid()), err
}

// onCut takes a published cut in.
func (c *cutter) onCut(w *cutWork) {
	c.newest, c.other = w.cut, true // the members may have changed meanwhile
	if c.looked = c.commits; len(w.added) > 0 {
		c.commits, c.looked = 0, 0
	}
	c.records = append(without(c.records, w.removed), w.added...)
}

// without drops records.
func without(records, gone []record) []record {
	type key struct {
		kind, table string
		number      int64
	}
	drop := map[key]bool{}
	for _, r := range gone {
		drop[key{r.kind, r.table, r.number}] = true
	}
	return slices.DeleteFunc(records, func(r record) bool { return drop[key{r.kind, r.table, r.number}] })
}

// retained is what a table still has of its snapshots.
type retained struct {
	ages map[int64]int   // how many newer ones there are
	tags map[int64]int64 // snapshots that do not expire, by the cuts that they are of
}

// retained gives what every member still has.
func (p *Pipeline) retained() map[string]retained {
	out := map[string]retained{}
	for _, m := range p.members {
		h := m.table.Head()
		out[m.Lake.String()] = retained{h.Ages(), h.CutTags()}
	}
	return out
}
