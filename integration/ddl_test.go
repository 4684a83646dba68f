//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// alterations are statements on the table of TestAlter, in order. Between each two of them rows
// are inserted, updated and deleted.
func alterations() []string {
	return []string{
		"ADD COLUMN n INT NOT NULL DEFAULT 7",
		"ADD s VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL DEFAULT 'na\u00efve ''q''' FIRST",
		"ADD at DATETIME(3) DEFAULT '2024-02-29 12:34:56.5' AFTER a, ADD day DATE DEFAULT '1969-12-31', ADD price DECIMAL(12,3) NOT NULL DEFAULT -1.5",
		"RENAME COLUMN b TO bb",
		"CHANGE a aa VARCHAR(200) /* longer */ CHARACTER SET utf8mb4",
		"MODIFY id BIGINT NOT NULL",
		"MODIFY f DOUBLE, MODIFY d DECIMAL(12,2), MODIFY bb BIGINT",
		"DROP COLUMN n, ADD COLUMN n VARCHAR(5) DEFAULT 'new'",
		"MODIFY e ENUM('x','y','z'), ADD INDEX byaa (aa), COMMENT 'ADD x INT, DROP y', AUTO_INCREMENT 1000",
		"MODIFY aa VARCHAR(200) CHARACTER SET utf8mb4 AFTER id",
		"ADD yes BIT(1) NOT NULL DEFAULT b'1', ADD nine BIT(9) DEFAULT b'101', ADD bin BINARY(4) DEFAULT 'ab', ADD vb VARBINARY(9) DEFAULT X'00FF'",
		"ADD fl FLOAT DEFAULT 0.1, ADD dbl DOUBLE NOT NULL DEFAULT 1e10, ADD tm TIME NOT NULL, ADD y YEAR DEFAULT 2024, ADD st SET('p','q') NOT NULL DEFAULT 'p,q'",
		"ADD u BIGINT UNSIGNED DEFAULT 18446744, ADD flag BOOL DEFAULT TRUE, ADD tx TEXT CHARACTER SET latin1 NOT NULL, ADD js JSON, ADD en ENUM('first','second') NOT NULL",
		"RENAME COLUMN bb TO n, RENAME COLUMN n TO bb",
		"CHANGE id pk BIGINT NOT NULL",
		"ADD seen TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, ADD late TIMESTAMP(6) NULL",
		"DROP INDEX byaa, DROP day",
		"CONVERT TO CHARACTER SET utf8mb4",
		"ADD (p INT DEFAULT 1, q INT NOT NULL), ALGORITHM = INPLACE",
	}
}

// TestAlter takes a table through ALTER TABLE: with the daemon at hand, and while it was killed
// and the source went on; a table that no row follows shows its new columns, too.
func TestAlter(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "ddl")
		s.exec(t, `USE ddl; CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10) CHARACTER SET latin1, b INT, f FLOAT, d DECIMAL(8,2), e ENUM('x','y'));
			CREATE TABLE quiet (id INT PRIMARY KEY, v VARCHAR(5)); INSERT INTO quiet VALUES (1, 'a'), (2, NULL)`)
		p := newPipeline(t, s, "ddl.*", nil)
		rows := &alteredRows{s: s, key: "id"}
		rows.change(t)
		p.start()
		p.reach()
		all := alterations()
		for i, a := range all {
			if i == len(all)/2 {
				p.kill()
			}
			s.exec(t, "SET sql_mode = DEFAULT; ALTER TABLE ddl.t "+a) // texts beyond ASCII are followed in strict mode only
			if strings.Contains(a, "CHANGE id pk") {
				rows.key = "pk"
			}
			rows.change(t)
			if i%3 == 0 && i < len(all)/2 {
				p.reach()
			}
		}
		s.exec(t, "ALTER TABLE ddl.quiet ADD w INT NOT NULL DEFAULT 5, ADD x VARCHAR(9) DEFAULT 'was here'")
		p.start()
		p.reach()
		p.verifyExact(t)
		p.kill()
		p.start() // nothing is applied twice
		rows.change(t)
		p.reach()
		p.verifyExact(t)
		p.stop()
		p.fsck(t)
		for _, name := range []string{"duckdb", "pyiceberg", "trino", "spark"} {
			t.Run(name, func(t *testing.T) { (&oracle{p, startEngine(t, name, p.uri())}).equal(t, "ddl.t", "ddl.quiet") })
		}
		p.start()
		p.must("compact", "ddl.t") // files of all schemas into one of the newest
		p.verifyExact(t)
		p.stop()
		p.fsck(t)
		p.oracle("duckdb").equal(t, "ddl.t")
	})
}

// verifyExact compares source and lake at one position.
func (p *pipeline) verifyExact(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, "the tables can be compared at one position", func() error {
		f := p.run("verify", "--exact")
		switch f.code {
		case 0:
			return nil
		case 75:
			return fmt.Errorf("not yet: %s%s", f.out, f.err)
		}
		return fatalError{fmt.Errorf("cdcd verify --exact ended with %d:\n%s%s", f.code, f.out, f.err)}
	})
}

// alteredRows changes rows of a table whose columns change.
type alteredRows struct {
	s    *server
	key  string
	next int
}

// change inserts rows, updates some that are new and some that were there from the beginning,
// and deletes some.
func (r *alteredRows) change(t *testing.T) {
	t.Helper()
	for range 10 {
		r.next++
		r.s.exec(t, fmt.Sprintf("INSERT IGNORE INTO ddl.t (%s, f, d, e) VALUES (%d, %d.5, %d.25, 'y')", r.key, r.next, r.next, r.next))
	}
	r.s.exec(t, fmt.Sprintf("UPDATE ddl.t SET d = d + 1, e = NULL WHERE %[1]s IN (%[2]d, %[3]d, 3)", r.key, r.next-1, r.next-7))
	r.s.exec(t, fmt.Sprintf("DELETE FROM ddl.t WHERE %s IN (%d, %d)", r.key, r.next-2, r.next-5))
}

