//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBadConfiguration has mistakes that are found before anything is touched.
func TestBadConfiguration(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "badconfig")
	s.exec(t, "CREATE TABLE badconfig.t (id INT PRIMARY KEY)")
	for _, c := range []struct {
		name  string
		set   settings
		code  int
		words []string
	}{
		{"unknown key", settings{"commit.intervall": "1s"}, 78, []string{"intervall", "interval", "cdcd.yaml:"}},
		{"bad duration", settings{"commit.interval": "10 parsecs"}, 78, []string{"commit.interval", "10 parsecs", "cdcd.yaml:"}},
		{"wrong password", settings{"source.password": "wrong"}, 78, []string{"access denied", "'cdc'@"}},
		{"unreachable", settings{"source.address": fmt.Sprintf("127.0.0.1:%d", freePort(t))}, 75, []string{"connect to 127.0.0.1:", "connection refused"}},
		{"no such table", settings{"tables": []any{map[string]any{"include": "badconfig.x"}}}, 78, []string{"no table matches"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPipeline(t, s, "badconfig.*", c.set)
			f := p.run("run", "--until", "now")
			if f.code != c.code {
				t.Errorf("exit %d, want %d", f.code, c.code)
			}
			wantWords(t, f.err, c.words...)
			if strings.Contains(f.err, "wrong'") || strings.Contains(f.err, "IDENTIFIED") {
				t.Errorf("a secret in: %s", f.err)
			}
		})
	}
}

// TestOtherPipelinesWarehouse points a second pipeline at tables of a first one.
func TestOtherPipelinesWarehouse(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "alien")
	s.exec(t, "CREATE TABLE alien.t (id INT PRIMARY KEY); INSERT INTO alien.t VALUES (1)")
	p := newPipeline(t, s, "alien.*", nil)
	p.catchUp()
	q := newPipeline(t, s, "alien.*", settings{"warehouse.location": "file://" + p.path("warehouse")})
	f := q.run("run", "--until", "now")
	if f.code != 78 {
		t.Errorf("exit %d", f.code)
	}
	wantWords(t, f.err, "alien.t", p.cfg["pipeline"].(string))
	s.exec(t, "INSERT INTO alien.t VALUES (2)")
	p.catchUp() // the owner is not disturbed
	p.oracle("duckdb").equal(t, "alien.t")
}

// TestNoDate loads a date that is none, and streams another one.
func TestNoDate(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "nodate")
		s.exec(t, "SET SESSION sql_mode = ''; USE nodate; CREATE TABLE a (id INT PRIMARY KEY, d DATE); CREATE TABLE b LIKE a; INSERT INTO a VALUES (1, '0000-00-00'); SET sql_mode = DEFAULT")
		p := newPipeline(t, s, "nodate.*", settings{"on_table_error": "stop"})
		f := p.run("run", "--until", "now")
		if f.code != 78 {
			t.Errorf("exit %d", f.code)
		}
		wantWords(t, f.err, "the initial load on nodate.a", `column \"d\"`, "types.zero_date")
		p.set(settings{"types.zero_date": "null"})
		p.catchUp()
		p.set(settings{"types.zero_date": "error"})
		s.exec(t, "SET SESSION sql_mode = ''; INSERT INTO nodate.b VALUES (1, '2026-02-03'), (2, '2026-00-03'); SET sql_mode = DEFAULT")
		f = p.run("run", "--until", "now")
		if f.code != 78 {
			t.Errorf("exit %d", f.code)
		}
		wantWords(t, f.err, "a row event on nodate.b", `column \"d\"`, "types.zero_date")
	})
}

