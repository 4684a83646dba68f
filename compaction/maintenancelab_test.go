package compaction

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"

	"cdcd/table"
)

// maintenance is a lab in which everything that changes a table's files happens in an order that
// is drawn from a seed: epochs, rewrites that land long after they were begun, other programs'
// rewrites and expiry, collections of garbage, crashes, lost and old indexes, other owners, and
// rewinds. The model says what the table has to have.
type maintenance struct {
	*lab
	rng      *rand.Rand
	policy   Policy
	pending  []pending
	held     *table.Survey // on which a rewrite may still be begun
	heldAt   moment
	unseen   bool     // others changed the table since the daemon looked
	unmarked int      // snapshots of others since the last Mark
	foreigns int      // rewrites by others
	again    []change // of an epoch that was lost: they are in the log still
	indexes  []string // copies of index directories
	former   *former  // nil: none
	lane     int      // of the state directory
	tags     []string
	names    int // given so far
	hits     map[string]int
	log      []string
}

// moment is when something began.
type moment struct {
	timeline int64
	foreigns int
}

// pending is a rewrite that has not landed.
type pending struct {
	rw   *table.Rewrite
	stem string
	moment
}

// former is an owner whose fence is no longer in force, and that does not know.
type former struct {
	table   *table.Table
	fence   int64
	pending []pending
}

func newMaintenance(t fatal, seed uint64) *maintenance {
	t.Helper()
	m := &maintenance{lab: newLab(t), rng: rand.New(rand.NewPCG(seed, 0)), hits: map[string]int{}}
	m.grace = testInterval
	m.policy = Policy{TargetBytes: table.DefaultTargetFileSize, DeletedShare: 0.2}
	if m.maybe(2) { // a few files of this table are a full one
		m.policy.TargetBytes = 4 << 10
	}
	return m
}

func (m *maintenance) close() {
	if m.former != nil {
		_ = m.former.table.Abandon()
	}
	m.lab.close()
}

// maybe is true once in n times.
func (m *maintenance) maybe(n int) bool { return m.rng.IntN(n) == 0 }

func (m *maintenance) hit(what string) { m.hits[what]++ }

// fate is what happens while something is committed.
type fate string

const (
	lands       fate = "lands"
	crashBefore fate = "crash before the swap"
	crashAfter  fate = "crash before the table has followed"
	lostAnswer  fate = "the answer is lost"
	overtaken   fate = "another program is faster"
	takenOver   fate = "taken over before the swap"
	collected   fate = "garbage is collected before the swap"
)

// mostTries bounds how often a commit is made anew.
const mostTries = 3

// work is what is to be committed on the table's present snapshot, and what the table has then.
type work struct {
	delta *table.Delta
	mark  table.Mark
	model truth
}

// land commits what is proposed, unless its fate is another.
func (m *maintenance) land(what fate, propose func() (work, error)) (landed bool, err error) {
	m.t.Helper()
	ctx := context.Background()
	for range mostTries {
		w, err := propose()
		if err != nil {
			return false, err
		}
		a, err := m.table.Prepare(ctx, w.delta, w.mark)
		m.must(err)
		m.hit(string(what))
		switch what {
		case crashBefore:
			m.restart(m.table.Abandon)
			return false, nil
		case takenOver:
			m.takeOver()
			m.refused(a)
			return false, nil
		case overtaken:
			m.rewriteByOthers()
		case collected:
			m.tidy()
		}
		h, err := table.Swap(ctx, m.cfg, a)
		if err != nil { // another program was faster
			m.hit("rebased")
			m.table.Keep(w.delta)
			m.see()
			what = lands
			continue
		}
		m.unmarked, m.unseen = 0, false
		m.landed(h, w.model)
		m.checkMain()
		switch what {
		case crashAfter:
			m.restart(m.table.Abandon)
			return true, nil
		case lostAnswer:
			h = m.head()
		}
		m.must(m.table.Advance(ctx, a, w.delta, h))
		return true, nil
	}
	m.t.Fatal("other programs are always faster")
	return false, nil
}

// ingest commits an epoch.
func (m *maintenance) ingest(what fate, changes []change) {
	m.t.Helper()
	m.epoch++
	landed, err := m.land(what, func() (work, error) {
		d, model := m.build(changes)
		m.checkDelta(d, changes, model)
		return work{d, m.mark(), model}, nil
	})
	m.must(err)
	if m.again = nil; !landed && m.maybe(2) {
		m.again = changes
	}
}

