package commit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"cdcd/capture"
)

// onSegment takes a segment in. Where the stream ends, what it has delivered is committed
// first: so a stop leaves the tables at the transaction before it.
func (l *loop) onSegment(ctx context.Context, r read) error {
	if r.err != nil {
		if l.epoch.open || ctx.Err() != nil {
			return r.err
		}
		if !l.draining { // else nothing more is wanted of it
			l.draining, l.ending = true, r.err
		}
		return nil
	}
	if server := l.stream.Server(); server != l.server && len(l.loading()) > 0 {
		r.segment.Release()
		return fmt.Errorf("the stream moved from server %s to %s while tables are loaded: starting over", l.server, server)
	}
	l.next = r.segment
	l.counters.delivered(r.segment)
	l.placeNext()
	return nil
}

// shownWithin bounds how long the source may not show what the stream has delivered.
const shownWithin = time.Minute

// shown reports that tables came into being, and that the source shows them: the log runs ahead of
// it. Until then the stream is not read on.
func (l *loop) shown(ctx context.Context) (bool, error) {
	if len(l.came) == 0 {
		return false, nil
	}
	at, err := l.p.cfg.Source.Executed(ctx)
	if err == nil && !at.Covers(l.delivered) && time.Since(l.cameAt) > shownWithin {
		err = fmt.Errorf("the source does not show %s of its own log after %v", l.delivered, shownWithin)
	}
	return err == nil && at.Covers(l.delivered), err
}

// loading gives the members whose load is not complete.
func (l *loop) loading() []*member {
	var out []*member
	for _, m := range l.members {
		if !m.load.complete {
			out = append(out, m)
		}
	}
	return out
}

// placeNext joins the waiting segment to the epoch, unless that makes it too large: then
// the epoch is cut first.
func (l *loop) placeNext() {
	s := l.next
	if s == nil {
		return
	}
	if !l.epoch.open && !l.epoch.empty() && (l.epoch.rows+s.Rows > l.p.cfg.MaxRows || l.atPrepared() || l.epoch.altered || s.Change != nil) {
		if mutated("early") {
			l.epoch.end = s.End
		}
		return
	}
	l.next = nil
	l.delivered = s.End
	if s.Change != nil {
		l.alter(s.Change)
	}
	committed := l.epoch.committed
	l.epoch.addSegment(s, l.members, time.Now())
	l.record(s.Batches)
	l.depart(s.Left, committed)
	l.came = append(l.came, s.Created...) // not before the segment joins: one of the name may leave in it
	l.cameAt = time.Now()
}

// alter takes a table's new shape in. Where keys may have another order, the ranges of them that are
// loaded, and those that are being read, mean other rows.
func (l *loop) alter(c *capture.Change) {
	m := l.members[c.Table.Name]
	if m == nil {
		return
	}
	m.alter(c)
	if c.Reordered && !m.load.complete {
		l.loadAgain(m, "an ALTER TABLE that may change the order of keys came while the table is loaded")
	}
}

// record tells the loads which rows the stream has delivered.
func (l *loop) record(batches []*capture.Batch) {
	for _, b := range batches {
		m := l.members[b.Table.Name]
		if m == nil {
			continue
		}
		if !m.load.complete && b.Moved() {
			// What the log does not say of the row may be in no row of the lake, nor in one that is still
			// to be read.
			l.loadAgain(m, "a key changed in a row image without all columns while the table is loaded (binlog_row_image = FULL avoids it)")
		}
		if m.load.recorder == nil {
			continue
		}
		if err := m.load.recorder.record(b); err != nil {
			panic("commit: keys of a delivered batch cannot be encoded: " + err.Error()) // the same keys were checked when the table was opened
		}
	}
}

// loadAgain ends the daemon behind the open epoch, and has the table loaded from the beginning at
// the next start.
func (l *loop) loadAgain(m *member, why string) {
	m.load.done = nil
	l.draining = true
	l.ending = cmp.Or(l.ending, fmt.Errorf("%s: %s: starting its load over", m.name(), why))
}

// joinChunks joins the chunks that the stream has caught up with. Where a table is to be loaded anew,
// which takes an empty epoch, they wait: chunks of others could fill one after the other.
func (l *loop) joinChunks() error {
	if l.epoch.open || l.epoch.altered || l.draining || l.renewing {
		return nil
	}
	for _, m := range l.members {
		for l.epoch.rows < l.p.cfg.MaxRows && l.epoch.bytes < l.p.cfg.MaxBytes {
			a := m.load.ready(l.delivered)
			if a == nil {
				break
			}
			if a.window.shape != m.load.shape {
				m.load.refuse(a)
				break
			}
			if !l.epoch.empty() && a.chunk.Batch != nil && l.epoch.rows+a.chunk.Batch.Rows() > l.p.cfg.MaxRows {
				break
			}
			if err := l.join(m, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *loop) join(m *member, a *arrival) error {
	rows := int64(0)
	if a.chunk.Batch != nil {
		rows = int64(a.chunk.Batch.Rows())
	}
	b, err := m.load.join(a, l.p.cfg.Tables.Memory)
	if errors.Is(err, errStale) {
		return nil
	}
	if err != nil {
		return err
	}
	m.load.rows += rows
	l.counters.LoadedRows += rows
	l.counters.NoDates += a.chunk.NoDates
	l.epoch.addChunk(m, b, m.load.place(a.window), time.Now())
	if m.load.complete {
		l.p.cfg.Logger.Info("table loaded", "table", m.name().String(), "rows", m.load.rows)
	}
	return nil
}

func (l *loop) onOpening(o opening) error {
	m := o.job.member
	if m.left != nil {
		o.reply <- window{shape: unread}
		return nil
	}
	w, err := m.load.openWindow(m.shape(), l.delivered.Union(m.position), l.epoch.logged(m))
	if err != nil {
		return err
	}
	o.reply <- w
	return nil
}

// adopt takes in the tables that came into being. At the end they are left to the next start, which finds
// them as well: the source may not be asked any more.
func (l *loop) adopt(ctx context.Context) error {
	var err error
	if !l.ends() {
		err = l.takeIn(ctx)
	}
	if l.ends() { // by now, too
		l.came = nil
		return nil
	}
	return err
}

// ends reports that nothing more is to be read.
func (l *loop) ends() bool {
	select {
	case <-l.stop: // nil where nobody can stop it
		return true
	default:
		return l.draining
	}
}

// takeIn creates the lake tables of tables that came into being, captures them from now on and has
// them loaded.
func (l *loop) takeIn(ctx context.Context) error {
	names := l.came
	if shown, err := l.shown(ctx); !shown || err != nil {
		return err
	}
	l.came = nil
	l.p.epoch = l.epoch.number // what is written from here on is of it, or of one behind
	var members []*member
	for _, n := range names {
		if m := l.p.aside[n]; m != nil {
			if err := l.ask(ctx, m); err != nil {
				return err
			}
			continue
		}
		m, err := l.p.adopt(ctx, n, l.delivered)
		if err != nil {
			return err
		}
		if m == nil {
			continue
		}
		if err := l.p.loadWhole(ctx, m, &l.counters); err != nil {
			return err
		}
		if m.left != nil { // if it was dropped, the log tells when its name means a table again
			continue
		}
		if err := l.stream.Capture(m.capture()); err != nil {
			return err
		}
		m.take(m.Source.Table)
		l.members[n], l.cuts.other = m, true
		l.counters.look(m)
		if !m.load.complete {
			members = append(members, m)
		}
	}
	l.unloaded = append(l.unloaded, members...)
	return nil
}