// TestAlterWhileLoading alters a table again and again while it is loaded and changed, through a
// kill: with columns that come, go, change their names and places.
func TestAlterWhileLoading(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		const total = 60_000
		s.schema(t, "ddlload")
		churnTables(t, s, "ddlload", total)
		p := newPipeline(t, s, "ddlload.*", settings{"load.chunk_rows": 500, "commit.max_rows": 2000})
		f := p.slowly(20 * time.Millisecond)
		p.start()
		for i := range 8 {
			eventually(t, time.Minute, "a part is loaded", func() error {
				if n := p.loaded("ddlload.kv"); n < int64(i+1)*1000 {
					return fmt.Errorf("%d rows", n)
				}
				return nil
			})
			s.exec(t, fmt.Sprintf("ALTER TABLE ddlload.kv ADD x%d INT NOT NULL DEFAULT %d FIRST", i, i))
			s.exec(t, fmt.Sprintf("UPDATE ddlload.kv SET x%d = 100 ORDER BY id DESC LIMIT 100", i))
			if i == 3 {
				p.kill()
				s.exec(t, "ALTER TABLE ddlload.kv DROP x0, RENAME COLUMN x1 TO x0")
				p.start()
			}
		}
		f.fast()
		p.reach()
		p.verifyExact(t)
		p.oracle("duckdb").equal(t, "ddlload.kv", "ddlload.pair")
	})
}

// TestOrderOfKeysWhileLoading gives a key another collation while the table is loaded, so that half of
// the rows come before what is loaded, and an element that comes before others. The load starts over.
func TestOrderOfKeysWhileLoading(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		for name, x := range map[string]struct{ key, fill, alter string }{
			"byname": {
				"k VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "CONCAT(IF(n % 2, 'a', 'B'), n)",
				"MODIFY k VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
			},
			"byelement": {"e ENUM('x','y','z'), k INT", "ELT(1 + n % 3, 'x', 'y', 'z'), n", "MODIFY e ENUM('z','y','x') NOT NULL"},
		} {
			s.schema(t, name)
			columns := "k"
			if strings.HasPrefix(x.key, "e ") {
				columns = "e, k"
			}
			s.exec(t, fmt.Sprintf("USE %s; CREATE TABLE digits (d INT PRIMARY KEY); INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)", name))
			s.exec(t, fmt.Sprintf(`CREATE TABLE %[1]s.t (%[2]s, v INT, PRIMARY KEY (%[3]s));
				INSERT INTO %[1]s.t (%[3]s, v) SELECT %[4]s, n FROM (SELECT 1000*a.d + 100*b.d + 10*c.d + e.d AS n FROM %[1]s.digits a, %[1]s.digits b, %[1]s.digits c, %[1]s.digits e) x`, name, x.key, columns, x.fill))
			p := newPipeline(t, s, name+".t", settings{"load.chunk_rows": 20, "load.connections": 1})
			f := p.slowly(20 * time.Millisecond)
			p.start()
			eventually(t, time.Minute, "a part is loaded", func() error {
				if n := p.loaded(name + ".t"); n < 500 {
					return fmt.Errorf("%d rows", n)
				}
				return nil
			})
			s.exec(t, fmt.Sprintf("ALTER TABLE %s.t %s", name, x.alter))
			p.wantExit(1, "order of keys", "starting its load over")
			f.fast()
			p.start()
			p.reach()
			p.verifyExact(t)
			p.stop()
			p.fsck(t)
		}
	})
}

// TestTruncate empties a table, among changes of it and of another: with the daemon at hand, while
// it was killed, while the table is loaded, and twice in a row.
func TestTruncate(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "trunc")
		churnTables(t, s, "trunc", 20_000)
		p := newPipeline(t, s, "trunc.*", settings{"load.chunk_rows": 200, "commit.max_rows": 1000})
		fill := func(from int) {
			s.exec(t, fmt.Sprintf("INSERT INTO trunc.kv (id, k, n) VALUES (%d, 'a', 1), (%d, 'b', 2), (%d, 'c', 3)", from, from+1, from+2))
			s.exec(t, fmt.Sprintf("UPDATE trunc.kv SET n = n + 1 WHERE id = %d", from+1))
			s.exec(t, fmt.Sprintf("INSERT INTO trunc.pair VALUES (%d, 'x', 'y')", from))
		}
		p.start()
		s.exec(t, "TRUNCATE trunc.kv") // maybe before any of it is loaded, maybe not
		fill(1_000_000)
		p.reach()
		fill(2_000_000)
		p.reach()
		s.exec(t, "TRUNCATE TABLE trunc.kv; TRUNCATE trunc.kv")
		fill(3_000_000)
		p.reach()
		p.verifyExact(t)
		p.kill()
		s.exec(t, "TRUNCATE trunc.kv")
		fill(4_000_000)
		s.exec(t, "ALTER TABLE trunc.kv ADD z INT DEFAULT 1; TRUNCATE trunc.kv; ALTER TABLE trunc.kv ADD y INT DEFAULT 2")
		fill(5_000_000)
		p.start()
		p.reach()
		p.verifyExact(t)
		p.stop()
		p.fsck(t)
		for _, name := range []string{"duckdb", "pyiceberg", "trino", "spark"} {
			t.Run(name, func(t *testing.T) { (&oracle{p, startEngine(t, name, p.uri())}).equal(t, "trunc.kv", "trunc.pair") })
		}
	})
}
