//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"

	"cdcd/capture"
)

// TestJourney takes edge values of every supported type through the initial load, the
// stream, updates and deletes, and reads them with every engine; also columns that the server
// fills or hides.
func TestJourney(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "journey")
		rows := edgeRows(s)
		s.exec(t, "USE journey; SET NAMES utf8mb4; "+edgeTable(s)+"; CREATE TABLE untouched (id INT PRIMARY KEY); INSERT INTO untouched VALUES (1), (2); CREATE TABLE nothing (id INT PRIMARY KEY, v TEXT)")
		loaded := len(rows) / 2
		s.exec(t, "USE journey; SET NAMES utf8mb4; INSERT INTO t VALUES "+strings.Join(rows[:loaded], ", "))
		createShapes(t, s)
		p := newPipeline(t, s, "journey.*", nil)
		p.start()
		p.reach()
		s.exec(t, "USE journey; SET NAMES utf8mb4; INSERT INTO t VALUES "+strings.Join(rows[loaded:], "; INSERT INTO t VALUES "))
		p.reach()
		s.exec(t, "USE journey; UPDATE t SET id = id + 100 WHERE id = 1; "+swapAll(s)+"; INSERT INTO t (id) VALUES (200); DELETE FROM t WHERE id = 200; INSERT INTO t (id) VALUES (200), (201)")
		changeShapes(t, s)
		p.reach()
		s.exec(t, "DELETE FROM journey.t WHERE id = 201")
		p.reach()
		p.verify()
		p.fsck(t)
		for _, name := range []string{"pyiceberg", "duckdb", "spark", "trino"} {
			t.Run(name, func(t *testing.T) {
				p.oracle(name).equal(t, "journey.t", "journey.untouched", "journey.nothing", "journey.made", "journey.inserted", "journey.hidden")
			})
		}
		p.stop()
	})
}

// swapAll gives row 2 all values of row 3.
func swapAll(s *server) string {
	var sets []string
	for i := range edgeColumns(s) {
		sets = append(sets, fmt.Sprintf("a.c%d = b.c%d", i, i))
	}
	return "UPDATE t a JOIN t b ON b.id = 3 SET " + strings.Join(sets, ", ") + " WHERE a.id = 2"
}

// createShapes makes tables with columns that are generated, invisible, or added by the server,
// and what is no table of rows.
func createShapes(t *testing.T, s *server) {
	t.Helper()
	generated := `, kept BIGINT AS (a * 1000003) STORED, unstored VARCHAR(40) CHARACTER SET cp1251 AS (CONCAT('я', a)) VIRTUAL, day DATE AS (DATE'2024-02-29' + INTERVAL a DAY) VIRTUAL`
	plain := generated
	if s.flavor == capture.MariaDB { // whose updates and deletes are logged without them
		plain = ""
	}
	s.exec(t, `USE journey; SET NAMES utf8mb4;
		CREATE TABLE made (id INT PRIMARY KEY, a INT, unseen INT INVISIBLE DEFAULT 7`+plain+`, last INT DEFAULT 1);
		CREATE TABLE inserted (id INT PRIMARY KEY, a INT`+generated+`);
		INSERT INTO made (id, a) VALUES (1, 1), (2, NULL), (3, -5);
		INSERT INTO inserted (id, a) VALUES (1, 1), (2, NULL)`)
	if s.flavor == capture.MySQL {
		s.exec(t, "SET SESSION sql_generate_invisible_primary_key = ON; CREATE TABLE journey.hidden (v INT); SET SESSION sql_generate_invisible_primary_key = OFF")
	} else {
		s.exec(t, "CREATE TABLE journey.hidden (v INT, id INT PRIMARY KEY AUTO_INCREMENT INVISIBLE); CREATE SEQUENCE journey.numbers; SELECT NEXT VALUE FOR journey.numbers")
	}
	s.exec(t, "INSERT INTO journey.hidden (v) VALUES (1), (1), (NULL)")
}

func changeShapes(t *testing.T, s *server) {
	t.Helper()
	s.exec(t, "USE journey; INSERT INTO made (id, a, unseen) VALUES (4, 4, NULL); INSERT INTO inserted (id, a) VALUES (3, -700); UPDATE made SET a = a + 1 WHERE id < 3; DELETE FROM made WHERE id = 3; UPDATE made SET unseen = 8 WHERE id = 1")
	s.exec(t, "USE journey; INSERT INTO hidden (v) VALUES (1), (5); DELETE FROM hidden WHERE v = 1 LIMIT 1; UPDATE hidden SET v = 9 WHERE v IS NULL")
	if s.flavor == capture.MariaDB {
		s.exec(t, "SELECT NEXT VALUE FOR journey.numbers")
	}
}
