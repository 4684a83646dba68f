//go:build integration

package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// partitionedRows is enough rows for several files a partition, over days before and after 1970.
const partitionedRows = 1500

// TestPartitions takes a partitioned table through load, stream, rows that move between
// partitions, and other partitions by another configuration, and reads it with all engines, which
// have to pass over the files of partitions that a query does not ask for.
func TestPartitions(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "parts")
	s.exec(t, "USE parts; CREATE TABLE orders (id BIGINT PRIMARY KEY, customer INT, region VARCHAR(20) CHARACTER SET utf8mb4, price DECIMAL(10,2), created DATETIME(6), seen TIMESTAMP(6) NULL)")
	s.exec(t, fmt.Sprintf(`USE parts; SET cte_max_recursion_depth = 10000; INSERT INTO orders WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		SELECT i, i * 7919 %% 1000 - 500, ELT(1 + i %% 5, 'north', 'süd', 'east', '', NULL), (i - 700) * 0.37, IF(i %% 50 = 0, NULL, '1969-12-30' + INTERVAL i * 4000 SECOND), '2024-01-01' + INTERVAL i MINUTE FROM n`, partitionedRows))
	p := newPipeline(t, s, "parts.*", settings{"tables": partitionedBy("day(created)", "day(region)")})
	wrong := p.run("check")
	if wrong.code == 0 {
		t.Error("a partition of days of a text is accepted")
	}
	wantWords(t, wrong.out+wrong.err, `tables[0].partition[1]: day(region): column "region" is string in the lake; day takes dates and timestamps`)
	p.set(settings{"tables": partitionedBy("day(created)", "bucket(4, customer)")})
	p.start()
	p.reach()
	s.exec(t, "UPDATE parts.orders SET customer = customer + 1 WHERE id % 3 = 0")
	s.exec(t, "UPDATE parts.orders SET created = created + INTERVAL 3 DAY WHERE id % 4 = 0; DELETE FROM parts.orders WHERE id % 11 = 0")
	s.exec(t, fmt.Sprintf("INSERT INTO parts.orders VALUES (%d, NULL, NULL, NULL, NULL, NULL), (%d, 1, 'x', 1, '0001-01-02 03:04:05', NULL), (%d, 2, 'y', 2, '9999-12-31 23:59:59.999999', NULL)", partitionedRows+1, partitionedRows+2, partitionedRows+3))
	p.reach()
	p.checkPartitioned(t)
	p.kill()

	p.set(settings{"tables": partitionedBy("truncate(2, region)", "truncate(100, price)", "month(seen)")})
	p.start()
	wantWords(t, p.daemon.output.String(), "kept in another way from now on", "truncate(2, region), truncate(100, price), month(seen)")
	s.exec(t, "UPDATE parts.orders SET region = CONCAT('z', id % 3), price = -price WHERE id % 5 = 0; UPDATE parts.orders SET id = id + 100000 WHERE id % 13 = 0")
	p.reach()
	p.checkPartitioned(t)
	p.stop()

	p.set(settings{"tables": partitionedBy("day(created)", "bucket(4, customer)")}) // which it had before
	p.start()
	s.exec(t, "UPDATE parts.orders SET customer = 7 WHERE id % 17 = 0")
	p.reach()
	p.checkPartitioned(t)
	p.stop()
	if err := os.RemoveAll(p.path("state/index")); err != nil {
		t.Fatal(err)
	}
	p.catchUp()
	s.exec(t, "UPDATE parts.orders SET region = 'after' WHERE id % 19 = 0")
	p.catchUp()
	p.checkPartitioned(t)
	p.readPartitioned(t)
}

// partitionedBy gives a rule for the table of TestPartitions.
func partitionedBy(fields ...string) []any {
	return []any{map[string]any{"include": "parts.orders", "partition": fields}}
}

func (p *pipeline) checkPartitioned(t *testing.T) {
	t.Helper()
	p.verify()
	p.fsck(t)
}

// readPartitioned reads the table with all engines: all of it, and one customer while the files
// of other customers' partitions are away.
func (p *pipeline) readPartitioned(t *testing.T) {
	t.Helper()
	spark := startEngine(t, "spark", p.uri())
	wantCount(t, spark, 0, `SELECT count(*) FROM parts.orders WHERE _partition.customer_bucket_4 <> system.bucket(4, customer) OR _partition.created_day <> system.days(created)
		OR _partition.region_trunc_2 <> system.truncate(2, region) OR _partition.price_trunc_100 <> system.truncate(100, price) OR _partition.seen_month <> system.months(seen)`)
	specs := spark.query(t, "SELECT spec_id, count(*) FROM parts.orders.files WHERE content = 0 GROUP BY spec_id ORDER BY spec_id")
	if len(specs.Rows) != 2 {
		t.Errorf("files of specs %v, want two specs", specs.Rows)
	}
	trino, python := startEngine(t, "trino", p.uri()), startEngine(t, "pyiceberg", p.uri())
	p.prune(t, spark, trino, python)
	for _, e := range []*engine{spark, trino, python, startEngine(t, "duckdb", p.uri())} {
		t.Run(e.name, func(t *testing.T) { (&oracle{p, e}).equal(t, "parts.orders") })
	}
}

// prune has engines read one customer's rows while the data files that are of another bucket are
// away. Trino keeps small files in memory, so it must not have read them before.
func (p *pipeline) prune(t *testing.T, spark, trino, python *engine) {
	t.Helper()
	want := "[[" + p.server.text(t, "SELECT count(*) FROM parts.orders WHERE customer = 7") + "]]"
	others := map[string]bool{}
	for _, r := range spark.query(t, "SELECT file_path FROM parts.orders.files WHERE content = 0 AND partition.customer_bucket_4 <> system.bucket(4, 7)").Rows {
		others[r[0].(string)] = true
	}
	if len(others) < 10 {
		t.Fatalf("only %d files of other buckets", len(others))
	}
	for _, r := range python.query(t, "FILES OF parts.orders WHERE customer = 7").Rows {
		if others[r[0].(string)] {
			t.Errorf("pyiceberg would read %s", r[0])
		}
	}
	rename(t, others, "", ".away")
	defer rename(t, others, ".away", "")
	for _, e := range []*engine{spark, trino} {
		if got := e.query(t, "SELECT count(*) FROM parts.orders WHERE customer = 7"); fmt.Sprint(got.Rows) != want {
			t.Errorf("%s: %v rows of customer 7, want %s", e.name, got.Rows, want)
		}
		if _, err := e.ask("SELECT sum(customer) FROM parts.orders"); err == nil {
			t.Errorf("%s reads all rows without the files", e.name)
		}
	}
}

// rename gives files other endings.
func rename(t *testing.T, files map[string]bool, from, to string) {
	t.Helper()
	for f := range files {
		path := strings.TrimPrefix(f, "file://")
		if err := os.Rename(path+from, path+to); err != nil {
			t.Fatal(err)
		}
	}
}

// wantCount runs a query that counts.
func wantCount(t *testing.T, e *engine, want int, sql string) {
	t.Helper()
	if r := e.query(t, sql); fmt.Sprint(r.Rows) != fmt.Sprintf("[[%d]]", want) {
		t.Errorf("%s: %s: %v, want %d", e.name, sql, r.Rows, want)
	}
}
