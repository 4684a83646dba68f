//go:build integration

package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cdcd/table"
	"cdcd/table/fileio"
	"cdcd/table/tabletest"
)

const maintenanceToken = "let-me-in"

// writable are the settings of a daemon that lets others maintain its tables.
func writable(t testing.TB) (settings, string) {
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	return settings{
		"catalog_endpoint.listen": listen, "catalog_endpoint.writable": true, "catalog_endpoint.token": maintenanceToken,
		"commit.interval":    "2s",  // others have to get in between
		"compaction.enabled": false, // it would put rows at rest into files with those that change; TestCompaction has both
	}, "http://" + listen
}

// coldFrom is the first id of the rows that the churn leaves alone.
const coldFrom = 100_000

// TestMaintenance lets Spark and Trino maintain the tables of a daemon at work, by its own
// endpoint: what they rewrite keeps its row ids, replication goes on, and what is not
// maintenance is refused.
func TestMaintenance(t *testing.T) {
	maintained(t, nil, func(m *maintainer, uri string) {
		m.rewrite(t)
		m.compete(t)
		m.expire(t)
		m.orphans(t)
		m.refused(t)
		m.optimize(t, startEngine(t, "trino", uri, "CATALOG_TOKEN="+maintenanceToken))
	})
}

// TestMaintenanceInPostgres is the same with a JDBC catalog, by Spark alone.
func TestMaintenanceInPostgres(t *testing.T) {
	maintained(t, settings{"catalog.type": "jdbc", "catalog.uri": startPostgres(t)}, func(m *maintainer, _ string) {
		m.rewrite(t)
		m.expire(t)
	})
}

// maintained lets others work on the tables of a daemon that is busy, and judges what is left.
func maintained(t *testing.T, catalog settings, work func(m *maintainer, uri string)) {
	s := sharedServer(t, mysql97)
	s.schema(t, "kept")
	churnTables(t, s, "kept", 2000)
	s.exec(t, "CREATE TABLE kept.cold (id INT PRIMARY KEY, v VARCHAR(40))")
	more, uri := writable(t)
	maps.Copy(more, catalog)
	p := newPipeline(t, s, "kept.*", more)
	p.start()
	p.reach()
	p.fillCold(t)
	c := startChurn(t, s, "kept", 2000, 21)
	m := &maintainer{engine: startEngine(t, "spark", uri, "CATALOG_TOKEN="+maintenanceToken), pipeline: p}

	before := m.rowIDs(t)
	work(m, uri)
	if after := m.rowIDs(t); !maps.Equal(before, after) {
		t.Errorf("row ids are not kept: %d rows before, %d after", len(before), len(after))
	}

	s.exec(t, fmt.Sprintf("UPDATE kept.kv SET amount = 7 WHERE id >= %d AND id %% 3 = 0; DELETE FROM kept.kv WHERE id >= %d AND id %% 7 = 0", coldFrom, coldFrom))
	s.exec(t, "UPDATE kept.cold SET v = 'after' WHERE id % 3 = 0; DELETE FROM kept.cold WHERE id % 5 = 0")
	c.busyFor(t, 50)
	c.stop(t)
	p.reach()
	p.verify()
	p.must("cut") // which withdraws cuts whose snapshots others have expired
	if catalog == nil {
		p.fsck(t)
	} else { // the checker with its own decoders reads the embedded catalog only
		wantWords(t, p.must("fsck", "--keys").out, "0 rules broken")
	}
	(&oracle{p, m.engine}).equal(t, "kept.kv", "kept.pair", "kept.cold")
	p.stop()
}

// fillCold writes rows that the churn does not touch, spread over files some of which have
// deletion vectors.
func (p *pipeline) fillCold(t testing.TB) {
	t.Helper()
	const batches, rows = 8, 100
	for b := range batches {
		var kv, cold []string
		for i := range rows {
			id := coldFrom + b*rows + i
			kv = append(kv, fmt.Sprintf("(%d,'cold %d',%d,NULL,NULL,NOW(6))", id, id, id))
			cold = append(cold, fmt.Sprintf("(%d,'cold %d')", id, id))
		}
		p.server.exec(t, "INSERT INTO kept.kv VALUES "+strings.Join(kv, ",")+"; INSERT INTO kept.cold VALUES "+strings.Join(cold, ","))
		p.reach()
	}
	p.server.exec(t, fmt.Sprintf("DELETE FROM kept.kv WHERE id >= %d AND id %% 10 = 0; DELETE FROM kept.cold WHERE id %% 10 = 0", coldFrom))
	p.reach()
}

