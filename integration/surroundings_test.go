//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// small mounts a small file system of its own at a directory of the pipeline.
func (p *pipeline) small(t *testing.T, name, size string) string {
	t.Helper()
	dir := p.path(name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mount(t, "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir)
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// TestFullState fills the file system of the state directory, then makes room.
func TestFullState(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "fullstate")
	churnTables(t, s, "fullstate", 100_000) // so that their index is larger than the file system
	p := newPipeline(t, s, "fullstate.*", nil)
	state := p.small(t, "state", "100k")
	for range 2 {
		f := p.run("run", "--until", "now") // which puts the key indexes on disk in the end
		if f.code != 75 {
			t.Errorf("exit %d on a full disk", f.code)
		}
		wantWords(t, f.err, "no space left on device")
	}
	mount(t, "-o", "remount,size=1g", state)
	p.start()
	p.reach()
	s.exec(t, "UPDATE fullstate.kv SET n = 1 WHERE id % 7 = 0; DELETE FROM fullstate.kv WHERE id % 7 = 1")
	p.reach()
	p.oracle("duckdb").equal(t, "fullstate.kv", "fullstate.pair")
	p.fsck(t)
	p.kill()
	_ = p.serve.signal(syscall.SIGKILL, time.Second)
}

// TestReadOnlyDisks makes the state directory or the warehouse read-only, before the start and
// under a daemon that works.
func TestReadOnlyDisks(t *testing.T) {
	s := sharedServer(t, mysql97)
	for _, name := range []string{"state", "warehouse"} {
		t.Run(name, func(t *testing.T) {
			s.schema(t, "readonly")
			s.exec(t, "CREATE TABLE readonly.t (id INT PRIMARY KEY); INSERT INTO readonly.t VALUES (1)")
			p := newPipeline(t, s, "readonly.*", nil)
			dir := p.small(t, name, "100m")
			p.start()
			p.reach()
			if name == "warehouse" {
				// SQLite keeps its files open for writing, which a remount does not allow.
				p.stop()
			} else {
				p.kill()
			}
			mount(t, "-o", "remount,ro", dir)
			s.exec(t, "INSERT INTO readonly.t VALUES (2)")
			f := p.run("run", "--until", "now")
			if f.code != 75 {
				t.Errorf("exit %d", f.code)
			}
			wantWords(t, f.err, "read-only")
			mount(t, "-o", "remount,rw", dir)
			p.start()
			s.exec(t, "INSERT INTO readonly.t VALUES (3)")
			p.reach()
			p.oracle("duckdb").equal(t, "readonly.t")
			p.kill()
			_ = p.serve.signal(syscall.SIGKILL, time.Second)
		})
	}
}

// TestFewFiles gives the daemon too few file descriptors. It may end, with a reason, and loses
// nothing.
func TestFewFiles(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "fewfiles")
	churnTables(t, s, "fewfiles", 5000)
	p := newPipeline(t, s, "fewfiles.*", nil)
	refused := 0
	for _, limit := range []int{8, 12, 16, 20, 24, 28, 32} {
		cmd := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, limit), "sh", daemonBinary, "-c", p.file(), "run", "--until", "now")
		cmd.Env = append(os.Environ(), "CDCD_IT_PASSWORD=cdc")
		c, err := startProcess(cmd)
		if err != nil {
			t.Fatal(err)
		}
		const patience = 6 * time.Minute // a connection for which there is no file is tried for five
		code, err := c.exitCode(patience)
		out := lastLines(c.output.String(), 3)
		if err != nil {
			_ = c.signal(syscall.SIGKILL, time.Second)
			t.Fatalf("%d files: %v: %s", limit, err, out)
		}
		t.Logf("%d files: exit %d: %.300s", limit, code, lastLines(out, 1))
		switch {
		case code == 0:
		case code == 75 && strings.Contains(out, "too many open files"):
			refused++
		default:
			t.Errorf("%d files: exit %d: %s", limit, code, out)
		}
	}
	if refused == 0 {
		t.Error("it always had enough")
	}
	p.catchUp()
	p.oracle("duckdb").equal(t, "fewfiles.kv", "fewfiles.pair")
	p.fsck(t)
}

