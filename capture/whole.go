package capture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Whole is a table under way to be read as a whole, as it was at one position, for tables without
// a key by which they could be read in ranges. It belongs to its Reader, of which nothing else is
// asked meanwhile.
type Whole struct {
	at   Position
	own  Capture // as it was asked for
	rows *query
	done bool
}

const (
	// lockTries bounds how often a table's lock is asked for, each time for lockWait seconds,
	// in which those wait who want to change it.
	lockTries = 30
	// lockPause is how long they have in between.
	lockPause = 2 * time.Second
	// wholeBytes is how much is read at once, of more than one row.
	wholeBytes = 8 << 20
	// patientSeconds is how long a server waits for who reads a table and writes it elsewhere.
	patientSeconds = 3600
)

// ReadWhole begins to read a whole table in a state that contains at least the transactions of
// after.
//
// MariaDB says itself where in the log its snapshot stands. On MySQL the table is locked against
// changes by a second connection while the snapshot is opened and its position read: the lock
// waits until all who have changed the table are done, by when the server counts their
// transactions as executed. Other tables are not locked.
func (r *Reader) ReadWhole(ctx context.Context, c Capture, after Position) (*Whole, error) {
	w := &Whole{own: c}
	err := whetherAltered(r.readWhole(ctx, w, after))
	switch {
	case err == nil:
		return w, nil
	case errors.Is(err, ErrAltered): // the log will not tell: the table begins behind it
		return nil, goneBefore(c.Table.Name, err)
	}
	return nil, fmt.Errorf("read %s: %w", c.Table.Name, err)
}

// goneBefore is the Stop for a table that was altered or dropped before it could be read.
func goneBefore(n Name, err error) *Stop {
	s := &Stop{What: "an ALTER TABLE before the initial load", Table: n.String(), Alone: n, Err: err, Hint: loadAnew}
	if code, _ := serverError(err); code == noTable || code == noSchema {
		s.What, s.Cause, s.Hint = "a DROP TABLE before the initial load", Dropped, endsHint(Dropped)
	}
	return s
}

func (r *Reader) readWhole(ctx context.Context, w *Whole, after Position) error {
	if _, err := r.conn.ExecContext(ctx, fmt.Sprintf("SET SESSION net_write_timeout = %d", patientSeconds)); err != nil {
		return err
	}
	open := r.openLocked
	if r.flavor == MariaDB {
		open = r.openTable
	}
	var err error
	if w.at, err = open(ctx, w.own.Table.Name, after); err != nil {
		return err
	}
	now, err := r.present(ctx, w.own.Table) // nobody can alter it any more
	if err != nil {
		return err
	}
	for i, c := range now.Columns {
		if !c.same(w.own.Table.Columns[i]) { // its default decides, too, what later rows mean
			return fmt.Errorf("%w: column %q", ErrAltered, c.Name)
		}
	}
	shape := w.own
	shape.Table = now
	w.rows, err = r.query(ctx, shape, Range{})
	return err
}

// openTable opens a snapshot on MariaDB in which the table cannot be altered.
func (r *Reader) openTable(ctx context.Context, n Name, after Position) (Position, error) {
	at, err := openSnapshot(ctx, r.conn, after, visibleWithin)
	if err != nil {
		return Position{}, err
	}
	return at, r.touch(ctx, n)
}

// touch reads of a table in the open transaction, which keeps others from altering it.
func (r *Reader) touch(ctx context.Context, n Name) error {
	rows, err := r.conn.QueryContext(ctx, "SELECT 1 FROM "+n.SQL()+" LIMIT 0")
	if err != nil {
		return err
	}
	return rows.Close()
}

// openLocked opens a snapshot on MySQL while the table is locked.
func (r *Reader) openLocked(ctx context.Context, n Name, after Position) (at Position, err error) {
	if err := waitExecuted(ctx, r.conn, after, visibleWithin); err != nil {
		return Position{}, err
	}
	lock, err := r.db.Conn(ctx)
	if err != nil {
		return Position{}, err
	}
	defer lock.Close()
	if err := lockTable(ctx, lock, n); err != nil {
		return Position{}, err
	}
	defer func() {
		_, unlockErr := lock.ExecContext(context.WithoutCancel(ctx), "UNLOCK TABLES")
		err = errors.Join(err, unlockErr)
	}()
	if _, err := r.conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		return Position{}, err
	}
	if err := r.touch(ctx, n); err != nil {
		return Position{}, err
	}
	return Executed(ctx, r.conn, MySQL)
}

// lockTable locks a table against changes, once those under way are over.
func lockTable(ctx context.Context, lock *sql.Conn, n Name) error {
	if _, err := lock.ExecContext(ctx, fmt.Sprintf("SET SESSION lock_wait_timeout = %d", lockWait)); err != nil {
		return err
	}
	for try := 1; ; try++ {
		_, err := lock.ExecContext(ctx, "LOCK TABLES "+n.SQL()+" READ")
		code, _ := serverError(err)
		switch {
		case err == nil:
			return nil
		case errors.Is(classify(err), ErrAccess):
			return fmt.Errorf("%w: a table without a key is locked for a moment when it is loaded: GRANT LOCK TABLES ON %s.* TO the user", classify(err), quoteName(n.Schema))
		case code != codeLockWait || try == lockTries:
			return fmt.Errorf("lock it for a moment: %w", err)
		}
		if err := sleep(ctx, lockPause); err != nil {
			return err
		}
	}
}

// At is the position: of the transactions that changed the table the rows show those that it
// holds, and no other.
func (w *Whole) At() Position { return w.at }

// Next gives the next rows, nil behind the last, and how many dates that are none became NULL in
// them. The caller releases the Batch.
func (w *Whole) Next() (b *Batch, noDates int64, err error) {
	if w.done {
		return nil, 0, nil
	}
	full, err := w.rows.fill(wholeBytes)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", w.own.Table.Name, whetherAltered(err))
	}
	w.done = !full
	noDates = w.rows.buffer.takeNoDates()
	if len(w.rows.buffer.ops) == 0 {
		return nil, noDates, nil
	}
	b = w.rows.buffer.take()
	b.Table = w.own.Table
	return b, noDates, nil
}

// Close ends the reading. The Reader is closed next: its transaction is still open.
func (w *Whole) Close() { w.rows.close() }
