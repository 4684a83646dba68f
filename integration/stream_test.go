//go:build integration

package integration

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestReconnect cuts the stream's connection again and again under load.
func TestReconnect(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		const cuts = 10
		s.schema(t, "reconnect")
		churnTables(t, s, "reconnect", 1000)
		p := newPipeline(t, s, "reconnect.*", nil)
		p.start()
		p.reach()
		c := startChurn(t, s, "reconnect", 3000, uint64(time.Now().UnixNano()))
		for i := range 2 * cuts {
			c.busyFor(t, 5)
			before := p.connected()
			if i < cuts { // whatever the daemon is about: it may be looking at the server's log, or waiting
				killDumps(t, s)
				time.Sleep(100 * time.Millisecond)
				continue
			}
			const again = 2 * time.Second // what was killed may have been another's, or there was none yet
			killed, last := 0, time.Time{}
			eventually(t, time.Minute, "the stream is cut and connects again", func() error {
				if p.connected() != before {
					return nil
				}
				if time.Since(last) > again {
					killed, last = killed+killDumps(t, s), time.Now()
				}
				return fmt.Errorf("it has not; %d were killed", killed)
			})
		}
		c.stop(t)
		p.reach()
		p.oracle("duckdb").equal(t, "reconnect.kv", "reconnect.pair")
		p.verify()
	})
}

// killDumps ends every dump connection.
func killDumps(t *testing.T, s *server) (killed int) {
	t.Helper()
	rows, err := s.db.Query("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		if _, err := s.db.Exec(fmt.Sprintf("KILL %d", id)); err == nil { // it may be gone
			killed++
		}
	}
	return killed
}

// TestSourceCrash kills and restarts the server under load. The daemon waits for it and goes on.
func TestSourceCrash(t *testing.T) {
	t.Parallel()
	s := ownServer(t, mysql97)
	s.schema(t, "sourcecrash")
	churnTables(t, s, "sourcecrash", 1000)
	p := newPipeline(t, s, "sourcecrash.*", nil)
	p.start()
	p.reach()
	for round, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		c := startChurn(t, s, "sourcecrash", 3000, uint64(round))
		c.busyFor(t, 50)
		s.restart(t, how, nil)
		<-c.done
		c.err = nil // of course
		p.reach()
	}
	p.oracle("duckdb").equal(t, "sourcecrash.kv", "sourcecrash.pair")
	p.verify()
	p.stop()
}

// TestCompressedTransactions streams transactions that the server compressed.
func TestCompressedTransactions(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "compressed")
	churnTables(t, s, "compressed", 1000)
	p := newPipeline(t, s, "compressed.*", nil)
	p.start()
	p.reach()
	before := s.text(t, "SELECT COALESCE(SUM(TRANSACTION_COUNTER), 0) FROM performance_schema.binary_log_transaction_compression_stats WHERE COMPRESSION_TYPE = 'ZSTD' AND LOG_TYPE = 'BINARY'")
	s.exec(t, "SET GLOBAL binlog_transaction_compression = ON")
	s.db.SetMaxIdleConns(0) // sessions take the setting when they begin
	t.Cleanup(func() { s.db.SetMaxIdleConns(2) })
	t.Cleanup(func() { s.exec(t, "SET GLOBAL binlog_transaction_compression = OFF") }) // first
	c := startChurn(t, s, "compressed", 3000, uint64(time.Now().UnixNano()))
	c.busyFor(t, 300)
	p.kill()
	p.start()
	c.busyFor(t, 100)
	c.stop(t)
	after := s.text(t, "SELECT COALESCE(SUM(TRANSACTION_COUNTER), 0) FROM performance_schema.binary_log_transaction_compression_stats WHERE COMPRESSION_TYPE = 'ZSTD' AND LOG_TYPE = 'BINARY'")
	if before == after {
		t.Errorf("the server compressed nothing (%s transactions)", after)
	}
	p.reach()
	p.oracle("duckdb").equal(t, "compressed.kv", "compressed.pair")
	p.verify()
}

// TestUncapturedTables leaves tables alone that are not included, whatever they hold and
// whatever happens to them.
func TestUncapturedTables(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "uncap")
		s.schema(t, "uncap_other")
		s.exec(t, `USE uncap; CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE log (v TEXT); CREATE TABLE shapes (g GEOMETRY); CREATE VIEW seen AS SELECT * FROM t;
			CREATE TABLE uncap_other.t (id INT PRIMARY KEY)`)
		p := newPipeline(t, s, "uncap.*", settings{"tables": []any{map[string]any{"include": "uncap.*", "exclude": []any{"uncap.log", "uncap.shapes"}}}})
		p.start()
		p.reach()
		s.exec(t, `USE uncap; INSERT INTO log VALUES ('x'), ('y'); INSERT INTO shapes VALUES (POINT(1, 2)); INSERT INTO t VALUES (1);
			BEGIN; INSERT INTO uncap_other.t VALUES (1), (2); INSERT INTO t VALUES (2); UPDATE log SET v = 'z'; COMMIT;
			ALTER TABLE log ADD n INT; TRUNCATE uncap_other.t; DROP TABLE shapes; ALTER TABLE uncap_other.t ADD x INT; DROP TABLE log`)
		p.reach()
		st, err := p.status()
		if err != nil || len(st.Tables) != 1 || st.Tables[0].Inserted != 2 {
			t.Errorf("status: %+v, %v", st, err)
		}
		p.oracle("duckdb").equal(t, "uncap.t")
	})
}

