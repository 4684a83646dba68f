package capture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// View is an open transaction of a connection that sees the source as it was after the
// transactions of At.
//
// On MariaDB the server itself says where in the log its snapshot stands. On MySQL nothing may
// commit while the snapshot is opened and its position read, which takes a global read lock:
// the lock waits for commits under way, so that all that the log holds is visible. Without
// the lock a transaction is visible to new snapshots a moment before the server counts it as
// executed: Exact is false then, and the snapshot may show rows of transactions that At lacks
// and that were committed in that moment. It never lacks one of At.
//
// Only tables of an engine with snapshots are seen at one position, as InnoDB's are.
type View struct {
	At     Position
	Exact  bool
	Locked time.Duration // how long the server took no commits for it
	// Unlocked tells why the server was not locked, where it should have been.
	Unlocked string
}

const (
	// lockWait bounds how long others may have to wait behind the global read lock that
	// itself waits for a long statement, in seconds as the server takes it.
	lockWait = 1
	// stillAttempts is how often a snapshot is opened anew because transactions were
	// committed meanwhile, where the server cannot be locked.
	stillAttempts = 20
)

// OpenView opens a view on a connection, with at least the transactions of after, which the
// server, named as Stream.Server does, has in its log. The view ends with the connection, and
// so does a lock that is held.
func OpenView(ctx context.Context, conn *sql.Conn, server string, after Position, within time.Duration) (View, error) {
	id, err := serverID(ctx, conn, after.Flavor())
	if err != nil {
		return View{}, err
	}
	if id != server {
		return View{}, fmt.Errorf("%w: %s and %s", ErrOtherServer, id, server)
	}
	if after.Flavor() == MariaDB {
		at, err := openSnapshot(ctx, conn, after, within)
		return View{At: at, Exact: true}, err
	}
	if err := waitExecuted(ctx, conn, after, within); err != nil {
		return View{}, err
	}
	v, err := lockedView(ctx, conn)
	if code, message := serverError(err); code == codeLockWait || errors.Is(classify(err), ErrAccess) {
		v, err = quietView(ctx, conn)
		v.Unlocked = message
	}
	if err != nil {
		return View{}, err
	}
	_, err = conn.ExecContext(ctx, "SET SESSION lock_wait_timeout = DEFAULT") // who reads the rows may wait for who has locked a table
	return v, err
}

// codeLockWait is how the server answers where a lock was not to be had in time.
const codeLockWait = 1205

// lockedView opens a snapshot while the server takes no commits.
func lockedView(ctx context.Context, conn *sql.Conn) (View, error) {
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("SET SESSION lock_wait_timeout = %d", lockWait)); err != nil {
		return View{}, err
	}
	began := time.Now()
	if _, err := conn.ExecContext(ctx, "FLUSH TABLES WITH READ LOCK"); err != nil {
		return View{}, err
	}
	at, err := snapshotExecuted(ctx, conn)
	if _, unlockErr := conn.ExecContext(context.WithoutCancel(ctx), "UNLOCK TABLES"); unlockErr != nil {
		return View{}, errors.Join(err, unlockErr) // the caller closes the connection, which unlocks
	}
	return View{At: at, Exact: true, Locked: time.Since(began)}, err
}

func snapshotExecuted(ctx context.Context, conn *sql.Conn) (Position, error) {
	if _, err := conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		return Position{}, err
	}
	return Executed(ctx, conn, MySQL)
}

// quietView opens a snapshot at a moment in which the server counted no transaction as
// executed; where there is no such moment, at the position just before it.
func quietView(ctx context.Context, conn *sql.Conn) (View, error) {
	for attempt := 1; ; attempt++ {
		before, err := Executed(ctx, conn, MySQL)
		if err != nil {
			return View{}, err
		}
		after, err := snapshotExecuted(ctx, conn)
		if err != nil {
			return View{}, err
		}
		if before.Equal(after) || attempt == stillAttempts {
			return View{At: before}, nil
		}
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			return View{}, err
		}
	}
}
