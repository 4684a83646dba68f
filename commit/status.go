package commit

import (
	"slices"
	"strings"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// Status is what a pipeline is doing, at one moment.
type Status struct {
	At        time.Time
	Delivered capture.Position // by the stream, to the epoch that is collected
	Finished  capture.Position // everything up to here is in the lake
	Epoch     int64            // being collected
	Fence     int64
	// SourceTime is the commit time of the newest source transaction that was delivered,
	// CommittedTime that of the newest one committed to the lake.
	SourceTime, CommittedTime time.Time
	// PendingSince is when the oldest change that is not committed yet was delivered; zero:
	// there is none. DeliveryDelay is how old the newest transaction was when it was
	// delivered.
	PendingSince   time.Time
	Heard          time.Time // when the source last gave a sign of life; zero: not yet
	DeliveryDelay  time.Duration
	HeldSince      time.Time // since when the stream stands still for a cut on demand; zero: it does not
	Throttle       Throttle  // of the initial load
	CollectedRows  int
	CollectedBytes int64
	Cut            Cut           // the newest one that this process has published
	Tables         []TableStatus // by name
	Refused        []Refusal
	Counters       Counters
}

// Lag is how far the lake is behind the source, as far as the stream knows: 0 when it has
// everything that was delivered, and the time since the last sign of life where the source
// has been silent for longer than its heartbeats allow.
func (s Status) Lag() time.Duration {
	lag := time.Duration(0)
	if !s.PendingSince.IsZero() {
		lag = s.At.Sub(s.PendingSince) + s.DeliveryDelay
	}
	if !s.HeldSince.IsZero() {
		lag = max(lag, s.At.Sub(s.HeldSince))
	}
	if silence := s.At.Sub(s.Heard); !s.Heard.IsZero() && silence > 2*capture.Heartbeat {
		lag = max(lag, silence)
	}
	return lag
}

// Quarantined gives the source tables that are not replicated any more, but for those that the
// source does not have any more either.
func (s Status) Quarantined() []string {
	var out []string
	for _, t := range s.Tables {
		if t.Quarantine != nil && !t.Quarantine.Dropped() {
			out = append(out, t.Source.String())
		}
	}
	return out
}

// Cut is a point at which the control table names a snapshot of every table.
type Cut struct {
	Number    int64 // 0: none
	Published time.Time
	Position  capture.Position
}

// TableStatus is what a pipeline knows of one table.
type TableStatus struct {
	Source   capture.Name
	Lake     table.Name
	Position capture.Position
	Behind   time.Duration // how long the position has lacked delivered transactions
	Loading  bool
	Anew     bool // it is loaded anew, and readers see the rows of before
	// LoadedRows and LoadRows tell how far the load has come, that of earlier processes
	// included; both are estimates while the table changes.
	LoadedRows, LoadRows int64
	Changes              Changes
	// Committed is the commit time of the newest source transaction that its newest commit
	// covers; zero: not known.
	Committed            time.Time
	Snapshot             int64 // that Content is of
	Content              table.Stats
	Quarantine           *table.Quarantine // why it is not replicated any more; nil: it is
	IndexKeys, IndexRuns int
	// IndexMemory and IndexDisk are the bytes that the key index takes.
	IndexMemory, IndexDisk int64
}

// Refusal is a table that came into being and cannot be replicated.
type Refusal struct {
	Table  capture.Name
	Reason string
}

// Counters only grow.
type Counters struct {
	Transactions   int64
	Rows           int64 // captured source changes delivered
	LoadedRows     int64
	NoDates        int64 // values that became NULL because they are no date
	Unlogged       int64 // statements that changed other tables without row events
	LogBytes       int64 // read of the log
	LogEvents      int64
	Commits        int64 // of tables
	Epochs         int64
	CommitDuration Histogram // of an epoch, in seconds
}

// Histogram counts durations in buckets.
type Histogram struct {
	Bounds []float64 // upper bounds in seconds
	Counts []uint64  // of each bound, not cumulative; one more for what lies above
	Sum    float64
	Count  uint64
}

// durationBounds are the buckets of commit durations, in seconds.
func durationBounds() []float64 {
	return []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
}

func (h *Histogram) observe(d time.Duration) {
	s := d.Seconds()
	i, _ := slices.BinarySearch(h.Bounds, s)
	h.Counts[i]++
	h.Sum += s
	h.Count++
}

// counters is the loop's own.
type counters struct {
	Counters
	sourceTime, committedTime time.Time
	delay                     time.Duration
	content                   map[*member]content
}

// content is what is known of a table after its newest commit.
type content struct {
	committed    time.Time
	snapshot     int64
	stats        table.Stats
	keys, runs   int
	memory, disk int64 // bytes of the key index
}

func newCounters(members map[capture.Name]*member) counters {
	b := durationBounds()
	c := counters{
		Counters: Counters{CommitDuration: Histogram{Bounds: b, Counts: make([]uint64, len(b)+1)}},
		content:  map[*member]content{},
	}
	for _, m := range members {
		c.look(m)
	}
	return c
}

// look notes what a member's table is made of. The table must be the loop's to look at.
func (c *counters) look(m *member) {
	t := m.table
	memory, disk := t.IndexBytes()
	c.content[m] = content{t.Head().Mark.Committed, t.Head().Snapshot, t.Stats(), t.IndexKeys(), t.IndexRuns(), memory, disk}
}

func (c *counters) delivered(s *capture.Segment) {
	c.Transactions += int64(s.Transactions)
	c.Rows += int64(s.Rows)
	c.NoDates += s.NoDates
	c.Unlogged += int64(s.Unlogged)
	c.LogBytes += s.LogBytes
	c.LogEvents += int64(s.LogEvents)
	if s.Committed.After(c.sourceTime) {
		c.sourceTime = s.Committed
	}
	if !s.Committed.IsZero() {
		c.delay = max(0, time.Since(s.Committed))
	}
}

// landed counts a commit. The members' tables are still the loop's to look at: no other
// work has begun.
func (c *counters) landed(w work) {
	c.Epochs++
	c.CommitDuration.observe(w.took)
	for _, ld := range w.landings {
		if ld.changes.Commits == 0 {
			continue
		}
		c.Commits++
		if ld.mark.Committed.After(c.committedTime) {
			c.committedTime = ld.mark.Committed
		}
		c.look(ld.member)
	}
}

// publish makes the loop's state visible to Pipeline.Status.
func (l *loop) publish() {
	now := time.Now()
	s := &Status{
		At: now, Delivered: l.delivered, Finished: l.finished, Epoch: l.epoch.number, Fence: l.p.committer.fence,
		SourceTime: l.counters.sourceTime, CommittedTime: l.counters.committedTime,
		CollectedRows: l.epoch.rows, CollectedBytes: l.epoch.bytes, Refused: slices.Clone(l.p.refused), Counters: l.counters.Counters,
	}
	if l.stream != nil {
		s.Heard = l.stream.Heard()
	}
	s.Cut, s.HeldSince, s.Throttle = l.cuts.newest, l.hold.heldSince(), l.throttle.now
	s.DeliveryDelay, s.PendingSince = l.counters.delay, l.inFlight
	if s.PendingSince.IsZero() {
		s.PendingSince = l.epoch.began
	}
	s.Counters.CommitDuration.Counts = slices.Clone(s.Counters.CommitDuration.Counts)
	for _, m := range l.members {
		t := TableStatus{
			Source: m.name(), Lake: m.Lake, Position: m.position, Loading: !m.loaded || m.anew, Anew: m.anew,
			LoadedRows: m.load.before + m.load.rows, LoadRows: m.Rows, Changes: m.changes,
		}
		if !m.behind.IsZero() {
			t.Behind = now.Sub(m.behind)
		}
		c := l.counters.content[m]
		t.Committed, t.Snapshot, t.Content, t.IndexKeys, t.IndexRuns = c.committed, c.snapshot, c.stats, c.keys, c.runs
		t.IndexMemory, t.IndexDisk = c.memory, c.disk
		s.Tables = append(s.Tables, t)
	}
	for _, m := range l.p.aside {
		s.Tables = append(s.Tables, l.counters.ofAside(m))
	}
	slices.SortFunc(s.Tables, func(a, b TableStatus) int { return strings.Compare(a.Source.String(), b.Source.String()) })
	l.p.status.Store(s)
}

// ofAside is the status of a table that has left.
func (c *counters) ofAside(m *member) TableStatus {
	x := c.content[m]
	if h := m.last; h != nil {
		x.committed, x.snapshot = h.Mark.Committed, h.Snapshot
		x.stats.Rows, x.stats.DeletedRows = h.Rows()
	}
	return TableStatus{
		Source: m.name(), Lake: m.Lake, Position: m.position, Changes: m.changes, Committed: x.committed, Snapshot: x.snapshot, Content: x.stats,
		Quarantine: m.left,
	}
}

// Quantile estimates a quantile in seconds, by the bucket it falls into.
func (h Histogram) Quantile(q float64) float64 {
	rank, seen := q*float64(h.Count), 0.0
	for i, n := range h.Counts {
		if seen += float64(n); n == 0 || seen < rank {
			continue
		}
		if i == len(h.Bounds) {
			return h.Bounds[i-1]
		}
		low := 0.0
		if i > 0 {
			low = h.Bounds[i-1]
		}
		return low + (h.Bounds[i]-low)*(rank-(seen-float64(n)))/float64(n)
	}
	return 0
}
