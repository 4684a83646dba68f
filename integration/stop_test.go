//go:build integration

package integration

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cdcd/capture"
)

// stopCase is something in the log that must not be read past.
type stopCase struct {
	name  string
	does  string   // statements in one session; the first table is t, a second one is other
	words []string // of the message
	only  string   // a release, "" for all
}

func stopCases() []stopCase {
	return []stopCase{
		{"alter computed", "ALTER TABLE t ADD extra INT GENERATED ALWAYS AS (id + 1) STORED", []string{"this ALTER TABLE on", "are computed"}, ""},
		{"alter type", "ALTER TABLE t MODIFY v CHAR(20)", []string{"this ALTER TABLE on", `column \"v\"`, "does not tell what becomes of the rows"}, ""},
		{"drop", "DROP TABLE other, t", []string{"DROP TABLE on"}, ""},
		{"drop database", "DROP DATABASE stops", []string{"DROP DATABASE on"}, ""},
		{"rename", "RENAME TABLE t TO elsewhere", []string{"RENAME TABLE on"}, ""},
		{"swap", "CREATE TABLE fresh LIKE other; RENAME TABLE t TO elsewhere, fresh TO t", []string{"RENAME TABLE on"}, ""},
		{"alter rename", "/* a comment */ ALTER TABLE t RENAME elsewhere", []string{"ALTER TABLE on"}, ""},
		{"alter in two phases", "SET SESSION binlog_alter_two_phase = ON; ALTER TABLE t ADD extra INT", []string{"ALTER TABLE in two phases on"}, mariadb118},
		{"truncate partition", "ALTER TABLE t TRUNCATE PARTITION p0", []string{"TRUNCATE PARTITION"}, ""},
		{"drop partition", "ALTER TABLE t DROP PARTITION p0", []string{"DROP PARTITION"}, ""},
		{"exchange partition", "CREATE TABLE ex LIKE t; ALTER TABLE ex REMOVE PARTITIONING; ALTER TABLE t EXCHANGE PARTITION p0 WITH TABLE ex", []string{"PARTITION on"}, ""},
		{"replace", "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)", []string{"CREATE"}, mariadb118},
		{"statement insert", "SET SESSION binlog_format = STATEMENT; INSERT INTO t VALUES (7, 'statement', '[]', '')", []string{"INSERT logged as a statement on"}, ""},
		{"statement update", "SET SESSION binlog_format = STATEMENT; UPDATE other, t SET t.v = 'x' WHERE t.id = other.id", []string{"UPDATE logged as a statement on"}, ""},
		{"statement delete", "SET SESSION binlog_format = STATEMENT; DELETE FROM t WHERE id = 1", []string{"DELETE logged as a statement on"}, ""},
		{"insert of nothing", "SET SESSION binlog_row_image = MINIMAL; INSERT INTO other () VALUES ()", []string{"an incomplete row image on", "without any column"}, mysql97},
		{"minimal replace", "SET SESSION binlog_row_image = MINIMAL; REPLACE INTO t (id, v) VALUES (1, 'x')", []string{"an incomplete row image on", `column \"id\"`}, mariadb118},
		{"noblob replace", "SET SESSION binlog_row_image = NOBLOB; REPLACE INTO t (id, v) VALUES (1, 'x')", []string{"an incomplete row image on"}, mariadb118},
	}
}

// TestStops runs what is not supported yet, where nothing that concerns a table alone has it leave.
// The daemon ends before it, says at which transaction and why, has written nothing behind it, and
// says the same when started again.
func TestStops(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		for _, c := range stopCases() {
			if c.only != "" && c.only != s.release {
				continue
			}
			t.Run(c.name, func(t *testing.T) { testStop(t, s, c) })
		}
	})
}

