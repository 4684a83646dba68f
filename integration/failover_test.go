//go:build integration

package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"cdcd/capture"
)

// replicaOf starts a server that replicates another one by GTID.
func replicaOf(t testing.TB, s *server) *server {
	t.Helper()
	r := ownServer(t, s.release)
	if s.flavor == capture.MariaDB {
		r.exec(t, fmt.Sprintf("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %d, MASTER_USER = 'cdc', MASTER_PASSWORD = 'cdc', MASTER_SSL_VERIFY_SERVER_CERT = 0, MASTER_USE_GTID = slave_pos; START SLAVE", s.port))
		return r
	}
	r.exec(t, fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %d, SOURCE_USER = 'cdc', SOURCE_PASSWORD = 'cdc', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1; START REPLICA", s.port))
	return r
}

// caughtUp waits until a replica has all that its source has.
func (s *server) caughtUp(t testing.TB, source *server) {
	t.Helper()
	want := source.executed(t)
	eventually(t, time.Minute, "the replica catches up", func() error {
		if have := s.executed(t); !have.Covers(want) {
			return fmt.Errorf("%s of %s", have, want)
		}
		return nil
	})
}

// standAlone ends the replication of a replica, for good.
func (s *server) standAlone(t testing.TB) {
	t.Helper()
	if s.flavor == capture.MariaDB {
		s.exec(t, "STOP SLAVE; RESET SLAVE ALL")
		return
	}
	s.exec(t, "STOP REPLICA; RESET REPLICA ALL")
}

// errant executes a statement on a replica under a GTID that its source does not have.
func (s *server) errant(t testing.TB, statement string) {
	t.Helper()
	if s.flavor == capture.MariaDB { // in the source's domain it would take a number of it
		s.exec(t, "SET SESSION gtid_domain_id = 5; "+statement+"; SET SESSION gtid_domain_id = 0")
		return
	}
	s.exec(t, statement)
}

// TestFailover kills the source under load and goes on with a replica that has everything, and a
// transaction of its own. The daemon, whose address leads there then, does so without a restart.
func TestFailover(t *testing.T) {
	t.Parallel()
	for _, release := range []string{mysql97, mariadb118} {
		t.Run(release, func(t *testing.T) { testFailover(t, release) })
	}
}

func testFailover(t *testing.T, release string) {
	primary := ownServer(t, release)
	replica := replicaOf(t, primary)
	primary.schema(t, "failover")
	churnTables(t, primary, "failover", 1000)
	f := startForwarder(t, primary.address)
	p := newPipeline(t, primary, "failover.*", settings{"source.address": f.address})
	p.start()
	p.reach()
	c := startChurn(t, primary, "failover", 3000, 1)
	c.busyFor(t, 100)
	c.stop(t)
	replica.caughtUp(t, primary)
	replica.errant(t, "INSERT INTO failover.kv (id, k, n) VALUES (-1, 'errant', 1)")
	if err := primary.process.signal(syscall.SIGKILL, serverPatience); err != nil {
		t.Fatal(err)
	}
	replica.standAlone(t)
	f.change(func(f *forwarder) { f.to = replica.address })
	f.cut()
	c = startChurn(t, replica, "failover", 3000, 2)
	c.busyFor(t, 100)
	c.stop(t)
	p.server = replica
	p.reach()
	p.oracle("duckdb").equal(t, "failover.kv", "failover.pair")
	p.verify()
	p.stop()
}

// TestDivergedReplica leads the daemon to a replica that has another transaction under the number
// of the last one that the lake has. MySQL numbers those of each server by themselves:
// TestLossyFailover.
func TestDivergedReplica(t *testing.T) {
	t.Parallel()
	primary := ownServer(t, mariadb118)
	replica := replicaOf(t, primary)
	primary.schema(t, "diverged")
	primary.exec(t, "CREATE TABLE diverged.t (id INT PRIMARY KEY); INSERT INTO diverged.t VALUES (1)")
	f := startForwarder(t, primary.address)
	p := newPipeline(t, primary, "diverged.*", settings{"source.address": f.address})
	p.start()
	p.reach()
	replica.caughtUp(t, primary)
	replica.standAlone(t)
	primary.exec(t, "INSERT INTO diverged.t VALUES (2)")
	replica.exec(t, "INSERT INTO diverged.t VALUES (3)")
	p.reach()
	f.change(func(f *forwarder) { f.to = replica.address })
	f.cut()
	for range 2 {
		p.wantExit(78, "has lost transactions", "the choices", `"exit":78`)
		replica.exec(t, "INSERT INTO diverged.t SELECT MAX(id) + 1 FROM diverged.t") // it goes on
		p.launch()
	}
	p.wantExit(78, "has lost transactions")
	if out := p.must("show", "diverged.t").out; !strings.Contains(out, "2") || strings.Contains(out, "3") {
		t.Errorf("the lake went on, or back:\n%s", out)
	}
}
