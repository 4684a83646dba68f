//go:build integration && crash

package integration

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLossyFailover goes on with a replica that lacks transactions which the lake has. The
// daemon waits for them for a minute, then it ends and says so, as often as it is started.
func TestLossyFailover(t *testing.T) {
	t.Parallel()
	primary := ownServer(t, mysql97)
	replica := replicaOf(t, primary)
	primary.schema(t, "lossy_failover")
	primary.exec(t, "CREATE TABLE lossy_failover.t (id INT PRIMARY KEY); INSERT INTO lossy_failover.t VALUES (1)")
	f := startForwarder(t, primary.address)
	p := newPipeline(t, primary, "lossy_failover.*", settings{"source.address": f.address})
	p.start()
	p.reach()
	replica.caughtUp(t, primary)
	replica.exec(t, "STOP REPLICA; RESET REPLICA ALL")
	primary.exec(t, "INSERT INTO lossy_failover.t VALUES (2)") // which the replica never gets
	p.reach()
	if err := primary.process.signal(syscall.SIGKILL, serverPatience); err != nil {
		t.Fatal(err)
	}
	f.change(func(f *forwarder) { f.to = replica.address })
	f.cut()
	replica.exec(t, "INSERT INTO lossy_failover.t VALUES (3)")
	if code, err := p.daemon.exitCode(2 * time.Minute); err != nil || code != 78 {
		t.Fatalf("exit %d, %v", code, err)
	}
	wantWords(t, p.daemon.output.String(), "has lost transactions", `"exit":78`)
	if out := p.must("show", "lossy_failover.t").out; !strings.Contains(out, "2") || strings.Contains(out, "3") {
		t.Errorf("the lake went on, or back:\n%s", out)
	}
}

// TestResetLog empties the source's log and history under a daemon. The transactions that come
// next have the numbers of old ones, but for a minute the source lacks some that the lake has.
func TestResetLog(t *testing.T) {
	t.Parallel()
	for release, reset := range map[string]string{mysql97: "RESET BINARY LOGS AND GTIDS", mariadb118: "RESET MASTER"} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			s := ownServer(t, release)
			s.schema(t, "resetlog")
			s.exec(t, "CREATE TABLE resetlog.t (id INT PRIMARY KEY); INSERT INTO resetlog.t VALUES (1)")
			p := newPipeline(t, s, "resetlog.*", nil)
			p.start()
			p.reach()
			s.exec(t, reset+"; INSERT INTO resetlog.t VALUES (2)")
			killDumps(t, s)
			if code, err := p.daemon.exitCode(2 * time.Minute); err != nil || code != 78 {
				t.Fatalf("exit %d, %v: %s", code, err, lastLines(p.daemon.output.String(), 10))
			}
			wantWords(t, p.daemon.output.String(), "has lost transactions", "the choices", `"exit":78`)
			if out := p.must("show", "resetlog.t").out; strings.Contains(out, "2") {
				t.Errorf("the lake went on:\n%s", out)
			}
		})
	}
}
