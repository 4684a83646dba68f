package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"cdcd/capture/binlog"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// preparedOf is an XA transaction that is prepared as transaction n.
func preparedOf(n uint64, gtrid string, events ...binlog.Event) []binlog.Event {
	start, end := fmt.Sprintf("XA START X'%x',X'',1", gtrid), fmt.Sprintf("XA END X'%x',X'',1", gtrid)
	return slices.Concat([]binlog.Event{beginOf(n), queryOf(start)}, events, []binlog.Event{queryOf(end), xaPrepareOf(0, gtrid)})
}

// completedOf is transaction n, which completes a prepared one.
func completedOf(n uint64, sql string) []binlog.Event {
	return []binlog.Event{beginOf(n), queryOf(sql)}
}

// delivered gives the ids of a segment's rows of app.orders, and releases it.
func delivered(segment *Segment) []byte {
	defer segment.Release()
	var out []byte
	for _, b := range segment.Batches {
		for _, id := range b.Record.Column(0).(*array.Int32).Int32Values() {
			out = append(out, byte(id))
		}
	}
	return out
}

// TestPreparedRowsWaitForTheirOutcome delivers the rows of XA transactions where they commit.
func TestPreparedRowsWaitForTheirOutcome(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"))
	for i, step := range []struct {
		events []binlog.Event
		rows   []byte
		end    string
	}{
		{preparedOf(1, "a", mapOf(9, "orders"), insertOf(9, 1, 2)), nil, ""},
		{preparedOf(2, "b", mapOf(9, "orders"), insertOf(9, 3), mapOf(9, "orders"), insertOf(9, 4)), nil, ""},
		{transactionOf(3, mapOf(9, "orders"), insertOf(9, 5)), []byte{5}, "3"},
		{completedOf(4, "XA COMMIT X'62',X'',1"), []byte{3, 4}, "2-4"},
		{preparedOf(5, "b", mapOf(9, "orders"), insertOf(9, 6)), nil, "2-4"},
		{completedOf(6, "XA ROLLBACK X'62',X'',1"), nil, "2-6"},
		{completedOf(7, "XA COMMIT X'61',X'',1"), []byte{1, 2}, "1-7"},
	} {
		if err := feed(s, step.events...); err != nil {
			t.Fatal(err)
		}
		segment := s.flush()
		end, _ := strings.CutPrefix(segment.End.String(), uuidA+":")
		if rows := delivered(segment); !slices.Equal(rows, step.rows) || end != step.end {
			t.Errorf("step %d: rows %v to %q, want %v to %q", i, rows, end, step.rows, step.end)
		}
	}
	if s.tx.keptBytes != 0 || len(s.tx.prepared) != 0 {
		t.Errorf("%d bytes of %d transactions are still kept", s.tx.keptBytes, len(s.tx.prepared))
	}
}

// TestTablesThatBeganBetweenPrepareAndCommit has one table that was loaded with the prepare in
// its position, one that has both, and one that is captured only behind the prepare.
func TestTablesThatBeganBetweenPrepareAndCommit(t *testing.T) {
	prepare := preparedOf(1, "a", mapOf(8, "between"), mapOf(9, "orders"), insertOf(8, 1), insertOf(9, 2))
	commit := completedOf(2, "XA COMMIT X'61',X'',1")
	for name, c := range map[string]struct {
		applied string
		rows    int
	}{"has the prepare": {"1", 2}, "has both": {"1-2", 1}, "has none": {"", 2}} {
		between := appTable("between")
		s := newTestStream(t, MySQL, none, appTable("orders"), between)
		if c.applied != "" {
			x := s.tables["app"]["between"]
			x.Applied, x.behind = mustPosition(t, MySQL, uuidA+":"+c.applied), true
		}
		if err := feed(s, append(prepare, commit...)...); err != nil {
			t.Fatal(err)
		}
		if rows := delivered(s.flush()); len(rows) != c.rows {
			t.Errorf("%s: delivered %v", name, rows)
		}
	}
	s := newTestStream(t, MySQL, none, appTable("between"))
	x := s.tables["app"]["between"]
	x.Applied, x.behind = mustPosition(t, MySQL, uuidA+":1"), true
	stop := (*Stop)(nil)
	if err := feed(s, preparedOf(1, "a", queryOf("UPDATE between SET id = 3"))...); !errors.As(err, &stop) {
		t.Errorf("a statement in a transaction that is prepared: %v", err)
	}
	for applied, stops := range map[string]bool{":1": true, ":1-2": false} {
		s := newTestStream(t, MySQL, none, appTable("orders"))
		if err := feed(s, prepare...); err != nil {
			t.Fatal(err)
		}
		late := appTable("between")
		late.Applied = mustPosition(t, MySQL, uuidA+applied)
		if err := s.Capture(late); err != nil {
			t.Fatal(err)
		}
		err := feed(s, commit...)
		if stop := (*Stop)(nil); errors.As(err, &stop) != stops || stops && stop.Table != "app.between" {
			t.Errorf("captured at %s: %v", applied, err)
		}
		s.flush().Release()
	}
}

