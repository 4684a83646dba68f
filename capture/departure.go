package capture

import (
	"errors"
	"time"
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
	if !s.cfg.Quarantine || !errors.As(err, &stop) {
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
