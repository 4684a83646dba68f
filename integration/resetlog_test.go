//go:build integration

package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
)

// untold is what a daemon says when it could not compare a transaction that it holds.
const untold = "whether it was reset since cannot be told"

// emptyTransaction is what operators put in the place of a transaction that is to be left out.
const emptyTransaction = "SET GTID_NEXT = '7c2141fb-e596-11f1-a96f-02fc00000001:1'; COMMIT; SET GTID_NEXT = 'AUTOMATIC'"

// resetAndPass empties the source's log and history and lets it execute all the old GTIDs, and
// more, anew: the sets of GTIDs alone show nothing of it.
func resetAndPass(t *testing.T, s *server, before capture.Position, table string) {
	t.Helper()
	s.exec(t, "RESET BINARY LOGS AND GTIDS; "+emptyTransaction)
	n := 100
	for insert := fmt.Sprintf("INSERT INTO %s VALUES (?)", table); !s.executed(t).Covers(before); n++ {
		s.exec(t, insert, n)
		s.exec(t, "SET GTID_NEXT = 'AUTOMATIC:other'; "+insert+"; SET GTID_NEXT = 'AUTOMATIC'", 1000+n)
	}
	s.exec(t, fmt.Sprintf("INSERT INTO %s VALUES (%d)", table, n))
}

// TestResetLogPassed resets the source's log while no daemon runs. Whatever transactions were
// the last ones before, the daemon finds it and changes no row.
func TestResetLogPassed(t *testing.T) {
	t.Parallel()
	s := ownServer(t, mysql97)
	s.schema(t, "passed")
	s.exec(t, "CREATE TABLE passed.t (id INT PRIMARY KEY); CREATE TABLE passed.u (id INT PRIMARY KEY); INSERT INTO passed.t VALUES (1)")
	p := newPipeline(t, s, "passed.t", nil)
	p.catchUp()
	for _, sql := range []string{
		"INSERT INTO passed.t VALUES (2)",
		"CREATE TABLE passed.v (id INT PRIMARY KEY)",
		emptyTransaction,
		"XA START 'x'; INSERT INTO passed.u VALUES (1); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'",
		"SET GTID_NEXT = 'AUTOMATIC:other'; INSERT INTO passed.t VALUES (3); SET GTID_NEXT = 'AUTOMATIC'",
	} {
		s.exec(t, sql)
		p.catchUp()
		if out := p.must("run", "--until", "now").err; strings.Contains(out, untold) { // an intact log is passed
			t.Errorf("after %s: %s", sql, out)
		}
	}
	p.verify()
	before := s.executed(t)
	shown := p.must("show", "passed.t").out
	resetAndPass(t, s, before, "passed.t")
	for range 2 {
		p.launch()
		p.wantExit(78, "has lost transactions", "its log was reset", "tables[].target")
		if f := p.run("rewind", "--to-cut", "1"); f.code != 78 {
			t.Errorf("rewind: exit %d, %s", f.code, f.err)
		}
		if out := p.must("show", "passed.t").out; out != shown {
			t.Errorf("the lake changed from\n%s\nto\n%s", shown, out)
		}
	}
}

// TestResetLogPassedWhileCutOff resets the log of a source that a daemon cannot reach meanwhile.
func TestResetLogPassedWhileCutOff(t *testing.T) {
	t.Parallel()
	s := ownServer(t, mysql97)
	s.schema(t, "cutoff")
	s.exec(t, "CREATE TABLE cutoff.t (id INT PRIMARY KEY); INSERT INTO cutoff.t VALUES (1)")
	f := startForwarder(t, s.address)
	p := newPipeline(t, s, "cutoff.*", settings{"source.address": f.address})
	p.start()
	p.reach()
	s.exec(t, "INSERT INTO cutoff.t VALUES (2)")
	p.reach()
	shown := p.must("show", "cutoff.t").out
	f.change(func(f *forwarder) { f.to = "127.0.0.1:1" })
	f.cut()
	resetAndPass(t, s, s.executed(t), "cutoff.t")
	f.change(func(f *forwarder) { f.to = s.address })
	p.wantExit(78, "has lost transactions", "its log was reset")
	if out := p.must("show", "cutoff.t").out; out != shown {
		t.Errorf("the lake changed from\n%s\nto\n%s", shown, out)
	}
}

