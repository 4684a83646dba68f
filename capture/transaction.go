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
	twoPhase  bool      // it is a part of an ALTER TABLE that is logged twice
	// savepoints are those that were set, the newest last.
	savepoints []savepoint
	content    bool   // it has rows of any table, or a statement
	xid        string // of an XA transaction on MySQL, and of one that is completed; "" for others
	// keeping tells that whether the changes happen is not known yet: they are kept in kept.
	keeping bool
	kept    kept
	// overflown tells that they were too many to be kept: they are delivered as they come, and
	// must not turn out to be prepared only.
	overflown bool
	completes *GTID // the prepare of the XA transaction that the open one commits
	// prepared are the XA transactions that were prepared and are not completed. The GTID of
	// their prepare stays out of the position until then, so that a restart meets it again.
	prepared  map[string]kept
	keptBytes int // of kept and prepared
}

func newTransaction(f Flavor) transaction {
	return transaction{flavor: f, prepared: map[string]kept{}}
}

var (
	errNotClosed = errors.New("a transaction began before the one before it ended")
	errNotOpen   = errors.New("an event outside of any transaction")
	errPrepared  = errors.New("an XA transaction was prepared under the identifier of one that is not completed")
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
	t.rows, t.content, t.xid, t.twoPhase = 0, false, "", e.TwoPhaseAlter
	t.savepoints = nil
	t.body = t.flavor == MariaDB && !e.Standalone
	t.overflown = false
	if e.PreparedXA {
		t.keep()
	}
	return nil
}

// enterBody notes that rows may follow (BEGIN, XA START).
func (t *transaction) enterBody(xid string) error {
	if !t.open {
		return errNotOpen
	}
	t.body, t.xid = true, xid
	if xid != "" {
		t.keep()
	}
	return nil
}

// keep begins to keep changes.
func (t *transaction) keep() {
	t.keptBytes -= t.kept.bytes
	t.keeping, t.kept = true, kept{gtid: t.gtid}
}

// takeKept gives what was kept of the open transaction, whose changes happen.
func (t *transaction) takeKept() kept {
	k := t.kept
	t.keptBytes -= k.bytes
	t.keeping, t.kept = false, kept{}
	return k
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
	applied := []GTID{t.gtid}
	if t.completes != nil {
		applied = append(applied, *t.completes)
	}
	t.takeKept()
	t.open, t.body, t.rows, t.completes = false, false, 0, nil
	return applied, nil
}

// prepare leaves an XA transaction that was prepared. It is not applied yet.
func (t *transaction) prepare(xid string) error {
	if !t.open {
		return errNotOpen
	}
	if _, already := t.prepared[xid]; already {
		return errPrepared
	}
	t.kept.gtid = t.gtid
	t.prepared[xid], t.kept = t.kept, kept{}
	t.open, t.body, t.keeping = false, false, false
	return nil
}

// complete has the open transaction complete the prepared one of xid, and gives what was kept
// of it. known is false when its prepare was not seen: its rows may be of captured tables.
func (t *transaction) complete(xid string) (k kept, known bool, err error) {
	k, known = t.prepared[xid]
	switch {
	case !t.open:
		return kept{}, known, errNotOpen
	case !known:
		return kept{}, false, nil
	}
	delete(t.prepared, xid)
	t.keptBytes -= k.bytes
	t.body, t.xid, t.completes = true, xid, &k.gtid
	return k, true, nil
}

// abandon forgets a transaction that was cut off by a lost connection, and the prepared ones:
// their GTIDs are not in the position, so the server sends them again.
func (t *transaction) abandon() {
	t.open, t.body, t.rows, t.keeping, t.completes = false, false, 0, false, nil
	t.kept, t.keptBytes = kept{}, 0
	clear(t.prepared)
}
