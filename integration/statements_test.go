//go:build integration

package integration

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
)

// statementTables are small: what matters comes with the stream. Keys are of every kind that
// statements can move values around in.
const statementTables = `
	CREATE TABLE kv (id INT PRIMARY KEY, u INT UNIQUE, v VARCHAR(40));
	CREATE TABLE cycle (id INT PRIMARY KEY, v VARCHAR(40));
	CREATE TABLE huge (id BIGINT UNSIGNED PRIMARY KEY, v VARCHAR(40));
	CREATE TABLE compound (a SMALLINT UNSIGNED, b VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, c DATETIME(3), n INT, PRIMARY KEY (b, a, c));
	CREATE TABLE exact_word (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE NOPAD PRIMARY KEY, v INT);
	CREATE TABLE loose_word (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v INT);
	CREATE TABLE plain (id INT PRIMARY KEY, v VARCHAR(40)) ENGINE = MyISAM;
	CREATE TABLE traced (id INT PRIMARY KEY, v VARCHAR(40));
	CREATE TABLE trace (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(80));
	CREATE TABLE loaded (id INT PRIMARY KEY, v VARCHAR(40));
	CREATE TABLE points (id INT PRIMARY KEY, v VARCHAR(40));
	CREATE TRIGGER t1 BEFORE INSERT ON traced FOR EACH ROW SET NEW.v = CONCAT(NEW.v, '!');
	CREATE TRIGGER t2 AFTER INSERT ON traced FOR EACH ROW INSERT INTO trace (what) VALUES (CONCAT('new ', NEW.id));
	CREATE TRIGGER t3 AFTER UPDATE ON traced FOR EACH ROW UPDATE kv SET v = NEW.v WHERE id = NEW.id;
	CREATE TRIGGER t4 AFTER DELETE ON traced FOR EACH ROW REPLACE INTO trace VALUES (OLD.id, 'gone');
	INSERT INTO kv VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'); INSERT INTO cycle VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four');
	INSERT INTO plain VALUES (1, 'a'), (2, 'b'); INSERT INTO points VALUES (1, 'first')`

// cascadeTables are of MySQL only: MariaDB does not log what its foreign keys do.
const cascadeTables = `
	CREATE TABLE parent (id INT PRIMARY KEY);
	CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE);
	CREATE TABLE grandchild (c INT, n INT, PRIMARY KEY (n, c), FOREIGN KEY (c) REFERENCES child (id) ON DELETE CASCADE ON UPDATE CASCADE);
	CREATE TABLE orphan (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE SET NULL ON UPDATE SET NULL)`

