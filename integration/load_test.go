//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cdcd/capture"
)

// loaded is how many rows of a table are loaded.
func (p *pipeline) loaded(table string) int64 {
	p.t.Helper()
	s, err := p.status()
	if err != nil {
		return 0
	}
	for _, t := range s.Tables {
		if t.Source == table {
			return t.LoadedRows
		}
	}
	return 0
}

// logged is a number that the daemon has logged in a message about a table.
func (p *pipeline) logged(message, table, field string) int64 {
	p.t.Helper()
	for line := range strings.Lines(p.daemon.output.String()) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) != nil || record["msg"] != message || record["table"] != table {
			continue
		}
		if n, ok := record[field].(float64); ok {
			return int64(n)
		}
	}
	p.t.Fatalf("the daemon has not logged %q of %s", message, table)
	return 0
}

// TestLoadKilled kills the daemon during the initial load of a table that changes, and
// looks that it goes on where it was.
func TestLoadKilled(t *testing.T) {
	const total, epoch, chunk, step = 240_000, 4000, 2000, 50_000
	s := sharedServer(t, mysql97)
	s.schema(t, "loadkill")
	churnTables(t, s, "loadkill", total)
	p := newPipeline(t, s, "loadkill.*", settings{"load.chunk_rows": chunk, "commit.max_rows": epoch})
	c := startChurn(t, s, "loadkill", total, uint64(time.Now().UnixNano()))
	left := int64(0)
	f := p.slowly(10 * time.Millisecond)
	for i := range int64(3) {
		p.start()
		eventually(t, time.Minute, "a part is loaded", func() error {
			n := p.loaded("loadkill.kv")
			if n < (i+1)*step {
				return fmt.Errorf("%d rows", n)
			}
			left = total - n
			return nil
		})
		p.kill()
	}
	f.fast()
	p.start()
	c.stop(t)
	p.reach()
	// Lost are at most the epoch that was committed and the one that was collected, and
	// what joined the latter at once; the churn adds or removes a few rows.
	const redone, churned = 2*epoch + 4*chunk, total / 10
	n := p.logged("table loaded", "loadkill.kv", "rows")
	t.Logf("the last daemon loaded %d rows; %d were left", n, left)
	if n > left+redone+churned || n < left/2 {
		t.Error("it did not go on where the others were")
	}
	p.oracle("duckdb").equal(t, "loadkill.kv", "loadkill.pair")
	p.verify()
}

// TestLoadWhileChanging loads a table whose every row changes several times meanwhile.
func TestLoadWhileChanging(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		const rows = 20_000
		s.schema(t, "loadchange")
		churnTables(t, s, "loadchange", rows)
		p := newPipeline(t, s, "loadchange.*", settings{"load.chunk_rows": 100, "commit.max_rows": 2000, "load.connections": 4})
		writers := []*churn{
			startChurn(t, s, "loadchange", rows, uint64(time.Now().UnixNano())),
			startChurn(t, s, "loadchange", rows, uint64(time.Now().UnixNano())),
		}
		p.start()
		p.streams()
		for _, c := range writers {
			t.Logf("%d transactions meanwhile", c.count.Load())
			c.stop(t)
		}
		p.reach()
		p.oracle("duckdb").equal(t, "loadchange.kv", "loadchange.pair")
		p.verify()
		p.fsck(t)
	})
}

// TestLoadOfLargeRows loads rows that are far larger than the server's statistics say.
func TestLoadOfLargeRows(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "large")
	s.exec(t, "CREATE TABLE large.t (id INT PRIMARY KEY, v LONGBLOB) STATS_PERSISTENT = 1, STATS_AUTO_RECALC = 0; ANALYZE TABLE large.t")
	for id := range 30 {
		s.exec(t, fmt.Sprintf("INSERT INTO large.t VALUES (%d, REPEAT('%d ', 1000000))", id, 10+id))
	}
	p := newPipeline(t, s, "large.t", nil)
	p.catchUp()
	p.oracle("duckdb").equal(t, "large.t")
}

