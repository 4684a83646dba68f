package commit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"golang.org/x/sync/errgroup"
)

// Config is what a pipeline runs with.
type Config struct {
	Pipeline string
	Members  []Member
	Control  Member // the control table: its name and location; the rest is ours to say
	Source   Source
	Tables   table.Config
	Logger   *slog.Logger

	Interval time.Duration // an epoch's age at which it is cut
	MaxRows  int           // source changes and loaded rows in an epoch
	MaxBytes int64         // held in memory by an epoch that is collected

	LoadConnections int
	ChunkRows       int // 0: by the size of the rows
	// LoadMaxRunning is above how many running threads of the source no chunk is begun; 0: of no
	// number.
	LoadMaxRunning int

	// CutSettle is how long a table's load must be over before the table can be in a cut: a
	// chunk can show a transaction microseconds before the server counts it as executed.
	CutSettle time.Duration

	// MaxLag is how long a table that nothing touches may keep its old position.
	MaxLag time.Duration

	// Quarantine has a table leave replication that something concerns alone which cannot be
	// followed, where the pipeline would otherwise end.
	Quarantine bool

	// LeaveDropped has a table leave that is dropped before it is loaded, where the pipeline would
	// otherwise end.
	LeaveDropped bool

	// Renew has a table be loaded anew that has left because its name came to mean none or another one,
	// once the name means a table of the source.
	Renew bool

	// Touched tells of lake tables whose snapshots another program has just changed, as far as
	// that is known here. They get a Mark soon, and not with their next change. Nil: of none.
	Touched <-chan table.Name

	// Until ends the run once everything up to a position, and all loads, are committed.
	// Nil: never.
	Until *capture.Position
}

// Pipeline is a recovered pipeline, ready to run. It is run once.
type Pipeline struct {
	cfg       Config
	committer *committer
	members   map[capture.Name]*member
	aside     map[capture.Name]*member // that have left
	control   *member
	records   []record           // in the control table when the pipeline was opened
	prepared  []capture.Position // where the former owner's open commits would have ended
	counters  counters           // of the tables as they were opened
	start     capture.Position
	epoch     int64 // number of the next, as of when the loop last wrote something beside its epochs
	refused   []Refusal
	status    atomic.Pointer[Status]
	demands   chan demand
	chores    chan chore
	renewals  chan renewal
	ended     chan struct{} // closed when the pipeline has run
}

// Run moves the pipeline forward until ctx ends, stop is closed, or the position to run
// until is committed. After stop it commits what it has collected, and every table's
// position, and returns nil.
func (p *Pipeline) Run(ctx context.Context, stop <-chan struct{}) error {
	defer close(p.ended)
	if done, err := p.prepare(ctx, stop); done || err != nil {
		return errors.Join(err, p.closeTables(err == nil))
	}
	var captures []capture.Capture
	var witnesses []capture.Witness
	for _, m := range p.members {
		captures = append(captures, m.capture())
		if w := m.table.Head().Mark.Last; !w.IsZero() {
			witnesses = append(witnesses, w)
		}
	}
	stream, err := p.cfg.Source.Stream(p.start, witnesses, captures)
	if err != nil {
		return err
	}
	defer stream.Close()
	for _, at := range p.prepared {
		stream.EndAt(at)
	}
	if err := stream.Connect(ctx); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	l := newLoop(p, stream, stop)
	newLoaders(p.cfg, l).start(gctx, g)
	g.Go(func() error { return l.run(gctx, g) })
	err = g.Wait()
	l.release()
	if errors.Is(err, errFinished) {
		err = nil
	}
	return errors.Join(err, p.closeTables(err == nil))
}

// tables gives all tables that the pipeline writes: the members' and the control table.
func (p *Pipeline) tables() []*member {
	all := slices.AppendSeq(slices.Collect(maps.Values(p.members)), maps.Values(p.aside))
	return append(all, p.control)
}

// errFinished ends the other goroutines once the loop has done all there is to do.
var errFinished = errors.New("finished")

// closeTables frees the tables. After a clean end their indexes are put on disk.
func (p *Pipeline) closeTables(clean bool) error {
	var errs []error
	for _, m := range p.tables() {
		if m.table == nil {
			continue
		}
		closeTable := m.table.Abandon
		if clean {
			closeTable = m.table.Close
		}
		if err := closeTable(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.Lake, err))
		}
	}
	return errors.Join(errs...)
}

// Status gives what the pipeline is doing. It may be called at any time.
func (p *Pipeline) Status() Status { return *p.status.Load() }
