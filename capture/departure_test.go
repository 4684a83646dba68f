package capture

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"cdcd/capture/binlog"
)

// TestTablesLeave has orders meet what it cannot follow, between rows of others and of its own. Its
// rows before that transaction are delivered, none of it nor behind it, and all rows of others.
func TestTablesLeave(t *testing.T) {
	maps := []binlog.Event{mapOf(8, "others"), mapOf(9, "orders")}
	rows := slices.Concat(maps, []binlog.Event{insertOf(8, 1), insertOf(9, 1)})
	wide := event(binlog.TypeTableMap, mapOf(9, "orders").Body[:len(mapOf(9, "orders").Body)-5], []byte{'x', 'd', 1, 1, 0}) // another column name
	for name, c := range map[string]struct {
		events []binlog.Event // from transaction 2 on
		what   string
		others int // rows of transactions 1 and these
	}{
		"another shape":          {transactionOf(2, mapOf(8, "others"), wide, insertOf(8, 2), insertOf(9, 2)), "a changed table", 2},
		"rows that are none":     {transactionOf(2, append(maps, insertOf(9, 5), event(binlog.TypeWriteRowsV2, insertOf(9, 2).Body[:12], []byte{0, 1}), insertOf(9, 3), insertOf(8, 2))...), "a row event", 2},
		"partial rows":           {transactionOf(2, append(maps, event(binlog.TypePartialUpdateRows, insertOf(9, 2).Body), insertOf(8, 2))...), "a row event", 2},
		"dropped":                {[]binlog.Event{beginOf(2), queryOf("DROP TABLE orders")}, "DROP TABLE", 1},
		"dropped with its kind":  {[]binlog.Event{beginOf(2), queryOf("DROP DATABASE app")}, "DROP DATABASE", 1},
		"renamed":                {[]binlog.Event{beginOf(2), queryOf("RENAME TABLE orders TO kept")}, "RENAME TABLE", 1},
		"altered beyond":         {[]binlog.Event{beginOf(2), queryOf("ALTER TABLE orders ADD x INT AS (id) STORED")}, "this ALTER TABLE", 1},
		"altered in its midst":   {transactionOf(2, append(rows, queryOf("ALTER TABLE orders ADD x INT"), insertOf(8, 2))...), "ALTER TABLE inside of a transaction", 3},
		"truncated in its midst": {transactionOf(2, append(rows, queryOf("TRUNCATE TABLE orders"), insertOf(8, 2))...), "TRUNCATE TABLE inside of a transaction", 3},
		"savepoints":             {transactionOf(2, append(rows, queryOf("SAVEPOINT a"), event(binlog.TypePartialUpdateRows, insertOf(9, 2).Body), insertOf(8, 2), queryOf("ROLLBACK TO a"), insertOf(8, 3))...), "a row event", 3},
		"in an XA transaction":   {slices.Concat(preparedOf(2, "a", append(maps, event(binlog.TypePartialUpdateRows, insertOf(9, 2).Body), insertOf(8, 2))...), completedOf(3, "XA COMMIT X'61',X'',1")), "a row event", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStream(t, MySQL, none, appTable("orders"), appTable("others"))
			if err := feed(s, append(transactionOf(1, rows...), c.events...)...); !errors.As(err, new(*Stop)) {
				t.Fatalf("without quarantine: %v", err)
			}
			s = newTestStream(t, MySQL, none, appTable("orders"), appTable("others"))
			letLeave(s)
			if err := feed(s, append(transactionOf(1, rows...), c.events...)...); err != nil {
				t.Fatal(err)
			}
			if !s.full() {
				t.Error("it is not handed over")
			}
			if err := feed(s, transactionOf(7, append(maps, insertOf(9, 9), insertOf(8, 9))...)...); err != nil {
				t.Fatal(err)
			}
			checkLeft(t, s.flush(), c.what, c.others+1)
		})
	}
}

// letLeave has tables leave for any cause.
func letLeave(s *Stream) {
	s.cfg.Quarantine, s.cfg.LeaveDropped, s.cfg.LeaveReplaced = true, true, true
}

