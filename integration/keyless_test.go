//go:build integration

package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"golang.org/x/sync/errgroup"
)

// keylessRules are rules for the tables of keylessTables.
func keylessRules(schema string) []any {
	return []any{
		map[string]any{"include": schema + ".events", "mode": "append"},
		map[string]any{"include": schema + ".readings", "key": []string{"device", "at"}},
		map[string]any{"include": schema + ".*", "mode": "rows"},
	}
}

// keylessTables makes tables for whose rows the server enforces no key, and one with a key.
func keylessTables(t testing.TB, s *server, schema string, rows int) {
	t.Helper()
	computed := ""
	if s.flavor == capture.MySQL { // MariaDB leaves them out of its images
		computed = ", g VARCHAR(30) AS (CONCAT(s, '!')) VIRTUAL"
	}
	s.exec(t, `CREATE TABLE `+schema+`.bag (n INT, s VARCHAR(20), f FLOAT, d DOUBLE, doc JSON, raw BLOB, big TEXT, dec1 DECIMAL(9,3), b BIT(9), y YEAR, at TIMESTAMP(3) NULL`+computed+`)`)
	s.exec(t, "CREATE TABLE "+schema+".events (at DATETIME(6), kind ENUM('a','b'), f FLOAT, body TEXT)")
	s.exec(t, "CREATE TABLE "+schema+".readings (device VARCHAR(20), at INT, v DOUBLE, KEY (device))")
	s.exec(t, "CREATE TABLE "+schema+".keyed (id INT PRIMARY KEY, v INT)")
	random := rand.New(rand.NewPCG(1, 1))
	var bag, events, readings []string
	for i := range rows {
		bag = append(bag, bagRow(random))
		events = append(events, eventRow(random))
		readings = append(readings, fmt.Sprintf("('dev%d', %d, 1.5)", i%10, i/10))
	}
	s.exec(t, "INSERT INTO "+schema+".bag (n, s, f, d, doc, raw, big, dec1, b, y, at) VALUES "+strings.Join(bag, ","))
	s.exec(t, "INSERT INTO "+schema+".events VALUES "+strings.Join(events, ","))
	s.exec(t, "INSERT INTO "+schema+".readings VALUES "+strings.Join(readings, ","))
	s.exec(t, "INSERT INTO "+schema+".keyed VALUES (1, 1), (2, 2)")
}

// bagRow draws one of few rows, so that many are equal.
func bagRow(r *rand.Rand) string {
	pick := func(values ...string) string { return values[r.IntN(len(values))] }
	return "(" + strings.Join([]string{
		pick("NULL", "1", "2"), pick("NULL", "'x'", "'X'", "'é'"), pick("NULL", "0.1", "16777216"), pick("0.1", "1e300"), pick("NULL", `'{"b": 1.0, "a": [1]}'`),
		pick("NULL", "x'00ff'"), "'same'", pick("1.5", "-2.125"), "b'101'", "2024", pick("NULL", "'2024-02-29 01:02:03.123'"),
	}, ",") + ")"
}

func eventRow(r *rand.Rand) string {
	return fmt.Sprintf("('2024-01-01 00:00:0%d.5', 'a', 0.1, %s)", r.IntN(3), []string{"NULL", "'body'"}[r.IntN(2)])
}

// keylessChurn changes the tables of keylessTables in one session.
type keylessChurn struct {
	cancel context.CancelFunc
	ended  chan error
	count  atomic.Int64
}

func startKeylessChurn(t testing.TB, s *server, schema string) *keylessChurn {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithCancel(context.Background())
	c := &keylessChurn{cancel: cancel, ended: make(chan error, 1)}
	conn := s.conn(t)
	if _, err := conn.ExecContext(ctx, "USE "+schema); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 2))
	go func() {
		for n := 0; ctx.Err() == nil; n++ {
			const most = 4
			statements := []string{"BEGIN"}
			for i := range 1 + random.IntN(most) {
				statements = append(statements, keylessStatement(random, n*most+i))
			}
			for _, q := range append(statements, []string{"COMMIT", "COMMIT", "COMMIT", "ROLLBACK"}[random.IntN(4)]) {
				if _, err := conn.ExecContext(context.Background(), q); err != nil {
					c.ended <- fmt.Errorf("%s: %w", firstLine(q), err)
					return
				}
			}
			c.count.Add(1)
		}
		c.ended <- nil
	}()
	return c
}

func (c *keylessChurn) stop(t testing.TB) {
	t.Helper()
	c.cancel()
	if err := <-c.ended; err != nil {
		t.Fatal(err)
	}
}