// TestWhatIsKeptIsBounded keeps as much as there is room for: beyond that a transaction is
// delivered as it comes, and must not turn out to be prepared only.
func TestWhatIsKeptIsBounded(t *testing.T) {
	rows := []binlog.Event{mapOf(9, "orders"), insertOf(9, 1, 2), mapOf(9, "orders"), insertOf(9, 3, 4), insertOf(9, 5)}
	onePhase := func(n uint64) []binlog.Event {
		return slices.Concat([]binlog.Event{beginOf(n), queryOf("XA START X'62',X'',1")}, rows, []binlog.Event{xaPrepareOf(1, "b")})
	}
	for name, c := range map[string]struct {
		events []binlog.Event
		room   float64 // of what one transaction takes
		rows   int
		stops  bool
	}{
		"one":                  {preparedOf(1, "a", rows...), 1, 0, false},
		"too large":            {preparedOf(1, "a", rows...), 0.99, 5, true},
		"no room":              {preparedOf(1, "a", rows...), 0, 5, true},
		"two":                  {append(preparedOf(1, "a", rows...), preparedOf(2, "b", rows...)...), 1.99, 5, true},
		"one after the other":  {slices.Concat(preparedOf(1, "a", rows...), completedOf(2, "XA COMMIT X'61',X'',1"), preparedOf(3, "b", rows...)), 1, 5, false},
		"one phase":            {onePhase(1), 1, 5, false},
		"one phase, too large": {onePhase(1), 0.5, 5, false},
		"one phase, no room":   {append(preparedOf(1, "a", rows...), onePhase(2)...), 1, 5, false},
		"of another table":     {preparedOf(1, "a", mapOf(8, "other"), insertOf(8, 1, 2)), 0.3, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			probe := newTestStream(t, MySQL, none, appTable("orders"))
			if err := feed(probe, preparedOf(1, "a", rows...)...); err != nil {
				t.Fatal(err)
			}
			s := newTestStream(t, MySQL, none, appTable("orders"))
			s.cfg.Limits.Prepared = int(c.room * float64(probe.tx.keptBytes))
			err := feed(s, c.events...)
			if stop := (*Stop)(nil); errors.As(err, &stop) != c.stops || err != nil && !c.stops {
				t.Fatal(err)
			}
			if s.segment.Rows != c.rows {
				t.Errorf("%d rows, want %d", s.segment.Rows, c.rows)
			}
			if s.tx.keptBytes > s.cfg.Limits.Prepared {
				t.Errorf("%d bytes are kept, of %d", s.tx.keptBytes, s.cfg.Limits.Prepared)
			}
			s.flush().Release()
		})
	}
}

