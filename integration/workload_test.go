//go:build integration

package integration

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cdcd/capture"
	"github.com/go-sql-driver/mysql"
)

const (
	workloadWriters  = 4
	workloadAccounts = 100  // in each table of the bank
	workloadBalance  = 1000 // of each account at first
)

// workload changes the tables of a schema by several writers at a time, each of them drawing
// its transactions from one seed. It survives the server's restarts.
type workload struct {
	server  *server
	schema  string
	cancel  context.CancelFunc
	done    chan error   // of each writer
	writers int          // that have not ended
	limit   atomic.Int64 // of transactions; who judges them must be able to follow

	mu   sync.Mutex
	made map[string]int // committed transactions of each kind
	all  int
	lost int // transactions that failed with their connection
}

// workloadMoney is the sum of all accounts, which no transaction changes.
func workloadMoney() int64 { return int64(len(bankTables())) * workloadAccounts * workloadBalance }

// workloadKeys are the tables of the workload and their keys.
func workloadKeys() map[string][]string {
	out := map[string][]string{"keyed": {"id"}, "placed": {"id"}, "wide": {"id"}, "bulk": {"id"}, "pair": {"a", "b"}}
	for _, name := range bankTables() {
		out[name] = []string{"id"}
	}
	return out
}

// workloadTables creates the tables. Most are empty.
func workloadTables(t testing.TB, s *server, schema string) {
	t.Helper()
	s.schema(t, schema)
	s.exec(t, "USE "+schema+`;
		CREATE TABLE keyed (id INT PRIMARY KEY, version BIGINT NOT NULL, note VARCHAR(40));
		CREATE TABLE placed (id INT PRIMARY KEY, version BIGINT NOT NULL, region VARCHAR(10) NOT NULL, note VARCHAR(40));
		CREATE TABLE wide (id INT PRIMARY KEY, version BIGINT NOT NULL, price DECIMAL(20,4), big BIGINT UNSIGNED, text_ TEXT, doc JSON, at DATETIME(6),
			stamp TIMESTAMP(3) NULL, raw VARBINARY(20), kind ENUM('a','ö','c'), ratio DOUBLE, old VARCHAR(20) CHARACTER SET latin1);
		CREATE TABLE bulk (id INT PRIMARY KEY, version BIGINT NOT NULL, pad TEXT);
		CREATE TABLE pair (a INT, b VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin, version BIGINT NOT NULL, v TEXT, PRIMARY KEY (a, b))`)
	for _, name := range bankTables() {
		values := make([]string, workloadAccounts)
		for i := range values {
			values[i] = fmt.Sprintf("(%d,%d,0)", i+1, workloadBalance)
		}
		s.exec(t, fmt.Sprintf("CREATE TABLE %[1]s.%[2]s (id INT PRIMARY KEY, amount BIGINT NOT NULL, version BIGINT NOT NULL); INSERT INTO %[1]s.%[2]s VALUES %[3]s",
			schema, name, strings.Join(values, ",")))
	}
}

// startWorkload begins to change the tables. It ends with the test.
func startWorkload(t testing.TB, s *server, schema string, seed uint64) *workload {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &workload{server: s, schema: schema, cancel: cancel, done: make(chan error, workloadWriters), writers: workloadWriters, made: map[string]int{}}
	w.limit.Store(math.MaxInt64)
	for i := range workloadWriters {
		go func() { w.done <- w.write(ctx, newDraw(seed, i, s.flavor)) }()
	}
	t.Cleanup(func() { w.stop(t) })
	return w
}

// stop ends the workload.
func (w *workload) stop(t testing.TB) {
	t.Helper()
	w.cancel()
	for ; w.writers > 0; w.writers-- {
		if err := <-w.done; err != nil {
			t.Errorf("workload: %v", err)
		}
	}
}

// counts gives the committed transactions of each kind, all of them, and the lost ones.
func (w *workload) counts() (kinds map[string]int, all, lost int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.made), w.all, w.lost
}

// busyFor waits until some more transactions are committed.
func (w *workload) busyFor(t testing.TB, transactions int) {
	t.Helper()
	_, before, _ := w.counts()
	eventually(t, 2*time.Minute, "the workload goes on", func() error {
		if _, n, _ := w.counts(); n < before+transactions {
			return fmt.Errorf("%d of %d transactions", n-before, transactions)
		}
		return nil
	})
}

