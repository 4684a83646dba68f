package commit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

const (
	// standWithin is how long the stream may take to come to a transaction's end when it is
	// asked to stand still.
	standWithin = 10 * time.Second
	// holdFor is how long it stands still at most until somebody says where it is to end. Who
	// asked may be dead.
	holdFor = 10 * time.Second
	// reachWithin is how long it may take to read on to there.
	reachWithin = 60 * time.Second
)

var (
	// ErrBusy reports that the stream is held for somebody else.
	ErrBusy = errors.New("another cut on demand is being made")
	// ErrNoCut reports that there can be no cut now.
	ErrNoCut = errors.New("no cut can be made now")
)

// Held is a stream that stands still between two transactions.
type Held struct {
	Token    int64 // names this hold
	Position capture.Position
	Server   string // which server process the stream reads, as capture.Stream.Server
}

// DemandedCut is a cut that was asked for.
type DemandedCut struct {
	Cut
	Snapshots map[table.Name]int64
	Stood     time.Duration // how long the stream stood still or was kept from reading on
}

// Hold brings the stream to stand still at a transaction's end. It goes on with CutAt, with
// Release, or by itself after holdFor.
func (p *Pipeline) Hold(ctx context.Context) (Held, error) {
	a, err := p.demand(ctx, demand{kind: demandHold})
	return a.held, err
}

// CutAt lets a stream that is held read on to exactly the given position, which holds all that
// it has delivered, and publishes a cut there. The stream goes on as soon as it has delivered
// that much and the commit of it has begun.
func (p *Pipeline) CutAt(ctx context.Context, token int64, at capture.Position) (DemandedCut, error) {
	a, err := p.demand(ctx, demand{kind: demandCut, token: token, at: at})
	return a.cut, err
}

// Release lets a stream that is held go on. It does nothing where it is not, or for another.
func (p *Pipeline) Release(ctx context.Context, token int64) error {
	_, err := p.demand(ctx, demand{kind: demandRelease, token: token})
	return err
}

// Cut publishes a cut at the end of what the stream has read by now.
func (p *Pipeline) Cut(ctx context.Context) (DemandedCut, error) {
	h, err := p.Hold(ctx)
	if err != nil {
		return DemandedCut{}, err
	}
	return p.CutAt(ctx, h.Token, h.Position)
}

type demandKind int

const (
	demandHold demandKind = iota
	demandCut
	demandRelease
)

// demand is what somebody outside of the loop wants of it.
type demand struct {
	kind  demandKind
	token int64
	at    capture.Position
	reply chan answer // has room for the one answer
}

type answer struct {
	held Held
	cut  DemandedCut
	err  error
}

