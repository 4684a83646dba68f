//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cdcd/capture"
)

// imageChurn changes tables in sessions that log row images of every kind.
type imageChurn struct {
	s      *server
	schema string
	keys   int
	moves  atomic.Bool // keys are changed, too
	cancel context.CancelFunc
	ended  chan error
	count  atomic.Int64
}

func imageTables(t testing.TB, s *server, schema string, rows int) {
	t.Helper()
	computed := ""
	if s.flavor == capture.MySQL { // MariaDB leaves them out of its images: see TestImagesOfMariaDB
		computed = `, twice BIGINT AS (n * 2) STORED, word VARCHAR(80) AS (CONCAT(k, '!')) VIRTUAL, uu VARCHAR(40) DEFAULT (CONCAT('q', 1 + 2))`
	}
	s.exec(t, `CREATE TABLE `+schema+`.a (id INT PRIMARY KEY AUTO_INCREMENT, k VARCHAR(40) NOT NULL DEFAULT 'it''s ü', n INT DEFAULT 7, u INT NULL,
		price DECIMAL(10,3) DEFAULT 1.5, doc JSON, body TEXT, raw BLOB, kind ENUM('x','y') DEFAULT 'y',
		at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)`+computed+`)`)
	s.exec(t, "CREATE TABLE "+schema+".b (x VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin, y INT, v TEXT, w DOUBLE DEFAULT 0.1, z DATE DEFAULT '2020-02-29', PRIMARY KEY (y, x))")
	const batch = 2000
	for from := 1; from <= rows; from += batch {
		var a, b []string
		for id := from; id < min(rows+1, from+batch); id++ {
			a = append(a, fmt.Sprintf("(%d,'key %d',%d,'{\"id\": %d}','body %d')", id, id, id, id, id))
			b = append(b, fmt.Sprintf("('x%d',%d,'text %d')", id%10, id, id))
		}
		s.exec(t, "INSERT INTO "+schema+".a (id, k, n, doc, body) VALUES "+strings.Join(a, ","))
		s.exec(t, "INSERT INTO "+schema+".b (x, y, v) VALUES "+strings.Join(b, ","))
	}
}