// TestIdleTable has three tables of which one never changes: it must not pin the log.
func TestIdleTable(t *testing.T) {
	t.Parallel()
	s := ownServer(t, mysql97, "--binlog-expire-logs-seconds=20")
	s.schema(t, "idle")
	s.exec(t, "USE idle; CREATE TABLE busy (id INT PRIMARY KEY AUTO_INCREMENT); CREATE TABLE slow LIKE busy; CREATE TABLE never LIKE busy; INSERT INTO never VALUES (1)")
	p := newPipeline(t, s, "idle.*", nil)
	p.start()
	p.reach()
	begin := p.position("idle.never")
	s.exec(t, "INSERT INTO idle.busy VALUES (); FLUSH BINARY LOGS")
	s.exec(t, "INSERT INTO idle.slow VALUES ()")
	eventually(t, time.Minute, "the idle table's position moves", func() error {
		s.exec(t, "INSERT INTO idle.busy VALUES ()")
		if p.position("idle.never").Equal(begin) {
			return fmt.Errorf("it is %s", begin)
		}
		return nil
	})
	p.kill() // no clean end
	s.exec(t, "PURGE BINARY LOGS TO '"+newestLog(t, s)+"'; INSERT INTO idle.never VALUES (2)")
	if first := s.text(t, "SELECT @@GLOBAL.gtid_purged"); first == "" {
		t.Fatal("nothing was purged")
	}
	p.start()
	p.reach()
	p.oracle("duckdb").equal(t, "idle.busy", "idle.slow", "idle.never")
}

// newestLog is the name of the log file that is written.
func newestLog(t *testing.T, s *server) string {
	t.Helper()
	var name string
	var rest [4]sql.NullString
	if err := s.db.QueryRow("SHOW BINARY LOG STATUS").Scan(&name, &rest[0], &rest[1], &rest[2], &rest[3]); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestCompressedEvents streams events that MariaDB compressed one by one: of small and large
// rows, of statements, and of an XA transaction, which are kept through a kill.
func TestCompressedEvents(t *testing.T) {
	t.Parallel()
	s := ownServer(t, mariadb118, "--log-bin-compress=ON", "--log-bin-compress-min-len=10", "--max-allowed-packet=64M")
	s.schema(t, "compressed")
	churnTables(t, s, "compressed", 1000)
	s.exec(t, "USE compressed; CREATE TABLE blobs (id INT PRIMARY KEY, v LONGBLOB, w LONGTEXT); CREATE TABLE out_of_it (id INT PRIMARY KEY, v LONGTEXT)")
	p := newPipeline(t, s, "compressed.*", settings{"tables": []any{map[string]any{"include": "compressed.*", "exclude": []any{"compressed.out_of_it"}}}})
	p.start()
	p.reach()
	c := startChurn(t, s, "compressed", 3000, uint64(time.Now().UnixNano()))
	s.exec(t, `USE compressed; INSERT INTO blobs VALUES (1, REPEAT('x', 20000000), ''), (2, '', REPEAT('é', 9)), (3, RANDOM_BYTES(1024), REPEAT('yü', 500000)), (4, NULL, NULL);
		INSERT INTO out_of_it VALUES (1, REPEAT('x', 100000)); ALTER TABLE out_of_it ADD COLUMN n INT COMMENT 'to be compressed, compressed, compressed, compressed';
		CREATE TABLE later (id INT PRIMARY KEY, v TEXT) COMMENT 'to be compressed, compressed, compressed, compressed, compressed, compressed';
		INSERT INTO later SELECT seq, REPEAT(seq, 40) FROM seq_1_to_500; UPDATE out_of_it SET v = REPEAT('z', 50000)`)
	prepareXA(t, s, "kept", "UPDATE compressed.blobs SET v = REPEAT('kept', 100000) WHERE id = 2", "DELETE FROM compressed.blobs WHERE id = 4", "INSERT INTO compressed.out_of_it (id, v) VALUES (2, REPEAT('y', 1000))")
	c.busyFor(t, 100)
	p.kill()
	p.start()
	s.exec(t, "UPDATE compressed.blobs SET w = CONCAT(w, REPEAT('w', 100)) WHERE id IN (1, 3); DELETE FROM compressed.later WHERE id % 2; UPDATE compressed.later SET id = -id, v = REPEAT('-', 200) WHERE id % 3 = 0")
	completeXA(t, s, "COMMIT", "kept")
	c.busyFor(t, 100)
	c.stop(t)
	p.reach()
	p.oracle("duckdb").equal(t, "compressed.kv", "compressed.pair", "compressed.blobs", "compressed.later")
	p.verify()
	log, err := os.ReadFile(filepath.Join(s.data(), "binlog.000001"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := eventTypes(log)
	for _, kind := range []byte{165, 166, 167, 168, 2, 23} { // compressed statements, inserts, updates, deletes; and others
		if kinds[kind] == 0 {
			t.Errorf("the server wrote no event of type %d: %v", kind, kinds)
		}
	}
}

// eventTypes counts the events of a log file by their type.
func eventTypes(log []byte) map[byte]int {
	const magic, kind, size = 4, 4, 9
	kinds := map[byte]int{}
	for log = log[magic:]; len(log) > 0; log = log[binary.LittleEndian.Uint32(log[size:]):] {
		kinds[log[kind]]++
	}
	return kinds
}
