package capture

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cdcd/capture/binlog"
)

func gno(n uint64) GTID { return GTID{Number: n} }

// step is one event as the state machine sees it: what it does, and what is then applied.
type step struct {
	do      func(x *transaction) ([]GTID, error)
	applied []GTID
	err     error
}

func begin(n uint64) step {
	return step{do: func(x *transaction) ([]GTID, error) { return nil, x.begin(gno(n), binlog.GTID{}, time.Time{}) }}
}

func body(xid string) step {
	return step{do: func(x *transaction) ([]GTID, error) { return nil, x.enterBody(xid) }}
}

func end(applied ...GTID) step { return step{do: (*transaction).end, applied: applied} }

func prepare(xid string) step {
	return step{do: func(x *transaction) ([]GTID, error) { return nil, x.prepare(xid) }}
}

// complete completes a prepared transaction and ends the one that does so.
func complete(xid string, applied ...GTID) step {
	return step{applied: applied, do: func(x *transaction) ([]GTID, error) {
		k, known, err := x.complete(xid)
		switch {
		case err != nil || !known:
			return nil, err
		case applied == nil || k.gtid != applied[1]:
			return nil, errors.New("it was not to be known")
		}
		return x.end()
	}}
}

func (s step) fails(err error) step {
	s.err = err
	return s
}

func abandon() step {
	return step{do: func(x *transaction) ([]GTID, error) {
		x.abandon()
		return nil, nil
	}}
}

func TestTransactions(t *testing.T) {
	for name, steps := range map[string][]step{
		"transaction":              {begin(1), body(""), end(gno(1))},
		"statement":                {begin(1), end(gno(1)), begin(2), end(gno(2))},
		"begun twice":              {begin(1), begin(2).fails(errNotClosed)},
		"begun twice, body":        {begin(1), body(""), begin(2).fails(errNotClosed)},
		"ended twice":              {begin(1), end(gno(1)), end().fails(errNotOpen)},
		"body of none":             {body("").fails(errNotOpen)},
		"prepared and completed":   {begin(1), body("x"), prepare("x"), begin(2), complete("x", gno(2), gno(1))},
		"others between":           {begin(1), prepare("x"), begin(2), body(""), end(gno(2)), begin(3), complete("x", gno(3), gno(1))},
		"two prepared":             {begin(1), prepare("x"), begin(2), prepare("y"), begin(3), complete("y", gno(3), gno(2)), begin(4), complete("x", gno(4), gno(1))},
		"completed twice":          {begin(1), prepare("x"), begin(2), complete("x", gno(2), gno(1)), begin(3), complete("x")},
		"prepared before us":       {begin(1), complete("x")},
		"prepared in no body":      {prepare("x").fails(errNotOpen)},
		"completed in none":        {begin(1), prepare("x"), complete("x").fails(errNotOpen)},
		"prepared twice":           {begin(1), prepare("x"), begin(2), prepare("x").fails(errPrepared)},
		"forgotten when cut off":   {begin(1), prepare("x"), begin(2), body(""), abandon(), begin(2), complete("x")},
		"cut off and read again":   {begin(1), body(""), abandon(), begin(1), body(""), end(gno(1))},
		"prepared again after cut": {begin(1), prepare("x"), abandon(), begin(1), prepare("x"), begin(2), complete("x", gno(2), gno(1))},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTransaction(MySQL)
			for i, s := range steps {
				applied, err := s.do(&x)
				if !errors.Is(err, s.err) || !slices.Equal(applied, s.applied) {
					t.Fatalf("step %d: applied %v, %v; want %v, %v", i, applied, err, s.applied, s.err)
				}
			}
		})
	}
}

func TestBodiesOpenAsTheServerSays(t *testing.T) {
	for name, c := range map[string]struct {
		flavor     Flavor
		standalone bool
		want       bool
	}{"MySQL": {MySQL, false, false}, "MariaDB group": {MariaDB, false, true}, "MariaDB statement": {MariaDB, true, false}} {
		x := newTransaction(c.flavor)
		if err := x.begin(gno(1), binlog.GTID{Standalone: c.standalone}, time.Time{}); err != nil || x.body != c.want {
			t.Errorf("%s: body %v, %v", name, x.body, err)
		}
	}
}

func TestCommitTimes(t *testing.T) {
	own, header := time.UnixMicro(1_700_000_000_123_456), time.Unix(1_600_000_000, 0)
	for want, committed := range map[time.Time]time.Time{own: own, header: {}} {
		x := newTransaction(MySQL)
		if err := x.begin(gno(1), binlog.GTID{Committed: committed}, header); err != nil || !x.committed.Equal(want) {
			t.Errorf("got %v, %v; want %v", x.committed, err, want)
		}
	}
}