// maintainer is a Spark that maintains a pipeline's tables.
type maintainer struct {
	*engine
	pipeline *pipeline
}

// conflict is what Spark and Trino say where replication was faster.
var conflict = regexp.MustCompile(`CommitFailed|Cannot commit|conflict|main has moved|leads from main|could not be found in the latest snapshot`)

// call runs a procedure, again where it lost against replication.
func (m *maintainer) call(t testing.TB, sql string) map[string]string {
	t.Helper()
	const tries = 10
	var r result
	var err error
	for n := range tries {
		began := time.Now()
		if r, err = m.ask(sql); err == nil {
			t.Logf("%.60s… (try %d, %v): %v", sql, n+1, time.Since(began).Round(time.Millisecond), r.Rows)
			break
		}
		if !conflict.MatchString(err.Error()) {
			t.Fatal(err)
		}
		t.Logf("%s (try %d): %.300s", sql, n+1, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, row := range r.Rows {
		for i, column := range r.Columns {
			out[column] = fmt.Sprint(row[i])
		}
	}
	return out
}

// rowIDs gives the row ids of the cold rows, by table and id.
func (m *maintainer) rowIDs(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, table := range []string{"kept.kv", "kept.cold"} {
		for _, row := range m.query(t, fmt.Sprintf("SELECT id, _row_id FROM %s WHERE id >= %d", table, coldFrom)).Rows {
			out[fmt.Sprint(table, row[0])] = fmt.Sprint(row[1])
		}
	}
	return out
}

// rewrite merges data files, vectors and manifests.
func (m *maintainer) rewrite(t testing.TB) {
	t.Helper()
	for _, x := range []struct{ table, where string }{{"kept.kv", fmt.Sprintf(", where => 'id >= %d'", coldFrom)}, {"kept.cold", ""}} {
		done := m.call(t, fmt.Sprintf("CALL ice.system.rewrite_data_files(table => '%s', options => map('rewrite-all', 'true')%s)", x.table, x.where))
		if done["rewritten_data_files_count"] == "0" {
			t.Errorf("%s: nothing was rewritten: %v", x.table, done)
		}
		m.call(t, fmt.Sprintf("CALL ice.system.rewrite_position_delete_files(table => '%s', options => map('rewrite-all', 'true'))", x.table))
		m.call(t, fmt.Sprintf("CALL ice.system.rewrite_manifests('%s')", x.table))
	}
}

// compete rewrites files in which replication deletes rows meanwhile. Who is second loses.
func (m *maintainer) compete(t testing.TB) {
	t.Helper()
	_, err := m.ask("CALL ice.system.rewrite_data_files(table => 'kept.kv', options => map('rewrite-all', 'true'))")
	if err != nil && !conflict.MatchString(err.Error()) {
		t.Error(err)
	}
	t.Logf("beside replication: %.600v", err)
}

// expire drops snapshots by Spark's procedure and by Iceberg's library, which clean up
// differently.
func (m *maintainer) expire(t testing.TB) {
	t.Helper()
	for _, table := range []string{"kept.kv", "kept.cold", "kept.pair"} {
		m.call(t, fmt.Sprintf("CALL ice.system.expire_snapshots(table => '%s', older_than => now(), retain_last => 5)", table))
		m.call(t, fmt.Sprintf("EXPIRE SNAPSHOTS %s KEEPING 1", table))
		m.query(t, "SELECT count(*) FROM "+table)
	}
}

// orphans removes a file that no snapshot names, and none else.
func (m *maintainer) orphans(t testing.TB) {
	t.Helper()
	orphan := m.pipeline.path("warehouse/kept/kv/data/left-behind.parquet")
	old := time.Now().Add(-100 * time.Hour)
	if err := os.WriteFile(orphan, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(orphan, old, old); err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		m.call(t, fmt.Sprintf("CALL ice.system.remove_orphan_files(table => 'kept.kv', dry_run => %v)", dry))
		if _, err := os.Stat(orphan); os.IsNotExist(err) == dry {
			t.Errorf("dry run %v: %v", dry, err)
		}
	}
}

// refused asks for what is no maintenance.
func (m *maintainer) refused(t testing.TB) {
	t.Helper()
	for sql, words := range map[string]string{
		"DELETE FROM kept.cold WHERE id = 100001":                                       "only rewrites",
		"INSERT INTO kept.cold VALUES (1, 'x')":                                         "only rewrites",
		"ALTER TABLE kept.cold ADD COLUMN x INT":                                        "not allowed",
		"ALTER TABLE kept.cold SET TBLPROPERTIES ('cdcd.position' = '')":                "not allowed",
		"ALTER TABLE kept.cold DROP TAG cdcd_pos":                                       "not yours to remove",
		"ALTER TABLE kept.cold CREATE BRANCH mine":                                      "not yours to set",
		"DROP TABLE kept.cold":                                                          "",
		"CREATE TABLE kept.other (id INT) USING iceberg":                                "",
		"CREATE NAMESPACE other":                                                        "",
		"CALL ice.system.rewrite_manifests('cdcd_control.`" + m.pipeline.name() + "`')": "control table",
	} {
		r, err := m.ask(sql)
		if err == nil {
			t.Errorf("%s: done: %v", sql, r)
		} else if !strings.Contains(err.Error(), words) {
			t.Errorf("%s: no %q in: %v", sql, words, err)
		}
	}
}

func (p *pipeline) name() string { return fmt.Sprint(p.cfg["pipeline"]) }

// optimize lets Trino rewrite a table.
func (m *maintainer) optimize(t testing.TB, trino *engine) {
	t.Helper()
	p := &maintainer{trino, m.pipeline}
	m.pipeline.server.exec(t, "UPDATE kept.cold SET v = 'before' WHERE id % 2 = 0")
	m.pipeline.reach()
	p.call(t, "ALTER TABLE kept.cold EXECUTE optimize(file_size_threshold => '1GB')")
	p.call(t, "ALTER TABLE kept.cold EXECUTE optimize_manifests")
}

// TestMaintenanceWhileDown: two rewrites and an expiry, by a way that asks nobody, cut main off
// from the position. The daemon says which command goes on, and that one does.
func TestMaintenanceWhileDown(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "down")
	churnTables(t, s, "down", 200)
	p := newPipeline(t, s, "down.*", nil)
	p.start()
	p.reach()
	s.exec(t, "UPDATE down.kv SET amount = 1 WHERE id < 50; DELETE FROM down.kv WHERE id = 60")
	p.reach()
	p.stop()
	lake, err := table.OpenEmbedded("file://"+p.path("warehouse"), false)
	if err != nil {
		t.Fatal(err)
	}
	f := tabletest.Foreign{Catalog: lake, Store: fileio.Disk{}, Table: []string{"down", "kv"}}
	for _, step := range []func() error{
		func() error { return f.Compact(t.Context()) }, func() error { return f.Compact(t.Context()) }, func() error { return f.Expire(t.Context()) }, lake.Close,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	s.exec(t, "UPDATE down.kv SET amount = 2 WHERE id < 70; DELETE FROM down.kv WHERE id = 80")
	p.launch()
	p.wantExit(78, "cdcd adopt down.kv")
	wantWords(t, p.must("adopt", "down.kv").out, "done")
	p.start()
	p.reach()
	p.verify()
	p.fsck(t)
	p.oracle("duckdb").equal(t, "down.kv", "down.pair")
	p.stop()
	if left, err := filepath.Glob(p.path("warehouse/down/kv/data/foreign-*")); err != nil || len(left) == 0 {
		t.Errorf("nothing was rewritten: %v", err)
	}
}
