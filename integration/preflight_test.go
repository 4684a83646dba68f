//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cdcd/capture"
)

// checked is what the tests look at of cdcd check --json.
type checked struct {
	OK                 bool
	Problems, Warnings []struct{ Table, What, Repair string }
}

func (p *pipeline) check() checked {
	p.t.Helper()
	f := p.run("check", "--json")
	var c checked
	if err := json.Unmarshal([]byte(f.out), &c); err != nil {
		p.t.Fatalf("cdcd check ended with %d: %v: %s%s", f.code, err, f.out, f.err)
	}
	if want := map[bool]int{true: 0, false: 78}[c.OK]; f.code != want {
		p.t.Errorf("cdcd check ended with %d, ok is %v", f.code, c.OK)
	}
	return c
}

// wantProblems checks that exactly these problems are found, all at once, by run as well,
// and that nothing was written.
func (p *pipeline) wantProblems(words ...string) checked {
	p.t.Helper()
	c := p.check()
	if len(c.Problems) != len(words) {
		p.t.Errorf("%d problems, want %d: %+v", len(c.Problems), len(words), c.Problems)
	}
	f := p.run("run", "--until", "now")
	if f.code != 78 {
		p.t.Errorf("cdcd run ended with %d", f.code)
	}
	for _, w := range words {
		found := slices.ContainsFunc(c.Problems, func(x struct{ Table, What, Repair string }) bool {
			return strings.Contains(x.Table+": "+x.What, w) && x.Repair != ""
		})
		if !found {
			p.t.Errorf("no problem %q with a repair in %+v", w, c.Problems)
		}
	}
	wantWords(p.t, f.err, words...)
	if entries, err := os.ReadDir(p.path("warehouse")); err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.IsDir() }) {
		p.t.Errorf("the warehouse has been written to: %v", entries)
	}
	return c
}

// repairBySQL runs the statements that the problems name.
func repairBySQL(t *testing.T, s *server, c checked) {
	t.Helper()
	for _, p := range c.Problems {
		for statement := range strings.Lines(p.Repair) {
			s.exec(t, statement)
		}
	}
}

// TestPreflightSettings starts with everything set wrongly that can be set at run time. The
// statements that are printed repair it.
func TestPreflightSettings(t *testing.T) {
	t.Parallel()
	t.Run(mysql97, func(t *testing.T) {
		s := ownServer(t, mysql97, "--binlog-format=MIXED", "--binlog-row-image=MINIMAL", "--binlog-row-metadata=MINIMAL",
			"--gtid-mode=OFF", "--enforce-gtid-consistency=OFF", "--binlog-row-value-options=PARTIAL_JSON", "--sync-binlog=0")
		s.schema(t, "pre")
		s.exec(t, "CREATE TABLE pre.t (id INT PRIMARY KEY); CREATE TABLE pre.keyless (v INT)")
		p := newPipeline(t, s, "pre.*", settings{"tables": []any{map[string]any{"include": "pre.*", "mode": "rows"}}})
		c := p.wantProblems(`binlog_format is "MIXED"`, `binlog_row_metadata is "MINIMAL"`, `gtid_mode is "OFF"`)
		if len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0].What, "in pre.keyless cannot be followed") || !strings.Contains(c.Warnings[1].What, "sync_binlog") {
			t.Errorf("warnings: %+v", c.Warnings)
		}
		repairBySQL(t, s, c)
		p.catchUp()
	})
	t.Run(mariadb118, func(t *testing.T) {
		s := ownServer(t, mariadb118, "--binlog-format=MIXED", "--binlog-row-image=NOBLOB", "--binlog-row-metadata=NO_LOG", "--log-bin-compress=ON") // which may be on
		s.schema(t, "pre")
		s.exec(t, "CREATE TABLE pre.t (id INT PRIMARY KEY)")
		p := newPipeline(t, s, "pre.*", nil)
		c := p.wantProblems(`binlog_format is "MIXED"`, `binlog_row_metadata is "NO_LOG"`)
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].What, `binlog_row_image is "NOBLOB"`) {
			t.Errorf("warnings: %+v", c.Warnings)
		}
		repairBySQL(t, s, c)
		p.catchUp()
	})
}