// demand hands a demand to the loop and waits for its answer.
func (p *Pipeline) demand(ctx context.Context, d demand) (answer, error) {
	d.reply = make(chan answer, 1)
	select {
	case p.demands <- d:
	case <-p.ended:
		return answer{}, errEnding
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	select {
	case a := <-d.reply:
		return a, a.err
	case <-p.ended:
		return answer{}, errEnding
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

var errEnding = fmt.Errorf("%w: the daemon ends", ErrNoCut)

type phase int

const (
	free       phase = iota
	asked            // the stream is to come to a transaction's end
	standing         // it stands still
	readingOn        // it reads on to the target
	atTarget         // all up to the target is delivered, and nothing beyond
	committing       // that is being committed; the stream goes on
	publishing       // so is the cut
)

// hold is a cut on demand in the making. It belongs to the loop.
type hold struct {
	phase  phase
	token  int64     // of the newest hold
	until  time.Time // when the phase has taken too long
	since  time.Time // when the stream began to stand still
	stood  time.Duration
	target capture.Position
	reply  chan answer // of who waits; nil: nobody does
}

// still reports that the stream is kept from reading beyond the transaction that it is in.
func (h *hold) still() bool { return h.phase == asked || h.phase == standing || h.phase == atTarget }

// heldSince is when the stream was kept from reading freely; zero: it is not.
func (h *hold) heldSince() time.Time {
	if h.phase >= standing && h.phase <= atTarget {
		return h.since
	}
	return time.Time{}
}

func (h *hold) answer(a answer) {
	if h.reply != nil {
		h.reply <- a
	}
	h.reply = nil
}

// onDemand takes a demand in.
func (l *loop) onDemand(d demand, now time.Time) {
	h := &l.hold
	switch d.kind {
	case demandRelease:
		if h.phase == standing && h.token == d.token {
			l.letGo(nil)
		}
		d.reply <- answer{}
	case demandHold:
		if err := l.holdable(); err != nil {
			d.reply <- answer{err: err}
			return
		}
		*h = hold{phase: asked, token: h.token + 1, until: now.Add(standWithin), reply: d.reply}
		l.stream.Hold(true)
	case demandCut:
		if h.phase != standing || h.token != d.token {
			d.reply <- answer{err: fmt.Errorf("%w: the stream was no longer held", ErrNoCut)}
			return
		}
		h.reply = d.reply
		l.readOn(d.at, now)
	}
}

// holdable tells why no cut can be made, nil where one can.
func (l *loop) holdable() error {
	if l.hold.phase != free || l.renewing {
		return ErrBusy
	}
	if l.draining {
		return errEnding
	}
	var loading []string
	for _, m := range l.members {
		if m.settled == nil && !m.anew {
			loading = append(loading, m.Lake.String())
		}
	}
	if len(loading) > 0 {
		slices.Sort(loading)
		return fmt.Errorf("%w: not in cuts yet, for they are loaded or have just been: %s", ErrNoCut, strings.Join(loading, ", "))
	}
	return nil
}

// readOn lets the stream that stands still go on to the target.
func (l *loop) readOn(target capture.Position, now time.Time) {
	h := &l.hold
	if target.Flavor() != l.delivered.Flavor() || !target.Covers(l.delivered) {
		l.letGo(fmt.Errorf("%w: the stream is ahead of %s", ErrNoCut, target))
		return
	}
	h.phase, h.target, h.until = readingOn, target, now.Add(reachWithin)
	l.stream.EndAt(target)
	l.stream.Hold(false)
}

// stepHold moves a cut on demand forward where the stream has come to a transaction's end.
func (l *loop) stepHold(now time.Time) {
	h := &l.hold
	between := !l.reading && l.next == nil && !l.epoch.open
	switch {
	case h.phase == asked && between:
		h.phase, h.since, h.until = standing, now, now.Add(holdFor)
		h.answer(answer{held: Held{h.token, l.delivered, l.stream.Server()}})
	case h.phase == readingOn && between && l.delivered.Reaches(h.target):
		if !h.target.Covers(l.delivered) {
			l.letGo(fmt.Errorf("%w: the log has no end of a transaction at %s", ErrNoCut, h.target))
			return
		}
		h.phase, h.target = atTarget, l.delivered // without what is prepared only
	}
}

// expireHold lets the stream go on where a cut on demand takes too long.
func (l *loop) expireHold(now time.Time) {
	h := &l.hold
	if h.phase == free || h.phase > atTarget || now.Before(h.until) {
		return
	}
	l.p.cfg.Logger.Warn("the stream was held too long and goes on", "held", now.Sub(cmp.Or(h.since, now)))
	l.letGo(fmt.Errorf("%w: the stream did not come to where it was to end in time", ErrNoCut))
}

// letGo ends a cut on demand that was not made.
func (l *loop) letGo(err error) {
	l.hold.answer(answer{err: err})
	l.hold = hold{token: l.hold.token}
	l.stream.Hold(false)
}

// startDemanded publishes the cut that was asked for, if it is its turn: the tables show the
// target, and nothing is in flight.
func (l *loop) startDemanded(now time.Time, start func()) (started bool) {
	h := &l.hold
	if h.phase != committing && (h.phase != atTarget || !l.epoch.empty() || l.numberless()) {
		return false
	}
	l.resumed(now)
	if !l.finished.Equal(h.target) || !l.cuttable() {
		l.letGo(fmt.Errorf("%w: a table is ahead of the others, or came into being meanwhile", ErrNoCut))
		return false
	}
	h.phase = publishing
	start()
	return true
}

// resumed notes that the stream goes on.
func (l *loop) resumed(now time.Time) {
	if h := &l.hold; h.phase == atTarget {
		h.phase, h.stood = committing, now.Sub(h.since)
	}
}

// demanded answers who waits for the cut that has been published.
func (l *loop) demanded(w *cutWork) {
	h := &l.hold
	if h.phase != publishing {
		return
	}
	out := DemandedCut{Cut: w.cut, Snapshots: map[table.Name]int64{}, Stood: h.stood}
	for _, m := range l.members {
		for _, r := range w.added {
			if r.table == m.Lake.String() {
				out.Snapshots[m.Lake] = r.snapshot
			}
		}
	}
	h.answer(answer{cut: out})
	l.hold = hold{token: h.token}
}
