package capture

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"cdcd/capture/binlog"
	"github.com/google/uuid"
)

func event(t binlog.Type, body ...[]byte) binlog.Event {
	return binlog.Event{Type: t, Timestamp: 1_700_000_000, Body: slices.Concat(body...)}
}

// beginOf is the GTID event of uuidA:n.
func beginOf(n uint64) binlog.Event {
	sid := uuid.MustParse(uuidA)
	return event(binlog.TypeGTID, []byte{1}, sid[:], binary.LittleEndian.AppendUint64(nil, n))
}

// queryOf is a QUERY event of the schema app, with the client's collation.
func queryOf(sql string, collation ...uint16) binlog.Event {
	var vars []byte
	for _, c := range collation {
		vars = binary.LittleEndian.AppendUint16([]byte{4}, c)
		vars = append(vars, 0, 0, 0, 0)
	}
	head := make([]byte, 13)
	head[8], head[11] = 3, byte(len(vars))
	return event(binlog.TypeQuery, head, vars, []byte("app\x00"), []byte(sql))
}

func xid() binlog.Event { return event(binlog.TypeXID, make([]byte, 8)) }

// mapOf announces app.<table> (id INT PRIMARY KEY) under a table id.
func mapOf(id byte, table string) binlog.Event {
	names := []byte{4, 3, 2, 'i', 'd', 1, 1, 0} // column names, signedness
	return event(binlog.TypeTableMap, []byte{id, 0, 0, 0, 0, 0, 1, 0, 3}, []byte("app\x00"), []byte{byte(len(table))}, []byte(table), []byte{0, 1, 3, 0, 0}, names)
}

// insertOf inserts rows with the given ids.
func insertOf(table byte, ids ...byte) binlog.Event {
	b := []byte{table, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 1}
	for _, id := range ids {
		b = append(b, 0, id, 0, 0, 0)
	}
	return event(binlog.TypeWriteRowsV2, b)
}

func xaPrepareOf(onePhase byte, gtrid string) binlog.Event {
	return event(binlog.TypeXAPrepare, []byte{onePhase, 1, 0, 0, 0, byte(len(gtrid)), 0, 0, 0, 0, 0, 0, 0}, []byte(gtrid))
}

func appTable(name string) Capture {
	return Capture{Table: &Table{Name: Name{"app", name}, Key: []int{0}, Columns: []Column{{Name: "id", Type: TypeInt}}}}
}

// transactionOf wraps events into transaction n.
func transactionOf(n uint64, events ...binlog.Event) []binlog.Event {
	return slices.Concat([]binlog.Event{beginOf(n), queryOf("BEGIN")}, events, []binlog.Event{xid()})
}

