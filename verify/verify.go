package verify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// Config says what is compared.
type Config struct {
	Source capture.Source
	Lake   table.Config
	Tables []table.Name
	// ZeroDateAsNull says that the lake has NULL for dates that are none. Tables do not record it.
	ZeroDateAsNull bool
	// Reached reports whether the lake has everything up to a position, beyond what a
	// table's own Mark says: a running daemon knows it of tables that nothing touches.
	Reached func(ctx context.Context, p capture.Position) bool
	// Patience is how long the lake may take to reach what the source has.
	Patience time.Duration
	// Progress gets a line a table as it is compared; nil for none.
	Progress func(string)
}

// Verdict is what came out for a table.
type Verdict string

// The verdicts.
const (
	Equal     Verdict = "equal"
	Different Verdict = "different"
	// Moving: nothing was found to differ, but some keys changed in every round.
	Moving Verdict = "moving"
	// Unknown: the table could not be compared.
	Unknown Verdict = "unknown"
	// Quarantined: the table is not replicated any more, and not compared.
	Quarantined Verdict = "quarantined"
	// Dropped: the source has no such table any more; the lake's is not compared.
	Dropped Verdict = "dropped"
)

// Result is the comparison of one table.
type Result struct {
	Source     string  `json:"source"`
	Table      string  `json:"table"`
	Verdict    Verdict `json:"verdict"`
	Reason     string  `json:"reason,omitempty"`
	SourceRows int64   `json:"source_rows"`
	LakeRows   int64   `json:"lake_rows"`
	NotLoaded  int64   `json:"not_loaded,omitempty"` // rows that only the source has, of a table that began empty
	Rounds     int     `json:"rounds"`
	Position   string  `json:"position"`              // of the lake in the last round
	Snapshot   int64   `json:"snapshot_id,omitempty"` // that was compared, where it is one that a cut names
	Different  []Key   `json:"different,omitempty"`
	Moving     []Key   `json:"moving,omitempty"`
	Differs    int     `json:"differs"` // number of different keys, of which the list may be cut
	Moves      int     `json:"moves"`
}

// Key names a row and what is wrong with it.
type Key struct {
	Key  string `json:"key"`
	What string `json:"what"`
}

const (
	// maxRounds is how often a key that changes is looked at.
	maxRounds = 5
	// maxStarts is how often the comparison of a table that changes its shape begins.
	maxStarts = 5
	// maxSuspects bounds the keys that are kept one by one.
	maxSuspects = 1_000_000
	// keysPerQuery is how many suspects are asked for at once, keysAtMost the number above
	// which the whole table is read again instead.
	keysPerQuery = 200
	keysAtMost   = 4000
	listed       = 100
	poll         = 200 * time.Millisecond
)

// Tables compares all tables of a configuration.
func Tables(ctx context.Context, cfg Config) ([]Result, error) {
	db, err := openSource(cfg.Source)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	conn, err := session(ctx, db)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var out []Result
	for _, n := range cfg.Tables {
		r := compareTable(ctx, cfg, conn, n)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out = append(out, r)
		cfg.progress(r)
	}
	return out, nil
}

func (cfg Config) progress(r Result) {
	if cfg.Progress != nil {
		cfg.Progress(fmt.Sprintf("%-40s %-9s %12d rows", r.Table, r.Verdict, r.LakeRows))
	}
}

func openSource(src capture.Source) (*sql.DB, error) {
	return src.Open(map[string]string{"sql_mode": "''", "group_concat_max_len": "1048576"})
}

