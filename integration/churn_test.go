//go:build integration

package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// churn changes the tables kv and pair of a schema at random: inserts, upserts, updates,
// deletes, changed keys, over one table or both, committed or rolled back.
type churn struct {
	schema string
	keys   int // ids are drawn from [0, keys)
	gate   sync.Mutex
	paused bool // by the test, which holds the gate
	conn   *sql.Conn
	random *rand.Rand
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	count  atomic.Int64 // transactions, committed or not
}

// churnTables makes the tables, with some rows in kv.
func churnTables(t testing.TB, s *server, schema string, rows int) {
	t.Helper()
	s.exec(t, "CREATE TABLE "+schema+".kv (id INT PRIMARY KEY, k VARCHAR(40) NOT NULL, n BIGINT UNSIGNED NOT NULL, amount DECIMAL(12,2), doc JSON, at DATETIME(6))")
	s.exec(t, "CREATE TABLE "+schema+".pair (a INT, b VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin, v TEXT, PRIMARY KEY (a, b))")
	const batch = 5000
	for from := 0; from < rows; from += batch {
		values := make([]string, 0, batch)
		for id := from; id < min(rows, from+batch); id++ {
			values = append(values, fmt.Sprintf("(%d,'key %d',%d,%d.25,'{\"id\": %d}','2026-01-01 00:00:00.%06d')", id, id, id, id%1000, id, id%1_000_000))
		}
		s.exec(t, "INSERT INTO "+schema+".kv VALUES "+strings.Join(values, ","))
	}
}

// startChurn begins to change the tables. It ends with the test.
func startChurn(t testing.TB, s *server, schema string, keys int, seed uint64) *churn {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &churn{schema: schema, keys: keys, conn: s.conn(t), random: rand.New(rand.NewPCG(seed, 1)), cancel: cancel, done: make(chan struct{})}
	t.Logf("seed %d", seed)
	if _, err := c.conn.ExecContext(ctx, "USE "+schema); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		for c.err == nil && ctx.Err() == nil {
			c.gate.Lock()
			c.err = c.transaction(context.WithoutCancel(ctx))
			c.gate.Unlock()
			c.count.Add(1)
		}
	}()
	t.Cleanup(func() { c.stop(t) })
	return c
}

// pause lets the running transaction end and begins no other.
func (c *churn) pause() {
	c.gate.Lock()
	c.paused = true
}

// resume ends a pause.
func (c *churn) resume() {
	c.paused = false
	c.gate.Unlock()
}

// stop ends the churn.
func (c *churn) stop(t testing.TB) {
	t.Helper()
	c.cancel()
	if c.paused { // by a test that has failed meanwhile
		c.resume()
	}
	<-c.done
	if c.err != nil {
		t.Fatalf("churn: %v", c.err)
	}
}

// transaction runs between one and five statements.
func (c *churn) transaction(ctx context.Context) error {
	tx, err := c.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for range 1 + c.random.IntN(5) {
		switch _, err = tx.ExecContext(ctx, c.statement()); {
		case hasCode(err, codeDeadlock):
			return tx.Rollback()
		case err != nil && !hasCode(err, codeDuplicate):
			return errors.Join(err, tx.Rollback())
		}
	}
	const rollbacks = 10 // one of
	if c.random.IntN(rollbacks) == 0 {
		return tx.Rollback()
	}
	return tx.Commit()
}

// Error codes of the server.
const (
	codeDuplicate = 1062
	codeDeadlock  = 1213
)

func hasCode(err error, code uint16) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && e.Number == code
}

// statement draws a statement.
func (c *churn) statement() string {
	const most = 30
	id, n := c.random.IntN(c.keys), 1+c.random.IntN(most)
	switch c.random.IntN(8) {
	case 0, 1, 2:
		values := make([]string, n)
		for i := range values {
			values[i] = fmt.Sprintf("(%d,'%x',%d,%d.%02d,'{\"n\": [%d, null]}',NOW(6))", c.random.IntN(c.keys), c.random.Uint64(), c.random.Uint64(), c.random.IntN(1e6), c.random.IntN(100), i)
		}
		return "INSERT INTO kv VALUES " + strings.Join(values, ",") + " ON DUPLICATE KEY UPDATE n = VALUES(n), k = VALUES(k)"
	case 3:
		return fmt.Sprintf("UPDATE kv SET amount = amount + 1, at = NOW(6) WHERE id BETWEEN %d AND %d", id, id+n)
	case 4:
		return fmt.Sprintf("DELETE FROM kv WHERE id BETWEEN %d AND %d", id, id+n/4)
	case 5:
		return fmt.Sprintf("UPDATE kv SET id = id + %d WHERE id = %d", c.random.IntN(c.keys), id)
	case 6:
		return fmt.Sprintf("REPLACE INTO pair VALUES (%d, 'b%d', REPEAT('é', %d))", id%500, n, n)
	}
	return fmt.Sprintf("DELETE FROM pair WHERE a < %d AND b = 'b%d'", id%500, n)
}

// busyFor waits until the churn has run some more transactions.
func (c *churn) busyFor(t testing.TB, transactions int64) {
	t.Helper()
	want := c.count.Load() + transactions
	eventually(t, time.Minute, "the churn goes on", func() error {
		if n := c.count.Load(); n < want {
			return fmt.Errorf("%d of %d transactions", n, want)
		}
		return nil
	})
}
