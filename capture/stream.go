package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"cdcd/capture/binlog"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Limits bound a Segment. A Segment ends with the transaction that reaches one of them; it
// is handed over within a transaction only past Bytes.
type Limits struct {
	Rows   int           // captured source rows
	Bytes  int           // memory of the rows
	Linger time.Duration // how long the first transaction waits for company
	// Prepared bounds what is kept of XA transactions of which it is not known yet whether they
	// are committed, in bytes of the log.
	Prepared int
}

// Capture says how one table is captured.
type Capture struct {
	Table      *Table
	Options    TypeOptions
	CommitTime bool // append CommitTimeColumn
	// Applied is what the table already holds: transactions in it are not delivered again.
	Applied Position
}

// StreamConfig says what to read.
type StreamConfig struct {
	Source Source
	Start  Position // continue after these transactions
	// Witnesses are of transactions that tables hold. A server that has others under their GTIDs
	// ends the stream with ErrHistoryLost, before anything is delivered.
	Witnesses []Witness
	Tables    []Capture
	Wanted    func(Name) bool // which tables that come into being are reported
	// Quarantine has a table leave where the stream would otherwise end because of it alone.
	Quarantine bool
	// LeaveDropped and LeaveReplaced have a table leave whose name means no table any more, or
	// another one, where the stream would otherwise end.
	LeaveDropped, LeaveReplaced bool
	Limits                      Limits
	Memory                      memory.Allocator // of the batches
	Logger                      *slog.Logger
}

// Stream tails a server's binlog. It is used by one goroutine at a time.
type Stream struct {
	cfg     StreamConfig
	flavor  Flavor
	server  string // the server process that is being read
	collate map[uint64]string
	fold    bool                                 // the server takes names in any case and keeps them in lower
	tables  map[string]map[string]*capturedTable // by schema, then table
	applied Position
	tx      transaction
	newest  Witness // of the transactions that were delivered
	untold  string  // the Witnesses that the last connection had no answer to

	dump     *binlog.Dump
	payload  *binlog.Payload
	inside   bool // events come from payload
	inflater binlog.Inflater
	replay   []binlog.Event // that were kept and are handled before any other
	// repeatsTo is up to which number of a domain the server sends again what is applied, and
	// repeated that it is sending such a transaction.
	repeatsTo map[uint32]uint64
	repeated  bool
	plans     map[uint64]*plan
	ignored   []uint64 // ids of tables of the open statement that are not captured

	sent     bool // part of the open transaction has been handed over
	damaged  int  // damaged events since the last whole transaction
	segment  Segment
	since    time.Time    // when the segment's first transaction ended
	touched  []*rowBuffer // with rows of the open transaction
	created  []Name       // by the open transaction
	altering *Change      // by the open transaction, of which nothing has joined the segment yet
	ends     []Position   // that a segment is to end at
	atEnd    bool         // the newest whole transaction reached one of them, or was handed over in parts
	held     atomic.Bool  // Next is to return at a transaction's end, with what there is
	buffered int          // bytes in all buffers
	replaced int          // losses of the connection to a replica of the same identity
	// replacedAt is when the first of them was that counts.
	replacedAt time.Time
	losses     losses
	heard      atomic.Int64 // when bytes last arrived from the server, in Unix nanoseconds; 0: never
	spent      error        // ends the stream, behind the segment that was handed over last
}

// Heartbeat is how often an idle server gives a sign of life.
const Heartbeat = 5 * time.Second

// attention bounds how long an idle stream takes to notice that nobody waits for it.
const attention = 250 * time.Millisecond