func testStop(t *testing.T, s *server, c stopCase) {
	s.schema(t, "stops")
	s.exec(t, `USE stops;
		CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), doc JSON, body TEXT) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE);
		CREATE TABLE other (id INT PRIMARY KEY DEFAULT 5); CREATE TABLE stays (id INT PRIMARY KEY); INSERT INTO t VALUES (1, 'before', '[1, 2]', 'text'), (200, 'high', '[1, 2, 3]', 'text'); INSERT INTO other VALUES (1)`)
	p := newPipeline(t, s, "stops.*", settings{"on_table_error": "stop", "on_table_dropped": "stop", "on_table_replaced": "stop"})
	p.start()
	p.reach()
	conn := s.conn(t)
	for _, statement := range append([]string{"USE stops", "INSERT INTO t VALUES (2, 'just before', '[]', '')"}, strings.Split(c.does, "; ")...) {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for _, after := range []string{"USE stops", "INSERT INTO t (id, v) VALUES (3, 'after')", "INSERT INTO elsewhere (id, v) VALUES (3, 'after')"} {
		_, _ = s.db.Exec(after) // where the table is still there
	}
	p.wantExit(78, append(c.words, "stopped before it", `"exit":78`)...)
	p.launch()
	if c.name == "drop database" { // then it does not even come to the log
		c.words = []string{"no table matches the configuration"}
	}
	p.wantExit(78, c.words...)
	shown := p.must("show", "stops.t").out
	wantWords(t, shown, "before", "just before", "high")
	if strings.Contains(shown, "after") || strings.Contains(shown, "statement") {
		t.Errorf("the lake went on:\n%s", shown)
	}
}

// TestStopsAtBadEvents writes events into the log that no server of today writes, and
// damages one that it wrote.
func TestStopsAtBadEvents(t *testing.T) {
	const incident, unknown, ignorable = 26, 199, 0x80
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, log []byte) []byte
		words  []string
	}{
		{"incident", func(_ *testing.T, log []byte) []byte {
			return slices.Concat(log, event(incident, 0, []byte{1, 0, 4, 'l', 'o', 's', 't'}, len(log)))
		}, []string{"an INCIDENT event", `"exit":78`}},
		{"unknown", func(_ *testing.T, log []byte) []byte {
			return slices.Concat(log, event(unknown, 0, []byte("?"), len(log)))
		}, []string{"the unknown ", "199", `"exit":78`}},
		{"ignorable", func(_ *testing.T, log []byte) []byte {
			return slices.Concat(log, event(unknown, ignorable, []byte("?"), len(log)))
		}, nil},
		{"corrupted", func(t *testing.T, log []byte) []byte {
			at := strings.Index(string(log), "to be damaged")
			if at < 0 {
				t.Fatal("the row is not in the log")
			}
			damaged := slices.Clone(log)
			damaged[at] ^= 0x20
			return damaged
		}, []string{"checksum", `"exit":78`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := ownServer(t, mysql97)
			s.schema(t, "events")
			s.exec(t, "CREATE TABLE events.t (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO events.t VALUES (1, 'before')")
			p := newPipeline(t, s, "events.t", nil)
			p.catchUp()
			s.exec(t, "INSERT INTO events.t VALUES (2, 'also before'); INSERT INTO events.t VALUES (3, 'to be damaged')")
			s.restart(t, syscall.SIGTERM, func() {
				name := lastLog(t, s)
				log, err := os.ReadFile(name)
				if err == nil {
					err = os.WriteFile(name, c.damage(t, log), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			})
			s.exec(t, "INSERT INTO events.t VALUES (4, 'behind')")
			p.launch()
			if c.words == nil {
				p.reach()
				wantWords(t, p.must("show", "events.t").out, "to be damaged", "behind")
				return
			}
			p.wantExit(78, c.words...)
			shown := p.must("show", "events.t").out
			wantWords(t, shown, "also before")
			if strings.Contains(shown, "behind") || strings.Contains(shown, "To be") {
				t.Errorf("the lake went on:\n%s", shown)
			}
		})
	}
}

// event makes an event as MySQL writes it, with a checksum.
func event(kind byte, flags uint16, body []byte, at int) []byte {
	const header, checksum = 19, 4
	size := header + len(body) + checksum
	e := binary.LittleEndian.AppendUint32(nil, uint32(time.Now().Unix()))
	e = append(e, kind)
	e = binary.LittleEndian.AppendUint32(e, 1)
	e = binary.LittleEndian.AppendUint32(e, uint32(size))
	e = binary.LittleEndian.AppendUint32(e, uint32(at+size))
	e = binary.LittleEndian.AppendUint16(e, flags)
	e = append(e, body...)
	return binary.LittleEndian.AppendUint32(e, crc32.ChecksumIEEE(e))
}

// lastLog is the newest binary log file of a stopped server.
func lastLog(t *testing.T, s *server) string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(s.data(), "binlog.0*"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no logs: %v", err)
	}
	return slices.Max(logs)
}

