package commit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"golang.org/x/sync/errgroup"
)

// Open recovers a pipeline: it creates the tables that are missing, takes the fence, and
// reads every table's position. Nothing of the source is read but where a new pipeline
// begins.
func Open(ctx context.Context, cfg Config) (*Pipeline, error) {
	p := newPipeline(cfg)
	heads, err := p.openHeads(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.takeFence(ctx, heads); err != nil {
		return nil, err
	}
	// Only now: before the fence another daemon could still have moved a position.
	err = p.readPositions(ctx, heads)
	if err == nil {
		err = p.recordFence(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.closeTables(false))
	}
	p.counters = newCounters(p.members)
	l := &loop{p: p, members: p.members, epoch: newEpoch(p.epoch, p.start), delivered: p.start, finished: p.start, counters: p.counters}
	l.publish()
	return p, nil
}

func newPipeline(cfg Config) *Pipeline {
	return &Pipeline{
		cfg: cfg, members: map[capture.Name]*member{}, aside: map[capture.Name]*member{}, demands: make(chan demand), chores: make(chan chore), renewals: make(chan renewal), ended: make(chan struct{}),
		committer: &committer{cfg: cfg.Tables, pipeline: cfg.Pipeline, timeline: 1, quarantine: cfg.Quarantine},
	}
}

// openHeads loads the members' tables, creating those that are missing.
func (p *Pipeline) openHeads(ctx context.Context) (map[*member]*table.Head, error) {
	heads := map[*member]*table.Head{}
	h, err := p.openControl(ctx)
	if err != nil {
		return nil, err
	}
	heads[p.control] = h
	for _, m := range p.cfg.Members {
		mm := &member{Member: m}
		h, err := p.loadOrCreate(ctx, mm)
		if err != nil {
			return nil, err
		}
		heads[mm], mm.former = h, h.Fence
		p.members[m.name()] = mm
	}
	return heads, nil
}

// openControl gives the head of the control table.
func (p *Pipeline) openControl(ctx context.Context) (*table.Head, error) {
	p.control = &member{Member: p.cfg.Control}
	p.control.Source, p.control.load.complete = controlSource(p.cfg.Control.Lake), true
	return p.loadOrCreate(ctx, p.control)
}

// EnsureControl creates the control table where there is none, which needs no lease: the
// catalog lets one of several do it. Of cfg it takes Pipeline, Control, Tables and Logger.
func EnsureControl(ctx context.Context, cfg Config) error {
	_, err := newPipeline(cfg).openControl(ctx)
	return err
}

// loadOrCreate gives the head of a member's table, creating the table where there is none.
func (p *Pipeline) loadOrCreate(ctx context.Context, m *member) (*table.Head, error) {
	h, err := table.LoadHead(ctx, p.cfg.Tables, m.Lake)
	if err != nil {
		return nil, err
	}
	if h != nil {
		return h, errors.Join(m.checkShape(h), m.checkVersion(h), m.takeSource(h))
	}
	p.cfg.Logger.Info("creating table", "table", m.Lake.String(), "source", m.name().String())
	h, createErr := table.Create(ctx, m.tables(p.cfg.Tables), m.Lake, m.Source, m.Storage, m.Location)
	if createErr == nil {
		failpoint("table-created")
		return h, nil
	}
	// The answer may have been lost: only the catalog knows.
	if h, err = table.LoadHead(ctx, p.cfg.Tables, m.Lake); err != nil || h == nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrNotTaken, createErr), err)
	}
	return h, m.takeSource(h)
}

// takeSource makes the table's own record of its source the member's: it is the shape at
// the table's position, whatever the source looks like now. What the user chose must agree
// with it, but where nothing follows it: a table that has left, or the main of one that is loaded
// anew, whose branch has a record of its own.
func (m *member) takeSource(h *table.Head) error {
	if m.asked == nil {
		asked := m.Source
		m.asked = &asked
	}
	was, now := h.Source, m.asked
	switch {
	case was.Table.Name != now.Table.Name:
		return fmt.Errorf("%s: %w: it is a copy of %s, not of %s", m.Lake, table.ErrOptionsChanged, was.Table.Name, now.Table.Name)
	case h.Quarantine != nil, h.Anew() && !h.OnBranch():
		return nil
	case was.CommitTime != now.CommitTime:
		return fmt.Errorf("%s: %w: tables[].commit_timestamp was %v", m.Lake, table.ErrOptionsChanged, was.CommitTime)
	case !sameIdentity(&was.Table, &now.Table):
		return fmt.Errorf("%s: %w: tables[].mode or tables[].key was another: load it under another name (tables[].target)", m.Lake, table.ErrOptionsChanged)
	case was.Options.UnsignedBigintAsLong != now.Options.UnsignedBigintAsLong && hasUnsignedBigint(&was.Table):
		return fmt.Errorf("%s: %w: types.bigint_unsigned was another", m.Lake, table.ErrOptionsChanged)
	}
	m.Source = was
	m.Source.Options.ZeroDateAsNull = now.Options.ZeroDateAsNull // changes no type: the user's choice of today
	return nil
}

