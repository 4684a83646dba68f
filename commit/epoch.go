package commit

import (
	"cmp"
	"slices"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// epoch is a run of whole transactions in the making.
type epoch struct {
	number    int64
	end       capture.Position // behind its last whole transaction
	committed time.Time        // commit time of its newest transaction on the source
	newest    capture.Witness  // of a transaction in end; zero: none was delivered
	began     time.Time        // when its first change arrived; zero: it has none
	rows      int              // source changes and loaded rows
	bytes     int64            // held in memory
	open      bool             // it ends inside a transaction: no cut
	altered   bool             // it ends with an ALTER TABLE or TRUNCATE: nothing may follow in it
	leaves    bool             // it has the last share of a table: it is not to wait
	shares    map[*member]*share
}

// share is one table's part of an epoch.
type share struct {
	chunks []placed // loaded rows
	log    []*capture.Batch
	loaded bool            // chunks joined, with rows or without
	change *capture.Change // of the table as a whole, nil for none; then there are no rows
	left   *leaving        // nil but for the last share of a table
	// loading tells of a spilled part that the table's load was not complete.
	loading bool
	spill   *spill // of a share too large for memory; nil for others
}

// placed is loaded rows, and behind how many batches of the log they are to be folded.
type placed struct {
	*capture.Batch
	behind int
}

// spill is the part of a share that is uploaded already. The committer fills it.
type spill struct {
	build   *table.Builder
	refused error // why the table cannot follow; nil: it can
}

func newEpoch(number int64, end capture.Position) *epoch {
	return &epoch{number: number, end: end, shares: map[*member]*share{}}
}

// follow makes the epoch that comes after e.
func (e *epoch) follow() *epoch {
	next := newEpoch(e.number+1, e.end)
	next.newest = e.newest
	return next
}

// lastOf is the Witness for the next Mark of a table in whose position the epoch is. Where the
// table is ahead of the epoch's, its own is the later one.
func (e *epoch) lastOf(m table.Mark) capture.Witness { return later(e.newest, m) }

func later(newest capture.Witness, m table.Mark) capture.Witness {
	if newest.IsZero() || !m.Last.IsZero() && m.Position.Contains(newest.GTID) {
		return m.Last
	}
	return newest
}

func (e *epoch) share(m *member) *share {
	s := e.shares[m]
	if s == nil {
		s = &share{}
		e.shares[m] = s
	}
	return s
}

// addSegment joins a segment to the epoch, which owns its batches from now on. What is of tables
// that have left is given back.
func (e *epoch) addSegment(s *capture.Segment, members map[capture.Name]*member, now time.Time) {
	e.end, e.open = s.End, s.Open
	if s.Committed.After(e.committed) {
		e.committed = s.Committed
	}
	if !s.Newest.IsZero() {
		e.newest = s.Newest
	}
	e.rows += s.Rows
	if s.Change != nil && members[s.Change.Table.Name] != nil {
		e.altered = true
		e.share(members[s.Change.Table.Name]).change = s.Change
		e.start(now)
	}
	for _, b := range s.Batches {
		m := members[b.Table.Name]
		if m == nil {
			b.Release()
			continue
		}
		sh := e.share(m)
		sh.log = append(sh.log, b)
		e.bytes += b.Bytes()
		e.start(now)
	}
}

// addChunk joins a chunk's rows, which may be nil, to the epoch, behind so many batches of the log.
func (e *epoch) addChunk(m *member, b *capture.Batch, behind int, now time.Time) {
	sh := e.share(m)
	sh.loaded = true
	e.start(now)
	if b != nil {
		sh.chunks = append(sh.chunks, placed{b, behind})
		e.rows += b.Rows()
		e.bytes += b.Bytes()
	}
}

func (e *epoch) start(now time.Time) {
	if e.began.IsZero() {
		e.began = now
	}
}

// logged gives how many batches of the log the epoch has of a table.
func (e *epoch) logged(m *member) int {
	if s := e.shares[m]; s != nil {
		return len(s.log)
	}
	return 0
}

// empty reports that nothing in the epoch changes a table.
func (e *epoch) empty() bool { return len(e.shares) == 0 }

// batches gives a share's batches in the order in which they are folded.
func (s *share) batches() []*capture.Batch {
	out := make([]*capture.Batch, 0, len(s.chunks)+len(s.log))
	chunks := slices.Clone(s.chunks)
	slices.SortStableFunc(chunks, func(a, b placed) int { return cmp.Compare(a.behind, b.behind) })
	for i, b := range s.log {
		for ; len(chunks) > 0 && chunks[0].behind <= i; chunks = chunks[1:] {
			out = append(out, chunks[0].Batch)
		}
		out = append(out, b)
	}
	for _, c := range chunks {
		out = append(out, c.Batch)
	}
	return out
}

// discard gives up what the share holds, for a table that keeps what it has. What is uploaded of it
// becomes garbage.
func (s *share) discard() {
	s.release()
	s.spill, s.change, s.loaded = nil, nil, false
}

// release gives the batches back.
func (s *share) release() {
	for _, b := range s.batches() {
		b.Release()
	}
	s.chunks, s.log = nil, nil
}

// detach takes what the epoch holds in memory out of it, for the committer to upload.
func (e *epoch) detach() *epoch {
	part := newEpoch(e.number, e.end)
	for m, s := range e.shares {
		if len(s.chunks)+len(s.log) == 0 {
			continue
		}
		if s.spill == nil {
			s.spill = &spill{}
		}
		part.shares[m] = &share{chunks: s.chunks, log: s.log, spill: s.spill, loading: !m.load.complete}
		s.chunks, s.log = nil, nil
	}
	e.bytes = 0
	return part
}

func (e *epoch) release() {
	for _, s := range e.shares {
		s.release()
	}
}