// TestLargePreparedTransactionsAreHandedOverInParts commits one that is larger than a segment.
func TestLargePreparedTransactionsAreHandedOverInParts(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"))
	s.cfg.Limits.Bytes = 1
	if err := feed(s, preparedOf(1, "a", mapOf(9, "orders"), insertOf(9, 1), insertOf(9, 2))...); err != nil {
		t.Fatal(err)
	}
	s.flush().Release()
	for _, e := range completedOf(2, "XA COMMIT X'61',X'',1") {
		if err := s.handle(e); err != nil {
			t.Fatal(err)
		}
	}
	var parts [][]byte
	for len(s.replay) > 0 {
		if err := feedInner(s); err != nil {
			t.Fatal(err)
		}
		last := len(s.replay) == 0
		if !s.full() && !last {
			continue
		}
		segment := s.flush()
		if want := map[bool]string{false: "", true: uuidA + ":1-2"}[last]; segment.End.String() != want || segment.Open == last {
			t.Errorf("part %d ends at %q, open %v", len(parts), segment.End, segment.Open)
		}
		parts = append(parts, delivered(segment))
	}
	if fmt.Sprint(parts) != "[[1] [2] []]" {
		t.Errorf("parts %v", parts)
	}
}

// history is a log with XA transactions in it, and what comes of it.
type history struct {
	flavor Flavor
	log    [][]binlog.Event
	rows   []byte // in the order in which they become visible
	end    Position
}