// sameIdentity reports whether rows are still told apart as they were when the lake's table was
// created. A key that the server enforces since is none of the lake's.
func sameIdentity(was, now *capture.Table) bool {
	if now.Identity == capture.ByKey && was.Identity != capture.Appended {
		return true
	}
	names := func(t *capture.Table) []string {
		var out []string
		for _, c := range t.KeyColumns() {
			out = append(out, c.Name)
		}
		return slices.Sorted(slices.Values(out))
	}
	declared := was.Identity == capture.ByDeclaredKey
	return was.Identity == now.Identity && (!declared || slices.Equal(names(was), names(now)))
}

// checkShape refuses a table that was created and never begun when the source's shape has
// changed since: the table begins behind the change, so the log will not tell of it.
func (m *member) checkShape(h *table.Head) error {
	if h.Begun() || h.Source.SameTable(m.Source) {
		return nil
	}
	return fmt.Errorf("%s: %w: %s has changed since, and no row of it was loaded yet: load it under another name (tables[].target)", m.Lake, table.ErrOptionsChanged, m.name())
}

// checkVersion refuses to make a table older than it is.
func (m *member) checkVersion(h *table.Head) error {
	if m.FormatVersion == 0 || h.Version <= m.FormatVersion {
		return nil
	}
	return fmt.Errorf("%s: %w: it is of Iceberg's format version %d, and tables[].format_version is %d; there is no way back: set it to %d, or load the table under another name (tables[].target)",
		m.Lake, table.ErrOptionsChanged, h.Version, m.FormatVersion, h.Version)
}

func hasUnsignedBigint(t *capture.Table) bool {
	return slices.ContainsFunc(t.Columns, func(c capture.Column) bool { return c.Type == capture.TypeBigInt && c.Unsigned })
}

// takeFence sets a number above every one in force on all tables. From then on no other
// daemon's commit is accepted. The control table comes first: of two daemons that take the
// same number only one gets past it.
func (p *Pipeline) takeFence(ctx context.Context, heads map[*member]*table.Head) error {
	highest := int64(0)
	for _, h := range heads {
		highest = max(highest, h.Fence)
	}
	p.committer.fence = highest + 1
	h, err := p.setFence(ctx, heads[p.control])
	if err != nil {
		return err
	}
	heads[p.control] = h
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelTables)
	fenced := make(chan headOf, len(heads))
	for m, h := range heads {
		if m == p.control {
			continue
		}
		g.Go(func() error {
			h, err := p.setFence(ctx, h)
			fenced <- headOf{m, h}
			return err
		})
	}
	err = g.Wait()
	close(fenced)
	for f := range fenced {
		heads[f.member] = f.head
	}
	return err
}

// headOf pairs a member with its table's head.
type headOf struct {
	member *member
	head   *table.Head
}

// setFence moves a table's fence to our number.
func (p *Pipeline) setFence(ctx context.Context, h *table.Head) (*table.Head, error) {
	own := p.committer.fence
	for range rebaseTries {
		if h.Fence >= own { // with the same number: another daemon took it at the same time
			return nil, fmt.Errorf("%s: %w: fence %d", h.Name, ErrFenced, h.Fence)
		}
		a, err := table.PrepareFence(ctx, p.cfg.Tables, h, own)
		if err != nil {
			return nil, err
		}
		now, what, err := settle(ctx, p.cfg.Tables, a, own)
		switch {
		case err != nil:
			return nil, err
		case what == landed:
			return now, nil
		}
		h = now // the table moved on under its former owner
	}
	return nil, fmt.Errorf("%s: the table does not come to rest while it is taken over", h.Name)
}

