//go:build integration

package integration

import (
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"testing"
)

// TestVersion2 replicates into tables of Iceberg's version 2, which engines read that know no
// other; Spark maintains one; the daemon is killed under load. Then the configuration moves the
// tables to version 3, and there is no way back.
func TestVersion2(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "old")
	churnTables(t, s, "old", 2000)
	more, uri := writable(t)
	maps.Copy(more, settings{"commit.interval": "200ms", "tables": tablesOf("old.*", 2)})
	p := newPipeline(t, s, "old.*", more)
	p.start()
	p.reach()
	for i := range 3 {
		s.exec(t, fmt.Sprintf("USE old; UPDATE kv SET n = %d WHERE id %% 7 = %d; DELETE FROM kv WHERE id %% 50 = %d; REPLACE INTO pair VALUES (%d, 'é', 'x'), (1, 'b', '%d')", i, i, i, i, i))
		p.reach()
	}
	m := &maintainer{startEngine(t, "spark", uri, "CATALOG_TOKEN="+maintenanceToken), p}
	engines := []*oracle{p.oracle("pyiceberg"), p.oracle("duckdb"), {p, m.engine}, p.oracle("trino")}
	same := func() {
		t.Helper()
		p.verify()
		p.fsck(t)
		for _, e := range engines {
			e.equal(t, "old.kv", "old.pair")
		}
	}
	same()
	m.maintain2(t, s)
	same()

	c := startChurn(t, s, "old", 2000, 33)
	c.busyFor(t, 30)
	p.kill()
	c.busyFor(t, 10)
	p.start()
	c.busyFor(t, 10)
	c.stop(t)
	p.reach()
	same()

	if n := p.vectors(t); n > 0 {
		t.Errorf("%d deletion vectors in tables of version 2", n)
	}

	p.stop()
	p.set(settings{"tables": tablesOf("old.*", 3)})
	p.start()
	p.reach()
	same()
	s.exec(t, "UPDATE old.kv SET n = 4 WHERE id % 5 = 0; REPLACE INTO old.pair VALUES (1, 'b', 'y')")
	p.reach()
	same()
	if p.vectors(t) == 0 {
		t.Error("no deletion vector in tables of version 3")
	}
	p.stop()
	p.set(settings{"tables": tablesOf("old.*", 2)})
	p.launch()
	p.wantExit(78, "there is no way back", "set it to 3")
}

// tablesOf is a rule for tables of a format version.
func tablesOf(include string, version int) []any {
	return []any{map[string]any{"include": include, "format_version": version}}
}

// maintain2 has Spark rewrite what a table of version 2 is made of. That it becomes one of version
// 3 is not Spark's to say.
func (m *maintainer) maintain2(t testing.TB, s *server) {
	t.Helper()
	m.call(t, "CALL ice.system.rewrite_position_delete_files(table => 'old.kv', options => map('rewrite-all', 'true'))")
	m.pipeline.reach()
	s.exec(t, "UPDATE old.kv SET n = 77 WHERE id % 9 = 0; DELETE FROM old.kv WHERE id % 50 = 10")
	m.pipeline.reach()
	m.call(t, "CALL ice.system.rewrite_data_files(table => 'old.kv', options => map('rewrite-all', 'true'))")
	m.call(t, "CALL ice.system.rewrite_manifests('old.kv')")
	m.pipeline.reach()
	s.exec(t, "UPDATE old.kv SET n = 78 WHERE id % 9 = 1; DELETE FROM old.kv WHERE id % 50 = 11")
	m.pipeline.reach()
	if r, err := m.ask("ALTER TABLE old.kv SET TBLPROPERTIES ('format-version' = '3')"); err == nil {
		t.Errorf("Spark has changed the format: %v", r)
	}
}

// vectors counts the deletion vectors that were written.
func (p *pipeline) vectors(t testing.TB) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(p.path("warehouse/old"), func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".puffin" {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
