package verify

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// Daemon is the daemon that writes the lake, as far as an exact comparison needs it.
type Daemon interface {
	// Hold brings the daemon's stream to stand still between two transactions.
	Hold(ctx context.Context) (Held, error)
	// CutAt lets it read on to exactly a position and publishes a cut there.
	CutAt(ctx context.Context, token int64, at capture.Position) (Cut, error)
	// Release lets it read on where no cut is wanted any more.
	Release(ctx context.Context, token int64) error
}

// Held is a stream that stands still, and where.
type Held struct {
	Token    int64
	Position capture.Position
	Server   string // which server process it reads
}

// Cut is a cut that was made for the comparison.
type Cut struct {
	Number    int64
	Snapshots map[string]int64 // by the table's name, as namespace.table
	Stood     time.Duration    // how long the stream stood still for it
}

// Report is an exact comparison.
type Report struct {
	Cut      int64         // number of the cut
	Position string        // that all tables were compared at, but for those that were looked at again
	Locked   time.Duration // how long the source took no commits
	Unlocked string        // why it was not locked, where it had to be for a view that is exact
	Stood    time.Duration // how long the daemon's stream stood still
	Passed   int           // keys that differed once and not again: they moved while the view was opened
	Results  []Result
}

const (
	// viewWithin bounds how long the source may take to show what the daemon has read. The
	// daemon waits no longer than that either.
	viewWithin = 5 * time.Second
	// releaseWithin bounds the last word to the daemon.
	releaseWithin = 2 * time.Second
	// maxTakes is how often keys are looked at where the view may show a little more than
	// its position.
	maxTakes = 3
)

// Exactly compares all tables of a configuration at one position: the source in a view at a
// known position, the lake at a cut there. Everything that differs is different.
//
// Where the source could not be locked the view may show a few rows from behind its position
// (see capture.View). Keys that differ are then looked at again at other positions, and only
// those that differ unchanged count.
func Exactly(ctx context.Context, cfg Config, d Daemon) (Report, error) {
	db, err := openSource(cfg.Source)
	if err != nil {
		return Report{}, err
	}
	defer db.Close()
	t, err := newTake(ctx, cfg, d, db)
	if err != nil {
		return Report{}, err
	}
	defer func() { t.close() }()
	out := Report{Cut: t.cut.Number, Position: t.view.At.String(), Locked: t.view.Locked, Unlocked: t.view.Unlocked, Stood: t.cut.Stood}
	var all []*exactly
	for _, n := range cfg.Tables {
		e := newExactly(cfg, n)
		e.first(ctx, t)
		all = append(all, e)
		cfg.progress(e.result)
	}
	for i := 1; i < maxTakes && unsettled(all); i++ {
		t.close()
		if t, err = newTake(ctx, cfg, d, db); err != nil {
			return Report{}, err
		}
		for _, e := range all {
			out.Passed += e.again(ctx, t)
		}
	}
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	for _, e := range all {
		out.Results = append(out.Results, e.result)
	}
	return out, nil
}

// take is source and lake at one position.
type take struct {
	conn  *sql.Conn
	view  capture.View
	cut   Cut
	heads map[table.Name]lakeTable
}

// newTake opens a view on the source and has the daemon publish a cut there. On every other
// path the daemon's stream is let go, and the connection is closed, which gives a lock back.
func newTake(ctx context.Context, cfg Config, d Daemon, db *sql.DB) (t *take, err error) {
	conn, err := session(ctx, db)
	if err != nil {
		return nil, err
	}
	t = &take{conn: conn, heads: map[table.Name]lakeTable{}}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	held, err := d.Hold(ctx)
	if err != nil {
		return nil, err
	}
	if t.view, err = capture.OpenView(ctx, conn, held.Server, held.Position, viewWithin); err != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
		defer cancel()
		_ = d.Release(last, held.Token) // if it is not heard, the daemon goes on by itself
		return nil, fmt.Errorf("open a view on the source: %w", err)
	}
	if t.cut, err = d.CutAt(ctx, held.Token, t.view.At); err != nil {
		return nil, err
	}
	for _, n := range cfg.Tables { // now, before the tables expire these snapshots
		snapshot := t.cut.Snapshots[n.String()]
		if snapshot == 0 {
			continue
		}
		h, err := table.LoadHead(ctx, cfg.Lake, n)
		if err != nil {
			return nil, err
		}
		if h != nil {
			t.heads[n] = lakeTable{h, snapshot}
		}
	}
	return t, nil
}

