package commit

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"golang.org/x/sync/errgroup"
)

// loop owns the pipeline's state while it runs. At any time at most one segment is being
// read and one epoch is being committed or spilled.
type loop struct {
	p      *Pipeline
	stream Stream
	stop   <-chan struct{}

	members   map[capture.Name]*member
	epoch     *epoch           // being collected
	next      *capture.Segment // read, but has no room in the epoch
	delivered capture.Position // behind the last segment that joined an epoch
	finished  capture.Position // everything up to here is in the lake

	reading, working bool
	prepared         []capture.Position // where the former owner's open commits would have ended
	inFlight         time.Time          // when the first change of the epoch that is committed was delivered
	draining         bool               // no more reading: commit what is there and end
	ending           error              // why the stream ended, where it did: nothing behind it can be had
	server           string

	segments chan read
	works    chan work
	openings chan opening
	arrivals chan *arrival
	toLoad   chan []*member
	unloaded []*member // to be handed to the loaders
	refusals chan refusal
	forgets  []capture.Name // of which the stream is to deliver nothing more
	renewals []renewal      // that wait
	renewing bool           // the stream is kept from reading on for one
	throttle throttling
	came     []capture.Name // that came into being; the stream is not read on before they are taken in
	cameAt   time.Time      // when the newest of them was delivered

	cuts      cutter
	settling  bool // the source is asked for its position
	settlings chan settling

	chore *chore // of maintenance, waiting for its turn or being done; nil: none

	hold     hold
	counters counters
}

// read is a segment or the error that came instead.
type read struct {
	segment *capture.Segment
	err     error
}

// work is what became of a commit or a spill.
type work struct {
	receipt  Receipt
	landings []landing
	took     time.Duration
	spill    bool
	cut      *cutWork     // nil for others
	replace  *replaceWork // nil for others
	// published is a table that was loaded anew; nil for others.
	published *landing
	err       error
}

// tick is how often the loop looks at the clock.
const tick = 100 * time.Millisecond

func newLoop(p *Pipeline, stream Stream, stop <-chan struct{}) *loop {
	l := &loop{
		p: p, stream: stream, stop: stop, members: p.members, epoch: newEpoch(p.epoch, p.start),
		delivered: p.start, finished: p.start,
		segments: make(chan read, 1), works: make(chan work, 1),
		openings: make(chan opening), arrivals: make(chan *arrival), toLoad: make(chan []*member),
		refusals: make(chan refusal), throttle: throttling{told: make(chan Throttle)}, server: stream.Server(),
		counters: p.counters, prepared: slices.Clone(p.prepared), settlings: make(chan settling, 1), cuts: cutter{records: p.records, number: p.epoch - 1, other: true},
	}
	for _, m := range l.members {
		m.take(m.Source.Table)
	}
	l.unloaded = l.loading()
	l.came, l.cameAt = slices.Collect(maps.Keys(p.aside)), time.Now() // while no daemon ran, names of them may have come to mean tables
	return l
}

