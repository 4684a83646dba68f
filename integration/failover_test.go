//go:build integration

package integration

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// replicaOf starts a server that replicates another one by GTID.
func replicaOf(t testing.TB, s *server) *server {
	t.Helper()
	r := ownServer(t, s.release)
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

// TestFailover kills the source under load and goes on with a replica that has everything.
// The daemon, whose address leads there then, does so without a restart.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary := ownServer(t, mysql97)
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
	if err := primary.process.signal(syscall.SIGKILL, serverPatience); err != nil {
		t.Fatal(err)
	}
	replica.exec(t, "STOP REPLICA; RESET REPLICA ALL")
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