// readPositions opens the tables and finds where the stream starts: behind what every
// table has.
//
// A table that is new begins where the source is now, not where the others are: so what
// happened to it before, its creation above all, is not met again in the log.
func (p *Pipeline) readPositions(ctx context.Context, heads map[*member]*table.Head) error {
	if err := p.readTimeline(ctx, heads); err != nil {
		return err
	}
	if err := p.takeStates(heads); err != nil {
		return err
	}
	begun, fresh := false, 0
	for m, h := range heads {
		if !h.Begun() {
			fresh++
			continue
		}
		p.epoch = max(p.epoch, h.Mark.Epoch)
		if m == p.control || m.left != nil { // its position is that of the newest cut, or nobody waits for it
			continue
		}
		if !begun {
			p.start, begun = h.Mark.Position.Clone(), true
			continue
		}
		if h.Mark.Position.Flavor() != p.start.Flavor() {
			return fmt.Errorf("%s: its position is of %v, another table's of %v", h.Name, h.Mark.Position.Flavor(), p.start.Flavor())
		}
		if mutated("union") {
			p.start = p.start.Union(h.Mark.Position)
			continue
		}
		p.start = p.start.Intersect(h.Mark.Position)
	}
	var now capture.Position
	if fresh > 0 || !begun {
		known := &p.start
		if !begun {
			known = nil
		}
		var err error
		if now, err = p.cfg.Source.Position(ctx, known); err != nil {
			return err
		}
	}
	if !begun {
		p.start = now
	}
	p.epoch++
	for m, h := range heads {
		if m.left != nil {
			continue
		}
		if err := p.openTable(ctx, m, h, now); err != nil && !p.givesUp(m, h, err) {
			return err
		}
	}
	p.cfg.Logger.Info("recovered", "position", p.start.String(), "tables", len(heads), "fence", p.committer.fence, "epoch", p.epoch)
	return nil
}

// openTable opens a member's table and, where it has none yet, gives it its first
// snapshot, with no rows and the given position.
func (p *Pipeline) openTable(ctx context.Context, m *member, h *table.Head, begin capture.Position) error {
	began := time.Now()
	cfg := m.tables(p.cfg.Tables)
	if m == p.control {
		cfg.Intents = "" // its files are not worth the record
	}
	if !h.OnBranch() { // which gets main's place as it is
		var err error
		if h, err = p.arrange(ctx, m, h); err != nil {
			return err
		}
	}
	t, err := table.Open(ctx, cfg, h)
	if err != nil {
		return err
	}
	m.table = t
	if t.Discarded != nil {
		p.cfg.Logger.Warn("key index rebuilt", "table", m.Lake.String(), "err", t.Discarded, "keys", t.IndexKeys(), "dur_ms", time.Since(began).Milliseconds())
	}
	if !h.Begun() {
		e := newEpoch(p.epoch, begin)
		m.load.complete = m.load.complete || m.Source.Empty
		if _, err := p.committer.commitShare(ctx, e, task{member: m, load: m.load.mark()}); err != nil {
			return err
		}
		failpoint("table-begun")
		h = m.table.Head()
	}
	p.recoverUploads(ctx, m)
	if !h.Marked() || h.Version < m.FormatVersion {
		if err := p.follow(ctx, m, h); err != nil {
			return err
		}
		h = m.table.Head()
	}
	m.position = h.Mark.Position
	m.load.complete, m.load.done, m.loaded = h.Mark.Load.Complete, h.Mark.Load.Done, h.Mark.Load.Complete
	if m.loaded {
		m.loadedAt = time.Now() // it may just have ended
	}
	stats := t.Stats()
	m.load.before = stats.Rows - stats.DeletedRows
	return nil
}

// recoverUploads looks for what the former owner had prepared for a table. Without it the
// same rows are uploaded again.
func (p *Pipeline) recoverUploads(ctx context.Context, m *member) {
	r, err := m.table.Recover(ctx, m.former)
	if err != nil {
		p.cfg.Logger.Warn("what was prepared before is not used", "table", m.Lake.String(), "err", err)
	}
	if r.Files == 0 {
		return
	}
	p.cfg.Logger.Info("an open commit was prepared", "table", m.Lake.String(), "files", r.Files)
	p.prepared = append(p.prepared, r.Positions...)
}

// follow puts a Mark behind a snapshot of another program that was accepted: were it to expire
// what is before, nothing would show the position any more. A table that is to be of a newer
// format version becomes it with this commit.
func (p *Pipeline) follow(ctx context.Context, m *member, h *table.Head) error {
	e := newEpoch(p.epoch, h.Mark.Position)
	_, err := p.committer.commitShare(ctx, e, task{member: m, load: h.Mark.Load})
	return err
}
