package commit

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
	icetable "github.com/apache/iceberg-go/table"
)

// TestResetLogIsFound empties the source's log, which then runs past every position: a daemon
// and a rewind find it, whatever commit was a table's last one, and change no row.
func TestResetLogIsFound(t *testing.T) {
	l := newLab(t, 61, "a", "b", "late")
	l.churnTables(20, "a", "b")
	l.names = []string{"a", "b"}
	l.mustRun() // rows that are loaded
	l.churn(20)
	l.mustRun() // epochs
	l.churnTables(10, "a")
	l.mustRun() // of b the Mark alone
	l.names = []string{"a", "b", "late"}
	l.mustRun() // a load alone
	l.rewritten("a", icetable.OpReplace)
	l.mustRun() // a Mark behind it
	l.check()
	l.checkHistory()
	cut := l.cutNumbers()[0]
	for _, n := range []string{"a", "b"} {
		if got, want := l.head(n).Mark.Last, l.server.witness(len(l.server.log)); got.String() != want.String() {
			t.Errorf("the Witness of %s is %s, want %s", n, got, want)
		}
	}
	before := len(l.server.log)
	rows := map[string]map[int64]string{}
	for _, n := range l.names {
		rows[n] = l.rows(n, 0)
	}
	l.server.reset()
	l.churn(before + 20)
	for range 2 {
		if err := l.run(context.Background()); !errors.Is(err, capture.ErrHistoryLost) {
			t.Errorf("run: %v", err)
		}
		if err := l.rewind(cut); !errors.Is(err, capture.ErrHistoryLost) {
			t.Errorf("rewind: %v", err)
		}
	}
	for _, n := range l.names {
		if got := l.rows(n, 0); !maps.Equal(got, rows[n]) {
			t.Errorf("%s changed", n)
		}
	}
}

// TestSetBackLogIsRewound has the source lose its newest transactions and give their GTIDs to
// others: a rewind to a cut before them goes on from there, and what it wrote is told from
// others in its turn.
func TestSetBackLogIsRewound(t *testing.T) {
	l := newLab(t, 62, "a")
	l.busy()
	cut, transactions := l.newestCut()
	kept := len(l.server.log)
	lost, shown := cut, 0
	for shown <= kept {
		l.churn(10)
		l.mustRun()
		lost, shown = l.newestCut()
	}
	l.server.setBack(kept)
	l.churn(2 * (shown - kept))
	if err := l.run(context.Background()); !errors.Is(err, capture.ErrHistoryLost) {
		t.Errorf("run: %v", err)
	}
	if err := l.rewind(lost); !errors.Is(err, capture.ErrHistoryLost) {
		t.Errorf("rewind to what is lost: %v", err)
	}
	if err := l.rewind(cut); err != nil {
		t.Fatal(err)
	}
	if got, want := l.head("a").Mark.Last, l.server.witness(transactions); got.String() != want.String() {
		t.Errorf("rewound to %s, want %s", got, want)
	}
	l.mustRun()
	l.check()
}

// newestCut gives the number of the newest cut, and how many transactions it shows: those of a run's
// last commit may be in none.
func (l *lab) newestCut() (number int64, transactions int) {
	l.t.Helper()
	cuts, err := ReadCuts(context.Background(), l.cfg.Tables, controlName)
	if err != nil || len(cuts) == 0 {
		l.t.Fatal(len(cuts), err)
	}
	newest := cuts[len(cuts)-1]
	for l.server.position(transactions).String() != newest.Position {
		transactions++
	}
	return newest.Number, transactions
}

func TestLastOf(t *testing.T) {
	witness := func(n int) capture.Witness {
		return capture.Witness{GTID: fakeGTID(n), Committed: time.UnixMilli(int64(n))}
	}
	s := newFakeServer(1, nil)
	for name, c := range map[string]struct {
		epoch, table capture.Witness
		position     int // of the table
		want         capture.Witness
	}{
		"the epoch is newer":         {witness(5), witness(3), 4, witness(5)},
		"the table is ahead":         {witness(5), witness(7), 7, witness(7)},
		"ahead, of an older version": {witness(5), capture.Witness{}, 7, witness(5)},
		"nothing was delivered":      {capture.Witness{}, witness(3), 4, witness(3)},
		"none":                       {},
	} {
		e := newEpoch(1, s.position(5))
		e.newest = c.epoch
		if got := e.follow().lastOf(table.Mark{Position: s.position(c.position), Last: c.table}); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// witness is that of transaction n, which is told from those of before a reset by its time.
func (s *fakeServer) witness(n int) capture.Witness {
	others := 0
	for _, h := range s.histories {
		if n > h {
			others++
		}
	}
	return capture.Witness{GTID: fakeGTID(n), Committed: time.UnixMilli(int64(n + 1_000_000*others))}
}

// reset empties the log, and counts anew.
func (s *fakeServer) reset() { s.setBack(0) }

// setBack leaves the first n transactions of the log.
func (s *fakeServer) setBack(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log, s.visible, s.histories = s.log[:n], n, append(s.histories, n)
}

// examine compares the Witnesses, as a real stream does when it connects.
func (f *fakeStream) examine() error {
	for _, w := range f.witnesses {
		if n := int(w.GTID.Number); n > f.server.purged && n <= len(f.server.log) && !w.Committed.Equal(f.server.witness(n).Committed) {
			return capture.ErrHistoryLost
		}
	}
	return nil
}