// TestLoadBehindSemiSync loads a table while commits hang between the log and the engine:
// the source waits for a replica that never acknowledges, so the stream delivers changes
// seconds before any SELECT sees them.
func TestLoadBehindSemiSync(t *testing.T) {
	s := ownServer(t, mysql97)
	const rows = 10_000
	s.schema(t, "semisync")
	churnTables(t, s, "semisync", rows)
	s.exec(t, `INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so';
		SET GLOBAL rpl_semi_sync_source_wait_point = 'AFTER_SYNC', GLOBAL rpl_semi_sync_source_timeout = 600000,
		GLOBAL rpl_semi_sync_source_wait_no_replica = ON, GLOBAL rpl_semi_sync_source_enabled = ON`)
	var seenAhead atomic.Bool
	stop := hangingWriters(t, s, rows, &seenAhead)
	p := newPipeline(t, s, "semisync.*", settings{"load.chunk_rows": 500, "commit.max_rows": 1000})
	p.start()
	ahead := 0
	eventually(t, 3*time.Minute, "the table is loaded", func() error {
		st, err := p.status()
		if err != nil {
			return err
		}
		seen := s.executed(t)
		if at, err := capture.ParsePosition(s.flavor, st.Committed); err == nil && !seen.Covers(at) {
			ahead++
			seenAhead.Store(true)
		}
		if st.State != "streaming" {
			return fmt.Errorf("it is %s", st.State)
		}
		return nil
	})
	if ahead == 0 {
		t.Error("the lake was never ahead of what SELECT sees: the test tests nothing")
	}
	stop()
	t.Logf("the lake was found ahead %d times", ahead)
	p.reach()
	p.oracle("duckdb").equal(t, "semisync.kv")
	p.verify()
}

// hangingWriters changes rows in sessions of which most hang in their commit. Twice a
// second the source is made to give up waiting, but not before the lake was seen ahead of it.
func hangingWriters(t *testing.T, s *server, rows int, ahead *atomic.Bool) (stop func()) {
	t.Helper()
	const (
		sessions = 12
		patience = 20 * time.Second
	)
	ctx, cancel := context.WithCancel(context.Background())
	var g sync.WaitGroup
	fail := func(what string, err error) {
		if err != nil && !hasCode(err, codeDuplicate) && !hasCode(err, codeDeadlock) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range sessions {
		conn, random := s.conn(t), rand.New(rand.NewPCG(uint64(i), 3))
		g.Go(func() {
			for ctx.Err() == nil {
				id := random.IntN(rows)
				_, err := conn.ExecContext(context.Background(), []string{
					fmt.Sprintf("UPDATE semisync.kv SET n = n + 1 WHERE id = %d", id),
					fmt.Sprintf("DELETE FROM semisync.kv WHERE id = %d", id),
					fmt.Sprintf("INSERT INTO semisync.kv (id, k, n) VALUES (%d, 'again', 1)", id),
					fmt.Sprintf("UPDATE semisync.kv SET id = id + %d WHERE id = %d", rows, id),
				}[random.IntN(4)])
				fail("writer", err)
			}
		})
	}
	release := func() {
		_, err := s.db.Exec("SET GLOBAL rpl_semi_sync_source_enabled = OFF; SET GLOBAL rpl_semi_sync_source_enabled = ON")
		fail("release", err)
	}
	g.Go(func() {
		for began := time.Now(); ctx.Err() == nil; {
			time.Sleep(500 * time.Millisecond)
			if ahead.Load() || time.Since(began) > patience {
				release()
			}
		}
		_, err := s.db.Exec("SET GLOBAL rpl_semi_sync_source_enabled = OFF")
		fail("release", err)
	})
	return func() { cancel(); g.Wait() }
}