// TestPreflightOptions needs a restart of the server to repair.
func TestPreflightOptions(t *testing.T) {
	t.Parallel()
	t.Run("no log", func(t *testing.T) {
		s := ownServer(t, mysql97, "--skip-log-bin", "--gtid-mode=OFF")
		s.schema(t, "pre")
		s.exec(t, "CREATE TABLE pre.t (id INT PRIMARY KEY)")
		newPipeline(t, s, "pre.*", nil).wantProblems("the binary log is off", "gtid_mode")
	})
	for _, release := range []string{mysql97, mariadb118} {
		t.Run("filters and replica "+release, func(t *testing.T) {
			updates, source := "--log-replica-updates=OFF", "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1"
			if release == mariadb118 {
				updates, source = "--log-slave-updates=OFF", "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1"
			}
			s := ownServer(t, release, updates, "--binlog-ignore-db=pre", "--binlog-do-db=elsewhere")
			s.exec(t, source)
			s.schema(t, "pre")
			s.exec(t, "CREATE TABLE pre.t (id INT PRIMARY KEY)")
			p := newPipeline(t, s, "pre.*", nil)
			p.wantProblems(`keeps schema "pre" out of the log`, "the server is a replica and does not log what it applies")
			s.options = nil
			s.restart(t, syscall.SIGKILL, nil)
			p.catchUp()
		})
	}
}

// TestPreflightTables has tables that cannot be replicated, each for its own reason.
func TestPreflightTables(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "pre")
		s.exec(t, `USE pre; CREATE TABLE good (id INT PRIMARY KEY); CREATE TABLE keyless (v INT); CREATE TABLE shape (id CHAR(5) CHARACTER SET cp932 PRIMARY KEY);
			CREATE TABLE nullkey (id INT, UNIQUE KEY (id)); CREATE TABLE reserved (id INT PRIMARY KEY, _file INT); CREATE VIEW v AS SELECT * FROM good`)
		words := []string{"pre.keyless: ", "pre.shape: ", "pre.nullkey: ", "pre.reserved: "}
		if s.release == mariadb118 { // from 9.6 MySQL logs what a cascade does
			s.exec(t, "USE pre; CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES good (id) ON DELETE CASCADE)")
			words = append(words, "pre.child: ")
		}
		p := newPipeline(t, s, "pre.*", nil)
		c := p.wantProblems(words...)
		for _, x := range c.Problems {
			if !strings.Contains(x.Repair, "exclude") {
				t.Errorf("%s: the repair does not name exclude: %s", x.Table, x.Repair)
			}
		}
		p.set(settings{"tables": []any{map[string]any{"include": "pre.*", "exclude": []any{"pre.keyless", "pre.shape", "pre.nullkey", "pre.reserved", "pre.child"}}}})
		p.catchUp()
	})
}

// TestEstimateAfterImport fills a table behind the server's back, as it were: what MySQL says of its
// size to who does not insist is from before.
func TestEstimateAfterImport(t *testing.T) {
	const rows, least = 20_000, 15_000 // the server samples
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "imported")
		s.exec(t, "CREATE TABLE imported.t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(100))")
		stored := func() string {
			return s.text(t, "SELECT table_rows FROM information_schema.tables WHERE table_schema = 'imported'")
		}
		if n := stored(); n != "0" {
			t.Fatalf("%s rows in an empty table", n)
		}
		s.exec(t, fmt.Sprintf("INSERT INTO imported.t (v) VALUES %s(REPEAT('v', 50))", strings.Repeat("(REPEAT('v', 50)),", rows-1)))
		want := func(n capture.Name) bool { return n.Schema == "imported" }
		eventually(t, time.Minute, "the server has counted", func() error { // it does so in the background
			report, err := capture.Preflight(t.Context(), s.source(t.Name()), want, nil)
			if err != nil {
				return fatalError{err}
			}
			if n := report.Tables[0].Rows; n < least {
				return fmt.Errorf("about %d rows", n)
			}
			return nil
		})
		if n := stored(); s.flavor == capture.MySQL && n != "0" {
			t.Errorf("the server looked by itself, and says %s: the test shows nothing", n)
		}
	})
}

