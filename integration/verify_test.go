//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
)

// TestVerifyFindsDifferences changes the source behind the log's back, in every way in which
// two tables can differ. Both cdcd verify and the engines have to see it: a check that cannot
// fail shows nothing.
func TestVerifyFindsDifferences(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "differ")
		churnTables(t, s, "differ", 20_000)
		s.exec(t, "INSERT INTO differ.pair VALUES (1, 'é', 'x'), (2, 'b', 'y'), (3, 'c', 'z')")
		p := newPipeline(t, s, "differ.*", nil)
		p.start()
		p.reach()
		p.verify()
		conn := s.conn(t)
		for _, statement := range []string{
			"SET SESSION sql_log_bin = 0", "USE differ",
			"UPDATE kv SET n = n + 1 WHERE id = 777", "DELETE FROM kv WHERE id = 19999", "INSERT INTO kv (id, k, n) VALUES (500000, 'x', 1)",
			"UPDATE kv SET doc = JSON_SET(doc, '$.id', -1) WHERE id = 3",
		} {
			if _, err := conn.ExecContext(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
		f := p.run("verify")
		if f.code != 1 {
			t.Errorf("exit %d", f.code)
		}
		wantWords(t, f.out, "777", "19999", "500000", "differ.kv", "differ.pair")
		for line := range strings.Lines(f.out) {
			if strings.Contains(line, "differ.pair") && !strings.Contains(line, "equal") {
				t.Errorf("pair is equal: %s", line)
			}
		}
		f = p.run("verify", "--json", "differ.kv")
		var report any
		if err := json.Unmarshal([]byte(f.out), &report); err != nil || f.code != 1 {
			t.Errorf("exit %d, %v: %s", f.code, err, f.out)
		}
		o := p.oracle("duckdb")
		columns := sourceColumns(t, s, "differ.kv")
		source, lake := sourceRows(t, s, "differ.kv", columns), o.lakeRows(t, "differ.kv", columns)
		slices.Sort(source)
		slices.Sort(lake)
		if a, b := len(minus(source, lake)), len(minus(lake, source)); a != 3 || b != 3 {
			t.Errorf("the oracle sees %d and %d differences", a, b)
		}
		p.set(settings{"source.address": fmt.Sprintf("127.0.0.1:%d", freePort(t))})
		if f := p.run("verify"); f.code != 75 {
			t.Errorf("exit %d without a source", f.code)
		}
	})
}

// TestVerifyWhileChanging verifies tables of which every row changes all the time, or comes and
// goes with the same values: rows that do not come to rest may be listed as moving, but none as
// different.
func TestVerifyWhileChanging(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "moving")
	churnTables(t, s, "moving", 5000)
	s.exec(t, "CREATE TABLE moving.blinking (id INT PRIMARY KEY, v VARCHAR(9))")
	p := newPipeline(t, s, "moving.*", nil)
	p.start()
	p.reach()
	c := startChurn(t, s, "moving", 5000, uint64(time.Now().UnixNano()))
	stopBlinking := startBlinking(t, s)
	for range 3 {
		c.busyFor(t, 20)
		if f := p.run("verify"); f.code != 0 && f.code != 75 {
			t.Errorf("exit %d: %s%s", f.code, f.out, f.err)
		}
	}
	c.stop(t)
	stopBlinking()
	p.reach()
	p.verify()
}

// TestVerifyBesideAlter verifies a table of which a column comes and goes, before the others:
// none of it is a difference.
func TestVerifyBesideAlter(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "shifting")
	churnTables(t, s, "shifting", 50_000)
	p := newPipeline(t, s, "shifting.kv", nil)
	p.start()
	p.reach()
	conn, end, done := s.conn(t), make(chan struct{}), make(chan error, 1)
	const poll, most = 100 * time.Millisecond, 2 * time.Second
	go func() {
		for {
			for _, change := range []string{"ADD x INT NOT NULL DEFAULT 7 FIRST", "DROP x"} {
				if _, err := conn.ExecContext(t.Context(), "ALTER TABLE shifting.kv "+change); err != nil {
					done <- err
					return
				}
				for began := time.Now(); time.Since(began) < most && !p.reached(s); { // so that the daemon is never far behind
					time.Sleep(poll)
				}
				select {
				case <-end:
					done <- nil
					return
				case <-time.After(poll):
				}
			}
		}
	}()
	for range 8 {
		if f := p.run("verify"); f.code != 0 && f.code != 75 {
			t.Errorf("exit %d: %s%s", f.code, f.out, f.err)
		}
	}
	close(end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p.reach()
	p.verify()
}

// reached reports whether the daemon says that it has all that the source has executed by now.
func (p *pipeline) reached(s *server) bool {
	want, err := capture.Executed(context.Background(), s.db, s.flavor)
	if err != nil {
		return false
	}
	st, err := p.status()
	if err != nil {
		return false
	}
	return covers(s, st, want) == nil
}

