//go:build integration

package integration

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
)

// writers are sessions that write under GTIDs of their own kinds to the table gtids.t.
type writers struct {
	conns  []*sql.Conn
	random *rand.Rand
	next   int
}

// startWriters opens a session for each statement that says under which GTIDs it is to write.
func startWriters(t *testing.T, s *server, seed uint64, under ...string) *writers {
	t.Helper()
	t.Logf("seed %d", seed)
	w := &writers{random: rand.New(rand.NewPCG(seed, 5)), next: 1}
	for _, statement := range under {
		c := s.conn(t)
		if _, err := c.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		w.conns = append(w.conns, c)
	}
	return w
}

// write has the sessions write transactions in turns that are drawn.
func (w *writers) write(t *testing.T, transactions int) {
	t.Helper()
	for range transactions {
		which := w.random.IntN(len(w.conns))
		id := 1 + w.random.IntN(w.next)
		w.next++
		for _, statement := range []string{
			"BEGIN",
			fmt.Sprintf("INSERT INTO gtids.t VALUES (%d, %d)", w.next, which),
			fmt.Sprintf("UPDATE gtids.t SET v = v + 10 WHERE id = %d", id),
			fmt.Sprintf("DELETE FROM gtids.t WHERE id = %d", id/2),
			"COMMIT",
		} {
			if _, err := w.conns[which].ExecContext(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
}

// gtidTable makes the table that writers write to.
func gtidTable(t *testing.T, s *server) {
	t.Helper()
	s.schema(t, "gtids")
	s.exec(t, "CREATE TABLE gtids.t (id INT PRIMARY KEY, v INT); INSERT INTO gtids.t VALUES (1, 1)")
}

// restarts are ways in which a daemon ends and begins again, between two runs of writers.
func (p *pipeline) restarts(t *testing.T, s *server, w *writers) {
	t.Helper()
	for _, restart := range []func(){
		func() { p.kill(); w.write(t, 20); p.start() },
		func() { p.stop(); w.write(t, 20); s.exec(t, "FLUSH BINARY LOGS"); w.write(t, 5); p.start() },
		func() { killDumps(t, s) },
	} {
		w.write(t, 40)
		restart()
		w.write(t, 20)
		p.reach()
		p.oracle("duckdb").equal(t, "gtids.t")
	}
}

// TestDomains interleaves transactions of three domains, with and without gtid_strict_mode, while
// the daemon is restarted. Then a number comes a second time in one domain, at which it stops.
func TestDomains(t *testing.T) {
	t.Parallel()
	s := ownServer(t, mariadb118)
	gtidTable(t, s)
	w := startWriters(t, s, uint64(time.Now().UnixNano()), "SET SESSION gtid_domain_id = 0", "SET SESSION gtid_domain_id = 7", "SET SESSION gtid_domain_id = 4294967295")
	w.write(t, 10)
	p := newPipeline(t, s, "gtids.*", nil)
	p.start()
	for _, strict := range []string{"ON", "OFF"} {
		s.exec(t, "SET GLOBAL gtid_strict_mode = "+strict)
		p.restarts(t, s, w)
	}
	st, err := p.status()
	if err != nil {
		t.Fatal(err)
	}
	at, err := capture.ParsePosition(capture.MariaDB, st.Committed)
	if err != nil || !at.Equal(s.executed(t)) || strings.Count(st.Committed, ",") != 2 {
		t.Errorf("committed %s of %s, %v", st.Committed, s.executed(t), err)
	}
	// A domain that nobody has seen, ahead of all others in its numbers.
	s.exec(t, "SET SESSION gtid_domain_id = 9; SET SESSION gtid_seq_no = 1000000; INSERT INTO gtids.t VALUES (-1, 9); SET SESSION gtid_domain_id = 0")
	p.reach()
	p.verifyExact(t)
	p.stop()
	p.catchUp()
	p.start()
	p.stopsOutOfOrder(t, s)
}

// stopsOutOfOrder has the server write a number again that the domain 7 has had, with transactions
// of other domains around it.
func (p *pipeline) stopsOutOfOrder(t *testing.T, s *server) {
	t.Helper()
	s.exec(t, "INSERT INTO gtids.t VALUES (-2, 0)")
	p.reach() // the stream runs: who connects before the numbers are above ours again is told that some are lost
	c := s.conn(t)
	for _, statement := range []string{
		"INSERT INTO gtids.t VALUES (-6, 0)",
		"SET SESSION gtid_domain_id = 7", "SET SESSION gtid_seq_no = 3", "INSERT INTO gtids.t VALUES (-3, 7)",
		"SET SESSION gtid_domain_id = 0", "INSERT INTO gtids.t VALUES (-4, 0)",
		// With its numbers above ours again, what the server has executed shows nothing of it.
		"SET SESSION gtid_domain_id = 7", "SET SESSION gtid_seq_no = 100000", "INSERT INTO gtids.t VALUES (-5, 7)",
	} {
		if _, err := c.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for range 2 {
		p.wantExit(78, "a GTID out of order at 7-"+fmt.Sprint(s.port)+"-3", "gtid_strict_mode", `"exit":78`)
		shown := p.must("show", "gtids.t", "--limit", "0").out
		if !strings.Contains(shown, "\n-2 ") || !strings.Contains(shown, "\n-6 ") || strings.Contains(shown, "\n-3 ") || strings.Contains(shown, "\n-4 ") {
			t.Errorf("the lake does not end before it:\n%s", shown)
		}
		p.launch()
	}
	p.wantExit(78, "a GTID out of order")
}

// TestTaggedGTIDs interleaves transactions with and without tags of several kinds while the daemon
// is restarted; compares at one position, and runs until one.
func TestTaggedGTIDs(t *testing.T) {
	s := sharedServer(t, mysql97)
	gtidTable(t, s)
	w := startWriters(t, s, uint64(time.Now().UnixNano()), "SET gtid_next = 'AUTOMATIC'", "SET gtid_next = 'AUTOMATIC:billing'", "SET gtid_next = 'AUTOMATIC:a_tag_that_is_as_long_as_it_can'", "SET gtid_next = 'AUTOMATIC:_9'")
	w.write(t, 10)
	p := newPipeline(t, s, "gtids.*", nil)
	p.start()
	p.restarts(t, s, w)
	st, err := p.status()
	if err != nil {
		t.Fatal(err)
	}
	at, err := capture.ParsePosition(capture.MySQL, st.Committed)
	if err != nil || !at.Equal(s.executed(t)) {
		t.Errorf("committed %s of %s, %v", st.Committed, s.executed(t), err)
	}
	wantWords(t, st.Committed, ":billing:", ":a_tag_that_is_as_long_as_it_can:", ":_9:")
	wantWords(t, p.must("status").out, "position ", ":billing:")
	p.verifyExact(t)
	if err := p.tryCut(); err != nil {
		t.Errorf("cut: %v", err)
	}
	p.stop()
	w.write(t, 30)
	until := s.executed(t)
	shown := s.text(t, "SELECT COUNT(*) FROM gtids.t")
	w.write(t, 30)
	p.must("run", "--until", until.String())
	p.start()
	p.reach()
	t.Logf("%s rows at %s", shown, until)
	p.oracle("duckdb").equal(t, "gtids.t")
	p.verify()
	p.stop()
	wantWords(t, p.must("inspect").out, ":billing:", "\nok")
}