// session opens a connection that reads rows.
func session(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	for _, q := range []string{"SET NAMES utf8mb4", "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"} {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// comparison is a table being compared.
type comparison struct {
	cfg    Config
	conn   *sql.Conn
	name   table.Name
	began  table.Source // that the reader was made for
	reader *rowReader
	result Result
	// shown gives the lake's side, once it is there to be compared.
	shown func(ctx context.Context) (lakeTable, error)
	// behind tells that the lake did not reach the source in time.
	behind string
}

func compareTable(ctx context.Context, cfg Config, conn *sql.Conn, n table.Name) Result {
	c := &comparison{cfg: cfg, conn: conn, name: n}
	c.shown = func(ctx context.Context) (lakeTable, error) {
		h, err := c.caughtUp(ctx)
		if err == nil {
			err = c.stays(h)
		}
		return lakeTable{head: h}, err
	}
	err := errChanged
	for start := 0; start < maxStarts && errors.Is(err, errChanged); start++ {
		c.result = Result{Table: n.String(), Verdict: Unknown}
		if err = c.run(ctx); capture.Altered(err) { // ahead of the lake
			if _, late := c.caughtUp(ctx); late == nil {
				err = fmt.Errorf("%w: %w", errChanged, err)
			}
		}
	}
	if err != nil {
		c.result.Verdict, c.result.Reason = Unknown, err.Error()
	}
	return c.result
}

// errChanged reports a table that is not the one any more that is being compared.
var errChanged = errors.New("the table was altered, left or was loaded anew while it was compared")

// stays checks that a table is still the one that the comparison began with.
func (c *comparison) stays(h *table.Head) error {
	if h.Quarantine != nil || h.Anew() || !h.Source.SameTable(c.began) {
		return errChanged
	}
	return nil
}

func (c *comparison) run(ctx context.Context) error {
	h, err := c.head(ctx)
	if err != nil {
		return err
	}
	if left, err := c.hasLeft(ctx, c.conn, h); left || err != nil {
		return err
	}
	if h.Anew() {
		return errors.New("the table is being loaded anew")
	}
	if err := checkComparable(h); err != nil {
		return err
	}
	if err := c.begin(h); err != nil {
		return err
	}
	suspect, err := c.suspected(ctx)
	if err != nil {
		return err
	}
	c.result.Rounds = 1
	if suspect == nil {
		c.conclude(nil, nil)
		return nil
	}
	return c.rounds(ctx, suspect)
}

// checkComparable tells why a table cannot be compared, nil where it can.
func checkComparable(h *table.Head) error {
	if !h.Mark.Load.Complete {
		return errors.New("the table is still being loaded")
	}
	return nil
}

// begin prepares for the rows of a table.
func (c *comparison) begin(h *table.Head) error {
	c.result.Source = h.Source.Table.Name.String()
	secret, err := newHasher()
	c.began = h.Source
	source := h.Source
	source.Options.ZeroDateAsNull = c.cfg.ZeroDateAsNull
	c.reader = newRowReader(secret, source)
	return err
}

func (c *comparison) head(ctx context.Context) (*table.Head, error) {
	h, err := table.LoadHead(ctx, c.cfg.Lake, c.name)
	if err == nil && h == nil {
		err = fmt.Errorf("there is no table %s in the lake", c.name)
	}
	if err == nil {
		c.result.Position = h.Mark.Position.String()
	}
	return h, err
}

// suspected reads both sides whole, and tells which keys are to be looked at one by one; nil: none.
func (c *comparison) suspected(ctx context.Context) (func(key digest) bool, error) {
	bad, err := c.firstPass(ctx)
	if err != nil || len(bad) == 0 {
		return nil, err
	}
	if !c.oneSided() {
		return func(key digest) bool { return bad[bucketOf(key)] }, nil
	}
	over, err := c.surplus(ctx, bad)
	if err != nil || len(over) == 0 {
		return nil, err
	}
	return func(key digest) bool { return over[key] > 0 }, nil
}

// firstPass reads both sides whole and gives the buckets of keys that differ.
func (c *comparison) firstPass(ctx context.Context) (map[int]bool, error) {
	source, lake := newChecksums(), newChecksums()
	if err := c.reader.readSource(ctx, c.conn, "", nil, func(r row) { source.add(r.key, r.all) }); err != nil {
		return nil, err
	}
	shown, err := c.shown(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.reader.readLake(ctx, shown, func(r row) { lake.add(r.key, r.all) }); err != nil {
		return nil, err
	}
	c.result.SourceRows, c.result.LakeRows = source.rows, lake.rows
	return source.differing(lake), nil
}

// caughtUp waits until the lake has what the source has executed by now, and gives its
// head. Where it does not get there in time, behind says so.
func (c *comparison) caughtUp(ctx context.Context) (*table.Head, error) {
	h, err := c.head(ctx)
	if err != nil {
		return nil, err
	}
	want, err := capture.Executed(ctx, c.conn, h.Mark.Position.Flavor())
	if err != nil {
		return nil, err
	}
	c.behind = ""
	for deadline := time.Now().Add(c.cfg.Patience); !h.Mark.Position.Covers(want) && !c.cfg.Reached(ctx, want); {
		if time.Now().After(deadline) {
			c.behind = fmt.Sprintf("the lake lacks %s of the source: is the daemon running?", h.Mark.Position.Missing(want))
			return h, nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if h, err = c.head(ctx); err != nil {
			return nil, err
		}
	}
	return c.head(ctx) // the table itself may have moved on since it was looked at
}

// rounds looks at the keys that are suspected until each is known to be equal or different, or
// keeps moving.
func (c *comparison) rounds(ctx context.Context, suspect func(key digest) bool) error {
	confirmed := suspects{}
	pending, err := c.look(ctx, suspect, nil)
	if err != nil {
		return err
	}
	pending = pending.unequal()
	for c.result.Rounds < maxRounds && len(pending) > 0 {
		c.result.Rounds++
		again, err := c.look(ctx, func(key digest) bool { return pending[key] != nil }, pending)
		if err != nil {
			return err
		}
		var more suspects
		more, pending = again.next(pending)
		for d, x := range more {
			confirmed[d] = x
		}
	}
	c.conclude(confirmed, pending)
	if c.result.Verdict == Moving {
		c.result.Reason = "rows changed in every round: verify --exact compares at one position, where nothing moves"
	}
	return nil
}

// conclude states what came out.
func (c *comparison) conclude(confirmed, pending suspects) {
	r := &c.result
	r.Different, r.Differs = confirmed.list(listed), len(confirmed)
	r.Moving, r.Moves = pending.list(listed), len(pending)
	switch {
	case len(confirmed) > 0 && c.behind != "":
		r.Verdict, r.Reason = Unknown, c.behind
	case len(confirmed) > 0:
		r.Verdict = Different
	case len(pending) > 0:
		r.Verdict = Moving
	case c.oneSided():
		c.concludeOneSided()
	default:
		r.Verdict = Equal
	}
}

// look reads the rows of the wanted keys on both sides. known are those keys, where they
// are known one by one.
func (c *comparison) look(ctx context.Context, want func(key digest) bool, known suspects) (suspects, error) {
	out := suspects{}
	for d, x := range known {
		out[d] = &sides{key: x.key, oneSided: x.oneSided}
	}
	note := func(side func(s *sides) *found) visitor {
		return func(r row) {
			if want(r.key) && len(out) < maxSuspects {
				x := out.side(r.key, r.values)
				x.oneSided = c.oneSided()
				side(x).add(r.all, r.version)
			}
		}
	}
	if err := c.lookAtSource(ctx, known, note(func(s *sides) *found { return &s.source })); err != nil {
		return nil, err
	}
	shown, err := c.shown(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.reader.readLake(ctx, shown, note(func(s *sides) *found { return &s.lake })); err != nil {
		return nil, err
	}
	if len(out) >= maxSuspects {
		return nil, fmt.Errorf("more than %d rows differ", maxSuspects)
	}
	if shown.snapshot == 0 { // a view at a cut does not move
		out.dateMissing(shown.head.Mark.Epoch)
	}
	return out, nil
}
