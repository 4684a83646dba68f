//go:build integration

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cdcd/commit"
	"cdcd/integration/faultproxy"
)

// snapshotMark is what the tests look at of a snapshot in a table's metadata.
type snapshotMark struct {
	Sequence int64             `json:"sequence-number"`
	Summary  map[string]string `json:"summary"`
}

// marked gives the snapshots of a table that have a position, oldest first, as its metadata at a
// REST catalog shows them; none where the table is not there yet.
func marked(t testing.TB, uri, table string) []snapshotMark {
	t.Helper()
	namespace, name, _ := strings.Cut(table, ".")
	resp, err := http.Get(uri + "/v1/namespaces/" + namespace + "/tables/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Metadata struct {
			Snapshots []snapshotMark `json:"snapshots"`
		} `json:"metadata"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	all := slices.DeleteFunc(answer.Metadata.Snapshots, func(s snapshotMark) bool { return s.Summary["cdcd.position"] == "" })
	slices.SortFunc(all, func(a, b snapshotMark) int { return int(a.Sequence - b.Sequence) })
	return all
}

// fences gives the fence numbers of the snapshots of a table, oldest first. Those that only set a
// fence are left out.
func fences(t testing.TB, uri, table string) []int64 {
	t.Helper()
	var out []int64
	for _, s := range marked(t, uri, table) {
		n, err := strconv.ParseInt(s.Summary["cdcd.fence"], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// wantOrdered checks that no snapshot of an older owner follows one of a newer owner, and
// that the newest is of the given one.
func wantOrdered(t testing.TB, uri string, owner int64, tables ...string) {
	t.Helper()
	for _, name := range tables {
		all := fences(t, uri, name)
		if !slices.IsSorted(all) || len(all) == 0 || all[len(all)-1] != owner {
			t.Errorf("%s: the snapshots have the fences %v, the owner's is %d", name, all, owner)
		}
	}
}

// freeze stops the daemon in its tracks, outside of a transaction of the embedded catalog and of the
// replacement of an object: inside of one it would keep the catalog's file or the object's directory
// locked, and nobody could take over.
func (p *pipeline) freeze() {
	p.t.Helper()
	eventually(p.t, 20*time.Second, "the daemon stands still outside of the catalog", func() error {
		if err := p.daemon.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return fatalError{err}
		}
		release, err := tryCatalog(p.path("warehouse"), time.Second)
		if err == nil {
			err = release()
		}
		if err == nil {
			err = lockEachDir(p.path("warehouse"))
		}
		if err == nil {
			return nil
		}
		if err := p.daemon.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			return fatalError{err}
		}
		return err
	})
}

// lockEachDir locks each directory for a moment, which fails where another process has one locked.
func lockEachDir(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		d, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", path, err), d.Close())
		}
		return d.Close()
	})
}

// TestZombie stops the owner in its tracks for longer than its lease is good for, under load,
// while another daemon takes over. When it wakes up, it ends and has changed nothing.
func TestZombie(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "zombie")
	churnTables(t, s, "zombie", 1000)
	p := newPipeline(t, s, "zombie.*", settings{"source.server_id": 710001})
	p.start()
	p.reach()
	c := startChurn(t, s, "zombie", 3000, uint64(time.Now().UnixNano()))
	q := p.twin()
	q.set(settings{"source.server_id": 710002})
	q.flags = []string{"--standby"}
	q.launch()
	c.busyFor(t, 50)
	p.freeze()
	const grace = 30 * time.Second // on a busy machine; TestSecondDaemon measures the time
	eventually(t, commit.LeaseTime+grace, "the other daemon takes over", func() error {
		st, err := q.status()
		if err == nil && (st.State != "streaming" || st.Cut == 0) {
			err = fmt.Errorf("it is %s", st.State)
		}
		return err
	})
	c.busyFor(t, 50)
	woken := time.Now()
	if err := p.daemon.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.wantExit(75)
	took := time.Since(woken)
	t.Logf("the zombie ended %v after it woke up", took.Round(10*time.Millisecond))
	const most = 20 * time.Second // of which it may take three to end, and some to connect
	if took > most {
		t.Errorf("that is more than %v", most)
	}
	c.busyFor(t, 50)
	c.stop(t)
	q.reach()
	wantOrdered(t, q.uri(), q.fence(), "zombie.kv", "zombie.pair")
	q.oracle("duckdb").equal(t, "zombie.kv", "zombie.pair")
	q.verify()
	q.stop()
}

// TestSupervisors lets two supervisors restart two daemons of one pipeline for ever, and kills
// the owner once: within a minute one owns it, with at most one take-over.
func TestSupervisors(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "supervised")
	s.exec(t, "CREATE TABLE supervised.t (id INT PRIMARY KEY, v INT)")
	p := newPipeline(t, s, "supervised.*", settings{"source.server_id": 720001})
	p.catchUp() // the tables are there, nobody owns them
	q := p.twin()
	q.set(settings{"source.server_id": 720002})
	both := []*pipeline{p, q}
	p.launch()
	q.launch()
	settled := func() (owner *pipeline, fence int64) {
		t.Helper()
		const quiet = 5 * time.Second // as long as one owner has to be the only one
		since := time.Now()
		eventually(t, time.Minute, "one daemon owns the pipeline", func() error {
			now, at := superviseOnce(t, both)
			if now == nil || now != owner || at != fence {
				owner, fence, since = now, at, time.Now()
			}
			if now == nil || time.Since(since) < quiet {
				return fmt.Errorf("not settled")
			}
			return nil
		})
		return owner, fence
	}
	first, before := settled()
	first.kill()
	second, after := settled()
	t.Logf("fence %d, then %d; the owner changed: %v", before, after, first != second)
	if after > before+2 { // the take-over, and a start of the new owner's
		t.Errorf("the fence went from %d to %d", before, after)
	}
	s.exec(t, "INSERT INTO supervised.t VALUES (1, 1)")
	second.reach()
	second.oracle("duckdb").equal(t, "supervised.t")
}

// superviseOnce starts the daemons that have ended, as a supervisor does, and gives the one
// that streams, with its fence.
func superviseOnce(t testing.TB, all []*pipeline) (owner *pipeline, fence int64) {
	t.Helper()
	for _, p := range all {
		if !p.daemon.alive() {
			if code, err := p.daemon.exitCode(time.Second); err != nil || code != 75 && code != -1 {
				t.Fatalf("exit %d, %v: %s", code, err, lastLines(p.daemon.output.String(), 10))
			}
			p.launch()
		}
		if st, err := p.status(); err == nil && st.State == "streaming" {
			owner, fence = p, st.Fence
		}
	}
	return owner, fence
}

// TestDelayedCommit holds a commit of a daemon that is killed then, and delivers it after
// another one has taken over: the catalog refuses it, and nothing changes.
func TestDelayedCommit(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "late")
	churnTables(t, s, "late", 1000)
	uri := startIcebergREST(t)
	proxy, address := startFaults(t, uri, catalogPlan(1))
	p := newPipeline(t, s, "late.*", settings{"source.server_id": 730001, "catalog.type": "rest", "catalog.uri": address})
	p.start()
	p.reach()
	c := startChurn(t, s, "late", 3000, uint64(time.Now().UnixNano()))
	c.busyFor(t, 50)
	const held = 3
	for range held { // the answers are open, so each is sent again
		proxy.Arm(faultproxy.Hold, func(r *http.Request) bool { return changesTable(r) && strings.HasSuffix(r.URL.Path, "/kv") })
	}
	eventually(t, time.Minute, "commits are held", func() error {
		if n := proxy.Held(); n < held {
			return fmt.Errorf("%d of %d", n, held)
		}
		return nil
	})
	p.kill()
	q := p.twin()
	q.set(settings{"source.server_id": 730002, "catalog.uri": uri})
	q.flags = []string{"--take-over"}
	q.start()
	c.stop(t)
	q.reach()
	before := fences(t, uri, "late.kv")
	statuses, err := proxy.Release()
	if err != nil || len(statuses) != held {
		t.Fatalf("statuses %v, %v", statuses, err)
	}
	for _, status := range statuses {
		if status < http.StatusBadRequest {
			t.Errorf("the catalog took a delayed commit: %d", status)
		}
	}
	if after := fences(t, uri, "late.kv"); !slices.Equal(after, before) {
		t.Errorf("the snapshots' fences went from %v to %v", before, after)
	}
	s.exec(t, "UPDATE late.kv SET n = n + 1 WHERE id % 3 = 0")
	q.reach()
	wantOrdered(t, uri, q.fence(), "late.kv")
	(&oracle{q, startEngine(t, "duckdb", uri)}).equal(t, "late.kv", "late.pair")
	q.verify()
	q.stop()
}
