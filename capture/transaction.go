package capture

import (
	"errors"
	"time"

	"cdcd/capture/binlog"
)

// transaction follows where the stream is: between transactions, or inside one. It does no
// I/O. A transaction begins with its GTID and counts as applied only at its end.
type transaction struct {
	flavor    Flavor
	open      bool // a GTID was read and its transaction has not ended
	body      bool // rows may follow; ends with XID, COMMIT, ROLLBACK or XA PREPARE
	gtid      GTID
	committed time.Time
	stamp     time.Time // when it was committed where it began; zero: not known, or MariaDB
	rows      int       // captured source rows so far
	content   bool      // it has rows of any table, or a statement
	xid       string    // of an XA transaction, "" for others
	// prepared maps the XA transactions that were prepared without touching a captured
	// table and are not completed, to the GTID of their prepare. That GTID stays out of the
	// position until then, so that a restart meets the prepare again.
	prepared map[string]GTID
}

func newTransaction(f Flavor) transaction {
	return transaction{flavor: f, prepared: map[string]GTID{}}
}

var (
	errNotClosed = errors.New("a transaction began before the one before it ended")
	errNotOpen   = errors.New("an event outside of any transaction")
)

// begin enters a transaction at its GTID event. committed may be zero.
func (t *transaction) begin(g GTID, e binlog.GTID, at time.Time) error {
	if t.open {
		return errNotClosed
	}
	t.open, t.gtid, t.committed, t.stamp = true, g, e.Committed, e.Committed
	if t.committed.IsZero() {
		t.committed = at
	}
	t.rows, t.content, t.xid = 0, false, ""
	t.body = t.flavor == MariaDB && !e.Standalone
	return nil
}

// enterBody notes that rows may follow (BEGIN, XA START).
func (t *transaction) enterBody(xid string) error {
	if !t.open {
		return errNotOpen
	}
	t.body, t.xid = true, xid
	return nil
}

// witness gives what tells the transaction from others of its GTID. There is none where two
// intact servers may have different ones: an XA transaction is spread over two GTIDs, and one
// without content may have been put in the place of another by hand.
func (t *transaction) witness() Witness {
	if t.xid != "" || !t.content || t.stamp.IsZero() {
		return Witness{}
	}
	return Witness{GTID: t.gtid, Committed: t.stamp}
}

// end leaves the transaction and gives the GTIDs that are applied by it.
func (t *transaction) end() ([]GTID, error) {
	if !t.open {
		return nil, errNotOpen
	}
	t.open, t.body, t.rows = false, false, 0
	return []GTID{t.gtid}, nil
}

// prepare leaves an XA transaction that was prepared and touched no captured table. It is
// not applied yet.
func (t *transaction) prepare(xid string) error {
	if !t.open {
		return errNotOpen
	}
	t.prepared[xid] = t.gtid
	t.open, t.body = false, false
	return nil
}

// complete leaves the transaction that commits or rolls back xid and gives both GTIDs.
// known is false when its prepare was not seen: its rows may be of captured tables.
func (t *transaction) complete(xid string) (applied []GTID, known bool, err error) {
	g, known := t.prepared[xid]
	if !known {
		return nil, false, nil
	}
	delete(t.prepared, xid)
	applied, err = t.end()
	return append(applied, g), true, err
}

// abandon forgets a transaction that was cut off by a lost connection.
func (t *transaction) abandon() { t.open, t.body, t.rows = false, false, 0 }
