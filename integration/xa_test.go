//go:build integration

package integration

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// prepareXA prepares an XA transaction, in a session that ends then.
func prepareXA(t *testing.T, s *server, xid string, statements ...string) {
	t.Helper()
	conn, err := s.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool ends it
		_ = conn.Close()
	}()
	for _, x := range append(append([]string{"XA START '" + xid + "'"}, statements...), "XA END '"+xid+"'", "XA PREPARE '"+xid+"'") {
		if _, err := conn.ExecContext(t.Context(), x); err != nil {
			t.Fatalf("%s: %v", x, err)
		}
	}
}

// completeXA commits a prepared XA transaction or rolls it back. A session that prepared it may
// not have ended quite yet.
func completeXA(t *testing.T, s *server, how, xid string) {
	t.Helper()
	eventually(t, 10*time.Second, "XA "+how+" '"+xid+"'", func() error {
		_, err := s.db.ExecContext(t.Context(), "XA "+how+" '"+xid+"'")
		return err
	})
}

func xaTables(t *testing.T, s *server, schema string) {
	t.Helper()
	s.schema(t, schema)
	s.exec(t, "USE "+schema+"; CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(40)); CREATE TABLE b (id INT PRIMARY KEY, v VARCHAR(40)); CREATE TABLE out_of_it (id INT PRIMARY KEY)")
	for id := range 60 {
		s.exec(t, fmt.Sprintf("INSERT INTO %s.a VALUES (%d, 'old')", schema, id))
	}
}

// xaChanges changes the rows of one number, which no other transaction touches meanwhile.
func xaChanges(schema string, n int) []string {
	in := func(form string) string {
		return strings.NewReplacer("S.", schema+".", "#", fmt.Sprint(n)).Replace(form)
	}
	return []string{
		in("INSERT INTO S.a VALUES (1000 + #, 'prepared #')"), in("UPDATE S.a SET v = 'prepared #' WHERE id = #"),
		in("DELETE FROM S.a WHERE id = 30 + #"), in("INSERT INTO S.b VALUES (1000 + #, 'prepared #')"),
		in("INSERT INTO S.out_of_it VALUES (#)"), in("UPDATE S.a SET id = 2000 + # WHERE id = 1000 + #"),
	}
}

// TestPreparedTransactions has XA transactions overlap with each other and with others, while
// the daemon and the server are killed and restarted between their prepares and what becomes of
// them. The lake shows at every stage what the server shows.
func TestPreparedTransactions(t *testing.T) {
	for _, release := range []string{mysql97, mariadb118} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			s := ownServer(t, release)
			xaTables(t, s, "xa")
			p := newPipeline(t, s, "xa.*", settings{"tables": []any{map[string]any{"include": "xa.*", "exclude": []any{"xa.out_of_it"}}}})
			p.start()
			p.reach()
			between := []func(){
				func() {}, func() { p.kill(); p.start() }, func() { s.restart(t, syscall.SIGKILL, nil) },
				func() { p.stop(); s.restart(t, syscall.SIGTERM, nil); p.start() }, func() { killDumps(t, s) },
			}
			open, n := []int{}, 0
			prepare := func() {
				prepareXA(t, s, fmt.Sprintf("x%d", n), xaChanges("xa", n)...)
				open = append(open, n)
				n++
			}
			prepare()
			for round, restart := range append(between, between...) {
				prepare()
				s.exec(t, fmt.Sprintf("INSERT INTO xa.b VALUES (%d, 'plain'); INSERT INTO xa.a VALUES (%d, 'plain')", 3000+round, 3000+round))
				p.reach()
				p.oracle("duckdb").equal(t, "xa.a", "xa.b")
				restart()
				s.exec(t, fmt.Sprintf("UPDATE xa.a SET v = 'changed' WHERE id = %d; CREATE TABLE xa.t%d (id INT PRIMARY KEY)", 3000+round, round))
				prepare()
				for i := range 2 { // the oldest and the newest
					which := i * (len(open) - 1)
					completeXA(t, s, []string{"COMMIT", "ROLLBACK"}[(round+i)%4/3], fmt.Sprintf("x%d", open[which]))
					open = append(open[:which:which], open[which+1:]...)
				}
				s.exec(t, fmt.Sprintf("INSERT INTO xa.b VALUES (%d, 'behind')", 4000+round))
				p.reach()
				p.oracle("duckdb").equal(t, "xa.a", "xa.b")
			}
			if st, err := p.status(); err != nil || st.Committed == st.Reached || p.number(t, "cdcd_prepared_waiting") != 1 {
				t.Errorf("with %d transactions prepared, it has committed %s and reached %s, %v", len(open), st.Committed, st.Reached, err)
			}
			p.verify()
			eventually(t, time.Minute, "the tables are in cuts", func() error { return p.tryCut() })
			p.exact(0)
			for _, x := range open {
				completeXA(t, s, "COMMIT", fmt.Sprintf("x%d", x))
			}
			p.reach()
			p.oracle("duckdb").equal(t, "xa.a", "xa.b")
			p.exact(0)
			if st, err := p.status(); err != nil || st.Committed != st.Reached || p.number(t, "cdcd_prepared_waiting") != 0 {
				t.Errorf("with none prepared, it has committed %s and reached %s, %v", st.Committed, st.Reached, err)
			}
			p.stop()
			p.must("fsck")
		})
	}
}