func startImageChurn(t testing.TB, s *server, schema string, keys int) *imageChurn {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithCancel(context.Background())
	c := &imageChurn{s: s, schema: schema, keys: keys, cancel: cancel, ended: make(chan error, 1)}
	conn := s.conn(t)
	if _, err := conn.ExecContext(ctx, "USE "+schema); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 2))
	go func() {
		for ctx.Err() == nil {
			kinds := []string{"FULL", "MINIMAL", "MINIMAL", "NOBLOB"}
			if s.flavor == capture.MariaDB {
				kinds = []string{"FULL", "MINIMAL", "MINIMAL"}
			}
			statements := []string{"SET SESSION binlog_row_image = " + kinds[random.IntN(len(kinds))], "BEGIN"}
			for range 1 + random.IntN(4) {
				statements = append(statements, c.statement(random))
			}
			for _, q := range append(statements, []string{"COMMIT", "COMMIT", "COMMIT", "ROLLBACK"}[random.IntN(4)]) {
				if _, err := conn.ExecContext(context.Background(), q); err != nil && !hasCode(err, codeDuplicate) && !hasCode(err, codeDeadlock) {
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

func (c *imageChurn) statement(r *rand.Rand) string {
	id, other := 1+r.IntN(c.keys), 1+r.IntN(c.keys)
	statements := []string{
		fmt.Sprintf("UPDATE a SET n = %d WHERE id BETWEEN %d AND %d", r.IntN(1e6), id, id+r.IntN(20)),
		fmt.Sprintf("UPDATE a SET body = REPEAT('%x ', 20), doc = '[%d]' WHERE id = %d", r.Uint32(), id, id),
		fmt.Sprintf("UPDATE a SET raw = x'00ff%02x', u = NULL WHERE id = %d", r.IntN(256), id),
		fmt.Sprintf("UPDATE a SET price = %d.125, k = 'k%d' WHERE id = %d", r.IntN(1000), id, id),
		fmt.Sprintf("UPDATE a SET n = NULL, body = NULL WHERE id = %d", id),
		fmt.Sprintf("UPDATE b SET v = 'v%d' WHERE y = %d", other, id),
		fmt.Sprintf("UPDATE b SET w = %d.5 WHERE y BETWEEN %d AND %d", other, id, id+r.IntN(20)),
		fmt.Sprintf("UPDATE a, b SET a.n = b.y, b.v = a.k WHERE a.id = %d AND b.y = %d", id, id),
		fmt.Sprintf("DELETE FROM a WHERE id = %d", id),
		fmt.Sprintf("DELETE FROM b WHERE y = %d", id),
		fmt.Sprintf("INSERT INTO a (id) VALUES (%d)", id),
		fmt.Sprintf("INSERT INTO a (id, u, k) VALUES (%d, 5, 'kü')", id),
		fmt.Sprintf("INSERT INTO b (x, y) VALUES ('é', %d), ('x%d', %d)", id, other%10, other),
		fmt.Sprintf("DELETE FROM b WHERE y = %d; INSERT INTO b (x, y, v) VALUES ('x', %d, 'again'); UPDATE b SET w = 9 WHERE y = %d", id, id, id),
	}
	if c.s.flavor == capture.MySQL {
		statements = append(statements,
			fmt.Sprintf("INSERT INTO a (id, n) VALUES (%d, 1), (%d, 2) ON DUPLICATE KEY UPDATE n = n + 1", id, other),
			fmt.Sprintf("REPLACE INTO a (id, u) VALUES (%d, %d)", id, other))
		if c.moves.Load() {
			statements = append(statements,
				fmt.Sprintf("UPDATE a SET id = %d WHERE id = %d", other, id),
				fmt.Sprintf("UPDATE a SET id = %d, n = n + 1 WHERE id = %d; UPDATE a SET id = %d, k = 'moved' WHERE id = %d", 1_000_000+id, id, other, 1_000_000+id),
				fmt.Sprintf("UPDATE b SET x = 'é%d' WHERE y = %d", other%100, id),
				fmt.Sprintf("UPDATE b SET y = y + %d WHERE y = %d", r.IntN(3), id))
		}
	}
	return statements[r.IntN(len(statements))]
}

func (c *imageChurn) stop(t testing.TB) {
	t.Helper()
	c.cancel()
	if err := <-c.ended; err != nil {
		t.Fatal(err)
	}
}

// TestImages replicates what sessions with row images of every kind write: beside the initial load,
// through kills, with keys that change, and compares all of it at a cut, with an engine, and
// with the server's rows.
func TestImages(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		const rows = 20_000
		schema := s.schema(t, "images")
		imageTables(t, s, schema, rows)
		p := newPipeline(t, s, schema+".*", settings{"load.chunk_rows": 500, "commit.max_rows": 3000, "commit.interval": "100ms"})
		c := startImageChurn(t, s, schema, rows)
		f := p.slowly(20 * time.Millisecond)
		for i := range int64(2) {
			p.start()
			eventually(t, time.Minute, "a part is loaded", func() error {
				if n := p.loaded(schema + ".a"); n < (i+1)*4000 && p.loaded(schema+".b") == 0 {
					return fmt.Errorf("%d rows", n)
				}
				return nil
			})
			p.kill()
		}
		f.fast()
		p.start()
		p.streams()
		c.moves.Store(true)
		for range 2 {
			from := c.count.Load()
			eventually(t, time.Minute, "keys change", func() error {
				if c.count.Load() < from+200 {
					return errors.New("not yet")
				}
				return nil
			})
			p.kill()
			p.start()
		}
		eventually(t, time.Minute, "the tables are in cuts", func() error { return p.tryCut() })
		for range 3 {
			p.exact(0)
		}
		c.stop(t)
		t.Logf("%d transactions", c.count.Load())
		p.reach()
		p.oracle("duckdb").equal(t, schema+".a", schema+".b")
		p.verify()
		p.fsck(t)
	})
}

// TestGeneratedColumns follows rows of a table with generated columns: MariaDB leaves them out of
// the images of what it updates and deletes, MySQL does not.
func TestGeneratedColumns(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "made")
		s.exec(t, "CREATE TABLE made.t (id INT PRIMARY KEY, a INT, twice INT AS (2 * a) STORED, name VARCHAR(20) AS (CONCAT('n', a)) VIRTUAL)")
		s.exec(t, "INSERT INTO made.t (id, a) VALUES (1, 1), (2, 2), (3, 3), (4, NULL)")
		p := newPipeline(t, s, "made.t", nil)
		p.start()
		p.reach()
		s.exec(t, "INSERT INTO made.t (id, a) VALUES (5, 5), (6, 6); DELETE FROM made.t WHERE id IN (2, 5)")
		p.reach()
		p.oracle("duckdb").equal(t, "made.t")
		p.verify()
		s.exec(t, "UPDATE made.t SET a = 7 WHERE id = 1")
		if s.flavor == capture.MariaDB {
			p.reach()
			p.wantQuarantined("made.t", "twice", "it is generated, and MariaDB does not log it")
			return
		}
		p.reach()
		p.oracle("duckdb").equal(t, "made.t")
		p.verify()
	})
}