// TestCreatedTables creates tables while the daemon runs: included ones are loaded and
// streamed, the others are left alone, and one that cannot be replicated is named.
func TestCreatedTables(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "created")
		s.exec(t, "CREATE TABLE created.first (id INT PRIMARY KEY, v TEXT); INSERT INTO created.first VALUES (1, 'a'), (2, 'b')")
		p := newPipeline(t, s, "created.*", nil)
		p.start()
		p.reach()
		s.exec(t, `USE created;
			CREATE TABLE plain (id BIGINT PRIMARY KEY, d DATE); INSERT INTO plain VALUES (1, '2026-01-02'), (2, NULL);
			CREATE TABLE IF NOT EXISTS first (x INT); CREATE TABLE twin LIKE first; INSERT INTO twin SELECT * FROM first; DELETE FROM twin WHERE id = 1;
			CREATE TABLE chosen (PRIMARY KEY (id)) SELECT * FROM first; UPDATE chosen SET v = 'c';
			CREATE TABLE keyless (v TEXT); INSERT INTO keyless VALUES ('x');
			CREATE TEMPORARY TABLE passing (id INT PRIMARY KEY); CREATE TABLE shortlived (id INT PRIMARY KEY); INSERT INTO first VALUES (3, 'x')`)
		p.reach()
		p.oracle("duckdb").equal(t, "created.first", "created.plain", "created.twin", "created.chosen", "created.shortlived")
		st, err := p.status()
		if err != nil || len(st.Refused) != 1 || st.Refused[0].Table != "created.keyless" || !strings.Contains(st.Refused[0].Reason, "key") {
			t.Errorf("refused: %+v, %v", st.Refused, err)
		}
		p.verify()
		p.kill()
		s.exec(t, `USE created; INSERT INTO plain VALUES (3, '2026-03-03'); DROP TABLE keyless;
			CREATE TABLE meanwhile (id INT PRIMARY KEY); INSERT INTO meanwhile VALUES (1); DROP TABLE meanwhile; CREATE TABLE meanwhile (k VARCHAR(9) PRIMARY KEY);
			INSERT INTO meanwhile VALUES ('a'), ('b'); DELETE FROM meanwhile WHERE k = 'a'; ALTER TABLE meanwhile ADD n INT; RENAME TABLE meanwhile TO away, away TO later;
			INSERT INTO later VALUES ('c', 1)`)
		p.start()
		p.reach()
		s.exec(t, "USE created; INSERT INTO later VALUES ('d', 2); CREATE TABLE quick (id INT PRIMARY KEY, v INT); INSERT INTO quick VALUES (1, 1)")
		p.reach()
		p.oracle("duckdb").equal(t, "created.first", "created.plain", "created.twin", "created.chosen", "created.shortlived", "created.later", "created.quick")
		p.kill() // the others' positions are behind what the new tables hold
		p.start()
		s.exec(t, "INSERT INTO created.quick VALUES (2, 2)")
		p.reach()
		p.verify()
	})
}

// position gives the lake's position of a table by its properties.
func (p *pipeline) position(table string) capture.Position {
	p.t.Helper()
	s, err := p.status()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, x := range s.Tables {
		if x.Source != table {
			continue
		}
		at, err := capture.ParsePosition(p.server.flavor, x.Position)
		if err != nil {
			p.t.Fatal(err)
		}
		return at
	}
	p.t.Fatal(fmt.Errorf("no table %s", table))
	return capture.Position{}
}
