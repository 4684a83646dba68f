package capture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Chunk is the rows of one Range of a table as they were at one moment.
type Chunk struct {
	Range Range
	Batch *Batch // nil when the range is empty; whoever holds the Chunk releases it
	// High holds every transaction that the rows can show. They may go to the lake once
	// the stream has delivered all of it.
	High    Position
	NoDates int64
}

// Reader reads tables for the initial load, over one connection of its own. It is used by
// one goroutine at a time.
type Reader struct {
	db     *sql.DB
	conn   *sql.Conn
	mem    memory.Allocator
	flavor Flavor
	server string
}

// ErrOtherServer reports a connection that reached another server process than the stream
// reads from, behind one address. Positions of one say nothing of the other's state.
var ErrOtherServer = errors.New("the address leads to different servers")

// maxChunkBytes bounds the memory of a chunk of more than one row.
const maxChunkBytes = 64 << 20

// TooLarge reports a range whose rows take more memory than a chunk may. A part of it has to
// be read instead.
type TooLarge struct {
	Table Name
	Rows  int // that were read before the reader gave up, at least two
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("%s: %d rows take more than %d MiB", e.Table, e.Rows, maxChunkBytes>>20)
}

// OpenReader connects to the server that the stream reads, which is named as Stream.Server
// gives it; "" where no stream is open yet.
func OpenReader(ctx context.Context, src Source, flavor Flavor, server string, mem memory.Allocator) (*Reader, error) {
	db, err := src.Open(map[string]string{"character_set_results": "NULL", "sql_mode": "''"})
	if err != nil {
		return nil, err
	}
	r := &Reader{db: db, mem: mem, flavor: flavor, server: server}
	if err := r.connect(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) connect(ctx context.Context) error {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return classify(err)
	}
	r.conn = conn
	noLimit := "SET SESSION max_execution_time = 0"
	if r.flavor == MariaDB {
		noLimit = "SET SESSION max_statement_time = 0"
	}
	for _, q := range []string{"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", noLimit} {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	id, err := serverID(ctx, conn, r.flavor)
	if err != nil {
		return err
	}
	if r.server != "" && id != r.server {
		return fmt.Errorf("%w: %s and %s", ErrOtherServer, id, r.server)
	}
	return nil
}

// Running tells how many threads of the server are at work. Those that serve this pipeline are
// among them: the one that answers, the stream's, and those of readers.
func (r *Reader) Running(ctx context.Context) (threads int, err error) {
	var name string
	err = r.conn.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Threads_running'").Scan(&name, &threads)
	return threads, err
}

// Close ends the connection.
func (r *Reader) Close() {
	if r.conn != nil {
		_ = r.conn.Close()
	}
	_ = r.db.Close()
}

// Bound finds where a chunk of about rows rows that begins after the given key ends, but
// not beyond limit. last is true where fewer rows are left: then the chunk ends at limit.
func (r *Reader) Bound(ctx context.Context, t *Table, within Range, rows int) (b Bound, last bool, err error) {
	now, err := r.present(ctx, t)
	if err != nil {
		return nil, false, err
	}
	key := now.KeyColumns()
	expressions := make([]string, len(key))
	for i, c := range key {
		expressions[i] = keyExpression(c)
	}
	query := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT 1 OFFSET %d",
		strings.Join(expressions, ", "), t.Name.SQL(), within.condition(key), orderBy(key), rows-1)
	values, targets := rawTargets(len(key))
	result, err := r.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, false, whetherAltered(err)
	}
	defer result.Close()
	if !result.Next() {
		return within.UpTo, true, result.Err()
	}
	if err := result.Scan(targets...); err != nil {
		return nil, false, err
	}
	for i, c := range key {
		l, err := literal(c, values[i])
		if err != nil {
			return nil, false, err
		}
		b = append(b, l)
	}
	return b, sameBound(b, within.UpTo), nil
}

func rawTargets(n int) ([]sql.RawBytes, []any) {
	values := make([]sql.RawBytes, n)
	targets := make([]any, n)
	for i := range values {
		targets[i] = &values[i]
	}
	return values, targets
}

// Read reads a range of a table in a state that contains at least the transactions of
// after. The error is a *TooLarge where the range has to be read in parts.
func (r *Reader) Read(ctx context.Context, c Capture, within Range, after Position) (*Chunk, error) {
	now, err := r.present(ctx, c.Table)
	if err != nil {
		return nil, err
	}
	shape := c
	shape.Table = now
	chunk := &Chunk{Range: within}
	err = r.view(ctx, after, func() (err error) {
		chunk.Batch, chunk.NoDates, err = r.selectRange(ctx, shape, within)
		return err
	}, &chunk.High)
	if err != nil {
		if chunk.Batch != nil {
			chunk.Batch.Release()
		}
		return nil, fmt.Errorf("read %s: %w", c.Table.Name, whetherAltered(err))
	}
	if chunk.Batch != nil {
		chunk.Batch.Table = c.Table
	}
	return chunk, nil
}

// ErrAltered reports a table that has another shape on the server than where the stream is: an
// ALTER TABLE is still to be met in the log.
var ErrAltered = errors.New("the table has been altered since")

// The server's errors of a statement about a table that has changed since.
const (
	noSchema        = 1049
	noColumn        = 1054
	noTable         = 1146
	otherDefinition = 1412
)

