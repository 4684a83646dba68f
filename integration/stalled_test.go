//go:build integration && long

package integration

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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
		s.exec(t, "UPDATE stalled.t SET n = n + 1; DELETE FROM stalled.t WHERE id % 10 = 0")
		release()
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
	db, err := sql.Open("sqlite", "file:"+filepath.Join(warehouse, "catalog.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