// drawHistory draws plain and XA transactions that overlap.
func drawHistory(t *rapid.T, f Flavor) history {
	h := history{flavor: f, end: EmptyPosition(f)}
	var open []string // in the order of their prepares
	prepared := map[string][]byte{}
	prepares := map[string]uint64{}
	id := byte(0)
	draw := func(n int) []byte {
		var ids []byte
		for range n {
			id++
			ids = append(ids, id)
		}
		return ids
	}
	for n := uint64(1); n <= uint64(rapid.IntRange(1, 24).Draw(t, "transactions")); n++ {
		kind := rapid.SampledFrom([]string{"plain", "prepare", "commit", "commit", "rollback"}).Draw(t, "kind")
		ids := draw(rapid.IntRange(0, 3).Draw(t, "rows"))
		apply := h.end.Add
		switch {
		case kind == "prepare":
			xid := string('a' + byte(n))
			open, prepared[xid], prepares[xid] = append(open, xid), ids, n
			h.log, apply = append(h.log, h.prepare(n, xid, ids)), h.end.Pass
		case kind == "plain" || len(open) == 0:
			h.log, h.rows = append(h.log, h.plain(n, ids)), append(h.rows, ids...)
		default:
			i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
			xid := open[i]
			open = slices.Delete(open, i, i+1)
			if kind == "commit" {
				h.rows = append(h.rows, prepared[xid]...)
			}
			h.log = append(h.log, h.complete(n, fmt.Sprintf("XA %s X'%x',X'',1", strings.ToUpper(kind), xid)))
			if err := h.end.Add(h.gtid(prepares[xid])); err != nil {
				t.Fatal(err)
			}
		}
		if err := apply(h.gtid(n)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h history) gtid(n uint64) GTID { return gtidOf(h.flavor, n) }

// begin is the GTID event of transaction n, with the flags of MariaDB.
func (h history) begin(n uint64, flags byte) binlog.Event {
	if h.flavor == MySQL {
		return beginOf(n)
	}
	e := event(binlog.TypeMariaDBGTID, binary.LittleEndian.AppendUint64(nil, n), []byte{0, 0, 0, 0, flags, 0, 0, 0, 0, 0, 0})
	e.ServerID = 1
	return e
}

func (h history) changes(ids []byte) []binlog.Event {
	if len(ids) == 0 {
		return []binlog.Event{mapOf(8, "other"), insertOf(8, 1)}
	}
	return []binlog.Event{mapOf(8, "other"), mapOf(9, "orders"), insertOf(8, 1), insertOf(9, ids...)}
}

func (h history) plain(n uint64, ids []byte) []binlog.Event {
	body := append(h.changes(ids), xid())
	if h.flavor == MySQL {
		body = append([]binlog.Event{queryOf("BEGIN")}, body...)
	}
	return append([]binlog.Event{h.begin(n, 0)}, body...)
}

func (h history) prepare(n uint64, gtrid string, ids []byte) []binlog.Event {
	body := preparedOf(n, gtrid, h.changes(ids)...)[1:]
	if h.flavor == MariaDB { // it logs no XA START
		body = body[1:]
	}
	return append([]binlog.Event{h.begin(n, 0x40)}, body...)
}

func (h history) complete(n uint64, sql string) []binlog.Event {
	return []binlog.Event{h.begin(n, 0x80|1), queryOf(sql)}
}

// behind gives what a server sends behind a position.
func (h history) behind(t *rapid.T, p Position) []binlog.Event {
	var out []binlog.Event
	from, err := ParsePosition(h.flavor, p.ResumeFrom())
	if err != nil {
		t.Fatal(err)
	}
	for i, events := range h.log {
		if !from.Contains(h.gtid(uint64(i + 1))) {
			out = append(out, events...)
		}
	}
	return out
}

// TestPreparedTransactionsAgainstModel reads drawn logs. Now and then the connection is cut at
// any event, or everything is lost that was not handed over.
func TestPreparedTransactionsAgainstModel(t *testing.T) {
	for _, f := range []Flavor{MySQL, MariaDB} {
		t.Run(f.String(), rapid.MakeCheck(func(t *rapid.T) {
			h := drawHistory(t, f)
			at, got := EmptyPosition(f), []byte(nil)
			var s *Stream
			restart := func() {
				text := mustPosition(t, f, at.String()) // what a Mark keeps
				orders := appTable("orders")
				orders.Applied = text
				var err error
				if s != nil {
					s.Close()
				}
				if s, err = NewStream(StreamConfig{Start: text, Tables: []Capture{orders}, Wanted: none, Memory: memory.DefaultAllocator, Logger: slog.New(slog.DiscardHandler), Limits: Limits{Prepared: 1 << 20}}); err != nil {
					t.Fatal(err)
				}
				s.collate = testCollations
			}
			restart()
			defer func() { s.Close() }()
			for cuts := rapid.IntRange(0, 5).Draw(t, "cuts"); cuts >= 0; cuts-- {
				s.repeatsTo = s.applied.repeats()
				events := h.behind(t, s.applied)
				if cuts > 0 {
					events = events[:rapid.IntRange(0, len(events)).Draw(t, "events")]
				}
				if err := feed(s, events...); err != nil {
					t.Fatalf("behind %s: %v", at, err)
				}
				if cuts == 0 || rapid.Bool().Draw(t, "handed over") && !s.tx.open {
					segment := s.flush()
					at = segment.End
					got = append(got, delivered(segment)...)
				}
				s.disconnect()
				if rapid.Bool().Draw(t, "restart") {
					restart()
				}
			}
			if !slices.Equal(got, h.rows) || at.String() != h.end.String() {
				t.Fatalf("delivered %v to %s, want %v to %s", got, at, h.rows, h.end)
			}
		}))
	}
}

// TestRepeatsEndWhereTheyMust sends MariaDB's log again from a prepared transaction on, and then
// an old number, which is out of order.
func TestRepeatsEndWhereTheyMust(t *testing.T) {
	h := history{flavor: MariaDB}
	s := newTestStream(t, MariaDB, none, appTable("orders"))
	if err := feed(s, slices.Concat(h.prepare(1, "a", []byte{1}), h.plain(2, []byte{2}), h.plain(3, []byte{3}))...); err != nil {
		t.Fatal(err)
	}
	s.disconnect()
	s.repeatsTo = s.applied.repeats()
	if err := feed(s, slices.Concat(h.prepare(1, "a", []byte{1}), h.plain(2, []byte{2}), h.plain(3, []byte{3}), h.plain(4, []byte{4}))...); err != nil {
		t.Fatal(err)
	}
	segment := s.flush()
	end := segment.End.String()
	if rows := delivered(segment); !slices.Equal(rows, []byte{2, 3, 4}) || end != "0-1-4!1@0-0" && end != "0-1-4!1" {
		t.Errorf("delivered %v to %s", rows, end)
	}
	s.disconnect()
	s.repeatsTo = s.applied.repeats()
	if err := feed(s, h.plain(4, []byte{4})...); err != nil { // which ends them
		t.Fatal(err)
	}
	var stop *Stop
	if err := feed(s, h.plain(2, []byte{9})...); !errors.As(err, &stop) || !strings.HasSuffix(stop.GTID, "-2") {
		t.Errorf("a number out of order, directly behind repetitions: %v", err)
	}
	if at := s.applied.String(); at != end {
		t.Errorf("the position is %s behind it, and was %s", at, end)
	}
}
