//go:build integration && long

package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sizePatience bounds one catching up.
const sizePatience = 30 * time.Minute

// largestRSS is what the daemon is held to by its default settings, in MiB.
const largestRSS = 512

// within lets the daemon catch up, and looks that it keeps to its memory. It gives the time that it took.
func (p *pipeline) within(t *testing.T, what string, rows float64) {
	t.Helper()
	began := time.Now()
	d, err := startProcess(p.command(nil, "run", "--until", "now"))
	if err != nil {
		t.Fatal(err)
	}
	memory := d.memory()
	if code, err := d.exitCode(sizePatience); err != nil || code != 0 {
		t.Fatalf("%s: exit %d, %v: %s", what, code, err, lastLines(d.output.String(), 10))
	}
	use, took := d.cmd.ProcessState.SysUsage().(*syscall.Rusage), time.Since(began).Seconds()
	cpu, most := time.Duration(use.Utime.Nano()+use.Stime.Nano()).Seconds(), <-memory
	t.Logf("%s: %.1f s, %.1f CPU seconds, at most %.0f MiB, %.0f k rows a CPU second", what, took, cpu, most, rows/cpu/1000)
	if most > largestRSS {
		t.Errorf("%s: %.1f MiB of memory", what, most)
	}
}

// TestManyTables captures 3 tables of a schema of 10,000, then 2,000 of them.
func TestManyTables(t *testing.T) {
	const tables, captured = 10_000, 2_000
	s := ownServer(t, mysql97, "--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--table-open-cache=4000")
	s.schema(t, "many")
	each := func(n int, query func(i int) string) {
		t.Helper()
		const batch = 100
		for i := 0; i < n; i += batch {
			var b strings.Builder
			for k := i; k < min(n, i+batch); k++ {
				b.WriteString(query(k) + ";")
			}
			s.exec(t, b.String())
		}
	}
	each(tables, func(i int) string {
		return fmt.Sprintf("CREATE TABLE many.t%d (id INT PRIMARY KEY, v VARCHAR(20), n BIGINT) STATS_PERSISTENT = 0", i)
	})
	each(captured, func(i int) string {
		return fmt.Sprintf("INSERT INTO many.t%d VALUES (1, 'a', %d), (2, 'b', NULL), (3, 'c', 7)", i, i)
	})
	few := newPipeline(t, s, "many.t1", nil)
	few.set(settings{"tables": []any{map[string]any{"include": "many.t1"}, map[string]any{"include": "many.t17"}, map[string]any{"include": "many.t9999"}}})
	few.within(t, "3 tables of 10,000 loaded", 6)
	s.exec(t, "UPDATE many.t1 SET v = 'x'; INSERT INTO many.t9999 VALUES (5, 'z', 1); UPDATE many.t1000 SET v = 'y'")
	few.within(t, "3 tables of 10,000 followed", 4)
	few.oracle("duckdb").equal(t, "many.t1", "many.t17", "many.t9999")

	most := newPipeline(t, s, "many.t1", nil)
	var rules []any
	for _, pattern := range []string{"many.t?", "many.t??", "many.t???", "many.t1???"} {
		rules = append(rules, map[string]any{"include": pattern})
	}
	most.set(settings{"tables": rules, "commit.interval": "10s"})
	most.within(t, "2,000 tables loaded", 3*captured)
	each(captured, func(i int) string {
		return fmt.Sprintf("UPDATE many.t%d SET n = n + 1 WHERE id < 3; DELETE FROM many.t%d WHERE id = 3; INSERT INTO many.t%d VALUES (4, 'new', 0)", i, i, i)
	})
	most.within(t, "2,000 tables followed", 4*captured)
	most.within(t, "2,000 tables, nothing to do", 0)
	most.verify()
}

