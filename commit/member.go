package commit

import (
	"sync/atomic"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// Member is a source table and the lake table it goes to.
type Member struct {
	Source   table.Source
	Lake     table.Name
	Location string // of the lake table's files
	Storage  table.Storage
	// FormatVersion is the format version of Iceberg that the lake table is to have; 0: the one
	// that it has, and the newest for a table that is created.
	FormatVersion int
	// Rows and RowBytes are the source's estimates, for progress and chunk sizes.
	Rows, RowBytes int64
}

func (m Member) name() capture.Name { return m.Source.Table.Name }

// member is a member of the running pipeline.
type member struct {
	Member
	asked    *table.Source // what the configuration and the source said at the start; nil: as in Member
	table    *table.Table
	position capture.Position // of its newest Mark
	touched  bool             // others changed its snapshots, and no commit was begun since
	behind   time.Time        // since when position lacks delivered transactions; zero: it does not
	load     load
	now      atomic.Pointer[capture.Table] // its shape where the stream is, for the loaders
	loaded   bool                          // the end of the load is committed
	loadedAt time.Time
	former   int64             // the fence number in force before ours
	settled  *capture.Position // the source's position when loadedAt was over; nil: not known yet
	left     *table.Quarantine // why it is not replicated any more; nil: it is
	gone     atomic.Bool       // the same, for the loaders
	last     *table.Head       // where it had left before this process
	anew     bool              // it is loaded anew, on a branch
	changes  Changes
}

// Changes counts what a table's commits did.
type Changes struct {
	Inserted, Updated, Deleted, Commits int64
	// Written is the size of the data files.
	Written int64
	// Conflicts counts the attempts that could not land because others had changed the
	// table, and were made anew.
	Conflicts int64
}

func (c *Changes) add(d Changes) {
	c.Inserted += d.Inserted
	c.Updated += d.Updated
	c.Deleted += d.Deleted
	c.Commits += d.Commits
	c.Written += d.Written
	c.Conflicts += d.Conflicts
}

// tables is the configuration of the member's table.
func (m *member) tables(cfg table.Config) table.Config {
	cfg.FormatVersion = m.FormatVersion
	return cfg
}

// name is the source table's. The loaders may ask, too.
func (m *member) name() capture.Name {
	if t := m.now.Load(); t != nil {
		return t.Name
	}
	return m.Member.name()
}

// take makes a shape the member's.
func (m *member) take(t capture.Table) {
	m.Source.Table = t
	m.now.Store(&t)
}

// alter follows a change of the member's shape that the stream has delivered. What was read of
// the table before cannot join an epoch any more.
func (m *member) alter(c *capture.Change) {
	m.take(*c.Table)
	m.load.alter(c.Table)
}

// shape is how the member's rows look. It does not change with the member.
func (m *member) shape() capture.Capture {
	t := m.Source.Table
	return capture.Capture{Table: &t, Options: m.Source.Options, CommitTime: m.Source.CommitTime}
}

// capture is how the stream captures the member, given what it already holds.
func (m *member) capture() capture.Capture {
	c := m.shape()
	if !mutated("nofilter") {
		c.Applied = m.position
	}
	return c
}

// noteDelivered notes that the stream has delivered up to a position.
func (m *member) noteDelivered(delivered capture.Position, now time.Time) {
	if m.position.Covers(delivered) {
		m.behind = time.Time{}
	} else if m.behind.IsZero() {
		m.behind = now
	}
}