// TestPreflightGrants starts with a user that may do nothing and runs the printed GRANTs.
func TestPreflightGrants(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "pre")
		s.exec(t, "CREATE TABLE pre.t (id INT PRIMARY KEY); INSERT INTO pre.t VALUES (1); DROP USER IF EXISTS poor; CREATE USER poor IDENTIFIED BY 'cdc'")
		t.Cleanup(func() { s.exec(t, "DROP USER poor") })
		p := newPipeline(t, s, "pre.*", settings{"source.user": "poor"})
		const rounds = 5 // some grants can be tried only when others are there
		for round := range rounds {
			c := p.check()
			if c.OK {
				break
			}
			if f := p.run("run", "--until", "now"); f.code != 78 {
				t.Errorf("cdcd run ended with %d: %s", f.code, f.err)
			}
			if round == 0 && !slices.ContainsFunc(c.Problems, func(x struct{ Table, What, Repair string }) bool {
				return strings.HasSuffix(x.What, "REPLICATION SLAVE")
			}) {
				t.Errorf("the log was not asked for at once: %+v", c.Problems)
			}
			for i, x := range c.Problems {
				if slices.Contains(c.Problems[:i], x) {
					t.Errorf("twice: %s", x.What)
				}
				if strings.HasPrefix(x.What, "no table matches") { // without SELECT it sees none
					s.exec(t, "GRANT SELECT ON pre.* TO poor")
					continue
				}
				s.exec(t, x.Repair)
			}
		}
		p.catchUp()
		wantWords(t, p.must("show", "pre.t").out, "1")
	})
}

// TestPreflightConnectionBreaks breaks the first connection in the middle of the preflight, as
// a server does that is restarted.
func TestPreflightConnectionBreaks(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "pre")
		s.exec(t, "CREATE TABLE pre.t (id INT PRIMARY KEY)")
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var connections atomic.Int64
		go func() {
			for {
				client, err := l.Accept()
				if err != nil {
					return
				}
				most := int64(math.MaxInt64)
				if connections.Add(1) == 1 {
					most = 4000 // bytes: behind the hand-shake
				}
				go forward(client, s.address, most)
			}
		}()
		p := newPipeline(t, s, "pre.*", settings{"source.address": l.Addr().String()})
		p.must("check")
		if n := connections.Load(); n < 2 {
			t.Errorf("%d connections", n)
		}
	})
}

// forward connects a client with a server until the server has said so many bytes.
func forward(client net.Conn, address string, most int64) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, client) }()
	_, _ = io.Copy(client, io.LimitReader(server, most))
}

// TestTargetsCollide has tables whose names differ in case only, which Trino cannot tell apart.
func TestTargetsCollide(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "fold")
	s.exec(t, "CREATE TABLE fold.Orders (id INT PRIMARY KEY); CREATE TABLE fold.orders (id INT PRIMARY KEY)")
	p := newPipeline(t, s, "fold.*", nil)
	for _, args := range [][]string{{"check"}, {"run", "--until", "now"}} {
		f := p.run(args...)
		if f.code != 78 {
			t.Errorf("cdcd %v ended with %d", args, f.code)
		}
		wantWords(t, f.out+f.err, "fold.Orders, fold.orders", "case does not count")
	}
	p.set(settings{"tables": []any{map[string]any{"include": "fold.Orders", "target": "fold.orders_old"}, map[string]any{"include": "fold.*"}}})
	p.catchUp()
	wantWords(t, p.must("show", "fold.orders_old").out, "id")
}

// TestDroppedWhileLookedAt drops a table behind its listing, and one behind its description:
// neither is there any more, and nothing is wrong with the others.
func TestDroppedWhileLookedAt(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		schema := s.schema(t, "vanish")
		want := func(n capture.Name) bool { return n.Schema == schema }
		only := func(what string, got []capture.TableInfo) {
			if len(got) != 1 || got[0].Name.Table != "stays" || got[0].Problem != nil {
				t.Errorf("%s: %+v", what, got)
			}
		}
		s.exec(t, "USE "+schema+"; CREATE TABLE stays (id INT PRIMARY KEY); CREATE TABLE goes (id INT PRIMARY KEY)")
		got, err := capture.Tables(t.Context(), s.db, func(n capture.Name) bool {
			if want(n) && n.Table == "goes" {
				s.exec(t, "DROP TABLE IF EXISTS "+schema+".goes")
			}
			return want(n)
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		only("listed", got)
		s.exec(t, "CREATE TABLE "+schema+".goes (id INT PRIMARY KEY)")
		report, err := capture.Preflight(t.Context(), s.source("vanish"), want, func(n capture.Name) capture.Wish {
			if n.Table == "goes" {
				s.exec(t, "DROP TABLE IF EXISTS "+schema+".goes")
			}
			return capture.Wish{}
		})
		if err != nil {
			t.Fatal(err)
		}
		only("described", report.Tables)
		if len(report.Problems) > 0 {
			t.Errorf("problems %+v", report.Problems)
		}
	})
}