// keylessStatement draws a statement; n grows with each.
func keylessStatement(r *rand.Rand, n int) string {
	const columns = "(n, s, f, d, doc, raw, big, dec1, b, y, at)"
	one, two := bagRow(r), bagRow(r)
	statements := []string{
		"INSERT INTO bag " + columns + " VALUES " + one + "," + two + "," + one,
		fmt.Sprintf("DELETE FROM bag WHERE n = %d LIMIT %d", r.IntN(3), 1+r.IntN(4)),
		fmt.Sprintf("DELETE FROM bag WHERE n IS NULL LIMIT %d", 1+r.IntN(3)),
		fmt.Sprintf("UPDATE bag SET n = COALESCE(n, 0) + 1, f = -f WHERE s = 'x' LIMIT %d", 1+r.IntN(4)),
		"UPDATE bag SET s = 'é', at = NULL WHERE f IS NULL LIMIT 2",
		"UPDATE bag SET n = n WHERE n = 1 LIMIT 2",
		"INSERT INTO events VALUES " + eventRow(r) + "," + eventRow(r),
		fmt.Sprintf("UPDATE readings SET v = %d WHERE at = %d", n, r.IntN(50)),
		fmt.Sprintf("DELETE FROM readings WHERE device = 'dev%d' AND at = %d", r.IntN(10), r.IntN(50)),
		fmt.Sprintf("UPDATE readings SET at = %d WHERE device = 'dev%d' AND at = %d", 1_000_000+n, r.IntN(10), r.IntN(50)),
		fmt.Sprintf("INSERT INTO readings VALUES ('new', %d, 0.1)", n),
		"UPDATE keyed SET v = v + 1",
	}
	return statements[r.IntN(len(statements))]
}

// TestKeyless replicates tables without a key: through kills inside of the load, while they change,
// through kills, with and without the state directory, and compares them at a cut, with an engine, and
// with the server's rows.
func TestKeyless(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		schema := s.schema(t, "keyless")
		keylessTables(t, s, schema, 5000)
		p := newPipeline(t, s, "", settings{"tables": keylessRules(schema), "commit.interval": "100ms", "commit.max_rows": 1000})
		c := startKeylessChurn(t, s, schema)
		// The load of each table makes its files, and then lands.
		for i, at := range []string{"data-files-written=1", "uploaded=2", "data-files-written=2", "landed=3"} {
			p.launch("CDCD_FAILPOINT=" + at)
			if code, err := p.daemon.exitCode(time.Minute); err != nil || code != -1 {
				t.Fatalf("%s: exit %d, %v: %s", at, code, err, lastLines(p.daemon.output.String(), 10))
			}
			if i == 1 {
				if err := os.RemoveAll(p.path("state")); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range 3 {
			p.start()
			began := c.count.Load()
			eventually(t, time.Minute, "transactions are made", func() error {
				if n := c.count.Load() - began; n < 50 {
					return fmt.Errorf("%d transactions", n)
				}
				return nil
			})
			p.reach()
			p.kill()
			if i == 1 {
				if err := os.RemoveAll(p.path("state")); err != nil {
					t.Fatal(err)
				}
			}
		}
		p.start()
		p.reach()
		p.verifyExact(t)
		c.stop(t)
		t.Logf("%d transactions", c.count.Load())
		p.reach()
		p.must("compact", schema+".bag")
		s.exec(t, "DELETE FROM "+schema+".bag WHERE n = 2 LIMIT 5; TRUNCATE "+schema+".events; INSERT INTO "+schema+".events VALUES (NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL)")
		p.reach()
		p.verify()
		p.oracle("duckdb").equal(t, schema+".bag", schema+".events", schema+".readings", schema+".keyed")
		p.fsck(t)
		damageKeyless(t, p, s, schema)
	})
}

// damageKeyless takes one of several equal rows out of the source without the log, and has it found.
func damageKeyless(t *testing.T, p *pipeline, s *server, schema string) {
	t.Helper()
	s.exec(t, "INSERT INTO "+schema+".bag (n, big) VALUES (77, 'equal'), (77, 'equal'), (77, 'equal')")
	p.reach()
	conn := s.conn(t)
	for _, statement := range []string{"SET SESSION sql_log_bin = 0", "DELETE FROM " + schema + ".bag WHERE n = 77 AND big = 'equal' LIMIT 1"} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	f := p.run("verify", schema+".bag")
	if f.code != 1 {
		t.Errorf("exit %d: %s%s", f.code, f.out, f.err)
	}
	wantWords(t, f.out, "3 times in the lake, 2 times in the source")
}