func TestEventsAreHandled(t *testing.T) {
	rows := []binlog.Event{mapOf(9, "orders"), insertOf(9, 1, 2)}
	for name, c := range map[string]struct {
		events []binlog.Event
		rows   int
		end    string // numbers of the position
		stop   string
		err    error
	}{
		"transaction":               {events: transactionOf(1, rows...), rows: 2, end: "1"},
		"ended by COMMIT":           {events: []binlog.Event{beginOf(1), queryOf("BEGIN"), rows[0], rows[1], queryOf("COMMIT")}, rows: 2, end: "1"},
		"empty":                     {events: transactionOf(1), end: "1"},
		"other tables":              {events: transactionOf(1, mapOf(8, "other"), insertOf(8, 1)), end: "1"},
		"two maps, two rows":        {events: transactionOf(1, mapOf(8, "other"), mapOf(9, "orders"), insertOf(8, 1), insertOf(9, 1)), rows: 1, end: "1"},
		"savepoints":                {events: transactionOf(1, queryOf("SAVEPOINT a"), rows[0], rows[1], queryOf("SAVEPOINT b")), rows: 2, end: "1"},
		"statement":                 {events: []binlog.Event{beginOf(1), queryOf("CREATE TABLE x.y (id INT)")}, end: "1"},
		"open":                      {events: append(transactionOf(1, rows...), beginOf(2), queryOf("BEGIN")), rows: 2, end: "1"},
		"rolled back, empty":        {events: []binlog.Event{beginOf(1), queryOf("BEGIN"), queryOf("ROLLBACK")}, end: "1"},
		"rolled back rows":          {events: []binlog.Event{beginOf(1), queryOf("BEGIN"), rows[0], rows[1], queryOf("ROLLBACK")}, end: "1"},
		"XA in one phase":           {events: []binlog.Event{beginOf(1), queryOf("XA START X'61',X'',1"), rows[0], rows[1], queryOf("XA END X'61',X'',1"), xaPrepareOf(1, "a")}, rows: 2, end: "1"},
		"XA of captured rows":       {events: append(preparedOf(1, "a", rows...), transactionOf(2)...), end: "2"},
		"XA committed":              {events: slices.Concat(preparedOf(1, "a", rows...), transactionOf(2), completedOf(3, "XA COMMIT X'61',X'',1")), rows: 2, end: "1-3"},
		"XA rolled back":            {events: append(preparedOf(1, "a", rows...), completedOf(2, "XA ROLLBACK X'61',X'',1")...), end: "1-2"},
		"XA, xid used again":        {events: slices.Concat(preparedOf(1, "a", rows...), completedOf(2, "XA ROLLBACK X'61',X'',1"), preparedOf(3, "a", rows...), completedOf(4, "XA COMMIT X'61',X'',1")), rows: 2, end: "1-4"},
		"XA, xid used twice":        {events: append(preparedOf(1, "a", rows...), preparedOf(2, "a", rows...)...), err: errPrepared},
		"XA of several tables":      {events: append(preparedOf(1, "a", mapOf(8, "other"), mapOf(9, "orders"), insertOf(8, 1), insertOf(9, 1)), completedOf(2, "XA COMMIT X'61',X'',1")...), rows: 1, end: "1-2"},
		"XA, rows not announced":    {events: preparedOf(1, "a", insertOf(7, 1)), err: errAny},
		"XA, rolled back rows":      {events: []binlog.Event{beginOf(1), queryOf("XA START X'61',X'',1"), rows[0], rows[1], queryOf("ROLLBACK")}, end: "1"},
		"XA, ended by COMMIT":       {events: []binlog.Event{beginOf(1), queryOf("XA START X'61',X'',1"), rows[0], rows[1], queryOf("COMMIT")}, rows: 2, end: "1"},
		"XA with a statement":       {events: preparedOf(1, "a", queryOf("UPDATE orders SET x=1")), stop: "UPDATE logged as a statement"},
		"XA of others, prepared":    {events: append([]binlog.Event{beginOf(1), queryOf("XA START X'61',X'',1"), xaPrepareOf(0, "a")}, transactionOf(2)...), end: "2"},
		"XA of others, completed":   {events: append([]binlog.Event{beginOf(1), queryOf("XA START X'61',X'',1"), xaPrepareOf(0, "a"), beginOf(2), queryOf("XA COMMIT X'61',X'',1")}, transactionOf(3)...), end: "1-3"},
		"XA of others, undone":      {events: []binlog.Event{beginOf(1), queryOf("XA START X'61',X'',1"), xaPrepareOf(0, "a"), beginOf(2), queryOf("XA ROLLBACK X'61',X'',1")}, end: "1-2"},
		"XA of an unknown":          {events: []binlog.Event{beginOf(1), queryOf("XA COMMIT X'61',X'',1")}, stop: "XA COMMIT of a transaction that was prepared before our position"},
		"passed over":               {events: []binlog.Event{event(binlog.TypePreviousGTIDs), event(binlog.TypeRotate), event(binlog.TypeRowsQuery), event(binlog.TypeStop)}},
		"ignorable":                 {events: []binlog.Event{{Type: 250, Flags: 0x80}}},
		"unknown":                   {events: []binlog.Event{{Type: 250}}, stop: "the unknown event type 250"},
		"anonymous":                 {events: []binlog.Event{event(binlog.TypeAnonymousGTID, beginOf(0).Body)}, stop: "a transaction without GTID"},
		"incident":                  {events: []binlog.Event{beginOf(1), event(binlog.TypeIncident)}, stop: "an INCIDENT event (the server lost part of its log)"},
		"LOAD DATA":                 {events: []binlog.Event{beginOf(1), event(binlog.TypeExecuteLoadQuery)}, stop: "LOAD DATA logged as a statement"},
		"compressed rows of others": {events: transactionOf(1, mapOf(8, "other"), event(binlog.TypeWriteRowsZ, insertOf(8, 1).Body)), end: "1"},
		"compressed rows, damaged":  {events: transactionOf(1, rows[0], event(binlog.TypeWriteRowsZ, rows[1].Body)), stop: "a row event"},
		"compressed, cut off":       {events: []binlog.Event{beginOf(1), event(binlog.TypeQueryCompressed)}, err: binlog.ErrTruncated},
		"partial rows":              {events: transactionOf(1, rows[0], event(binlog.TypePartialUpdateRows, rows[1].Body)), stop: "a row event"},
		"rows of an early release":  {events: transactionOf(1, rows[0], event(21, rows[1].Body)), stop: "the unknown event type 21"},
		"partial rows of others":    {events: transactionOf(1, mapOf(8, "other"), event(binlog.TypePartialUpdateRows, insertOf(8, 1).Body)), end: "1"},
		"rows not announced":        {events: transactionOf(1, insertOf(7, 1)), err: errAny},
		"rows outside":              {events: []binlog.Event{beginOf(1), rows[0], rows[1]}, err: errNotOpen},
		"commit outside":            {events: []binlog.Event{xid()}, err: errNotOpen},
		"GTID inside":               {events: []binlog.Event{beginOf(1), queryOf("BEGIN"), beginOf(2)}, err: errNotClosed},
		"GTID cut off":              {events: []binlog.Event{event(binlog.TypeGTID, []byte{1, 2})}, err: binlog.ErrTruncated},
		"map cut off":               {events: transactionOf(1, event(binlog.TypeTableMap, mapOf(9, "orders").Body[:20])), err: binlog.ErrTruncated},
		"query cut off":             {events: []binlog.Event{beginOf(1), event(binlog.TypeQuery, []byte{1})}, err: binlog.ErrTruncated},
		"XA cut off":                {events: []binlog.Event{beginOf(1), event(binlog.TypeXAPrepare, []byte{1})}, err: binlog.ErrTruncated},
		"statement on captured":     {events: []binlog.Event{beginOf(1), queryOf("DROP TABLE orders")}, stop: "DROP TABLE"},
		"statement in transaction":  {events: transactionOf(1, queryOf("UPDATE orders SET x=1")), stop: "UPDATE logged as a statement"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStream(t, MySQL, none, appTable("orders"))
			err := feed(s, c.events...)
			var stop *Stop
			switch {
			case c.stop != "":
				if !errors.As(err, &stop) || stop.What != c.stop {
					t.Fatalf("got %v, want to stop at %s", err, c.stop)
				}
				return
			case c.err != nil:
				if err == nil || c.err != errAny && !errors.Is(err, c.err) || errors.As(err, &stop) {
					t.Fatalf("got %v, want %v", err, c.err)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			segment := s.flush()
			defer segment.Release()
			want := ""
			if c.end != "" {
				want = uuidA + ":" + c.end
			}
			if segment.Rows != c.rows || segment.End.String() != want {
				t.Errorf("%d rows to %q, want %d to %q", segment.Rows, segment.End, c.rows, want)
			}
		})
	}
}

// errAny stands for an error without a name.
var errAny = errors.New("any")

func TestLostConnectionsDropTheOpenTransactionOnly(t *testing.T) {
	for name, c := range map[string]struct {
		before, lost []binlog.Event
		rows         int
	}{
		"between transactions": {transactionOf(1, mapOf(9, "orders"), insertOf(9, 1, 2, 3)), nil, 3},
		"inside a transaction": {
			transactionOf(1, mapOf(9, "orders"), insertOf(9, 1, 2, 3)),
			[]binlog.Event{beginOf(2), queryOf("BEGIN"), mapOf(9, "orders"), insertOf(9, 4, 5)},
			3,
		},
		"inside the first": {nil, []binlog.Event{beginOf(1), queryOf("BEGIN"), mapOf(9, "orders"), insertOf(9, 4, 5)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStream(t, MySQL, none, appTable("orders"))
			if err := feed(s, append(c.before, c.lost...)...); err != nil {
				t.Fatal(err)
			}
			s.disconnect()
			if err := feed(s, transactionOf(2, mapOf(10, "orders"), insertOf(10, 6))...); err != nil {
				t.Fatal(err)
			}
			segment := s.flush()
			defer segment.Release()
			if segment.Rows != c.rows+1 || segment.Batches[0].Rows() != c.rows+1 {
				t.Errorf("counted %d rows, delivered %d; want %d", segment.Rows, segment.Batches[0].Rows(), c.rows+1)
			}
		})
	}
}

func TestLostConnectionsForgetWhatTheyCounted(t *testing.T) {
	table := &Table{Name: Name{"app", "t"}, Key: []int{0}, Columns: []Column{{Name: "id", Type: TypeInt}, {Name: "d", Type: TypeDate, Nullable: true}}}
	s := newTestStream(t, MySQL, none, Capture{Table: table, Options: TypeOptions{ZeroDateAsNull: true}})
	announce := event(binlog.TypeTableMap, []byte("\x09\x00\x00\x00\x00\x00\x01\x00\x03app\x00\x01t\x00\x02\x03\x0a\x00\x02"), []byte("\x04\x05\x02id\x01d\x01\x01\x00"))
	row := event(binlog.TypeWriteRowsV2, []byte("\x09\x00\x00\x00\x00\x00\x01\x00\x02\x00\x02\x03"), []byte("\x00\x01\x00\x00\x00\x00\x00\x00"))
	if err := feed(s, append(transactionOf(1, announce, row), beginOf(2), queryOf("BEGIN"), announce, row)...); err != nil {
		t.Fatal(err)
	}
	s.disconnect()
	if err := feed(s, transactionOf(2, announce, row)...); err != nil {
		t.Fatal(err)
	}
	segment := s.flush()
	defer segment.Release()
	if segment.NoDates != 2 || segment.Rows != 2 {
		t.Errorf("counted %d rows, %d dates that are none; want 2 and 2", segment.Rows, segment.NoDates)
	}
}

func TestWhatTheStreamKeepsIsBounded(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"))
	for n := range uint64(100) {
		if err := feed(s, transactionOf(n+1, mapOf(byte(n), "orders"), insertOf(byte(n), 1))...); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.plans) != 1 {
		t.Errorf("%d plans of one table are kept", len(s.plans))
	}
	if err := feed(s, beginOf(101), queryOf("BEGIN")); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := feed(s, mapOf(200, "other"), insertOf(200, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.ignored) != 1 {
		t.Errorf("%d ids of one table are kept", len(s.ignored))
	}
}

func TestAppliedTransactionsAreNotDeliveredAgain(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"), appTable("ahead"))
	ahead := s.tables["app"]["ahead"]
	ahead.Applied, ahead.behind = mustPosition(t, MySQL, uuidA+":1-2"), true
	for n := uint64(1); n <= 3; n++ {
		if err := feed(s, transactionOf(n, mapOf(8, "ahead"), mapOf(9, "orders"), insertOf(8, byte(n)), insertOf(9, byte(n)))...); err != nil {
			t.Fatal(err)
		}
	}
	segment := s.flush()
	defer segment.Release()
	if got := []int{segment.Batches[0].Rows(), segment.Batches[1].Rows()}; !slices.Equal(got, []int{1, 3}) || ahead.behind {
		t.Errorf("delivered %v rows, still behind %v", got, ahead.behind)
	}
}

func TestSegmentsEndWhereTheyAreAskedTo(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"))
	for _, end := range []string{"3-4", "1-2", "1-6"} {
		s.EndAt(mustPosition(t, MySQL, uuidA+":"+end))
	}
	var ends []uint64
	for n := uint64(1); n <= 7; n++ {
		for _, e := range transactionOf(n, mapOf(9, "orders"), insertOf(9, byte(n))) {
			if err := feed(s, e); err != nil {
				t.Fatal(err)
			}
			if s.full() {
				ends = append(ends, n)
				s.flush().Release()
			}
		}
	}
	if !slices.Equal(ends, []uint64{2, 4, 6}) {
		t.Errorf("segments end at %v", ends)
	}
	s.EndAt(mustPosition(t, MySQL, uuidA+":1-5"))
	if len(s.ends) != 0 {
		t.Error("it waits for what is behind it")
	}
}

// TestHeldStreamEndsBetweenTransactions holds a stream inside of a transaction and at rest.
func TestHeldStreamEndsBetweenTransactions(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"))
	events := transactionOf(1, mapOf(9, "orders"), insertOf(9, 1))
	s.Hold(true)
	for i, e := range events {
		if err := feed(s, e); err != nil {
			t.Fatal(err)
		}
		if last := i == len(events)-1; s.full() != last {
			t.Errorf("event %d: the segment is full: %v", i, !last)
		}
	}
	s.flush().Release()
	if !s.full() {
		t.Error("an idle stream goes on waiting")
	}
	if empty := s.flush(); empty.Open || empty.Transactions != 0 || !empty.End.Equal(s.applied) {
		t.Errorf("%+v", empty)
	}
	if s.Hold(false); s.full() {
		t.Error("it is still held")
	}
}

// TestPartsEndWithTheirTransaction has transactions that are larger than a segment, one right
// behind the other: the end of each is an end of a segment.
func TestPartsEndWithTheirTransaction(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"))
	s.cfg.Limits.Bytes = 1
	for n := range uint64(3) {
		events := transactionOf(n+1, mapOf(9, "orders"), insertOf(9, 1))
		last := len(events) - 1
		if err := feed(s, events[:last]...); err != nil {
			t.Fatal(err)
		}
		if !s.full() {
			t.Error("a part is not handed over")
		}
		part := s.flush()
		part.Release()
		if err := feed(s, events[last]); err != nil {
			t.Fatal(err)
		}
		if whole := s.full(); !part.Open || !whole {
			t.Errorf("transaction %d: open %v, handed over to its end %v", n+1, part.Open, whole)
		}
		end := s.flush()
		if end.Open || end.Transactions != 1 || !end.End.Equal(s.applied) {
			t.Errorf("%+v", end)
		}
		end.Release()
	}
}

func TestNamesAreReadAsTheServerReadsThem(t *testing.T) {
	const latin1, utf8mb4, gbk, swe7 = 8, 45, 28, 10
	for name, c := range map[string]struct {
		captured string
		fold     bool
		query    binlog.Event
		stop     bool
	}{
		"other case":                {"orders", false, queryOf("DROP TABLE Orders", utf8mb4), false},
		"other case, folded":        {"orders", true, queryOf("DROP TABLE Orders", utf8mb4), true},
		"other schema case, folded": {"orders", true, queryOf("DROP TABLE APP.orders", utf8mb4), true},
		"rename, folded":            {"orders", true, queryOf("RENAME TABLE x TO ORDERS", utf8mb4), true},
		"database, folded":          {"orders", true, queryOf("DROP DATABASE App", utf8mb4), true},
		"latin1":                    {"bücher", false, queryOf("DROP TABLE b\xfccher", latin1), true},
		"latin1, another":           {"bücher", false, queryOf("DROP TABLE b\xe4cher", latin1), false},
		"UTF-8":                     {"bücher", false, queryOf("DROP TABLE bücher", utf8mb4), true},
		"UTF-8, another":            {"bücher", false, queryOf("DROP TABLE bäcker", utf8mb4), false},
		"gbk":                       {"bücher", false, queryOf("DROP TABLE b\xa8\xb9cher", gbk), true},
		"gbk, another":              {"bücher", false, queryOf("DROP TABLE b\x81\x40cher", gbk), false},
		"not gbk":                   {"bücher", false, queryOf("DROP TABLE b\x81 cher", gbk), true}, // cannot be told
		"not gbk, ASCII captured":   {"orders", false, queryOf("DROP TABLE b\x81 cher", gbk), false},
		"swe7":                      {"bÄcher", false, queryOf("DROP TABLE `b[cher`", swe7), true},
		"swe7, ASCII captured":      {"orders", false, queryOf("DROP TABLE `b[cher`", swe7), false},
		"charset not given":         {"bücher", false, queryOf("DROP TABLE b\xfccher"), true},
		"UTF-8, not given":          {"bücher", false, queryOf("DROP TABLE bäcker"), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStream(t, MySQL, none, appTable(c.captured))
			s.fold = c.fold
			err := feed(s, beginOf(1), c.query)
			var stop *Stop
			if errors.As(err, &stop) != c.stop || !c.stop && err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}
