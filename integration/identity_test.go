//go:build integration

package integration

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
)

// TestSameIdentity runs two pipelines that the server takes for one replica: of the same server id
// on MariaDB, of the same name on MySQL. Each takes the connection back some times; then one of
// them ends, says why, and is not to be started again. The other one goes on.
func TestSameIdentity(t *testing.T) {
	t.Parallel()
	for _, release := range []string{mysql97, mariadb118} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			s := ownServer(t, release)
			s.schema(t, "identity")
			s.exec(t, "CREATE TABLE identity.t (id INT PRIMARY KEY); INSERT INTO identity.t VALUES (1)")
			const id = 730001
			p := newPipeline(t, s, "identity.*", settings{"source.server_id": id})
			q := newPipeline(t, s, "identity.*", settings{"source.server_id": id, "warehouse.location": "file://" + filepath.Join(p.dir, "other")})
			word := fmt.Sprintf("its server id is %d too: set source.server_id", id)
			if s.flavor == capture.MySQL {
				q.set(settings{"pipeline": p.name()})
				word = "too: give one of the two pipelines another name"
			}
			p.start()
			p.reach()
			q.start()
			began := time.Now()
			eventually(t, time.Minute, "one of the two ends", func() error {
				if p.daemon.alive() && q.daemon.alive() {
					return errors.New("both run")
				}
				return nil
			})
			ended, other := p, q
			if p.daemon.alive() {
				ended, other = q, p
			}
			ended.wantExit(78, "two replicas go by one identity", word, `"exit":78`)
			took := time.Since(began)
			s.exec(t, "INSERT INTO identity.t VALUES (2)")
			other.reach()
			other.oracle("duckdb").equal(t, "identity.t")
			t.Logf("%v until one ended, the other lost its connection %d times", took.Round(time.Second), strings.Count(other.daemon.output.String(), "taking the connection back"))
			if least := 5 * time.Second; took < least {
				t.Errorf("one ended within %v: a former owner that wakes up would not have met the fence", least)
			}
			other.stop()
			ended.start() // now it is alone
			ended.reach()
			ended.oracle("duckdb").equal(t, "identity.t")
			ended.stop()
		})
	}
}

// TestServerIDTaken gives a pipeline the id of the server, and that of a replica which is connected.
func TestServerIDTaken(t *testing.T) {
	t.Parallel()
	for _, release := range []string{mysql97, mariadb118} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			s := ownServer(t, release)
			replica := replicaOf(t, s)
			s.schema(t, "taken")
			s.exec(t, "CREATE TABLE taken.t (id INT PRIMARY KEY)")
			p := newPipeline(t, s, "taken.*", settings{"source.server_id": s.port})
			p.wantProblems("which is the server's own")
			replica.caughtUp(t, s)
			p.set(settings{"source.server_id": replica.port})
			if s.flavor == capture.MariaDB {
				p.wantProblems(fmt.Sprintf("a replica with the server id %d is connected", replica.port))
			} else if c := p.check(); !c.OK || !strings.Contains(fmt.Sprint(c.Warnings), fmt.Sprintf("a replica with the server id %d,", replica.port)) {
				t.Errorf("%+v", c)
			}
			s.exec(t, "INSERT INTO taken.t VALUES (1)")
			replica.caughtUp(t, s) // whose connection nobody has taken
			p.set(settings{"source.server_id": 0})
			p.catchUp()
			p.oracle("duckdb").equal(t, "taken.t")
		})
	}
}

// TestStalledSink keeps the lake from taking a commit for longer than the server waits for a reader
// that does not read. The server ends the connection, and the daemon goes on where it was.
func TestStalledSink(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		const rows, size = 300, 200_000
		s.schema(t, "stalled")
		s.exec(t, "CREATE TABLE stalled.t (id INT PRIMARY KEY AUTO_INCREMENT, n INT, v LONGTEXT)")
		f := startForwarder(t, s.address)
		// The daemon asks for an hour: what the server waits is made as short as a test can wait for.
		f.change(func(f *forwarder) { f.said, f.instead = "net_write_timeout=3600", "net_write_timeout=0002" })
		p := newPipeline(t, s, "stalled.*", settings{"source.address": f.address, "commit.max_bytes": "1MiB", "commit.max_rows": 1000})
		p.start()
		p.reach()
		release := lockCatalog(t, p.path("warehouse"))
		for i := range rows {
			s.exec(t, "INSERT INTO stalled.t (n, v) VALUES (?, REPEAT('x', ?))", i, size)
		}
		eventually(t, 30*time.Second, "the server ends the connection", func() error {
			if n := len(s.column(t, "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")); n > 0 {
				return fmt.Errorf("%d are open", n)
			}
			return nil
		})
		release() // before the daemon gives up
		s.exec(t, "UPDATE stalled.t SET n = n + 1; DELETE FROM stalled.t WHERE id % 10 = 0")
		p.reach()
		wantWords(t, p.daemon.output.String(), "stream interrupted, reconnecting")
		if strings.Contains(p.daemon.output.String(), "server fell silent") {
			t.Error("a stall of the lake was taken for a silence of the server")
		}
		p.verify()
		p.must("fsck", "--keys")
		p.stop()
	})
}

// lockCatalog keeps others from writing to the embedded catalog, until the returned function is
// called.
func lockCatalog(t *testing.T, warehouse string) (release func()) {
	t.Helper()
	let, err := tryCatalog(warehouse, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := let(); err != nil {
			t.Fatal(err)
		}
	}
}

// tryCatalog locks an embedded catalog against writers, if nobody else has for so long.
func tryCatalog(warehouse string, patience time.Duration) (release func() error, err error) {
	db, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_txlock=immediate&_pragma=busy_timeout(%d)", filepath.Join(warehouse, "catalog.db"), patience.Milliseconds()))
	if err != nil {
		return nil, err
	}
	tx, err := db.Begin()
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() error { return errors.Join(tx.Rollback(), db.Close()) }, nil
}
