package compaction

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"cdcd/table"
)

// Lake is where a [Compactor] finds tables and lands rewrites.
type Lake interface {
	// Survey gives what a table is made of now.
	Survey(ctx context.Context, n table.Name) (*table.Survey, error)
	// Replace puts a rewrite in the place of its inputs. With an error it is not in the table
	// and, but for one of ctx, may not be offered again.
	Replace(ctx context.Context, rw *table.Rewrite) error
}

// CompactorConfig is what a Compactor works with.
type CompactorConfig struct {
	Lake         Lake
	Fence        int64           // of this daemon
	Targets      func() []Target // the tables as they are
	DeletedShare float64         // of a file's rows, from which on it is rewritten
	Share        float64         // of the time that background work takes: above 0, up to 1
	Idle         bool            // look in the background, and rewrite nothing
	Clock        Clock
	Logger       *slog.Logger
}

const (
	// idleFor is how long nothing is done once there was nothing to do.
	idleFor = 500 * time.Millisecond
	// lookEvery is how often a large rewrite looks for small ones. Each of those is a commit.
	lookEvery = time.Second
	// retryAfter is how long a table is left alone after a rewrite of it has failed.
	retryAfter = time.Minute
	// besideShare is what part of a table's target size a rewrite may read at most that is done
	// beside a larger one: it bounds the memory that both take.
	besideShare = 32
	// warnEvery is how often it is said again that a table's debt grows.
	warnEvery = time.Hour
)

// Compactor rewrites files of tables. Of everything that it does, one rewrite at a time is under
// way, but that a large one gives way to small ones. It may be used by several goroutines.
type Compactor struct {
	cfg  CompactorConfig
	turn chan struct{} // held by the one that rewrites

	mu     sync.Mutex
	stems  map[string]bool // of outputs that are in no snapshot yet
	job    *job            // under way; nil: none
	tables map[table.Name]*state
	totals Totals
}

// state is what is known of a table.
type state struct {
	looked  int64 // the snapshot at which there was nothing to do; 0: none
	blocked time.Time
	policy  Policy
	debt    Debt
	watch   debtWatch
	warned  time.Time // of its growth
}

// Totals only grow.
type Totals struct {
	Rewrites, Files  int64         // that landed, and their inputs
	Rows             int64         // written
	Read, Written    int64         // bytes
	Dropped          int64         // deleted rows that are gone
	Outdated, Failed int64         // rewrites that did not land, because others were faster, and for another reason
	Worked           time.Duration // in rewrites and their landing, without rests
	Computed         time.Duration // of the processor, in rewrites
}

// Target is a table that may be rewritten.
type Target struct {
	Name     table.Name
	Snapshot int64 // that it is at; 0: not known
}

// NewCompactor makes a Compactor.
func NewCompactor(cfg CompactorConfig) (*Compactor, error) {
	if _, err := NewPacer(cfg.Share, cfg.Clock); err != nil {
		return nil, err
	}
	return &Compactor{cfg: cfg, turn: make(chan struct{}, 1), stems: map[string]bool{}, tables: map[table.Name]*state{}}, nil
}

// Run rewrites what needs it in the background, until ctx ends. Trouble with one table leaves the
// others to go on.
func (c *Compactor) Run(ctx context.Context) {
	for ctx.Err() == nil {
		worked := false
		for _, t := range c.cfg.Targets() {
			did, err := c.step(ctx, t)
			if err != nil && !errors.Is(err, context.Canceled) {
				c.cfg.Logger.Warn("files are not rewritten", "table", t.Name.String(), "err", err, "again_after", retryAfter)
			}
			worked = worked || did
		}
		if !worked {
			_ = c.cfg.Clock.Sleep(ctx, idleFor) // the loop looks at ctx
		}
	}
}

// step rewrites the most urgent group of a table, if there is one.
func (c *Compactor) step(ctx context.Context, t Target) (worked bool, err error) {
	s := c.state(t.Name)
	if c.settled(t, s) {
		c.watch(t.Name, s)
		return false, nil
	}
	survey, err := c.cfg.Lake.Survey(ctx, t.Name)
	if err != nil {
		return false, err
	}
	groups := c.note(survey)
	if len(groups) == 0 || c.cfg.Idle {
		return false, nil
	}
	_, err = c.rewrite(ctx, survey, groups[0], c.cfg.Share)
	return true, c.block(s, err)
}

// settled reports that there was nothing to do at a table's snapshot, or that it is left alone.
func (c *Compactor) settled(t Target, s *state) bool {
	now := c.cfg.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return t.Snapshot != 0 && t.Snapshot == s.looked || now.Before(s.blocked)
}