// statements change each table in turn, # standing for a round. A line that begins with "fails" fails,
// perhaps in part.
const statements = `
	REPLACE INTO kv VALUES (1, 10#, 'replaced'), (4, 2, 'takes two''s u'), (4, 44#, 'again')
	INSERT INTO kv VALUES (1, 77#, 'x'), (5#, 3, 'y'), (6#, 66#, 'z') ON DUPLICATE KEY UPDATE v = CONCAT('dup ', id), u = u + 1000
	INSERT IGNORE INTO kv VALUES (1, 1, 'ignored'), (7#, 79#, 'not ignored')
	UPDATE kv, cycle SET kv.v = cycle.v, cycle.v = 'joined #' WHERE kv.id = cycle.id
	DELETE kv, cycle FROM kv JOIN cycle ON kv.id = cycle.id WHERE cycle.id = 4
	BEGIN; DELETE FROM kv WHERE id = 1; INSERT INTO kv VALUES (1, 1, 'reborn'); DELETE FROM kv WHERE id = 1; INSERT INTO kv VALUES (1, NULL, 'reborn twice'); COMMIT
	UPDATE cycle SET id = id + 1 ORDER BY id DESC
	UPDATE cycle SET id = id - 1 ORDER BY id
	UPDATE cycle SET id = -id
	UPDATE cycle SET id = -id, v = CONCAT(v, id)
	BEGIN; UPDATE cycle SET id = 100 WHERE id = 1; UPDATE cycle SET id = 1 WHERE id = 2; UPDATE cycle SET id = 2 WHERE id = 100; COMMIT
	BEGIN; UPDATE cycle SET id = id + 50; UPDATE cycle SET id = 151 - id ORDER BY id; UPDATE cycle SET id = id - 97; COMMIT
	fails UPDATE cycle SET id = 3
	UPDATE IGNORE cycle SET id = 2 ORDER BY id
	INSERT INTO cycle SELECT id + 10#, v FROM kv WHERE id < 4
	INSERT INTO huge VALUES (0#, 'zero'), (18446744073709551615 - #, 'most'), (9223372036854775807 - #, 'half'), (9223372036854775808 + #, 'above')
	UPDATE huge SET id = 18446744073709551000 - id, v = CONCAT(v, ' turned') ORDER BY id LIMIT 1
	UPDATE huge SET v = 'odd' WHERE id % 2; DELETE FROM huge WHERE id BETWEEN 9223372036854775808 AND 9223372036854775810
	INSERT INTO compound VALUES (65535, 'a', '2026-01-01 00:00:00.001', #), (65535, 'A', '2026-01-01 00:00:00.001', #), (0, 'á', '9999-12-31 23:59:59.999', #), (0, '', '1000-01-01', #) ON DUPLICATE KEY UPDATE n = -#
	UPDATE compound SET a = a - 1, c = c - INTERVAL 1 MICROSECOND WHERE a > 60000; UPDATE compound SET b = UPPER(b), a = # WHERE b = 'á'; DELETE FROM compound WHERE b = 'A' LIMIT 1
	REPLACE INTO exact_word VALUES ('a', #), ('A', #), ('á', #), ('Á', #), (CONCAT('a', CHAR(0xcc81 USING utf8mb4)), #), ('a ', #), ('a  ', #), ('', #), (' ', #), ('ß', #), ('ss', #)
	UPDATE exact_word SET k = CONCAT(k, ' ') ORDER BY k DESC; DELETE FROM exact_word WHERE k = 'a  '; UPDATE exact_word SET k = UPPER(k) WHERE k = 'ss '
	REPLACE INTO loose_word VALUES ('Straße', #), ('été', #), ('word', #); REPLACE INTO loose_word VALUES ('WORD', #), ('ETE', #), ('ete ', #)
	INSERT INTO loose_word VALUES ('WoRd', 5) ON DUPLICATE KEY UPDATE k = 'wOrD', v = 6; UPDATE loose_word SET k = UPPER(k); UPDATE loose_word SET k = 'ÉTÉ' WHERE k = 'ete'
	BEGIN; DELETE FROM loose_word WHERE k = 'WORD'; INSERT INTO loose_word VALUES ('Word', 7); COMMIT
	fails INSERT INTO plain VALUES (10#, 'stays'), (1, 'fails'), (11#, 'never')
	REPLACE INTO plain VALUES (1, 'replaced #'), (20#, 'new'); UPDATE plain SET id = id + 1000# ORDER BY id DESC LIMIT 1; DELETE FROM plain WHERE id = 2; INSERT INTO plain SELECT id, v FROM cycle WHERE id = 2
	INSERT INTO traced VALUES (1, 'x#'), (2, 'y#'), (30#, 'z#'); UPDATE traced SET v = CONCAT('up ', v); DELETE FROM traced WHERE id < 3; REPLACE INTO traced VALUES (30#, 'replaced'); INSERT INTO traced VALUES (30#, 'q') ON DUPLICATE KEY UPDATE v = 'on dup'
	LOAD DATA INFILE 'FILE' IGNORE INTO TABLE loaded (@id, v) SET id = @id + 1000#
	LOAD DATA INFILE 'FILE' REPLACE INTO TABLE loaded (id, @v) SET v = UPPER(@v); LOAD DATA INFILE 'FILE' IGNORE INTO TABLE loaded; DELETE FROM loaded WHERE id % 7 = #
	BEGIN; INSERT INTO points VALUES (2#, 'stays'); SAVEPOINT a; INSERT INTO points VALUES (3#, 'goes'); UPDATE points SET v = 'goes'; ROLLBACK TO a; INSERT INTO points VALUES (3#, 'stays'); SAVEPOINT b; DELETE FROM points; ROLLBACK TO SAVEPOINT A; INSERT INTO points VALUES (4#, 'stays'); COMMIT
	BEGIN; INSERT INTO points VALUES (5#, 'goes'); UPDATE kv SET v = 'goes'; ROLLBACK
	BEGIN; INSERT INTO points VALUES (5#, 'stays'); SAVEPOINT x; INSERT INTO points VALUES (6#, 'goes'); CREATE TEMPORARY TABLE scratch (id INT); DELETE FROM points; ROLLBACK TO x; UPDATE points SET v = CONCAT(v, '.') WHERE id = 1; COMMIT; DROP TEMPORARY TABLE scratch
	BEGIN; INSERT INTO points VALUES (6#, 'goes'); CREATE TEMPORARY TABLE scratch (id INT); UPDATE cycle SET id = id + 5000; ROLLBACK; DROP TEMPORARY TABLE IF EXISTS scratch
	CREATE TABLE copy# (PRIMARY KEY (id)) SELECT id, v FROM cycle; UPDATE copy# SET v = 'copied'; INSERT INTO copy# SELECT id + 500, v FROM kv
	DELETE FROM cycle ORDER BY id DESC LIMIT 1; TRUNCATE scrap; INSERT INTO scrap VALUES (#); DELETE FROM scrap`