// NewStream prepares a stream. It connects at the first Next.
func NewStream(cfg StreamConfig) (*Stream, error) {
	payload, err := binlog.NewPayload()
	if err != nil {
		return nil, err
	}
	s := &Stream{
		cfg: cfg, flavor: cfg.Start.Flavor(), applied: cfg.Start.Clone(), payload: payload,
		tables: map[string]map[string]*capturedTable{},
		tx:     newTransaction(cfg.Start.Flavor()),
		plans:  map[uint64]*plan{},
	}
	for _, c := range cfg.Tables {
		if err := s.Capture(c); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Flavor tells the family of the server.
func (s *Stream) Flavor() Flavor { return s.flavor }

// Server identifies the server process that is being read, as Server.ID does. It is ""
// before the first connection.
func (s *Stream) Server() string { return s.server }

// Heard is when the server last gave a sign of life; zero before the first one. Other
// goroutines may ask.
func (s *Stream) Heard() time.Time {
	if ns := s.heard.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// Connect connects, so that Server tells where to. Next does so by itself.
func (s *Stream) Connect(ctx context.Context) error {
	if s.dump != nil {
		return nil
	}
	return s.reconnect(ctx)
}

// EndAt makes the segment end at the transaction from which on its End reaches a position. Nothing else may
// be asked of the stream meanwhile.
func (s *Stream) EndAt(p Position) {
	if !s.applied.Reaches(p) {
		s.ends = append(s.ends, p)
	}
}

// Hold makes Next return at the next transaction's end with what there is, if need be with an
// empty Segment, also the one that is under way: so an idle stream can be brought to stand
// still. It notices within the time that an idle stream takes to look up. Other goroutines may
// call it.
func (s *Stream) Hold(on bool) { s.held.Store(on) }

// Close ends the connection and gives the memory of rows that were not delivered back.
func (s *Stream) Close() {
	s.disconnect()
	s.payload.Close()
	for t := range s.each() {
		t.buffer.free()
	}
	s.segment.Release()
}

// Next returns the next segment. It waits until at least one transaction has ended, Hold asks
// for what there is, or ctx is done, reconnecting as often as it takes within a bound. On error the stream is spent;
// all transactions before the error have been delivered, but for one that was delivered in
// part.
//
// Errors: *Stop where something must not be read past; ErrPositionLost, ErrHistoryLost,
// ErrReplaced and ErrAccess as they say; anything else is a connection that could not be
// held.
func (s *Stream) Next(ctx context.Context) (*Segment, error) {
	for {
		if err := errors.Join(s.spent, ctx.Err()); err != nil {
			return nil, err
		}
		if err := s.Connect(ctx); err != nil {
			return s.end(err)
		}
		full, err := s.advance(ctx)
		if err != nil {
			if err := s.afterError(ctx, err); err != nil {
				return s.end(err)
			}
			continue
		}
		if full {
			return s.flush(), nil
		}
	}
}

// end spends the stream. The whole transactions that are collected are handed over first.
func (s *Stream) end(err error) (*Segment, error) {
	s.spent = err
	if s.sent || s.segment.Transactions == 0 {
		return nil, err
	}
	s.disconnect()
	return s.flush(), nil
}

// advance handles one event and reports whether the segment is complete.
func (s *Stream) advance(ctx context.Context) (full bool, err error) {
	if s.altering != nil { // what was before it has been handed over
		return true, s.finishAlter()
	}
	if len(s.replay) > 0 {
		err := s.handle(s.nextKept())
		return err == nil && s.full(), err
	}
	e, err := s.event(ctx)
	switch {
	case errors.Is(err, binlog.ErrIdle):
		return s.full(), nil
	case err != nil:
		return false, err
	}
	s.segment.count(e, s.inside)
	if err := s.handle(e); err != nil {
		return false, err
	}
	return s.full(), nil
}

// event returns the next event, out of a compressed transaction where one is open.
func (s *Stream) event(ctx context.Context) (binlog.Event, error) {
	if s.inside {
		e, err := s.payload.Next()
		if !errors.Is(err, io.EOF) {
			return e, err
		}
		s.inside = false
	}
	until := time.Now().Add(attention)
	if !s.since.IsZero() && !s.tx.open {
		until = s.since.Add(s.cfg.Limits.Linger)
	}
	e, err := s.dump.Next(until)
	s.heard.Store(s.dump.Heard().UnixNano())
	return e, err
}

// full reports whether the segment is to be handed over now.
func (s *Stream) full() bool {
	if s.altering != nil {
		return s.segment.Transactions > 0
	}
	if s.tx.open {
		return s.tx.rows > 0 && s.buffered >= s.cfg.Limits.Bytes
	}
	if s.held.Load() {
		return true
	}
	if s.segment.Transactions == 0 {
		return false
	}
	return s.atEnd || len(s.segment.Left) > 0 || s.segment.Rows >= s.cfg.Limits.Rows || len(s.segment.Created) > 0 ||
		time.Since(s.since) >= s.cfg.Limits.Linger || s.buffered >= s.cfg.Limits.Bytes
}

// flush hands the segment over and begins the next.
func (s *Stream) flush() *Segment {
	out := s.segment
	out.Open = s.tx.open && s.altering == nil
	out.End, out.Newest = s.applied.Clone(), s.newest
	for t := range s.each() {
		out.NoDates += t.buffer.takeNoDates()
		if len(t.buffer.ops) > 0 {
			out.Batches = append(out.Batches, t.buffer.take())
		}
		if t.behind {
			t.behind = !s.applied.Covers(t.Applied)
		}
	}
	slices.SortFunc(out.Batches, func(a, b *Batch) int { return compareNames(a.Table.Name, b.Table.Name) })
	s.segment = Segment{}
	s.since, s.atEnd = time.Time{}, false
	s.buffered = 0
	s.sent = s.sent || out.Open
	return &out
}

// endTransaction makes the rows of the open transaction part of the segment.
func (s *Stream) endTransaction(applied []GTID) error {
	for _, g := range applied {
		if err := s.applied.Add(g); err != nil {
			return err
		}
	}
	if w := s.tx.witness(); !w.IsZero() && len(applied) > 0 {
		s.newest = w
	}
	for _, b := range s.touched {
		b.seal()
	}
	s.touched = s.touched[:0]
	s.segment.Created = append(s.segment.Created, s.created...)
	s.created = s.created[:0]
	s.damaged, s.losses.brought = 0, true
	s.segment.Transactions++
	before := len(s.ends)
	if before > 0 {
		s.ends = slices.DeleteFunc(s.ends, s.applied.Passed().Covers)
	}
	// What was handed over in parts is handed over to its end: where rows are large, the next segment
	// ends inside of a transaction too, and whoever waits for the end of one would wait for ever.
	s.atEnd = s.atEnd || s.sent || len(s.ends) < before
	s.sent = false
	if s.tx.committed.After(s.segment.Committed) {
		s.segment.Committed = s.tx.committed
	}
	if s.since.IsZero() {
		s.since = time.Now()
	}
	return nil
}

// gtidText names the open transaction for messages.
func (s *Stream) gtidText() string {
	if !s.tx.open {
		return ""
	}
	return s.tx.gtid.Text(s.flavor)
}

// stop builds the error for something that must not be read past.
func (s *Stream) stop(what string, table Name, hint string) error {
	st := &Stop{GTID: s.gtidText(), What: what, Hint: hint}
	if table != (Name{}) {
		st.Table = table.String()
	}
	return st
}

// stopTable is stop for what concerns one table alone.
func (s *Stream) stopTable(what string, table Name, hint string) error {
	return &Stop{GTID: s.gtidText(), What: what, Table: table.String(), Alone: table, Hint: hint}
}

func (s *Stream) protocolError(e binlog.Event, err error) error {
	return fmt.Errorf("%v at log position %d: %w", e.Type, e.LogPos, err)
}