// run is the loop. It ends with errFinished when everything is done.
func (l *loop) run(ctx context.Context, g *errgroup.Group) error {
	ticker := time.NewTicker(min(tick, l.p.cfg.Interval))
	defer ticker.Stop()
	stop := l.stop
	for {
		if err := l.proceed(ctx, g); err != nil {
			return err
		}
		var toLoad chan []*member
		if len(l.unloaded) > 0 {
			toLoad = l.toLoad
		}
		openings := l.openings
		if l.epoch.open {
			openings = nil // a chunk may not show the transaction, of whose keys a part has passed unrecorded
		}
		select {
		case r := <-l.segments:
			l.reading = false
			if err := l.onSegment(ctx, r); err != nil {
				return err
			}
		case toLoad <- l.unloaded:
			l.unloaded = nil
		case w := <-l.works:
			l.working = false
			if err := l.onWork(w); err != nil {
				return err
			}
		case o := <-openings:
			if err := l.onOpening(o); err != nil {
				return err
			}
		case l.throttle.now = <-l.throttle.told:
		case a := <-l.arrivals:
			a.job.member.arrive(a)
		case r := <-l.refusals:
			l.onRefusal(r)
		case s := <-l.settlings:
			l.onSettling(s, time.Now())
		case n := <-l.p.cfg.Touched:
			l.onTouched(n)
		case c := <-l.choresWanted():
			l.chore = &c
		case r := <-l.renewalsWanted():
			l.renewals = append(l.renewals, r)
		case d := <-l.p.demands:
			l.onDemand(d, time.Now())
		case now := <-ticker.C:
			l.expireHold(now)
			l.startSettling(ctx, g, now)
			l.publish()
		case <-stop:
			stop, l.draining = nil, true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// proceed starts whatever can be done now.
func (l *loop) proceed(ctx context.Context, g *errgroup.Group) error {
	if err := l.joinChunks(); err != nil {
		return err
	}
	l.placeNext()
	if err := l.adopt(ctx); err != nil {
		return err
	}
	now := time.Now()
	l.stepHold(now)
	if err := l.stepRenewal(ctx); err != nil {
		return err
	}
	l.renumber()
	for _, m := range l.members {
		m.noteDelivered(l.delivered, now)
	}
	if !l.working && l.epoch.empty() && !l.epoch.open && l.hold.phase != committing {
		l.finished = l.delivered // nothing delivered is missing in the lake
	}
	if !l.working {
		l.startPublish(ctx, g)
	}
	if !l.working {
		l.startChore(ctx, g)
	}
	if !l.working {
		if done := l.startWork(ctx, g, now); done {
			return cmp.Or(l.ending, errFinished)
		}
	}
	if !l.reading && l.wantsMore() {
		l.forget()
		l.reading = true
		g.Go(func() error {
			s, err := l.stream.Next(ctx)
			l.segments <- read{s, err}
			return nil
		})
	}
	return nil
}

// wantsMore reports whether the next segment is to be read. A transaction that has begun
// is read to its end even when the pipeline is to stop: it cannot be cut.
func (l *loop) wantsMore() bool {
	e := l.epoch
	if l.next != nil || len(l.came) > 0 || e.bytes >= l.p.cfg.MaxBytes {
		return false
	}
	return e.open || !l.draining && !l.hold.still() && !l.renewing && e.rows < l.p.cfg.MaxRows
}

// startWork begins a commit, a spill, or nothing. done means that there is nothing left to
// do at all.
func (l *loop) startWork(ctx context.Context, g *errgroup.Group, now time.Time) (done bool) {
	e := l.epoch
	switch {
	case l.startDemanded(now, func() { l.startCut(ctx, g, now) }):
	case l.hold.phase != atTarget && l.cutDue(now):
		l.startCut(ctx, g, now)
	case e.open && e.bytes >= l.p.cfg.MaxBytes:
		l.startSpill(ctx, g)
	case e.open:
	case l.due(now):
		l.startCommit(ctx, g, l.lagging(now))
	case l.draining || l.reachedEnd():
		if e.empty() && len(l.lagging(now)) == 0 && l.next == nil {
			return true
		}
		l.draining = true
		l.startCommit(ctx, g, l.lagging(now))
	case e.empty():
		if lagging := l.lagging(now); len(lagging) > 0 {
			l.startCommit(ctx, g, lagging)
		}
	}
	return false
}

// due reports whether the epoch is to be cut.
func (l *loop) due(now time.Time) bool {
	e := l.epoch
	if e.empty() {
		return false
	}
	if e.altered || e.leaves || l.atPrepared() || l.hold.phase == atTarget || l.renewing {
		return true
	}
	if e.rows >= l.p.cfg.MaxRows || e.bytes >= l.p.cfg.MaxBytes || l.next != nil {
		return true
	}
	return now.Sub(e.began) >= l.patience()
}

// preparedWithin is how long an epoch may wait for the end of one that was prepared before: the
// log has it, so it takes no longer than to read it.
const preparedWithin = 2 * time.Second

// patience is how old an epoch may grow.
func (l *loop) patience() time.Duration {
	l.prepared = slices.DeleteFunc(l.prepared, l.delivered.Covers)
	if len(l.prepared) > 0 {
		return max(l.p.cfg.Interval, preparedWithin)
	}
	return l.p.cfg.Interval
}

// atPrepared reports that the epoch ends where one of the former owner did whose files are
// uploaded: cut there, it needs the same ones.
func (l *loop) atPrepared() bool {
	return slices.ContainsFunc(l.prepared, l.epoch.end.Equal)
}

// reachedEnd reports that everything to run until has been delivered and loaded.
func (l *loop) reachedEnd() bool {
	if l.p.cfg.Until == nil || !l.delivered.Reaches(*l.p.cfg.Until) {
		return false
	}
	for _, m := range l.members {
		if !m.load.complete || m.anew {
			return false
		}
	}
	return len(l.renewals)+len(l.came) == 0
}

// lagging gives the tables whose position is to be committed though nothing changed in
// them: because it has stood still for too long, others changed its snapshots, this is the end, or
// the next cut needs another number.
func (l *loop) lagging(now time.Time) []*member {
	var out []*member
	ending := l.draining || l.reachedEnd()
	for _, m := range l.members {
		if l.epoch.shares[m] != nil {
			continue
		}
		if late := !m.behind.IsZero() && (ending || now.Sub(m.behind) >= l.p.cfg.MaxLag); late || m.touched {
			out = append(out, m)
		}
	}
	if len(out) == 0 && l.epoch.empty() && l.numberless() {
		out = l.firstInCuts()
	}
	return out
}

// firstInCuts gives the first by name of the members of which cuts are made. There has to be one.
func (l *loop) firstInCuts() []*member {
	var first *member
	for _, m := range l.members {
		if !m.anew && (first == nil || m.Lake.String() < first.Lake.String()) {
			first = m
		}
	}
	return []*member{first}
}

// onTouched notes a table of which others have rewritten files or expired snapshots. It gets a
// commit: the Mark moves behind the rewrite, and the next cut sees which snapshots are gone.
func (l *loop) onTouched(n table.Name) {
	for _, m := range l.members {
		if m.Lake == n {
			m.touched = true
		}
	}
}

func (l *loop) startCommit(ctx context.Context, g *errgroup.Group, also []*member) {
	e := l.epoch
	var tasks []task
	for m, s := range e.shares {
		tasks = append(tasks, task{m, s, m.load.mark()})
		m.touched = false
	}
	for _, m := range also {
		tasks = append(tasks, task{m, nil, m.load.mark()})
		m.touched = false
	}
	l.epoch = e.follow()
	l.recordCut()
	l.working, l.inFlight = true, e.began
	l.resumed(time.Now())
	g.Go(func() error {
		began := time.Now()
		receipt, landings, err := l.p.committer.commit(ctx, e, tasks)
		l.works <- work{receipt: receipt, landings: landings, took: time.Since(began), err: err}
		return nil
	})
}

// startSpill writes what the epoch holds so far, for it holds too much and may not be cut.
func (l *loop) startSpill(ctx context.Context, g *errgroup.Group) {
	part := l.epoch.detach()
	l.recordCut()
	l.working = true
	g.Go(func() error {
		l.works <- work{spill: true, err: l.p.committer.spill(ctx, part)}
		return nil
	})
}

// recordCut tells the tables that are loaded that what was delivered so far is not followed by
// their chunks any more.
func (l *loop) recordCut() {
	for _, m := range l.members {
		m.load.recorder.cut()
	}
}

// release gives all batches back that no commit has taken.
func (l *loop) release() {
	l.epoch.release()
	if l.next != nil {
		l.next.Release()
	}
	select {
	case r := <-l.segments:
		if r.segment != nil {
			r.segment.Release()
		}
	default:
	}
	for _, m := range l.members {
		m.load.release()
	}
}
