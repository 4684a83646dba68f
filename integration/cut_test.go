//go:build integration

package integration

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const (
	bankAccounts = 100 // in each of the bank's tables
	bankBalance  = 1000
)

// bankTables hold one account a row. Every transaction moves money between two tables.
func bankTables() []string { return []string{"here", "there", "abroad"} }

// makeBank makes the tables.
func makeBank(t testing.TB, s *server) {
	t.Helper()
	s.schema(t, "bank")
	for _, name := range bankTables() {
		values := make([]string, bankAccounts)
		for i := range values {
			values[i] = fmt.Sprintf("(%d, %d, 0)", i, bankBalance)
		}
		s.exec(t, "CREATE TABLE bank."+name+" (id INT PRIMARY KEY, balance BIGINT NOT NULL, version BIGINT NOT NULL); INSERT INTO bank."+name+" VALUES "+strings.Join(values, ","))
	}
}

// startBank makes the tables and transfers money all the time until it is stopped.
func startBank(t *testing.T, s *server) (stop func()) {
	t.Helper()
	makeBank(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	conn, done := s.conn(t), make(chan error, 1)
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			err = transfer(conn)
		}
		done <- err
	}()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("transfer: %v", err)
		}
	}
}

// transfer moves money between two tables, and sometimes moves an account to another key.
func transfer(conn *sql.Conn) error {
	ctx := context.Background()
	tables := bankTables()
	rand.Shuffle(len(tables), func(i, j int) { tables[i], tables[j] = tables[j], tables[i] })
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	amount, id := rand.IntN(100), rand.IntN(bankAccounts)
	statements := []string{
		fmt.Sprintf("UPDATE bank.%s SET balance = balance - %d, version = version + 1 WHERE id %% %d = %d", tables[0], amount, bankAccounts, id),
		fmt.Sprintf("UPDATE bank.%s SET balance = balance + %d, version = version + 1 WHERE id %% %d = %d", tables[1], amount, bankAccounts, rand.IntN(bankAccounts)),
	}
	const rekeys = 10 // one of
	if rand.IntN(rekeys) == 0 {
		statements = append(statements, fmt.Sprintf("UPDATE bank.%s SET id = id + %d WHERE id = %d", tables[2], bankAccounts, id))
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// TestCuts reads every cut that was published while money moved between tables and the
// daemon was killed: at each of them all money is there, though the tables are committed one
// after the other.
func TestCuts(t *testing.T) {
	s := sharedServer(t, mysql97)
	stop := startBank(t, s)
	p := newPipeline(t, s, "bank.*", settings{"pipeline": "bank"})
	p.start()
	engine := startEngine(t, "duckdb", p.uri())
	checked := map[string]bool{}
	const kills, least, most = 3, 20, 10
	for round := 1; round <= kills || len(checked) < least && round <= most; round++ {
		time.Sleep(4 * time.Second)
		p.kill() // while they are read nothing expires
		checkCuts(t, engine, checked)
		p.start()
	}
	stop()
	p.reach()
	p.verify()
	p.stop()
	checkCuts(t, engine, checked)
	p.fsck(t)
	t.Logf("%d cuts checked", len(checked))
	if len(checked) < least {
		t.Errorf("only %d cuts", len(checked))
	}
	// The newest cut is the end: the source's rows.
	p.oracle("duckdb").equal(t, "bank.here", "bank.there", "bank.abroad")
	spark := startEngine(t, "spark", p.uri())
	var parts []string
	for _, row := range spark.query(t, "SELECT table_name, snapshot_id FROM cdcd_control.bank WHERE kind = 'cut' AND number = (SELECT min(number) FROM cdcd_control.bank WHERE kind = 'cut')").Rows {
		parts = append(parts, fmt.Sprintf("SELECT balance FROM %v VERSION AS OF %v", row[0], row[1]))
	}
	r := spark.query(t, "SELECT sum(balance) FROM ("+strings.Join(parts, " UNION ALL ")+")")
	if got := fmt.Sprint(r.Rows[0][0]); got != fmt.Sprint(3*bankAccounts*bankBalance) {
		t.Errorf("Spark sees %s at the oldest cut of %d tables", got, len(parts))
	}
}

// checkCuts sums up the money at every cut that is in the control table and not checked yet.
func checkCuts(t *testing.T, engine *engine, checked map[string]bool) {
	t.Helper()
	cuts := map[string][]string{}
	for _, row := range engine.query(t, "SELECT number, table_name, snapshot_id, position FROM cdcd_control.bank WHERE kind = 'cut'").Rows {
		number := fmt.Sprint(row[0])
		cuts[number] = append(cuts[number], fmt.Sprintf("SELECT id, balance FROM %v AT (VERSION => %v)", row[1], row[2]))
	}
	const money, accounts = 3 * bankAccounts * bankBalance, 3 * bankAccounts
	for number, parts := range cuts {
		if checked[number] {
			continue
		}
		if len(parts) != len(bankTables()) {
			t.Fatalf("cut %s has %d tables", number, len(parts))
		}
		r := engine.query(t, "SELECT CAST(sum(balance) AS BIGINT), count(*) FROM ("+strings.Join(parts, " UNION ALL ")+")")
		if got := fmt.Sprint(r.Rows[0]); got != fmt.Sprint([]any{money, accounts}) {
			t.Fatalf("cut %s: %s, want %d and %d", number, got, money, accounts)
		}
		checked[number] = true
	}
}