// Altered reports whether a statement failed because a table of it was altered or dropped before it.
func Altered(err error) bool {
	code, _ := serverError(err)
	return slices.Contains([]uint16{noSchema, noColumn, noTable, otherDefinition}, code)
}

// whetherAltered tells where a statement failed because the table was altered, or dropped, just
// before it.
func whetherAltered(err error) error {
	if Altered(err) {
		return fmt.Errorf("%w: %w", ErrAltered, err)
	}
	return err
}

// present gives a table as the server has it now, where that differs in nothing but the
// character sets of texts.
func (r *Reader) present(ctx context.Context, t *Table) (*Table, error) {
	info := &TableInfo{Table: Table{Name: t.Name, Key: t.Key, Identity: t.Identity}}
	if err := readColumns(ctx, r.conn, t.Name.Schema, t.Name.Table, map[Name]*TableInfo{t.Name: info}); err != nil {
		return nil, err
	}
	if diff := t.Difference(&info.Table); diff != "" {
		return nil, fmt.Errorf("%s: %w: %s", t.Name, ErrAltered, diff)
	}
	return &info.Table, nil
}

// view runs read in a state of the server that contains after, and sets high to a position
// that contains everything read can have seen.
func (r *Reader) view(ctx context.Context, after Position, read func() error, high *Position) (err error) {
	if r.flavor == MariaDB {
		return r.viewMariaDB(ctx, after, read, high)
	}
	if err := waitExecuted(ctx, r.conn, after, visibleWithin); err != nil {
		return err
	}
	if err := read(); err != nil { // one statement: its read view is opened now
		return err
	}
	*high, err = Executed(ctx, r.conn, r.flavor)
	return err
}

// waitExecuted waits until a MySQL server shows what the stream has delivered: the log runs
// ahead of it.
func waitExecuted(ctx context.Context, conn *sql.Conn, after Position, within time.Duration) error {
	if after.IsEmpty() {
		return nil
	}
	for deadline := time.Now().Add(within); ; {
		var timedOut int
		if err := conn.QueryRowContext(ctx, "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 1)", after.String()).Scan(&timedOut); err != nil {
			return err
		}
		if timedOut == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return notVisible(within)
		}
	}
}

// viewMariaDB reads in a snapshot whose exact position is known. The position that MariaDB
// shows as executed moves before the engine commits, so it is not to be trusted here.
func (r *Reader) viewMariaDB(ctx context.Context, after Position, read func() error, high *Position) error {
	at, err := openSnapshot(ctx, r.conn, after, visibleWithin)
	if err != nil {
		return err
	}
	*high = at
	err = read()
	_, endErr := r.conn.ExecContext(ctx, "COMMIT")
	return errors.Join(err, endErr)
}

// openSnapshot opens a consistent snapshot on a MariaDB server that contains after, and gives
// its exact position.
func openSnapshot(ctx context.Context, conn *sql.Conn, after Position, within time.Duration) (Position, error) {
	for deadline := time.Now().Add(within); ; {
		if _, err := conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
			return Position{}, err
		}
		at, err := snapshotPosition(ctx, conn)
		if err == nil && at.Covers(after) {
			return at, nil
		}
		_, endErr := conn.ExecContext(ctx, "ROLLBACK")
		if err := errors.Join(err, endErr); err != nil {
			return Position{}, err
		}
		if time.Now().After(deadline) {
			return Position{}, notVisible(within)
		}
		if err := sleep(ctx, snapshotRetry); err != nil {
			return Position{}, err
		}
	}
}

func notVisible(within time.Duration) error {
	return fmt.Errorf("the server does not show transactions of its own log after %v", within)
}

const snapshotRetry = 20 * time.Millisecond

// snapshotPosition gives the position of the open consistent snapshot.
func snapshotPosition(ctx context.Context, conn *sql.Conn) (Position, error) {
	status := map[string]string{}
	rows, err := conn.QueryContext(ctx, "SHOW SESSION STATUS WHERE Variable_name IN ('binlog_snapshot_file', 'binlog_snapshot_position')")
	if err != nil {
		return Position{}, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return Position{}, err
		}
		status[strings.ToLower(name)] = value
	}
	if err := rows.Err(); err != nil {
		return Position{}, err
	}
	var text sql.NullString
	err = conn.QueryRowContext(ctx, "SELECT BINLOG_GTID_POS(?, "+status["binlog_snapshot_position"]+")", status["binlog_snapshot_file"]).Scan(&text)
	if err != nil {
		return Position{}, err
	}
	if !text.Valid {
		return Position{}, errors.New("the server does not know the position of its own snapshot")
	}
	return ParsePosition(MariaDB, text.String)
}

// selectRange reads the rows of a range. The Batch is nil where there are none.
func (r *Reader) selectRange(ctx context.Context, c Capture, within Range) (*Batch, int64, error) {
	q, err := r.query(ctx, c, within)
	if err != nil {
		return nil, 0, err
	}
	defer q.close()
	full, err := q.fill(maxChunkBytes)
	n := len(q.buffer.ops)
	switch {
	case err != nil:
		return nil, 0, err
	case full && n > 1:
		return nil, 0, &TooLarge{c.Table.Name, n}
	case n == 0:
		return nil, q.buffer.noDates, nil
	}
	noDates := q.buffer.noDates
	return q.buffer.take(), noDates, nil
}