// TestPurgedWitness purges everything up to the pipeline's position: what the lake holds cannot
// be compared any more, which is said once, and nothing is missing.
func TestPurgedWitness(t *testing.T) {
	t.Parallel()
	s := ownServer(t, mysql97)
	s.schema(t, "unwitnessed")
	s.exec(t, "CREATE TABLE unwitnessed.t (id INT PRIMARY KEY); INSERT INTO unwitnessed.t VALUES (1)")
	p := newPipeline(t, s, "unwitnessed.*", nil)
	p.catchUp()
	s.exec(t, "INSERT INTO unwitnessed.t VALUES (2)")
	p.catchUp()
	s.exec(t, "FLUSH BINARY LOGS")
	s.purge(t)
	p.start()
	p.reach()
	eventually(t, time.Minute, "the daemon connects", func() error {
		if p.connected() == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	for range 2 {
		connected := p.connected()
		eventually(t, time.Minute, "its connection is killed", func() error {
			if killDumps(t, s) == 0 {
				return errors.New("there is none yet")
			}
			return nil
		})
		eventually(t, time.Minute, "the daemon connects again", func() error {
			if n := p.connected(); n <= connected {
				return fmt.Errorf("connected %d times", n)
			}
			return nil
		})
	}
	s.exec(t, "INSERT INTO unwitnessed.t VALUES (3)")
	p.reach()
	p.verify()
	if n := strings.Count(p.daemon.output.String(), untold); n != 1 {
		t.Errorf("said %d times", n)
	}
	p.stop()
}

// TestFailoverToOtherContent fails over to a replica whose log has another order, and which was
// given an empty transaction in the place of the last one that the lake has.
func TestFailoverToOtherContent(t *testing.T) {
	t.Parallel()
	for _, empty := range []bool{false, true} {
		t.Run(fmt.Sprintf("empty=%v", empty), func(t *testing.T) {
			t.Parallel()
			primary := ownServer(t, mysql97)
			replica := replicaOf(t, primary)
			replica.exec(t, "STOP REPLICA; SET GLOBAL replica_preserve_commit_order = OFF; START REPLICA")
			primary.schema(t, "other_content")
			churnTables(t, primary, "other_content", 1000)
			primary.exec(t, "CREATE TABLE other_content.last (id INT PRIMARY KEY)")
			p := newPipeline(t, primary, "other_content.*", nil)
			p.start()
			p.reach()
			c := startChurn(t, primary, "other_content", 3000, 3)
			c.busyFor(t, 100)
			c.stop(t)
			replica.caughtUp(t, primary)
			replica.exec(t, "STOP REPLICA")
			at := primary.executed(t)
			primary.exec(t, "INSERT INTO other_content.last VALUES (1)")
			p.reach()
			p.stop()
			if empty {
				replica.exec(t, "SET GTID_NEXT = '"+at.Missing(primary.executed(t))+"'; COMMIT; SET GTID_NEXT = 'AUTOMATIC'")
			} else {
				replica.exec(t, "START REPLICA")
				replica.caughtUp(t, primary)
			}
			replica.exec(t, "STOP REPLICA; RESET REPLICA ALL")
			replica.exec(t, "INSERT INTO other_content.last VALUES (2)")
			p.server = replica
			p.set(settings{"source.address": replica.address})
			p.start()
			p.reach()
			if said := strings.Contains(p.daemon.output.String(), untold); said != empty {
				t.Errorf("%s: %v", untold, said)
			}
			wantWords(t, p.must("show", "other_content.last").out, "1", "2")
			if !empty {
				p.verify()
			}
			p.stop()
		})
	}
}
