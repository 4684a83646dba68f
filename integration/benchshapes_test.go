//go:build integration && bench

package integration

import (
	"database/sql"
	"fmt"
	"strconv"
	"testing"
)

const (
	shapesRows    = 300_000 // of the table without a key
	shapesChanges = 100_000
)

// TestBenchShapes measures changes of other shapes alone, to work on them.
func TestBenchShapes(t *testing.T) {
	s := benchServer(t)
	out := figures{}
	p := newPipeline(t, s, "bench.orders", benchSettings())
	benchInsert(t, s)
	p.catchUp()
	benchPick(t, s)
	benchMinimal(t, s, p, out)
	benchKeyless(t, s, out)
	for k, v := range out {
		t.Logf("%s %.1f", k, v)
	}
}

// changePicked runs an update of picked rows, in transactions of a hundred, and gives how many rows
// it changed: some that were picked are deleted.
func changePicked(t *testing.T, conn *sql.Conn, query string) (changed float64) {
	t.Helper()
	for from := 1; from <= shapesChanges; from += rowsPerTransaction {
		res, err := conn.ExecContext(t.Context(), query+" WHERE p.n BETWEEN ? AND ?", from, from+rowsPerTransaction-1)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			t.Fatal(err)
		}
		changed += float64(n)
	}
	return changed
}

// benchMinimal measures updates of which the log has the key and what changed only, so that the
// rest of each row is read in the lake.
func benchMinimal(t *testing.T, s *server, p *pipeline, out figures) measured {
	t.Helper()
	progress(t, "updating %d rows with MINIMAL row images", shapesChanges)
	conn := s.conn(t)
	if _, err := conn.ExecContext(t.Context(), "SET SESSION binlog_row_image = MINIMAL"); err != nil {
		t.Fatal(err)
	}
	changed := changePicked(t, conn, "UPDATE bench.picked p JOIN bench.orders o ON o.id = p.id SET o.state = 'back', o.price = o.price + 2")
	return phase(t, p, out, "minimal_update", changed)
}

// benchKeyless measures a table whose rows no key tells apart (mode: rows): its load, and updates
// of random rows.
func benchKeyless(t *testing.T, s *server, out figures) (load, update measured) {
	t.Helper()
	progress(t, "copying rows into a table without a key")
	s.exec(t, "CREATE TABLE bench.bag SELECT * FROM bench.orders LIMIT 0; ALTER TABLE bench.bag ADD KEY (id)")
	s.exec(t, fmt.Sprintf("INSERT INTO bench.bag SELECT o.* FROM bench.orders o JOIN bench.picked p ON p.id = o.id WHERE p.n <= %d", shapesRows))
	rows, err := strconv.ParseFloat(s.text(t, "SELECT COUNT(*) FROM bench.bag"), 64)
	if err != nil {
		t.Fatal(err)
	}
	set := benchSettings()
	set["tables"] = []any{map[string]any{"include": "bench.bag", "mode": "rows"}}
	p := newPipeline(t, s, "", set)
	load = phase(t, p, out, "keyless_load", rows)
	progress(t, "updating %d of them", shapesChanges)
	changed := changePicked(t, s.conn(t), "UPDATE bench.picked p JOIN bench.bag o ON o.id = p.id SET o.price = o.price + 1, o.changed = NOW(3)")
	update = phase(t, p, out, "keyless_update", changed)
	p.must("verify", "--patience", "5m", "bench.bag")
	return load, update
}