// TestNamesThatMeanOtherTables has statements take the names from tables, at each policy. The rows of
// the transaction that such a statement is a part of are those of another table.
func TestNamesThatMeanOtherTables(t *testing.T) {
	all := func(n Name) bool { return n.Schema == "app" }
	swap := []binlog.Event{beginOf(2), queryOf("RENAME TABLE orders TO _old, fresh TO orders")}
	for name, c := range map[string]struct {
		events  []binlog.Event
		left    map[string]Cause
		created []Name
	}{
		"dropped":      {[]binlog.Event{beginOf(2), queryOf("DROP TABLE x, orders")}, map[string]Cause{"orders": Dropped}, nil},
		"renamed":      {[]binlog.Event{beginOf(2), queryOf("ALTER TABLE orders RENAME TO kept")}, map[string]Cause{"orders": Dropped}, []Name{{"app", "kept"}}},
		"swapped":      {swap, map[string]Cause{"orders": Replaced}, []Name{{"app", "orders"}, {"app", "_old"}}},
		"both swapped": {[]binlog.Event{beginOf(2), queryOf("RENAME TABLE orders TO x, others TO orders, x TO others")}, map[string]Cause{"orders": Replaced, "others": Replaced}, []Name{{"app", "orders"}, {"app", "others"}}},
		"replaced":     {[]binlog.Event{beginOf(2), queryOf("CREATE OR REPLACE TABLE orders LIKE others")}, map[string]Cause{"orders": Replaced}, []Name{{"app", "orders"}}},
		"replaced and filled": {
			transactionOf(2, queryOf("CREATE OR REPLACE TABLE orders (id INT PRIMARY KEY)"), mapOf(9, "orders"), insertOf(9, 4)), map[string]Cause{"orders": Replaced}, []Name{{"app", "orders"}},
		},
		"failed replacement": {[]binlog.Event{beginOf(2), queryOf("BEGIN"), queryOf("DROP TABLE IF EXISTS app.orders/* Generated to handle failed CREATE OR REPLACE */"), queryOf("ROLLBACK")}, map[string]Cause{"orders": Dropped}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStream(t, MySQL, all, appTable("orders"), appTable("others"))
			letLeave(s)
			if err := feed(s, append(transactionOf(1, mapOf(9, "orders"), insertOf(9, 1)), c.events...)...); err != nil {
				t.Fatal(err)
			}
			g := s.flush()
			defer g.Release()
			got := map[string]Cause{}
			for _, d := range g.Left {
				got[d.Table.Table] = d.Why.Cause
			}
			if !maps.Equal(got, c.left) || !slices.Equal(g.Created, c.created) || g.Rows != 1 || g.End.String() != uuidA+":1-2" {
				t.Errorf("left %v, created %v, %d rows, at %s", got, g.Created, g.Rows, g.End)
			}
		})
	}
	for name, leaves := range map[string]func(*StreamConfig){
		"end at dropped":  func(c *StreamConfig) { c.LeaveReplaced = true },
		"end at replaced": func(c *StreamConfig) { c.LeaveDropped = true },
	} {
		s := newTestStream(t, MySQL, all, appTable("orders"), appTable("others"))
		s.cfg.Quarantine = true
		leaves(&s.cfg)
		var stop *Stop
		if err := feed(s, beginOf(1), queryOf("RENAME TABLE others TO kept, orders TO others, fresh TO orders, orders TO x")); !errors.As(err, &stop) || stop.What != "RENAME TABLE" {
			t.Errorf("%s: %v", name, err)
		}
		if len(s.segment.Left) > 0 {
			t.Errorf("%s: %+v left", name, s.segment.Left)
		}
	}
}

func checkLeft(t *testing.T, g *Segment, what string, others int) {
	t.Helper()
	defer g.Release()
	left := slices.DeleteFunc(g.Left, func(d Departure) bool { return d.Table.Table != "orders" })
	if len(left) != 1 || left[0].Why.What != what || left[0].Before.String() != uuidA+":1" || left[0].Torn {
		t.Fatalf("left: %+v", g.Left)
	}
	got := map[string]int{}
	for _, b := range g.Batches {
		got[b.Table.Name.Table] += b.Rows()
	}
	if len(g.Left) < 1 || got["orders"] != 1 || len(left) == len(g.Left) && got["others"] != others {
		t.Errorf("rows %v, want 1 of orders and %d of others", got, others)
	}
}

// TestTablesLeaveTogether has one statement concern several tables.
func TestTablesLeaveTogether(t *testing.T) {
	for sql, want := range map[string]int{"DROP TABLE orders, x, others": 2, "RENAME TABLE others TO x, orders TO others": 2, "DROP DATABASE app": 3} {
		s := newTestStream(t, MySQL, none, appTable("orders"), appTable("others"), appTable("third"))
		letLeave(s)
		if err := feed(s, beginOf(1), queryOf(sql)); err != nil {
			t.Fatal(sql, err)
		}
		if g := s.flush(); len(g.Left) != want || g.End.String() != uuidA+":1" {
			t.Errorf("%s: %d left, at %s", sql, len(g.Left), g.End)
		}
	}
}

// TestStopsOfAllTables are what quarantine does not help against.
func TestStopsOfAllTables(t *testing.T) {
	for name, events := range map[string][]binlog.Event{
		"statement": transactionOf(1, queryOf("UPDATE orders SET x=1")),
		"unknown":   {beginOf(1), queryOf("FROBNICATE orders")},
		"incident":  {beginOf(1), event(binlog.TypeIncident)},
		"XA":        {beginOf(1), queryOf("XA COMMIT X'61',X'',1")},
	} {
		s := newTestStream(t, MySQL, none, appTable("orders"))
		letLeave(s)
		if err := feed(s, events...); !errors.As(err, new(*Stop)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForget has nothing more of a table delivered, from the next event on.
func TestForget(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"), appTable("others"))
	events := transactionOf(1, mapOf(8, "others"), mapOf(9, "orders"), insertOf(8, 1), insertOf(9, 1), insertOf(9, 2), insertOf(8, 2))
	if err := feed(s, events[:6]...); err != nil {
		t.Fatal(err)
	}
	s.flush().Release() // which is open
	s.Forget(Name{"app", "orders"})
	s.Forget(Name{"app", "orders"})
	if err := feed(s, events[6:]...); err != nil {
		t.Fatal(err)
	}
	g := s.flush()
	defer g.Release()
	if len(g.Batches) != 1 || g.Batches[0].Table.Name.Table != "others" || g.Batches[0].Rows() != 1 {
		t.Errorf("%+v", g.Batches)
	}
}

// TestTornDeparture tells where rows of the transaction have been delivered before.
func TestTornDeparture(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"))
	s.cfg.Quarantine = true
	events := transactionOf(1, mapOf(9, "orders"), insertOf(9, 1), event(binlog.TypePartialUpdateRows, insertOf(9, 2).Body))
	if err := feed(s, events[:4]...); err != nil {
		t.Fatal(err)
	}
	s.flush().Release()
	if err := feed(s, events[4:]...); err != nil {
		t.Fatal(err)
	}
	if g := s.flush(); len(g.Left) != 1 || !g.Left[0].Torn || !g.Left[0].Before.IsEmpty() || len(g.Batches) != 0 {
		t.Errorf("%+v", g)
	}
}
