//go:build integration

package integration

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// drawnTables is how many tables of random columns each server gets. So many of them are read by
// an engine as well.
const (
	drawnTables   = 160
	drawnByEngine = 20
)

// TestDrawnTypes replicates tables of random columns with random values, half of them by the
// initial load in small chunks and half by the log, and compares what cdcd verify, an
// independent reader and, of some tables, an engine find with the server's own text.
// CDCD_TYPES_SEED repeats a run.
func TestDrawnTypes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("CDCD_TYPES_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("CDCD_TYPES_SEED=%d", seed)
	eachTypesRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "drawn")
		d := newTypeDraw(s, seed)
		tables := make([][]drawnColumn, drawnTables)
		for i := range tables {
			tables[i] = d.columns()
			drawSQL(t, s, append([]string{createDrawn(i, tables[i])}, d.inserts(i, tables[i])...))
		}
		p := newPipeline(t, s, "drawn.*", settings{"load.chunk_rows": 7, "types.zero_date": "null"})
		p.start()
		p.reach()
		for i, columns := range tables {
			drawSQL(t, s, append(append([]string{"BEGIN"}, append(d.inserts(i, columns), d.changes(i, columns)...)...), "COMMIT"))
		}
		p.reach()
		if v := p.run("verify"); v.code != 0 { // go on: the reader tells the columns
			t.Errorf("cdcd verify ended with %d:\n%s%s", v.code, v.out, v.err)
		}
		o := p.oracle("pyiceberg")
		for i, columns := range tables {
			t.Run(fmt.Sprint(i), func(t *testing.T) { o.equalDrawn(t, i, columns) })
		}
		name := drawnEngine(s, seed)
		o = p.oracle(name)
		for i, columns := range tables[:drawnByEngine] {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) { o.equalDrawn(t, i, columns) })
		}
		p.stop()
	})
}

// drawnEngine gives the engine that reads tables of a server, too: another one for each, and from
// seed to seed another one for the same.
func drawnEngine(s *server, seed uint64) string {
	engines := []string{"duckdb", "spark", "trino"}
	first := slices.Index([]string{mysql97, mariadb118, mariadb1011}, s.release)
	return engines[(uint64(first)+seed)%uint64(len(engines))]
}

func (o *oracle) equalDrawn(t *testing.T, i int, columns []drawnColumn) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(createDrawn(i, columns))
		}
	})
	o.equal(t, fmt.Sprintf("drawn.t%d", i))
}

// drawSQL runs statements in a session in which no value is refused that can be stored in some
// way.
func drawSQL(t *testing.T, s *server, statements []string) {
	t.Helper()
	s.exec(t, "USE drawn; SET NAMES utf8mb4, sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'; "+strings.Join(statements, "; ")+"; SET NAMES utf8mb4, sql_mode = DEFAULT, time_zone = DEFAULT")
}

func createDrawn(i int, columns []drawnColumn) string {
	var defs []string
	for _, c := range columns {
		null := " NULL"
		if c.key {
			null = " NOT NULL"
		}
		defs = append(defs, "`"+c.name+"` "+c.sql+null)
	}
	return fmt.Sprintf("CREATE TABLE t%d (%s, PRIMARY KEY (%s)) CHARACTER SET utf8mb4", i, strings.Join(defs, ", "), keyOf(columns))
}

// inserts draws rows. Those whose key is there are passed over.
func (d *typeDraw) inserts(i int, columns []drawnColumn) []string {
	var out []string
	for range d.IntN(20) {
		row := make([]string, len(columns))
		for j, c := range columns {
			row[j] = d.draw(c)
		}
		out = append(out, fmt.Sprintf("INSERT IGNORE INTO t%d VALUES (%s)", i, strings.Join(row, ", ")))
	}
	return out
}

// changes draws updates of any columns, the key's too, and deletes.
func (d *typeDraw) changes(i int, columns []drawnColumn) []string {
	out := []string{fmt.Sprintf("DELETE FROM t%d ORDER BY %s LIMIT %d", i, keyOf(columns), 1+d.IntN(3))}
	for range 1 + d.IntN(4) {
		c := columns[d.IntN(len(columns))]
		out = append(out, fmt.Sprintf("UPDATE IGNORE t%d SET `%s` = %s ORDER BY %s LIMIT %d", i, c.name, d.draw(c), keyOf(columns), 1+d.IntN(5)))
	}
	return out
}