// TestFailoverBetweenPrepareAndCommit goes on with a replica that has what was prepared.
func TestFailoverBetweenPrepareAndCommit(t *testing.T) {
	t.Parallel()
	primary := ownServer(t, mysql97)
	replica := replicaOf(t, primary)
	xaTables(t, primary, "xa")
	f := startForwarder(t, primary.address)
	p := newPipeline(t, primary, "xa.*", settings{"source.address": f.address})
	p.start()
	p.reach()
	for n := range 3 {
		prepareXA(t, primary, fmt.Sprintf("x%d", n), xaChanges("xa", n)...)
	}
	completeXA(t, primary, "COMMIT", "x0")
	p.reach()
	replica.caughtUp(t, primary)
	if err := primary.process.signal(syscall.SIGKILL, serverPatience); err != nil {
		t.Fatal(err)
	}
	replica.exec(t, "STOP REPLICA; RESET REPLICA ALL")
	f.change(func(f *forwarder) { f.to = replica.address })
	f.cut()
	p.server = replica
	completeXA(t, replica, "COMMIT", "x1")
	completeXA(t, replica, "ROLLBACK", "x2")
	p.reach()
	p.oracle("duckdb").equal(t, "xa.a", "xa.b", "xa.out_of_it")
	p.verify()
	p.stop()
}

// TestPipelinesBeginBesidePreparedTransactions begins a pipeline while an XA transaction is
// prepared: it waits for it. One whose user may not see that stops where it is committed.
func TestPipelinesBeginBesidePreparedTransactions(t *testing.T) {
	for _, release := range []string{mysql97, mariadb118} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			s := ownServer(t, release)
			xaTables(t, s, "xa")
			prepareXA(t, s, "early", xaChanges("xa", 1)...)
			p := newPipeline(t, s, "xa.*", nil)
			p.launch()
			eventually(t, time.Minute, "it waits", func() error {
				if !strings.Contains(p.daemon.output.String(), "waiting for prepared XA transactions") {
					return errors.New("it has not said so")
				}
				return nil
			})
			prepareXA(t, s, "late", xaChanges("xa", 2)...)
			completeXA(t, s, "COMMIT", "early")
			p.reach()
			completeXA(t, s, "COMMIT", "late")
			p.reach()
			p.oracle("duckdb").equal(t, "xa.a", "xa.b", "xa.out_of_it")
			p.stop()
		})
	}
	t.Run("unseen", func(t *testing.T) {
		t.Parallel()
		s := ownServer(t, mysql97)
		xaTables(t, s, "xa")
		s.exec(t, "CREATE USER 'plain'@'127.0.0.1' IDENTIFIED BY 'cdc'; GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'plain'@'127.0.0.1'")
		prepareXA(t, s, "unseen", xaChanges("xa", 1)...)
		p := newPipeline(t, s, "xa.*", settings{"source.user": "plain"})
		p.start()
		p.reach()
		completeXA(t, s, "COMMIT", "unseen")
		p.wantExit(78, "XA COMMIT of a transaction that was prepared before our position", "cdcd resnapshot --all")
		p.startOver()
	})
}

// TestPurgedPrepare starts where the log of what is prepared is gone.
func TestPurgedPrepare(t *testing.T) {
	for _, release := range []string{mysql97, mariadb118} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			s := ownServer(t, release)
			xaTables(t, s, "xa")
			p := newPipeline(t, s, "xa.*", nil)
			p.catchUp()
			prepareXA(t, s, "x", xaChanges("xa", 1)...)
			s.exec(t, "INSERT INTO xa.b VALUES (1, 'behind')")
			p.catchUp() // which does not wait for what is prepared
			s.exec(t, "FLUSH BINARY LOGS; INSERT INTO xa.b VALUES (2, 'behind'); FLUSH BINARY LOGS")
			s.purge(t)
			p.launch()
			p.wantExit(78, "the server's log no longer holds")
			completeXA(t, s, "COMMIT", "x")
			p.startOver()
		})
	}
}
