//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// busy keeps so many threads of the server at work until the returned function is called.
func (s *server) busy(t *testing.T, threads int) (quiet func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, threads)
	for range threads {
		conn := s.conn(t)
		go func() {
			_, err := conn.ExecContext(ctx, "DO SLEEP(600)")
			ended <- err
		}()
	}
	return func() {
		t.Helper()
		cancel()
		for range threads {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("a busy session: %v", err)
			}
		}
		// The server goes on with what nobody waits for any more.
		for _, id := range s.column(t, "SELECT id FROM information_schema.processlist WHERE info LIKE 'DO SLEEP(600)%'") {
			_, _ = s.db.Exec("KILL " + id) // it may be gone
		}
	}
}

// column queries the values of one column.
func (s *server) column(t *testing.T, query string) (out []string) {
	t.Helper()
	rows, err := s.db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// waiting is what the daemon says that its initial load waits for; "" for nothing.
func (p *pipeline) waiting() string {
	p.t.Helper()
	f := p.run("status", "--json")
	var r struct{ Load struct{ Waiting string } }
	if f.code != 0 || json.Unmarshal([]byte(f.out), &r) != nil {
		return ""
	}
	return r.Load.Waiting
}

// awaitHeld waits until the load waits for the busy source.
func (p *pipeline) awaitHeld() {
	p.t.Helper()
	eventually(p.t, time.Minute, "the load waits", func() error {
		if p.waiting() == "" {
			return errors.New("it does not say so")
		}
		return nil
	})
}

// TestHeldLoadAndPurgedLog makes the source busy while a table is loaded: the load waits, and says
// so, and the log is followed meanwhile. So a purge of all of the log but its end, and a kill,
// lose nothing. Then the log is purged ahead of a daemon that is cut off, which ends it.
func TestHeldLoadAndPurgedLog(t *testing.T) {
	t.Parallel()
	for _, release := range []string{mysql97, mariadb118} {
		t.Run(release, func(t *testing.T) {
			const rows, part, limit = 3000, 300, 8
			s := ownServer(t, release)
			s.schema(t, "held")
			churnTables(t, s, "held", rows)
			f := startForwarder(t, s.address)
			f.change(func(f *forwarder) { f.pause = 100 * time.Millisecond }) // so it takes a while: the source is looked at once a second
			p := newPipeline(t, s, "held.kv", settings{"source.address": f.address, "load.chunk_rows": 50, "load.connections": 2, "load.max_threads_running": limit})
			p.start()
			eventually(t, time.Minute, "a part is loaded", func() error {
				if n := p.loaded("held.kv"); n < part {
					return fmt.Errorf("%d rows", n)
				}
				return nil
			})
			quiet := s.busy(t, 2*limit)
			p.awaitHeld()
			wantWords(t, p.must("status").out, "waiting  the source is busy", "load.max_threads_running, 8")
			if p.number(t, "cdcd_load_waiting") != 1 {
				t.Error("no metric says that the load waits")
			}
			p.followHeld(t, s)
			upTo, complete := loadedUpTo(t, p.uri(), "held.kv")
			if complete || upTo == 0 {
				t.Fatalf("all is loaded, or nothing, up to %d: the test tests nothing", upTo)
			}
			s.purge(t)
			p.kill()
			p.start() // behind what is purged
			p.awaitHeld()
			p.followHeld(t, s)
			s.purge(t)
			if now, _ := loadedUpTo(t, p.uri(), "held.kv"); now != upTo {
				t.Errorf("it was loaded up to %d, and while it waits up to %d", upTo, now)
			}
			f.change(func(f *forwarder) { f.pause = 0 })
			quiet()
			p.reach()
			if p.waiting() != "" || p.number(t, "cdcd_load_waiting") != 0 {
				t.Error("it still says that it waits")
			}
			p.oracle("duckdb").equal(t, "held.kv")
			p.verify()
			p.purgedAhead(t, s, f)
		})
	}
}

// followHeld changes rows that are loaded and rows that are not, over two files of the log, and
// waits until the lake has what of that is loaded.
func (p *pipeline) followHeld(t *testing.T, s *server) {
	t.Helper()
	s.exec(t, "UPDATE held.kv SET n = n + 1 WHERE id % 7 = 0; DELETE FROM held.kv WHERE id IN (11, 2911); FLUSH BINARY LOGS")
	s.exec(t, "INSERT INTO held.kv (id, k, n) VALUES (-1, 'first', 1), (5000, 'last', 1) ON DUPLICATE KEY UPDATE n = held.kv.n + 1; UPDATE held.kv SET id = id + 10000 WHERE id IN (20, 2920); FLUSH BINARY LOGS")
	want := s.executed(t)
	eventually(t, time.Minute, "the log is followed", func() error {
		if at := p.position("held.kv"); !at.Covers(want) {
			return fmt.Errorf("the table is at %s", at)
		}
		return nil
	})
}

// purgedAhead purges what a daemon lacks that is cut off. What it had is in the lake, until all is
// loaded anew.
func (p *pipeline) purgedAhead(t *testing.T, s *server, f *forwarder) {
	t.Helper()
	s.exec(t, "INSERT INTO held.kv (id, k, n) VALUES (20001, 'just before', 1)")
	p.reach()
	f.change(func(f *forwarder) { f.to = "127.0.0.1:1" })
	f.cut()
	s.exec(t, "INSERT INTO held.kv (id, k, n) VALUES (20002, 'missed', 1); FLUSH BINARY LOGS; INSERT INTO held.kv (id, k, n) VALUES (20003, 'behind it', 1); FLUSH BINARY LOGS")
	s.purge(t)
	f.change(func(f *forwarder) { f.to = s.address })
	for range 2 {
		p.wantExit(78, "no longer holds", "the choices", "cdcd resnapshot --all", `"exit":78`)
		shown := p.must("show", "held.kv", "--limit", "0").out
		wantWords(t, shown, "just before")
		if strings.Contains(shown, "missed") || strings.Contains(shown, "behind it") {
			t.Error("the lake went on behind what is lost")
		}
		p.launch()
	}
	p.wantExit(78, "no longer holds")
	wantWords(t, p.must("resnapshot", "--all").out, "held.kv waits to be loaded anew", "1 table")
	wantWords(t, p.must("show", "held.kv", "--limit", "0").out, "just before")
	p.startOver()
	wantWords(t, p.must("show", "held.kv", "--limit", "0").out, "just before", "missed", "behind it")
	wantWords(t, p.must("resnapshot", "--all", "--wait").out, "held.kv: readers see the new rows") // by the daemon
	p.reach()
	p.verifyExact(t)
}

// startOver has all tables loaded anew where no daemon runs, and compares them.
func (p *pipeline) startOver() {
	p.t.Helper()
	p.must("resnapshot", "--all")
	p.start()
	eventually(p.t, time.Minute, "all tables are back", func() error {
		st, err := p.status()
		for _, x := range st.Tables {
			if x.Quarantine != nil {
				return fmt.Errorf("%s: %s", x.Table, x.Quarantine.Reason)
			}
		}
		return err
	})
	p.reach()
	p.verify()
}