// write makes the transactions of one writer until it is told to end.
func (w *workload) write(ctx context.Context, d *draw) error {
	const longestPause = 100 // ms between two transactions: readers and daemon need processors too
	var conn *sql.Conn
	for ctx.Err() == nil {
		kind, statements := d.transaction()
		again, err := w.make(ctx, conn, kind, statements)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		conn = again
		time.Sleep(time.Duration(d.random.IntN(longestPause)) * time.Millisecond)
		w.wait(ctx)
	}
	if conn != nil {
		discard(conn)
	}
	return nil
}

// wait stands still while as many transactions as are allowed are made.
func (w *workload) wait(ctx context.Context) {
	const between = 50 * time.Millisecond
	for _, n, _ := w.counts(); int64(n) >= w.limit.Load() && ctx.Err() == nil; _, n, _ = w.counts() {
		time.Sleep(between)
	}
}

// make carries one transaction out, on a new connection where there is none, and gives the
// connection for the next one. What is lost with its connection is not repeated.
func (w *workload) make(ctx context.Context, conn *sql.Conn, kind string, statements []string) (*sql.Conn, error) {
	if conn == nil {
		var err error
		if conn, err = w.connect(ctx); err != nil || conn == nil {
			return nil, err
		}
	}
	own := context.WithoutCancel(ctx)
	_, err := conn.ExecContext(own, strings.Join(statements, "; "))
	if overtaken(err) {
		_, err = conn.ExecContext(own, "ROLLBACK")
		kind = "overtaken"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case disconnected(err):
		w.lost++
		discard(conn)
		return nil, nil
	case err != nil:
		return nil, err
	}
	w.made[kind]++
	w.all++
	return conn, nil
}

// connect waits for the server; no connection and no error means that the workload ends.
func (w *workload) connect(ctx context.Context) (*sql.Conn, error) {
	const patience, between = 2 * time.Minute, 100 * time.Millisecond
	deadline := time.Now().Add(patience)
	for ctx.Err() == nil {
		conn, err := w.server.db.Conn(ctx)
		if err == nil {
			if _, err = conn.ExecContext(ctx, "USE "+w.schema); err == nil {
				return conn, nil
			}
			discard(conn)
		}
		if ctx.Err() == nil && time.Now().After(deadline) {
			return nil, fmt.Errorf("connect: %w", err)
		}
		time.Sleep(between)
	}
	return nil, nil
}

// discard closes a connection, so that its settings do not reach another test.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// overtaken reports that the server gave a transaction up for another one.
func overtaken(err error) bool {
	const codeLockWait, codeChanged = 1205, 1020 // the latter: MariaDB, the row changed since the snapshot
	return hasCode(err, codeDeadlock) || hasCode(err, codeLockWait) || hasCode(err, codeChanged)
}

// disconnected reports that a connection was lost, and with it the answer.
func disconnected(err error) bool {
	const codeShutdown, codeKilled, codeInterrupted, codeReset = 1053, 1927, 1317, 1180
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.EOF) || errors.As(err, &network) ||
		errors.Is(err, sql.ErrConnDone) || hasCode(err, codeShutdown) || hasCode(err, codeKilled) || hasCode(err, codeInterrupted) || hasCode(err, codeReset)
}

// TestWorkloadIsDrawnFromItsSeed draws the same transactions twice.
func TestWorkloadIsDrawnFromItsSeed(t *testing.T) {
	const transactions = 500
	all := func(seed uint64) string {
		var out strings.Builder
		for writer := range workloadWriters {
			for d := newDraw(seed, writer, capture.MySQL); d.number < transactions; {
				kind, statements := d.transaction()
				fmt.Fprintln(&out, kind, statements)
				_ = d.random.IntN(5)
			}
		}
		return out.String()
	}
	seed := rand.Uint64()
	if first, second := all(seed), all(seed); first != second {
		t.Errorf("seed %d gives different transactions", seed)
	}
	if all(seed) == all(seed+1) {
		t.Errorf("seeds %d and %d give the same transactions", seed, seed+1)
	}
}