// TestKeylessStops makes changes that the rules for tables without a key exclude. The daemon ends
// before them, and says at which transaction and why.
func TestKeylessStops(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		for i, x := range []struct {
			rule  map[string]any
			does  string
			words []string
		}{
			{map[string]any{"mode": "append"}, "UPDATE t SET v = 3 WHERE a = 1", []string{"a changed row on", "tables[].mode is append"}},
			{map[string]any{"mode": "append"}, "DELETE FROM t WHERE a = 1", []string{"tables[].mode is append"}},
			{map[string]any{"mode": "rows"}, "ALTER TABLE t ADD extra INT", []string{"this ALTER TABLE on", "all columns"}},
			{map[string]any{"mode": "rows"}, "SET SESSION binlog_row_image = MINIMAL; UPDATE t SET v = 9 WHERE a = 1", []string{"an incomplete row image on"}},
			{map[string]any{"key": []string{"a", "B"}}, "INSERT INTO t VALUES (1, 1, 5)", []string{"is there already", "tables[].key (a, b)"}},
			{map[string]any{"key": []string{"a", "b"}}, "UPDATE t SET a = 1, b = 1 WHERE a = 2", []string{"is there already"}},
			{map[string]any{"key": []string{"a", "b"}}, "INSERT INTO t VALUES (1, NULL, 5)", []string{`column \"b\"`, "NULL in a column of tables[].key"}},
		} {
			if strings.Contains(x.does, "MINIMAL") && s.flavor == capture.MariaDB {
				continue // it logs whole rows where there is no key
			}
			schema := s.schema(t, fmt.Sprintf("keystop%d", i))
			s.exec(t, "USE "+schema+"; CREATE TABLE t (a INT, b INT, v INT); INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)")
			x.rule["include"] = schema + ".t"
			p := newPipeline(t, s, "", settings{"tables": []any{x.rule}, "on_table_error": "stop"})
			p.catchUp()
			before, conn := s.executed(t), s.conn(t)
			if _, err := conn.ExecContext(t.Context(), "USE "+schema+"; "+x.does); err != nil {
				t.Fatalf("%s: %v", x.does, err)
			}
			gtid := before.Missing(s.executed(t))
			p.launch()
			p.wantExit(78, append(x.words, schema+".t at "+gtid, "or on_table_error: quarantine")...)
		}
	})
}

// TestKeylessPreflight names the choices that there are for a table without a key, and refuses those
// that do not fit. A load that meets a key twice is refused, too.
func TestKeylessPreflight(t *testing.T) {
	s := sharedServer(t, mysql97)
	schema := s.schema(t, "keypre")
	s.exec(t, "USE "+schema+"; CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 1), (1, 2); CREATE TABLE k (id INT PRIMARY KEY); CREATE TABLE m (a INT) ENGINE = MyISAM")
	p := newPipeline(t, s, schema+".t", settings{"on_table_error": "stop"})
	c := p.wantProblems("no primary key, and no unique key without NULLs")
	for _, word := range []string{"ADD PRIMARY KEY", "key: [...]", "mode: append", "mode: rows", "exclude: "} {
		if !strings.Contains(c.Problems[0].Repair, word) {
			t.Errorf("no %q in %s", word, c.Problems[0].Repair)
		}
	}
	for _, x := range []struct{ table, key, want string }{
		{"t", "nothing", `there is no column "nothing"`},
		{"k", "id", "the server enforces a key of the table, PRIMARY"},
		{"m", "a", "which its engine MyISAM does not have"},
	} {
		p.set(settings{"tables": []any{map[string]any{"include": schema + "." + x.table, "key": []string{x.key}}}})
		p.wantProblems(x.want)
	}
	p.set(settings{"tables": []any{map[string]any{"include": schema + ".t", "key": []string{"a"}}}})
	p.launch()
	p.wantExit(78, "a row in the initial load on "+schema+".t", "does not identify rows")
}