// TestWideTable replicates a table of 1,000 columns.
func TestWideTable(t *testing.T) {
	const columns, rows = 1000, 10_000
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "wide")
		var define, values strings.Builder
		for i := range columns - 1 {
			fmt.Fprintf(&define, ", c%d %s", i, []string{"INT", "BIGINT", "VARCHAR(10)", "DOUBLE"}[i%4])
			fmt.Fprintf(&values, ", %s", []string{"n", "NULL", "LEFT(n, 10)", "n / 3"}[i%4])
		}
		s.exec(t, "SET SESSION innodb_strict_mode = OFF; CREATE TABLE wide.t (id INT PRIMARY KEY"+define.String()+") ROW_FORMAT = DYNAMIC")
		fill := func(from int) {
			s.exec(t, fmt.Sprintf("INSERT INTO wide.t SELECT n%s FROM (WITH RECURSIVE s AS (SELECT %d AS n UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n FROM s) x", values.String(), from, from+999))
		}
		for i := 0; i < rows; i += 1000 {
			fill(i)
		}
		p := newPipeline(t, s, "wide.t", nil)
		p.within(t, "1,000 columns loaded", rows)
		for i := rows; i < 2*rows; i += 1000 {
			fill(i)
		}
		s.exec(t, "UPDATE wide.t SET c0 = -1, c998 = 'x' WHERE id % 3 = 0; DELETE FROM wide.t WHERE id % 7 = 0")
		p.within(t, "1,000 columns followed", 2*rows)
		p.verify()
		p.oracle("duckdb").equal(t, "wide.t")
	})
}

// TestLargeBlobs replicates half a gigabyte of values of 8 MiB in one transaction.
func TestLargeBlobs(t *testing.T) {
	const rows, size = 64, 8 << 20
	s := ownServer(t, mysql97, "--max-allowed-packet=1G", "--innodb-log-buffer-size=256M")
	s.schema(t, "blobs")
	s.exec(t, "CREATE TABLE blobs.t (id INT PRIMARY KEY, v LONGBLOB)")
	p := newPipeline(t, s, "blobs.t", nil)
	p.catchUp()
	c := s.conn(t)
	for _, query := range []string{"BEGIN", fmt.Sprintf("INSERT INTO blobs.t WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n, REPEAT(CHAR(32 + n), %d) FROM s", rows, size), "COMMIT"} {
		if _, err := c.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	p.within(t, "blobs followed", rows)
	p.verify()
	loaded := newPipeline(t, s, "blobs.t", nil)
	loaded.within(t, "blobs loaded", rows)
	loaded.verify()
}

// TestHugeTransaction replicates one transaction of 4.5 GB: positions in the log's file take more
// than 32 bits.
func TestHugeTransaction(t *testing.T) {
	const rows, parts = 4_500_000, 9
	eachRelease(t, func(t *testing.T, s *server) {
		s = ownServer(t, s.release, "--max-allowed-packet=1G", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=1G")
		s.schema(t, "huge")
		s.exec(t, "CREATE TABLE huge.t (id INT PRIMARY KEY, n BIGINT, v VARCHAR(1200) CHARACTER SET latin1); CREATE TABLE huge.seq (n INT PRIMARY KEY)")
		s.exec(t, "INSERT INTO huge.t VALUES (0, 0, 'before')")
		for i := 0; i < rows/parts; i += 1000 {
			s.exec(t, fmt.Sprintf("INSERT INTO huge.seq WITH RECURSIVE s AS (SELECT %d AS n UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n FROM s", i+1, i+1000))
		}
		p := newPipeline(t, s, "huge.t", nil)
		p.catchUp()
		c := s.conn(t)
		run := func(query string) {
			if _, err := c.ExecContext(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
		run("BEGIN")
		for i := range parts {
			run(fmt.Sprintf("INSERT INTO huge.t SELECT n + %d, n * 7919, RPAD(SHA2(n + %d, 512), 970 + n %% 60, SHA2(n, 256)) FROM huge.seq", i*rows/parts, i))
		}
		run("UPDATE huge.t SET n = -1 WHERE id % 1000 = 0")
		run("COMMIT")
		s.exec(t, "INSERT INTO huge.t VALUES (-1, -1, 'after')")
		p.within(t, "4.5 GB in one transaction", rows)
		p.verify()
		p.fsck(t)
	})
}