// block leaves a table alone for a while after a rewrite has failed, but for one that others were
// faster with.
func (c *Compactor) block(s *state, err error) error {
	if err == nil || errors.Is(err, table.ErrOutdated) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.blocked = c.cfg.Clock.Now().Add(retryAfter)
	return err
}

// state gives what is known of a table.
func (c *Compactor) state(n table.Name) *state {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.tables[n]
	if s == nil {
		s = &state{}
		c.tables[n] = s
	}
	return s
}

// policy says what is worth rewriting in a table.
func (c *Compactor) policy(s *table.Survey) Policy {
	return Policy{TargetBytes: s.Target, DeletedShare: c.cfg.DeletedShare}
}

// note plans for a survey, and remembers what it shows.
func (c *Compactor) note(s *table.Survey) []Group {
	p := c.policy(s)
	groups := Plan(s.Files, p)
	st := c.state(s.Name)
	c.mu.Lock()
	st.policy, st.debt = p, measure(s.Files, groups, p)
	if st.looked = 0; len(groups) == 0 || c.cfg.Idle {
		st.looked = s.Snapshot
	}
	c.mu.Unlock()
	c.watch(s.Name, st)
	return groups
}

// watch looks how a table's debt has gone since, and warns where it grows.
func (c *Compactor) watch(n table.Name, s *state) {
	now := c.cfg.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	s.watch.observe(s.debt.Pending, now)
	s.debt.Growing = s.watch.growing(s.policy)
	if s.debt.Growing && now.Sub(s.warned) >= warnEvery {
		s.warned = now
		c.cfg.Logger.Warn("files that are to be rewritten become more than are rewritten", "table", n.String(), "bytes", s.debt.Pending,
			"repair", "raise compaction.cpu_percent or commit.interval, or rewrite files with cdcd compact or another engine")
	}
}

// rewrite rewrites a group within a share of the time and lands it, once no other is under way.
func (c *Compactor) rewrite(ctx context.Context, s *table.Survey, g Group, share float64) (*table.Rewrite, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.turn }()
	pace, err := NewPacer(share, c.cfg.Clock)
	if err != nil {
		return nil, err
	}
	j := &job{name: s.Name, group: g, pace: pace, quiet: map[table.Name]int64{}}
	j.giveWay = func(ctx context.Context) error { return c.giveWay(ctx, j) }
	return c.carryOut(ctx, s, j)
}

// carryOut does a job.
func (c *Compactor) carryOut(ctx context.Context, s *table.Survey, j *job) (rw *table.Rewrite, err error) {
	stem := table.NewStem(c.cfg.Fence, s.Epoch)
	c.begin(j, stem)
	j.computed += computed(func() {
		rw, err = s.Rewrite(ctx, j.group.Paths(), table.RewriteOptions{Stem: stem, Pace: j})
	})
	if err == nil {
		err = c.cfg.Lake.Replace(ctx, rw)
	}
	c.end(j, stem, rw, err)
	return rw, err
}

func (c *Compactor) begin(j *job, stem string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stems[stem] = true
	j.began = c.cfg.Clock.Now()
	j.looked = j.began
	j.pace.Begin()
	if j.within == nil {
		c.job = j
	}
}

// end notes what became of a rewrite. Its files are in the table by now, or never will be.
func (c *Compactor) end(j *job, stem string, rw *table.Rewrite, err error) {
	took := c.cfg.Clock.Now().Sub(j.began)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.stems, stem)
	if j.within == nil {
		c.job = nil
	} else {
		j.within.computed -= j.computed
	}
	t := &c.totals
	t.Worked += took - time.Duration(j.rested.Load())
	t.Computed += j.computed
	switch {
	case err == nil:
		t.Rewrites++
		t.Files += int64(len(j.group.Files))
		t.Rows += rw.Rows
		t.Dropped += j.group.Deleted
		t.Read += j.group.Read
		t.Written += writtenBytes(rw)
		c.cfg.Logger.Debug("files rewritten", "table", j.name.String(), "reason", string(j.group.Reason), "files", len(j.group.Files),
			"rows", rw.Rows, "dropped_rows", j.group.Deleted, "read_bytes", j.group.Read, "took_ms", took.Milliseconds())
	case errors.Is(err, table.ErrOutdated):
		t.Outdated++
	default:
		t.Failed++
	}
}

// writtenBytes is the size of a rewrite's output.
func writtenBytes(rw *table.Rewrite) int64 {
	if rw.Output == nil {
		return 0
	}
	return rw.Output.FileSizeBytes()
}

// InFlight gives the stems of the names of outputs that are in no snapshot, and may be soon.
func (c *Compactor) InFlight() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.stems))
}
