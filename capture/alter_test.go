package capture

import (
	"errors"
	"testing"
	"time"

	"cdcd/capture/binlog"
)

// TestAlterInTheStream holds that an ALTER TABLE is a segment of its own, between those of the
// shapes before and after it.
func TestAlterInTheStream(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"))
	rows := []binlog.Event{mapOf(9, "orders"), insertOf(9, 1, 2)}
	if err := feed(s, append(transactionOf(1, rows...), beginOf(2), queryOf("ALTER TABLE orders ADD x INT DEFAULT 7"))...); err != nil {
		t.Fatal(err)
	}
	if !s.full() {
		t.Fatal("what is before it is not handed over")
	}
	before := s.flush()
	defer before.Release()
	if before.Open || before.Change != nil || before.Rows != 2 || before.End.String() != uuidA+":1" {
		t.Errorf("before it: %+v", before)
	}
	if full, err := s.advance(t.Context()); err != nil || !full {
		t.Fatal(full, err)
	}
	change := s.flush()
	defer change.Release()
	if change.Change == nil || len(change.Batches) != 0 || change.Transactions != 1 || change.End.String() != uuidA+":1-2" || change.Change.GTID != uuidA+":2" {
		t.Errorf("it: %+v", change)
	}
	err := feed(s, transactionOf(3, rows...)...) // of the shape before
	var stop *Stop
	if !errors.As(err, &stop) || !errors.Is(err, errChanged) || stop.Table != "app.orders" || stop.GTID != uuidA+":3" {
		t.Errorf("rows of another shape than it gave: %v", err)
	}
}

// TestTruncateInTheStream holds that a TRUNCATE is a segment of its own, and changes no shape.
func TestTruncateInTheStream(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"))
	rows := []binlog.Event{mapOf(9, "orders"), insertOf(9, 1, 2)}
	if err := feed(s, append(transactionOf(1, rows...), beginOf(2), queryOf("TRUNCATE orders"))...); err != nil || !s.full() {
		t.Fatal(err)
	}
	before := s.flush()
	defer before.Release()
	if _, err := s.advance(t.Context()); err != nil || before.Change != nil || before.End.String() != uuidA+":1" {
		t.Fatal(err, before)
	}
	it := s.flush()
	if it.Change == nil || !it.Change.Truncated || len(it.Batches) != 0 || it.End.String() != uuidA+":1-2" {
		t.Errorf("%+v", it)
	}
	if err := feed(s, transactionOf(3, rows...)...); err != nil {
		t.Fatal(err)
	}
	after := s.flush()
	defer after.Release()
	if after.Rows != 2 || after.Change != nil {
		t.Errorf("%+v", after)
	}
}

func TestAlterThatIsCutOff(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"))
	if err := feed(s, append(transactionOf(1), beginOf(2), queryOf("ALTER TABLE orders ADD x INT"))...); err != nil {
		t.Fatal(err)
	}
	s.disconnect()
	segment := s.flush()
	defer segment.Release()
	if segment.End.String() != uuidA+":1" || segment.Change != nil || s.altering != nil {
		t.Errorf("%+v", segment)
	}
	if len(s.tables["app"]["orders"].Table.Columns) != 1 {
		t.Error("the table is altered already")
	}
}

// TestAlterIsNotAppliedTwice holds that a table whose position has the ALTER TABLE passes it.
func TestAlterIsNotAppliedTwice(t *testing.T) {
	s := newTestStream(t, MySQL, none)
	c := appTable("orders")
	c.Applied = EmptyPosition(MySQL)
	for n := range uint64(2) {
		begin := newTransaction(MySQL)
		g, err := parseGTID(beginOf(n + 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := begin.begin(GTID{SID: g.SID, Number: g.Number}, g, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if err := c.Applied.Add(begin.gtid); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Capture(c); err != nil {
		t.Fatal(err)
	}
	if err := feed(s, append(transactionOf(1), beginOf(2), queryOf("ALTER TABLE orders ADD x INT"))...); err != nil || s.altering != nil {
		t.Errorf("%v, %+v", err, s.altering)
	}
}
