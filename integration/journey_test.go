//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"
)

// TestJourney takes edge values of every supported type through the initial load, the
// stream, updates and deletes, and reads them with every engine.
func TestJourney(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "journey")
		rows := edgeRows(s.flavor)
		s.exec(t, "USE journey; SET NAMES utf8mb4; "+edgeTable(s.flavor)+"; CREATE TABLE untouched (id INT PRIMARY KEY); INSERT INTO untouched VALUES (1), (2); CREATE TABLE nothing (id INT PRIMARY KEY, v TEXT)")
		s.exec(t, "USE journey; SET NAMES utf8mb4; INSERT INTO t VALUES "+rows[0]+", "+rows[1])
		p := newPipeline(t, s, "journey.*", nil)
		p.start()
		p.reach()
		s.exec(t, "USE journey; SET NAMES utf8mb4; INSERT INTO t VALUES "+rows[2]+"; INSERT INTO t VALUES "+rows[3])
		p.reach()
		s.exec(t, "USE journey; UPDATE t SET id = id + 10 WHERE id = 1; "+swapAll(s)+"; INSERT INTO t (id) VALUES (20); DELETE FROM t WHERE id = 20; INSERT INTO t (id) VALUES (20), (21)")
		p.reach()
		s.exec(t, "DELETE FROM journey.t WHERE id = 21")
		p.reach()
		p.verify()
		p.fsck(t)
		for _, name := range []string{"pyiceberg", "duckdb", "spark", "trino"} {
			t.Run(name, func(t *testing.T) {
				p.oracle(name).equal(t, "journey.t", "journey.untouched", "journey.nothing")
			})
		}
		p.stop()
	})
}

// swapAll gives row 2 all values of row 3.
func swapAll(s *server) string {
	var sets []string
	for i := range edgeColumns(s.flavor) {
		sets = append(sets, fmt.Sprintf("a.c%d = b.c%d", i, i))
	}
	return "UPDATE t a JOIN t b ON b.id = 3 SET " + strings.Join(sets, ", ") + " WHERE a.id = 2"
}