// TestClock lets the daemon's clock jump forth and back, by minutes and by days. Commits go on,
// and whatever leases say, the fence decides who may commit.
func TestClock(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "clock")
	churnTables(t, s, "clock", 1000)
	p := newPipeline(t, s, "clock.*", settings{"source.server_id": 740001})
	file := p.path("clock")
	jump := func(by time.Duration) {
		if err := os.WriteFile(file+".new", []byte(by.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	p.start("CDCD_CLOCK_OFFSET=" + file)
	p.reach()
	c := startChurn(t, s, "clock", 3000, uint64(time.Now().UnixNano()))
	for _, by := range []time.Duration{2 * time.Minute, -2 * time.Minute, 24 * time.Hour, -24 * time.Hour, 0} {
		jump(by)
		c.busyFor(t, 50)
		c.pause()
		p.reach()
		c.resume()
	}
	// DuckDB does not show snapshots that are dated later than now.
	pyiceberg := startEngine(t, "pyiceberg", p.uri())
	c.pause()
	p.reach()
	(&oracle{p, pyiceberg}).equal(t, "clock.kv", "clock.pair")
	c.resume()
	jump(-2 * time.Minute) // by its time the owner's lease has run out, but it is renewed
	q := p.twin()
	q.set(settings{"source.server_id": 740002})
	if f := q.run("run", "--until", "now"); f.code != 75 {
		t.Errorf("exit %d beside an owner: %s", f.code, f.err)
	}
	q.flags = []string{"--take-over"}
	q.start()
	p.wantExit(75, "fence")
	p.launch("CDCD_CLOCK_OFFSET=" + file) // by its clock the new owner's lease is of the future
	p.wantExit(75, "another daemon owns the pipeline")
	c.busyFor(t, 50)
	c.stop(t)
	q.reach()
	wantOrdered(t, q.uri(), q.fence(), "clock.kv", "clock.pair")
	(&oracle{q, pyiceberg}).equal(t, "clock.kv", "clock.pair")
	q.verify()
}

// TestOldState puts back an old copy of the state directory, and swaps the directories of two
// pipelines: the next starts find that out, and the rows are the source's.
func TestOldState(t *testing.T) {
	s := sharedServer(t, mysql97)
	const rows = 20_000
	s.schema(t, "oldstate")
	s.schema(t, "oldstate2")
	churnTables(t, s, "oldstate", rows)
	churnTables(t, s, "oldstate2", rows)
	p, q := newPipeline(t, s, "oldstate.*", nil), newPipeline(t, s, "oldstate2.*", nil)
	change := func(rest int) {
		for _, schema := range []string{"oldstate", "oldstate2"} {
			s.exec(t, fmt.Sprintf("UPDATE %[1]s.kv SET n = n + 1 WHERE id %% 11 = %[2]d; UPDATE %[1]s.kv SET id = id + 1000000 WHERE id %% 1009 = %[2]d; DELETE FROM %[1]s.kv WHERE id %% 13 = %[2]d", schema, rest))
		}
	}
	p.catchUp()
	q.catchUp()
	inP, inQ := p.oracle("duckdb"), q.oracle("duckdb")
	check := func() {
		t.Helper()
		p.catchUp()
		q.catchUp()
		inP.equal(t, "oldstate.kv")
		inQ.equal(t, "oldstate2.kv")
	}
	files, err := filepath.Glob(p.path("state/index/*/*.run"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no index on disk: %v", err)
	}
	old := p.path("old")
	copyTree(t, p.path("state"), old)
	change(1)
	check()
	if err := os.RemoveAll(p.path("state")); err != nil {
		t.Fatal(err)
	}
	copyTree(t, old, p.path("state"))
	change(2)
	check()
	for _, move := range [][2]string{{p.path("state"), p.path("swap")}, {q.path("state"), p.path("state")}, {p.path("swap"), q.path("state")}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	change(3)
	check()
	p.fsck(t)
	q.fsck(t)
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
}

// TestOldCatalog puts back a backup of the catalog: the tables go back with their positions,
// and the log is read again. Where the log or the metadata of then are gone, it is said.
func TestOldCatalog(t *testing.T) {
	s := ownServer(t, mysql97)
	s.schema(t, "oldcatalog")
	churnTables(t, s, "oldcatalog", 5000)
	p := newPipeline(t, s, "oldcatalog.*", nil)
	p.catchUp()
	backup := p.path("backup.db")
	copyTree(t, p.path("warehouse/catalog.db"), backup)
	restore := func() {
		t.Helper()
		for _, extra := range []string{"-wal", "-shm"} {
			_ = os.Remove(p.path("warehouse/catalog.db" + extra))
		}
		copyTree(t, backup, p.path("warehouse/catalog.db"))
	}
	s.exec(t, "UPDATE oldcatalog.kv SET n = n + 1 WHERE id % 3 = 0; DELETE FROM oldcatalog.kv WHERE id % 3 = 1")
	p.catchUp()
	restore()
	s.exec(t, "UPDATE oldcatalog.kv SET n = n + 1 WHERE id % 4 = 0; REPLACE INTO oldcatalog.kv (id, k, n) VALUES (1, 'again', 1)")
	p.catchUp()
	p.oracle("duckdb").equal(t, "oldcatalog.kv")
	p.fsck(t)
	restore()
	s.exec(t, "FLUSH BINARY LOGS; INSERT INTO oldcatalog.kv (id, k, n) VALUES (7777777, 'x', 1); FLUSH BINARY LOGS")
	s.purge(t)
	f := p.run("run", "--until", "now")
	if f.code != 78 {
		t.Errorf("exit %d", f.code)
	}
	wantWords(t, f.err, "no longer holds")
}

// TestLostFile removes a data file that the table needs.
func TestLostFile(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "lostfile")
	churnTables(t, s, "lostfile", 5000)
	p := newPipeline(t, s, "lostfile.*", nil)
	p.catchUp()
	file := p.liveFile(t, ".parquet")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, p.path("state")} { // and so the key index is made anew
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	s.exec(t, "UPDATE lostfile.kv SET n = n + 1")
	for range 2 {
		f := p.run("run", "--until", "now")
		if f.code != 78 {
			t.Errorf("exit %d", f.code)
		}
		wantWords(t, f.err, filepath.Base(file), "lostfile.kv")
	}
	if out, err := p.checker().CombinedOutput(); err == nil {
		t.Errorf("fsck finds nothing: %s", out)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	p.catchUp()
	p.oracle("duckdb").equal(t, "lostfile.kv")
}
