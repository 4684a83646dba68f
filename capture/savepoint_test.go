package capture

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"cdcd/capture/binlog"
)

// TestRolledBackRowsAreTakenBack rolls back what stands in the log, and looks at which rows are
// delivered beside one of a transaction before.
func TestRolledBackRowsAreTakenBack(t *testing.T) {
	announce := mapOf(9, "orders")
	set, back := func(n string) binlog.Event { return queryOf("SAVEPOINT " + n) }, func(n string) binlog.Event { return queryOf("ROLLBACK TO " + n) }
	rows := func(ids ...byte) binlog.Event { return insertOf(9, ids...) }
	for name, c := range map[string]struct {
		events []binlog.Event // of transaction 2
		want   string
		stop   string
	}{
		"to the middle":        {events: transactionOf(2, announce, rows(1, 2), set("a"), rows(3, 4), back("A"), rows(5)), want: "[0 1 2 5]"},
		"to the start":         {events: transactionOf(2, set("a"), announce, rows(1, 2), back("a"), announce, rows(3)), want: "[0 3]"},
		"again":                {events: transactionOf(2, announce, set("a"), rows(1), back("a"), rows(2), back("a"), rows(3)), want: "[0 3]"},
		"set again":            {events: transactionOf(2, announce, set("a"), rows(1), set("a"), rows(2), back("a")), want: "[0 1]"},
		"two":                  {events: transactionOf(2, announce, set("a"), rows(1), set("b"), rows(2), back("b"), rows(3), back("a")), want: "[0]"},
		"the first of two":     {events: transactionOf(2, announce, rows(1), set("a"), rows(2), set("b"), rows(3), back("a"), rows(4)), want: "[0 1 4]"},
		"all":                  {events: []binlog.Event{beginOf(2), queryOf("BEGIN"), announce, rows(1), set("a"), rows(2), queryOf("ROLLBACK")}, want: "[0]"},
		"of a prepared XA":     {events: slices.Concat(preparedOf(2, "a", announce, rows(1), set("a"), announce, rows(2), back("a"), announce, rows(3)), completedOf(3, "XA COMMIT X'61',X'',1")), want: "[0 1 3]"},
		"not known":            {events: transactionOf(2, announce, set("a"), rows(1), back("b")), stop: "ROLLBACK of logged rows to an unknown savepoint"},
		"not ASCII":            {events: transactionOf(2, announce, set("`é`"), rows(1), back("`é`")), stop: "ROLLBACK of logged rows to an unknown savepoint"},
		"not known, no rows":   {events: transactionOf(2, back("`é`"), announce, rows(1)), want: "[0 1]"},
		"not of a transaction": {events: slices.Concat(transactionOf(2, announce, set("a"), rows(1)), transactionOf(3, announce, rows(2), back("a"))), stop: "ROLLBACK of logged rows to an unknown savepoint"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStream(t, MySQL, none, appTable("orders"))
			err := feed(s, slices.Concat(transactionOf(1, announce, rows(0)), c.events)...)
			var stop *Stop
			if errors.As(err, &stop) != (c.stop != "") || stop != nil && stop.What != c.stop || stop == nil && err != nil {
				t.Fatal(err)
			}
			if stop != nil {
				return
			}
			segment := s.flush()
			defer segment.Release()
			var ids []string
			for i := range segment.Batches[0].Ops {
				ids = append(ids, rowText(segment.Batches[0].Record, i)...)
			}
			if fmt.Sprint(ids) != c.want || segment.Rows != len(ids) || s.tx.keptBytes != 0 {
				t.Errorf("got %v, %d rows, %d bytes kept; want %s", ids, segment.Rows, s.tx.keptBytes, c.want)
			}
		})
	}
}

// TestDeliveredRowsAreNotTakenBack stops where a part of what is rolled back was handed over.
func TestDeliveredRowsAreNotTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		before, after []binlog.Event // the handing over
		stop          bool
	}{
		"all":             {nil, []binlog.Event{queryOf("ROLLBACK")}, true},
		"to before it":    {[]binlog.Event{queryOf("SAVEPOINT a")}, []binlog.Event{insertOf(9, 1), queryOf("ROLLBACK TO a")}, true},
		"to behind it":    {nil, []binlog.Event{queryOf("SAVEPOINT a"), insertOf(9, 1), queryOf("ROLLBACK TO a")}, true},
		"nothing to lose": {nil, []binlog.Event{queryOf("SAVEPOINT a"), queryOf("ROLLBACK TO a"), xid()}, false},
	} {
		s := newTestStream(t, MySQL, none, appTable("orders"))
		err := feed(s, slices.Concat([]binlog.Event{beginOf(1), queryOf("BEGIN")}, c.before, []binlog.Event{mapOf(9, "orders"), insertOf(9, 1)})...)
		if err != nil {
			t.Fatal(err)
		}
		s.flush().Release()
		err = feed(s, c.after...)
		var stop *Stop
		if errors.As(err, &stop) != c.stop || stop == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPartialRowsAreTakenBack cuts a run of rows that do not know all columns.
func TestPartialRowsAreTakenBack(t *testing.T) {
	b := &rowBuffer{ops: make([]Op, 9), partial: []Partial{{From: 0, To: 2}, {From: 3, To: 6}, {From: 6, To: 9}}}
	b.dropTo(rowMark{rows: 5})
	if len(b.ops) != 5 || len(b.partial) != 2 || b.partial[1].To != 5 {
		t.Errorf("%d rows, %+v", len(b.ops), b.partial)
	}
	b.dropTo(rowMark{rows: 3})
	if len(b.partial) != 1 || b.partial[0].To != 2 {
		t.Errorf("%+v", b.partial)
	}
}