const cascades = `
	INSERT INTO parent VALUES (1#), (2#), (3#); INSERT INTO child VALUES (10#, 1#), (20#, 2#), (30#, 3#); INSERT INTO grandchild VALUES (10#, 1), (10#, 2), (20#, 1), (30#, 1); INSERT INTO orphan VALUES (10#, 1#), (20#, 2#), (30#, 3#)
	DELETE FROM parent WHERE id = 1#; UPDATE parent SET id = 200# WHERE id = 2#; UPDATE child SET id = 300# WHERE id = 30#
	BEGIN; INSERT INTO parent VALUES (1#); INSERT INTO child VALUES (10#, 1#); DELETE FROM parent WHERE id = 1#; INSERT INTO parent VALUES (1#); INSERT INTO child VALUES (10#, 1#); COMMIT
	REPLACE INTO parent VALUES (1#)`

const ofMariaDB = `
	INSERT INTO kv VALUES (80#, 880#, 'returned') RETURNING id; REPLACE INTO kv VALUES (80#, 881#, 'again') RETURNING v; DELETE FROM kv WHERE id = 7# RETURNING *
	BEGIN; INSERT INTO points VALUES (7#, 'stays'); INSERT INTO plain VALUES (30#, 'mixed'); UPDATE plain SET v = 'mixed again' WHERE id = 30#; INSERT INTO points SELECT id + 700#, v FROM plain WHERE id = 1; COMMIT
	BEGIN; INSERT INTO points VALUES (8#, 'stays'); SAVEPOINT a; INSERT INTO points VALUES (9#, 'goes'); INSERT INTO plain VALUES (31#, 'stays'); UPDATE points SET id = id + 100000; ROLLBACK TO a; DELETE FROM points WHERE id = 2#; COMMIT
	BEGIN; INSERT INTO points VALUES (9#, 'goes'); INSERT INTO plain VALUES (32#, 'stays'); ROLLBACK
	XA START 'points#'; INSERT INTO points VALUES (9#, 'stays'); SAVEPOINT a; DELETE FROM points; INSERT INTO plain VALUES (33#, 'stays'); ROLLBACK TO a; INSERT INTO points VALUES (10#, 'stays'); XA END 'points#'; XA PREPARE 'points#'; XA COMMIT 'points#'
	SET STATEMENT sql_mode = '' FOR UPDATE cycle SET v = CONCAT('set ', v)`

// TestStatements runs statements that touch rows more than once, or in ways of their own, twice,
// with a kill of the daemon among them.
func TestStatements(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		schema := s.schema(t, "statements")
		tables, does := strings.Replace(statementTables, "NOPAD", "utf8mb4_0900_bin", 1), statements+cascades
		names := []string{"kv", "cycle", "huge", "compound", "exact_word", "loose_word", "plain", "traced", "trace", "loaded", "points", "copy1", "copy2"}
		if s.flavor == capture.MariaDB {
			tables, does = strings.Replace(statementTables, "NOPAD", "utf8mb4_nopad_bin", 1), statements+ofMariaDB
		} else {
			tables += ";" + cascadeTables
			names = append(names, "parent", "child", "grandchild", "orphan")
		}
		s.exec(t, "USE "+schema+";"+tables+"; CREATE TABLE scrap (id INT PRIMARY KEY)")
		p := newPipeline(t, s, schema+".*", settings{"tables": []any{map[string]any{"include": schema + ".*", "exclude": []any{schema + ".scrap"}}}})
		p.start()
		p.reach()
		file, conn := loadFile(t), s.conn(t)
		runLine(t, conn, "USE "+schema)
		for round := 1; round <= 2; round++ {
			lines := strings.Split(strings.TrimSpace(does), "\n")
			for i, line := range lines {
				if i == len(lines)/2 {
					p.kill()
					p.start()
				}
				runLine(t, conn, strings.NewReplacer("#", fmt.Sprint(round), "'FILE'", "'"+file+"'").Replace(strings.TrimSpace(line)))
			}
			p.reach()
			qualified := slices.Clone(names)
			if round == 1 {
				qualified = slices.DeleteFunc(qualified, func(n string) bool { return n == "copy2" })
			}
			for i := range qualified {
				qualified[i] = schema + "." + qualified[i]
			}
			p.oracle("duckdb").equal(t, qualified...)
		}
		p.verify()
		eventually(t, time.Minute, "the tables are in cuts", func() error { return p.tryCut() })
		p.exact(0)
	})
}

// runLine runs the statements of a line.
func runLine(t *testing.T, conn *sql.Conn, line string) {
	t.Helper()
	line, fails := strings.CutPrefix(line, "fails ")
	for statement := range strings.SplitSeq(line, "; ") {
		if _, err := conn.ExecContext(t.Context(), statement); (err != nil) != fails {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// loadFile is a file for LOAD DATA.
func loadFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rows")
	var rows strings.Builder
	for id := range 300 {
		fmt.Fprintf(&rows, "%d\tfrom a file %d\n", id, id%250)
	}
	rows.WriteString("7\tagain\n8\t\\N\n")
	if err := os.WriteFile(name, []byte(rows.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
