//go:build integration

package integration

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"
)

// exactReport is what the tests look at of cdcd verify --exact --json.
type exactReport struct {
	Equal    bool    `json:"equal"`
	Cut      int64   `json:"cut"`
	Position string  `json:"position"`
	LockedMS float64 `json:"source_locked_ms"`
	Unlocked string  `json:"source_not_locked"`
	StoodMS  float64 `json:"stream_held_ms"`
	Passed   int     `json:"moved_keys"`
	Tables   []struct {
		Table, Verdict, Position string
		Snapshot                 int64 `json:"snapshot_id"`
		Differs, Moves           int
		Different                []struct{ Key string }
	}
}

// exact runs cdcd verify --exact, which has to end with the given code.
func (p *pipeline) exact(code int) exactReport {
	p.t.Helper()
	f := p.run("verify", "--exact", "--json")
	var r exactReport
	if err := json.NewDecoder(bytes.NewReader([]byte(f.out))).Decode(&r); err != nil || f.code != code {
		p.t.Fatalf("exit %d, want %d, %v:\n%s%s", f.code, code, err, f.out, f.err)
	}
	return r
}

// TestVerifyExact compares while every row changes all the time. All tables are equal at one
// position every time, and one damaged row is the only one that differs. Comparisons that are
// killed, and a hold that nobody takes up, do not stop the daemon.
func TestVerifyExact(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		const keys = 3000
		s.schema(t, "exact")
		churnTables(t, s, "exact", keys)
		s.exec(t, "CREATE TABLE exact.still (id INT PRIMARY KEY, v INT); INSERT INTO exact.still VALUES (1, 1), (2, 2), (3500, 3)")
		p := newPipeline(t, s, "exact.*", nil)
		p.start()
		p.reach()
		if f := p.run("verify", "--exact"); f.code != 0 && f.code != 75 { // 75: just loaded
			t.Errorf("exit %d: %s%s", f.code, f.out, f.err)
		}
		c := startChurn(t, s, "exact", keys, uint64(time.Now().UnixNano()))
		defer c.stop(t)
		eventually(t, time.Minute, "the tables are in cuts", func() error { return p.tryCut() })
		var stood, locked []float64
		const times = 8
		for tries := 0; len(locked) < times; tries++ {
			if tries == 2*times {
				t.Fatalf("the source was locked %d times of %d", len(locked), tries)
			}
			c.busyFor(t, 10)
			r := p.exact(0)
			for _, x := range r.Tables {
				if x.Position != r.Position || x.Snapshot == 0 {
					t.Errorf("%s was compared at %s, snapshot %d, of a cut at %s", x.Table, x.Position, x.Snapshot, r.Position)
				}
			}
			if len(r.Tables) != 3 || r.Passed != 0 && r.Unlocked == "" {
				t.Errorf("%d tables, %d keys moved", len(r.Tables), r.Passed)
			}
			stood = append(stood, r.StoodMS)
			if r.Unlocked == "" { // else a commit on the source took a second, and others do not wait for that
				locked = append(locked, r.LockedMS)
			}
		}
		slices.Sort(stood)
		slices.Sort(locked)
		t.Logf("%s: stream held, ms: %.1f; source locked, ms: %.2f", s.release, stood, locked)
		if (locked[0] > 0) != (s.release == mysql97) {
			t.Errorf("locked for %v ms", locked)
		}
		killExact(t, p, c)
		unprivileged(t, p, s)
		conn := s.conn(t)
		for _, statement := range []string{"SET SESSION sql_log_bin = 0", "UPDATE exact.still SET v = v + 1 WHERE id = 3500"} {
			if _, err := conn.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		for _, x := range p.exact(1).Tables {
			if x.Table == "exact.still" && (x.Verdict != "different" || len(x.Different) != 1 || x.Different[0].Key != "3500") {
				t.Errorf("%+v", x)
			}
			if x.Table != "exact.still" && x.Verdict != "equal" {
				t.Errorf("%+v", x)
			}
		}
		c.stop(t)
		p.reach()
		p.stop()
		if f := p.run("verify", "--exact"); f.code != 75 {
			t.Errorf("exit %d without a daemon: %s", f.code, f.err)
		} else {
			wantWords(t, f.err, "no daemon answers")
		}
	})
}

// tryCut asks for a cut.
func (p *pipeline) tryCut() error {
	f := p.run("cut", "--json")
	var r struct {
		Number    int64
		Snapshots map[string]int64
	}
	return json.NewDecoder(bytes.NewReader([]byte(f.out))).Decode(&r)
}

// killExact kills comparisons at random moments. The daemon goes on each time, and nothing
// stays locked at the source.
func killExact(t *testing.T, p *pipeline, c *churn) {
	t.Helper()
	for range 6 {
		x, err := startProcess(p.command(nil, "verify", "--exact"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50*time.Millisecond + rand.N(400*time.Millisecond)) // a random moment of its run
		_ = x.signal(syscall.SIGKILL, time.Minute)
		c.busyFor(t, 5)
	}
	p.reach()
	eventually(t, time.Minute, "the hold of the dead is over", func() error { return p.tryCut() })
	p.exact(0)
}

// unprivileged compares as a user that may not lock the server.
func unprivileged(t *testing.T, p *pipeline, s *server) {
	t.Helper()
	s.exec(t, "DROP USER IF EXISTS 'plain'@'127.0.0.1'; CREATE USER 'plain'@'127.0.0.1' IDENTIFIED BY 'cdc'; GRANT SELECT ON exact.* TO 'plain'@'127.0.0.1'")
	if s.release != mysql97 {
		s.exec(t, "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'plain'@'127.0.0.1'")
	} else {
		s.exec(t, "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'plain'@'127.0.0.1'")
	}
	p.set(settings{"source.user": "plain"})
	defer p.set(settings{"source.user": "cdc"})
	for range 4 {
		r := p.exact(0)
		t.Logf("%s, unprivileged: not locked: %q; %d keys moved", s.release, r.Unlocked, r.Passed)
		if r.LockedMS != 0 || (r.Unlocked != "") != (s.release == mysql97) {
			t.Errorf("locked for %v ms, unlocked: %q", r.LockedMS, r.Unlocked)
		}
	}
}