// startBlinking has rows of moving.blinking come and go, always with the same values, until the
// function that it gives is called.
func startBlinking(t *testing.T, s *server) (stop func()) {
	t.Helper()
	const rows = 100
	conn, ctx := s.conn(t), t.Context()
	end, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for random := rand.New(rand.NewPCG(1, 1)); ; {
			select {
			case <-end:
				done <- nil
				return
			default:
			}
			id := random.IntN(rows)
			if _, err := conn.ExecContext(ctx, "DELETE FROM moving.blinking WHERE id = ?", id); err != nil {
				done <- err
				return
			}
			if _, err := conn.ExecContext(ctx, "INSERT IGNORE INTO moving.blinking VALUES (?, 'same')", random.IntN(rows)); err != nil {
				done <- err
				return
			}
		}
	}()
	return func() {
		close(end)
		if err := <-done; err != nil {
			t.Errorf("blinking: %v", err)
		}
	}
}

// TestBeganEmpty verifies a table that leaves out the rows of before: they are counted, and what the lake
// has more of than the source is a difference.
func TestBeganEmpty(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		schema := s.schema(t, "beganempty")
		s.exec(t, "USE "+schema+"; CREATE TABLE t (a INT, b TEXT); INSERT INTO t VALUES (1, 'before'), (1, 'before'), (2, 'both')")
		p := newPipeline(t, s, "", settings{"tables": []any{map[string]any{"include": schema + ".t", "mode": "append", "load": "none"}}})
		p.start()
		s.exec(t, "INSERT INTO "+schema+".t VALUES (2, 'both'), (3, 'since'), (3, 'since')")
		p.reach()
		p.verifyExact(t)
		for _, how := range [][]string{{"verify"}, {"verify", "--exact"}} {
			wantWords(t, p.must(how...).out, "6 rows in the source, 3 in the lake, 3 not loaded", "only what the lake has was compared")
		}
		conn := s.conn(t)
		for _, statement := range []string{"SET SESSION sql_log_bin = 0", "DELETE FROM " + schema + ".t WHERE a = 3 LIMIT 1", "UPDATE " + schema + ".t SET b = 'other' WHERE a = 2"} {
			if _, err := conn.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		for _, how := range [][]string{{"verify"}, {"verify", "--exact"}} {
			f := p.run(how...)
			if f.code != 1 {
				t.Errorf("%v: exit %d: %s%s", how, f.code, f.out, f.err)
			}
			wantWords(t, f.out, "3, since: 2 times in the lake", "2, both: only in the lake", "4 not loaded")
		}
	})
}

// TestCheckerSeesDamage damages the lake's files: the independent check of the format has to
// notice each.
func TestCheckerSeesDamage(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "damage")
	churnTables(t, s, "damage", 3000)
	p := newPipeline(t, s, "damage.*", nil)
	p.catchUp()
	s.exec(t, "DELETE FROM damage.kv WHERE id % 3 = 0; UPDATE damage.kv SET n = 1 WHERE id % 5 = 0")
	p.catchUp()
	p.fsck(t)
	for name, suffix := range map[string]string{"deletion vector": ".puffin", "data file": ".parquet", "manifest": ".avro"} {
		t.Run(name, func(t *testing.T) {
			path := p.liveFile(t, suffix)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damaged := append([]byte{}, whole...)
			damaged[len(damaged)/3] ^= 0xff
			for what, b := range map[string][]byte{"flipped": damaged, "cut": whole[:len(whole)-1]} {
				if suffix != ".puffin" && what == "flipped" {
					continue // pages and blocks of other files have no checksum that must be there
				}
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				if out, err := p.checker().CombinedOutput(); err == nil {
					t.Errorf("%s, %s: not noticed: %s", path, what, out)
				}
				if f := p.run("fsck"); f.code != 1 {
					t.Errorf("%s, %s: cdcd fsck ended with %d: %s%s", path, what, f.code, f.out, f.err)
				}
			}
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
	p.fsck(t)
}

// checker is the independent check of the lake's files.
func (p *pipeline) checker() *exec.Cmd {
	return exec.Command(filepath.Join(cacheDir(), "engines", "venv-py", "bin", "python"), "engines/fsck.py", p.path("warehouse"))
}

// liveFile is the newest file of a kind.
func (p *pipeline) liveFile(t *testing.T, suffix string) string {
	t.Helper()
	var newest string
	var at time.Time
	err := filepath.WalkDir(p.path("warehouse"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, suffix) || strings.Contains(path, "snap-") || !strings.Contains(path, "kv") {
			return err
		}
		info, err := e.Info()
		if err == nil && info.ModTime().After(at) {
			newest, at = path, info.ModTime()
		}
		return err
	})
	if err != nil || newest == "" {
		t.Fatalf("no file *%s: %v", suffix, err)
	}
	return newest
}