// begin reads what a plan chooses, of the table as it is or as it was.
func (m *maintenance) begin() {
	m.t.Helper()
	s, at := m.table.Survey(), moment{m.timeline, m.foreigns}
	switch {
	case m.held != nil && m.maybe(3):
		s, at, m.held = m.held, m.heldAt, nil
		if m.maybe(3) { // its files may be garbage by now
			m.expireByOthers()
			m.tidy()
			m.tidy()
		}
	case m.held == nil && m.maybe(3):
		m.held, m.heldAt = s, at
		return
	}
	plan := Plan
	if m.maybe(2) {
		plan = PlanAll
	}
	groups := plan(s.Files, m.policy)
	if len(groups) == 0 {
		return
	}
	g := groups[m.rng.IntN(len(groups))]
	stem := table.NewStem(m.fence, s.Epoch)
	rw, err := s.Rewrite(context.Background(), g.Paths(), table.RewriteOptions{Stem: stem})
	if errors.Is(err, fs.ErrNotExist) && m.isPast(g) {
		m.hit("input collected")
		return
	}
	m.must(err)
	if rw.Rows != g.Rows || (rw.Output == nil) != (g.Rows == 0) {
		m.t.Fatalf("rows: %d are rewritten of %d that are planned", rw.Rows, g.Rows)
	}
	m.hit("begun: " + string(g.Reason))
	m.pending = append(m.pending, pending{rw, stem, at})
	m.fly()
}

// isPast reports whether a file of a group is not as it was: it or its vector may be collected.
func (m *maintenance) isPast(g Group) bool {
	live := m.live()
	return slices.ContainsFunc(g.Files, func(f table.LiveFile) bool { return live[f.Path] != f })
}

func (m *maintenance) live() map[string]table.LiveFile {
	out := map[string]table.LiveFile{}
	for _, f := range m.table.Survey().Files {
		out[f.Path] = f
	}
	return out
}

// fly tells the collector what is in flight.
func (m *maintenance) fly() {
	m.flying = nil
	for _, p := range m.pending {
		m.flying = append(m.flying, p.stem)
	}
}

// finish lands a rewrite that was begun, which has its fate.
func (m *maintenance) finish(what fate) {
	m.t.Helper()
	if len(m.pending) == 0 {
		return
	}
	i := m.rng.IntN(len(m.pending))
	p := m.pending[i]
	late := false
	before := m.table.Head().Mark
	landed, err := m.land(what, func() (work, error) {
		var err error
		var d *table.Delta
		late, d, err = m.replace(p)
		mark := m.table.Head().Mark
		mark.Fence = m.fence
		return work{d, mark, m.model}, err
	})
	if i < len(m.pending) && m.pending[i].rw == p.rw { // no crash
		m.pending = slices.Delete(m.pending, i, i+1)
		m.fly()
	}
	if errors.Is(err, table.ErrOutdated) {
		m.hit("outdated")
		return
	}
	m.must(err)
	if !landed {
		return
	}
	if after := m.head().Mark; !after.Position.Equal(before.Position) || after.Epoch != before.Epoch || after.Timeline != before.Timeline {
		m.t.Fatalf("mark: a rewrite moves it from %v to %v", before, after)
	}
	m.hit("rewrite landed")
	for what, is := range map[string]bool{
		"late deletes": late, "no row left": p.rw.Output == nil, "foreign rewrite between": p.foreigns != m.foreigns, "landed behind a rewind": p.timeline != m.timeline,
	} {
		if is {
			m.hit(what)
		}
	}
}

// replace makes the Delta of a rewrite, and says whether rows were deleted since it was begun. One
// whose inputs are live may not be refused; but main may have been set back since.
func (m *maintenance) replace(p pending) (late bool, d *table.Delta, err error) {
	m.t.Helper()
	live, gone := m.live(), false
	for _, in := range p.rw.Inputs {
		seen := int64(0)
		if in.Seen != nil {
			seen = in.Seen.Cardinality()
		}
		f, there := live[in.Path]
		gone = gone || !there
		late = late || f.Deleted > seen
	}
	d, err = m.table.Replace(p.rw)
	if errors.Is(err, table.ErrOutdated) && !gone {
		m.hit("rows live again")
		if p.timeline == m.timeline {
			m.t.Fatalf("outdated: all inputs are live: %v", err)
		}
	}
	return late, d, err
}

// tidy collects garbage.
func (m *maintenance) tidy() {
	m.t.Helper()
	r := m.collect()
	m.hits["garbage removed"] += r.Removed
	m.hits["in flight"] += r.Tables[0].Stay[InFlight]
	if r.Removed > 0 && m.maybe(4) {
		m.check()
	}
}

// see has the daemon follow what others did.
func (m *maintenance) see() {
	m.t.Helper()
	m.must(m.table.Refresh(context.Background(), m.head()))
	m.unseen = false
}

// draw gives the changes of an epoch.
func (m *maintenance) draw() []change {
	if m.again != nil {
		return m.again
	}
	const keys = 40
	out := make([]change, 1+m.rng.IntN(8))
	for i := range out {
		out[i].id = int64(m.rng.IntN(keys))
		if !m.maybe(4) {
			m.names++
			out[i].val = fmt.Sprintf("v%d", m.names)
		}
	}
	if there := slices.Sorted(maps.Keys(m.model)); m.maybe(12) { // all that one file has may go
		for _, key := range there[:len(there)/2] {
			out = append(out, change{id: key})
		}
	}
	return out
}
