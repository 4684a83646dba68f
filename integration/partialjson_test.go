//go:build integration

package integration

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// jsonChurn changes documents in sessions that log diffs of them.
type jsonChurn struct {
	*rand.Rand
	schema string
	keys   int
	moves  bool // keys are changed, too
}

func jsonTables(t testing.TB, s *server, schema string, rows int) {
	t.Helper()
	s.exec(t, "CREATE TABLE "+schema+".d (id INT PRIMARY KEY, doc JSON, n INT DEFAULT 0, more JSON NOT NULL, word VARCHAR(20) AS (LEFT(doc->>'$.a', 20)) VIRTUAL)")
	s.exec(t, "CREATE TABLE "+schema+".plain (doc JSON, id VARCHAR(20) PRIMARY KEY)")
	c := &jsonChurn{Rand: rand.New(rand.NewPCG(1, 2)), schema: schema, keys: rows}
	const batch = 200
	for from := 1; from <= rows; from += batch {
		var d, plain []string
		for id := from; id < min(rows+1, from+batch); id++ {
			d = append(d, fmt.Sprintf("(%d, %s, %s)", id, c.document(), c.document()))
			plain = append(plain, fmt.Sprintf("('k%d', %s)", id, c.document()))
		}
		s.exec(t, "INSERT INTO "+schema+".d (id, doc, more) VALUES "+strings.Join(d, ","))
		s.exec(t, "INSERT INTO "+schema+".plain (id, doc) VALUES "+strings.Join(plain, ","))
	}
}

func (c *jsonChurn) pick(of ...string) string { return of[c.IntN(len(of))] }

// literal is a string of SQL.
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}

// document gives a document to begin with. A few are larger than what small offsets reach.
func (c *jsonChurn) document() string {
	switch c.IntN(40) {
	case 0:
		return "JSON_OBJECT('a', REPEAT('long ', 15000), 'b', JSON_ARRAY(1, REPEAT('ü', 200), JSON_OBJECT('k w', 1)), 'ü', 5)"
	case 1:
		return "CAST(CONCAT('[', REPEAT('70000, ', 9000), '{\"a\": [1, 2], \"b\": \"x\"}]') AS JSON)"
	case 2:
		return "JSON_QUOTE('a scalar')"
	}
	return c.pick(
		`JSON_OBJECT('a', 'text that is long enough', 'b', JSON_ARRAY(1, 2, JSON_OBJECT('a', 5)), 'k w', JSON_OBJECT('ü', JSON_ARRAY(), 'x"y', 'q'))`,
		`JSON_ARRAY(1, 'two', CAST(3.30 AS DECIMAL(5,2)), JSON_ARRAY(NULL, JSON_OBJECT('a', 1e300, '', 'empty')), x'00ff')`,
		`JSON_OBJECT('deep', JSON_OBJECT('a', JSON_OBJECT('b', JSON_ARRAY(JSON_OBJECT('ü', CAST('2024-02-29' AS DATE)))), 'aa', REPEAT('pad', 40)), 'c', POINT(1, 2))`,
		`JSON_OBJECT()`,
	)
}

// path is a place in a document, or beside it.
func (c *jsonChurn) path() string {
	path := "$"
	for range 1 + c.IntN(3) {
		path += c.pick(".a", ".b", ".c", ".aa", ".deep", `."k w"`, ".ü", `."ü"`, `."x\"y"`, `.""`, `."1"`, `."new\n"`, ".x"+fmt.Sprint(c.IntN(30)),
			"[0]", "[1]", "[2]", "[3]", "[9]", "[last]", "[last-1]", "[9000]")
	}
	return literal(path)
}

func (c *jsonChurn) value() string {
	return c.pick("1", "-2.5", "'text'", "'é\"\\\\\\n'", "CAST('[1, 2, {\"a\": null}]' AS JSON)", "CAST(1.10 AS DECIMAL(5,2))", "NULL", "TRUE", "CAST('2024-02-29 01:02:03.5' AS DATETIME(6))",
		"x'00ff'", "JSON_OBJECT('q', 1, 'a', JSON_ARRAY())", "REPEAT('z', 300)", "1e300", "CAST(18446744073709551615 AS UNSIGNED)", "JSON_ARRAY()", "REPEAT('large ', 12000)")
}