// TestFullDisk fills the warehouse's file system, then makes room.
func TestFullDisk(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "full")
	churnTables(t, s, "full", 2000)
	p := newPipeline(t, s, "full.*", nil)
	warehouse := p.path("warehouse")
	if err := os.Mkdir(warehouse, 0o700); err != nil {
		t.Fatal(err)
	}
	mount(t, "-t", "tmpfs", "-o", "size=8m", "tmpfs", warehouse)
	t.Cleanup(func() { _ = syscall.Unmount(warehouse, syscall.MNT_DETACH) })
	p.start()
	p.reach()
	c := startChurn(t, s, "full", 3000, 1)
	p.wantExit(75, "no space left on device", `"exit":75`)
	if f := p.run("run"); f.code != 75 {
		t.Errorf("exit %d on a full disk", f.code)
	}
	mount(t, "-o", "remount,size=1g", warehouse)
	c.stop(t)
	p.start()
	p.reach()
	p.oracle("duckdb").equal(t, "full.kv", "full.pair")
	p.fsck(t)
	p.kill()
	_ = p.serve.signal(syscall.SIGKILL, time.Second)
}

func mount(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
}

// TestPurgedLog loses the part of the log that the lake needs.
func TestPurgedLog(t *testing.T) {
	t.Parallel()
	for _, release := range []string{mysql97, mariadb118} {
		t.Run(release, func(t *testing.T) {
			s := ownServer(t, release)
			s.schema(t, "purged")
			s.exec(t, "CREATE TABLE purged.t (id INT PRIMARY KEY); INSERT INTO purged.t VALUES (1)")
			p := newPipeline(t, s, "purged.*", nil)
			p.catchUp()
			s.exec(t, "INSERT INTO purged.t VALUES (2); FLUSH BINARY LOGS; INSERT INTO purged.t VALUES (3); FLUSH BINARY LOGS")
			s.purge(t)
			for range 2 {
				f := p.run("run", "--until", "now")
				if f.code != 78 {
					t.Errorf("exit %d", f.code)
				}
				wantWords(t, f.err, "no longer holds", "the choices", "cdcd resnapshot --all")
			}
			if out := p.must("show", "purged.t").out; strings.Contains(out, "3") {
				t.Errorf("the lake went on:\n%s", out)
			}
		})
	}
}

// purge removes every log file but the current one. The server keeps a file as long as it believes
// that somebody reads it, whose connection may be gone.
func (s *server) purge(t *testing.T) {
	t.Helper()
	logs := s.logs(t)
	if len(logs) < 2 {
		t.Fatalf("logs: %v", logs)
	}
	eventually(t, 30*time.Second, "the log is purged", func() error {
		s.exec(t, "PURGE BINARY LOGS TO '"+slices.Max(logs)+"'")
		if left := s.logs(t); len(left) > 1 {
			return fmt.Errorf("%v are left", left)
		}
		return nil
	})
}

// logs gives the names of the log's files.
func (s *server) logs(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.data(), "binlog.0*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f, ".idx") {
			names = append(names, filepath.Base(f))
		}
	}
	return names
}

// TestLostTransactions restores the server to a moment before what the lake has.
func TestLostTransactions(t *testing.T) {
	t.Parallel()
	for _, release := range []string{mysql97, mariadb118} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			s := ownServer(t, release)
			s.schema(t, "lost")
			s.exec(t, "CREATE TABLE lost.t (id INT PRIMARY KEY); INSERT INTO lost.t VALUES (1)")
			backup := filepath.Join(t.TempDir(), "data")
			copyTree := func(from, to string) {
				if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
					t.Fatalf("cp: %v: %s", err, out)
				}
			}
			s.restart(t, syscall.SIGTERM, func() { copyTree(s.data(), backup) })
			s.exec(t, "INSERT INTO lost.t VALUES (2)")
			p := newPipeline(t, s, "lost.*", nil)
			p.catchUp()
			s.restart(t, syscall.SIGKILL, func() {
				if err := os.RemoveAll(s.data()); err != nil {
					t.Fatal(err)
				}
				copyTree(backup, s.data())
			})
			f := p.run("run", "--until", "now")
			if f.code != 78 {
				t.Errorf("exit %d", f.code)
			}
			wantWords(t, f.err, "has lost transactions")
			wantWords(t, p.must("show", "lost.t").out, "2")
		})
	}
}
