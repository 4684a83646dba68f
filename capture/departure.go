package capture

import (
	"errors"
	"time"

	"cdcd/capture/statement"
)

// Departure tells that a table leaves the stream, because of something in the log that concerns it
// alone and must not be read past.
type Departure struct {
	Table Name
	Why   *Stop
	// Before is the position behind the last transaction of which the table's rows were delivered
	// whole. It shares nothing with the stream.
	Before Position
	// Newest is of a transaction in Before, as a Segment has it, and Committed the commit time of
	// the newest one that ended in the Segment.
	Newest    Witness
	Committed time.Time
	// Torn tells that rows of the transaction behind Before have been delivered already, in an
	// open Segment. They must not be kept, nor what cannot be told from them.
	Torn bool
}

// leaves has a table leave where an error concerns it alone. What the stream has of whole
// transactions of it is delivered; the open transaction goes on without it.
func (s *Stream) leaves(err error) bool {
	var stop *Stop
	if !errors.As(err, &stop) || s.cfg.endsAt(stop.Cause) {
		return false
	}
	t := s.tables[stop.Alone.Schema][stop.Alone.Table]
	if t == nil {
		return false
	}
	s.remove(t)
	s.segment.NoDates += t.buffer.takeNoDates()
	if len(t.buffer.ops) > 0 {
		s.segment.Batches = append(s.segment.Batches, t.buffer.take())
	}
	t.buffer.free()
	s.segment.Left = append(s.segment.Left, Departure{
		Table: t.Table.Name, Why: stop, Before: s.applied.Clone(), Newest: s.newest, Committed: s.segment.Committed, Torn: s.sent,
	})
	return true
}

// endsAt reports whether the stream is to end where a table cannot be followed, for all tables.
func (c StreamConfig) endsAt(cause Cause) bool {
	switch cause {
	case Dropped:
		return !c.LeaveDropped
	case Replaced:
		return !c.LeaveReplaced
	}
	return !c.Quarantine
}

// part has the tables leave whose names mean other tables behind a statement, or none: one after the
// other, for the statement is judged again for those that are left.
func (s *Stream) part(left []parting, st statement.Statement) error {
	for _, p := range left {
		if s.cfg.endsAt(p.cause) {
			return s.stop(st.Kind.String(), p.table, endsHint(p.cause))
		}
	}
	first := left[0]
	return &Stop{GTID: s.gtidText(), What: st.Kind.String(), Table: first.table.String(), Alone: first.table, Cause: first.cause}
}

// endsHint tells how the stream goes on where it ended because of a name.
func endsHint(c Cause) string {
	if c == Dropped {
		return "set on_table_dropped to keep, or exclude the table"
	}
	return "set on_table_replaced to resnapshot or quarantine, or exclude the table"
}