// TestKeylessAltered alters a table between two attempts to load it, in a way that the log tells of
// behind the lake's table and before the snapshot.
func TestKeylessAltered(t *testing.T) {
	s := sharedServer(t, mysql97)
	for i, alter := range []string{"ADD c INT", "ALTER b SET DEFAULT 7"} {
		schema := s.schema(t, fmt.Sprintf("keyalter%d", i))
		s.exec(t, "USE "+schema+"; CREATE TABLE t (a INT, b INT DEFAULT 5); INSERT INTO t VALUES (1, 1), (1, 1)")
		p := newPipeline(t, s, "", settings{"tables": []any{map[string]any{"include": schema + ".t", "mode": "append"}}, "on_table_error": "stop"})
		p.launch("CDCD_FAILPOINT=data-files-written=1")
		if code, err := p.daemon.exitCode(time.Minute); err != nil || code != -1 {
			t.Fatalf("exit %d, %v", code, err)
		}
		s.exec(t, "ALTER TABLE "+schema+".t "+alter)
		p.launch()
		p.wantExit(78, "an ALTER TABLE before the initial load on "+schema+".t")
	}
}

// TestKeylessLock loads a table as a user who may not lock it, and as one who may, while a
// transaction that has changed the table is open.
func TestKeylessLock(t *testing.T) {
	s := sharedServer(t, mysql97)
	schema := s.schema(t, "keylock")
	s.exec(t, "USE "+schema+"; CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (1)")
	s.exec(t, "DROP USER IF EXISTS keylock; CREATE USER keylock IDENTIFIED BY 'cdc'; GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO keylock; GRANT SELECT ON "+schema+".* TO keylock")
	p := newPipeline(t, s, "", settings{"source.user": "keylock", "tables": []any{map[string]any{"include": schema + ".t", "mode": "rows"}}})
	p.launch()
	p.wantExit(78, "GRANT LOCK TABLES ON `"+schema+"`.*")
	if warned := p.check().Warnings; len(warned) != 1 || !strings.Contains(warned[0].What, "may not lock "+schema+".t") {
		t.Errorf("warnings: %+v", warned)
	}
	s.exec(t, "GRANT LOCK TABLES ON "+schema+".* TO keylock")
	if warned := p.check().Warnings; len(warned) > 0 {
		t.Errorf("warnings with the grant: %+v", warned)
	}
	conn := s.conn(t)
	for _, statement := range []string{"BEGIN", "INSERT INTO " + schema + ".t VALUES (1)"} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	p.start()
	eventually(t, time.Minute, "the daemon waits for the lock", func() error {
		if n := s.text(t, "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'LOCK TABLES%'"); n == "0" {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	if _, err := conn.ExecContext(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	p.reach()
	p.verify()
	p.oracle("duckdb").equal(t, schema+".t")
}

// TestWholeIsExact opens many snapshots of a table into which several sessions insert, one row a
// transaction. The rows that each shows are as many as the transactions that its position holds.
func TestWholeIsExact(t *testing.T) {
	const writers, views = 8, 40
	s := ownServer(t, mysql97)
	s.exec(t, "CREATE DATABASE whole; CREATE TABLE whole.t (a INT, b INT)")
	before := lastNumber(t, s.executed(t))
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	defer func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	}()
	for w := range writers {
		conn := s.conn(t)
		g.Go(func() error {
			for n := 0; ctx.Err() == nil; n++ {
				if _, err := conn.ExecContext(context.Background(), "INSERT INTO whole.t VALUES (?, ?)", w, n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	infos, err := capture.Tables(t.Context(), s.db, func(n capture.Name) bool { return n.Schema == "whole" }, func(capture.Name) capture.Wish { return capture.Wish{ByRow: true} })
	if err != nil || len(infos) != 1 {
		t.Fatal(infos, err)
	}
	rows := 0
	for range views {
		r, err := capture.OpenReader(t.Context(), s.source("whole"), capture.MySQL, "", memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		at, n := readWhole(t, r, &infos[0].Table, s.executed(t))
		r.Close()
		if want := lastNumber(t, at) - before; n != want {
			t.Fatalf("%d rows at %s, which holds %d transactions", n, at, want)
		}
		if n <= rows {
			t.Fatalf("%d rows, and %d before: nothing goes on", n, rows)
		}
		rows = n
	}
}

// readWhole counts the rows of a whole table.
func readWhole(t *testing.T, r *capture.Reader, table *capture.Table, after capture.Position) (capture.Position, int) {
	t.Helper()
	w, err := r.ReadWhole(t.Context(), capture.Capture{Table: table}, after)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for n := 0; ; {
		b, _, err := w.Next()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return w.At(), n
		}
		n += b.Rows()
		b.Release()
	}
}

// lastNumber is the number of transactions in a position of one server.
func lastNumber(t *testing.T, p capture.Position) (n int) {
	t.Helper()
	_, numbers, _ := strings.Cut(p.String(), ":")
	if _, err := fmt.Sscanf(numbers, "1-%d", &n); err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	return n
}
