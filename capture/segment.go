package capture

import (
	"strings"
	"time"

	"cdcd/capture/binlog"
)

// Segment is a run of whole transactions from the stream. Segments follow each other
// without gaps.
type Segment struct {
	// Batches hold the captured changes, at most one Batch a table. The receiver releases
	// them.
	Batches []*Batch
	// End is the stream's position behind the last whole transaction. It shares nothing
	// with the stream.
	End Position
	// Newest is of a transaction in End: the newest that has one, of those that this stream
	// delivered.
	Newest Witness
	// Open tells that the Batches also hold the first part of a transaction that is too
	// large for one Segment. The following Segments go on with it: no cut may be made here.
	Open bool
	// Transactions counts the transactions that ended, captured or not.
	Transactions int
	// Rows counts the captured source changes: inserted, updated and deleted rows.
	Rows int
	// Committed is the commit time of the newest transaction; zero when none ended.
	Committed time.Time
	// Created names tables that came into being in the last transaction and match what the
	// user wants. Nothing of them is captured until Stream.Capture is called.
	Created []Name
	// Change is what an ALTER TABLE or TRUNCATE made of a captured table, nil for none. A Segment with one
	// holds nothing but its transaction; Batches behind it have the new shape.
	Change *Change
	// Left are the tables of which nothing is delivered any more. What Batches hold of them is of
	// the transactions before.
	Left []Departure
	// NoDates counts values that became NULL because they are no date.
	NoDates int64
	// Unlogged counts statements that changed other tables without row events.
	Unlogged int
	// LogBytes and LogEvents count what was read of the log since the Segment before, again
	// what was read again after a reconnect. The events of a compressed transaction count
	// one by one, its bytes as they were sent.
	LogBytes  int64
	LogEvents int
}

// count notes an event that was read; inside tells that it came out of a compressed
// transaction.
func (s *Segment) count(e binlog.Event, inside bool) {
	s.LogEvents++
	if !inside {
		s.LogBytes += int64(e.Size())
	}
}

// Bytes is about the memory that the Batches take.
func (s *Segment) Bytes() int64 {
	var n int64
	for _, b := range s.Batches {
		n += b.Bytes()
	}
	return n
}

// Release gives the Batches back.
func (s *Segment) Release() {
	for _, b := range s.Batches {
		b.Release()
	}
}

func compareNames(a, b Name) int {
	if c := strings.Compare(a.Schema, b.Schema); c != 0 {
		return c
	}
	return strings.Compare(a.Table, b.Table)
}