// function changes a document in a way that may be logged as diffs of it.
func (c *jsonChurn) function(of string) string {
	if c.IntN(4) == 0 {
		of = c.function(of)
	}
	name := c.pick("JSON_SET", "JSON_SET", "JSON_REPLACE", "JSON_REMOVE")
	args := []string{of}
	for range 1 + c.IntN(3) {
		if args = append(args, c.path()); name != "JSON_REMOVE" {
			args = append(args, c.value())
		}
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

func (c *jsonChurn) statement() string {
	id, other := 1+c.IntN(c.keys), 1+c.IntN(c.keys)
	statements := []string{
		fmt.Sprintf("UPDATE d SET doc = %s, n = n + 1 WHERE id BETWEEN %d AND %d", c.function("doc"), id, id+c.IntN(8)),
		fmt.Sprintf("UPDATE d SET doc = %s, more = %s WHERE id = %d", c.function("doc"), c.function("more"), id),
		fmt.Sprintf("UPDATE d SET more = %s WHERE id = %d", c.function("more"), id),
		fmt.Sprintf("UPDATE plain SET doc = %s WHERE id = 'k%d'", c.function("doc"), id),
		fmt.Sprintf("UPDATE plain SET doc = %s WHERE id = 'k%d'", c.function("doc"), other),
		fmt.Sprintf("UPDATE d SET n = n + 1 WHERE id = %d", id),
		fmt.Sprintf("UPDATE d SET doc = %s WHERE id = %d", c.document(), id),
		fmt.Sprintf("UPDATE d SET more = doc, doc = IF(id %% 2, %s, NULL) WHERE id = %d AND doc IS NOT NULL", c.document(), id),
		fmt.Sprintf("UPDATE d SET doc = %s WHERE id = %d AND doc IS NULL", c.document(), id),
		fmt.Sprintf("DELETE FROM plain WHERE id = 'k%d'", id),
		fmt.Sprintf("INSERT IGNORE INTO plain VALUES (%s, 'k%d')", c.document(), id),
	}
	if c.moves {
		statements = append(statements,
			fmt.Sprintf("UPDATE IGNORE plain SET id = 'k%d', doc = %s WHERE id = 'k%d'", other, c.function("doc"), id),
			fmt.Sprintf("UPDATE d SET id = %d, doc = %s WHERE id = %d; UPDATE d SET id = %d, doc = %s WHERE id = %d",
				1_000_000+id, c.function("doc"), id, id, c.function("doc"), 1_000_000+id))
	}
	return statements[c.IntN(len(statements))]
}

// transaction is of one kind or another, and may be rolled back.
func (c *jsonChurn) transaction() []string {
	var statements []string
	for range 1 + c.IntN(5) {
		statements = append(statements, c.statement())
	}
	end := c.pick("COMMIT", "COMMIT", "COMMIT", "ROLLBACK")
	if c.IntN(5) > 0 {
		return slices.Concat([]string{"BEGIN"}, statements, []string{end})
	}
	return slices.Concat([]string{"XA START 'x'"}, statements, []string{"XA END 'x'", "XA PREPARE 'x'", "XA " + end + " 'x'"})
}

// transactions runs transactions, each with settings of its own.
func (c *jsonChurn) transactions(ctx context.Context, conn *sql.Conn, n int) error {
	if _, err := conn.ExecContext(context.Background(), "USE "+c.schema+"; SET SESSION binlog_row_value_options = PARTIAL_JSON"); err != nil {
		return err
	}
	for range n {
		if ctx.Err() != nil {
			return nil
		}
		statements := []string{
			"SET SESSION binlog_row_image = " + c.pick("FULL", "MINIMAL", "NOBLOB"),
			"SET SESSION binlog_transaction_compression = " + c.pick("ON", "OFF", "OFF"),
		}
		for _, q := range append(statements, c.transaction()...) {
			if _, err := conn.ExecContext(context.Background(), q); err != nil && !hasCode(err, codeDuplicate) && !hasCode(err, codeDeadlock) {
				return fmt.Errorf("%s: %w", firstLine(q), err)
			}
		}
	}
	return nil
}

// partialEvents counts the events with diffs that are in the newest log and not compressed.
func partialEvents(t testing.TB, s *server) string {
	t.Helper()
	name := s.text(t, "SELECT SUBSTRING_INDEX(FILE_NAME, '/', -1) FROM performance_schema.file_instances WHERE EVENT_NAME = 'wait/io/file/sql/binlog' ORDER BY FILE_NAME DESC LIMIT 1")
	rows, err := s.db.Query("SHOW BINLOG EVENTS IN '" + name + "'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var kind, unused string
		if err := rows.Scan(&unused, &unused, &kind, &unused, &unused, &unused); err != nil {
			t.Fatal(err)
		}
		if strings.EqualFold(kind, "Update_rows_partial") {
			n++
		}
	}
	return fmt.Sprint(n)
}

// TestPartialJSON replicates changes of documents that the server logs as diffs of them: while the
// tables are loaded, through a kill, with keys that change, in row images of every kind. A change
// that is left out or made twice changes what the next one makes of a document.
func TestPartialJSON(t *testing.T) {
	const rows = 4000
	s := sharedServer(t, mysql97)
	schema := s.schema(t, "diffs")
	jsonTables(t, s, schema, rows)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &jsonChurn{Rand: rand.New(rand.NewPCG(seed, 3)), schema: schema, keys: rows}
	p := newPipeline(t, s, schema+".*", settings{"load.chunk_rows": 50, "commit.max_rows": 1000, "commit.interval": "100ms"})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	conn := s.conn(t)
	go func() { ended <- c.transactions(ctx, conn, math.MaxInt) }()
	f := p.slowly(20 * time.Millisecond)
	p.start()
	eventually(t, time.Minute, "a part is loaded", func() error {
		if n := p.loaded(schema + ".d"); n < 300 {
			return fmt.Errorf("%d rows", n)
		}
		return nil
	})
	p.kill()
	f.fast()
	p.start()
	p.streams()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	c.moves = true
	if err := c.transactions(t.Context(), conn, 400); err != nil {
		t.Fatal(err)
	}
	p.reach()
	t.Logf("%s events with diffs", partialEvents(t, s))
	p.oracle("duckdb").equal(t, schema+".d", schema+".plain")
	p.verify()
	p.fsck(t)
}