// close gives the view up. The connection is not used again, for it may hold a lock.
func (t *take) close() {
	if t == nil {
		return
	}
	_ = t.conn.Raw(func(any) error { return driver.ErrBadConn }) // which has the pool end it
	_ = t.conn.Close()
}

// exactly is a table that is compared exactly.
type exactly struct {
	comparison
	confirmed suspects // that are different
	pending   suspects // that differed, where that may be the view's doing
}

func newExactly(cfg Config, n table.Name) *exactly {
	return &exactly{comparison: comparison{cfg: cfg, name: n, result: Result{Table: n.String(), Verdict: Unknown}}}
}

func unsettled(all []*exactly) bool {
	for _, e := range all {
		if len(e.pending) > 0 {
			return true
		}
	}
	return false
}

// at moves the comparison to a take.
func (e *exactly) at(t *take) error {
	l, ok := t.heads[e.name]
	if !ok {
		return fmt.Errorf("%s is not in the cut, or gone from the lake: the daemon does not replicate it", e.name)
	}
	if e.reader != nil {
		if err := e.stays(l.head); err != nil {
			return err
		}
	}
	e.conn = t.conn
	e.shown = func(context.Context) (lakeTable, error) { return l, nil }
	e.result.Position, e.result.Snapshot = t.view.At.String(), l.snapshot
	e.result.Rounds++
	if e.reader == nil {
		if err := checkComparable(l.head); err != nil {
			return err
		}
		return e.begin(l.head)
	}
	return nil
}

// first compares all rows.
func (e *exactly) first(ctx context.Context, t *take) {
	h, err := table.LoadHead(ctx, e.cfg.Lake, e.name)
	left := false
	if err == nil && h != nil {
		left, err = e.hasLeft(ctx, t.conn, h)
	}
	if left {
		return
	}
	if err == nil {
		err = e.at(t)
	}
	var suspect func(key digest) bool
	if err == nil {
		suspect, err = e.suspected(ctx)
	}
	if err == nil && suspect != nil {
		e.pending, err = e.look(ctx, suspect, nil)
		e.pending = e.pending.unequal()
	}
	if err != nil {
		e.fail(err)
		return
	}
	if t.view.Exact {
		e.conclude(e.pending, nil)
		e.pending = nil
		return
	}
	e.conclude(nil, e.pending)
}

// again looks at the keys that differed in the takes before, and gives the number of those
// that do not any more.
func (e *exactly) again(ctx context.Context, t *take) (passed int) {
	if len(e.pending) == 0 {
		return 0
	}
	before := e.pending
	err := e.at(t)
	var now suspects
	if err == nil {
		now, err = e.look(ctx, func(key digest) bool { return before[key] != nil }, before)
	}
	if err != nil {
		e.fail(err)
		return 0
	}
	confirmed, left := now.next(before)
	for d, x := range e.confirmed {
		confirmed[d] = x
	}
	e.confirmed, e.pending = confirmed, left
	if t.view.Exact { // this time the source could be locked
		for d, x := range e.pending {
			e.confirmed[d] = x
		}
		e.pending = nil
	}
	e.conclude(e.confirmed, e.pending)
	return len(before) - len(now.unequal())
}

// fail notes that the table could not be compared any further. What differs for certain still does.
func (e *exactly) fail(err error) {
	e.result.Reason, e.pending = err.Error(), nil
	if len(e.confirmed) == 0 {
		e.result.Verdict = Unknown
	}
}
