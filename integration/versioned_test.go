//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// versionedChanges changes tables that keep history: rows, their keys, history itself.
const versionedChanges = `
	INSERT INTO a VALUES (10, 1, 'new'), (11, 1, 'new'), (12, NULL, NULL); INSERT INTO b (id, x) VALUES (10, 1), (11, 1);
	UPDATE a SET x = x + 1; UPDATE b SET x = x + 1 WHERE id > 1; UPDATE p SET x = 5 WHERE id = 1;
	UPDATE a SET id = 20 WHERE id = 10; UPDATE b SET id = 20 WHERE id = 10; UPDATE a SET plain = 'changed' WHERE id = 11;
	DELETE FROM a WHERE id = 2; DELETE FROM b WHERE id = 2; REPLACE INTO a VALUES (3, 30, 'replaced'), (13, 1, 'not yet there');
	INSERT INTO a VALUES (11, 7, 'x') ON DUPLICATE KEY UPDATE x = 70; INSERT INTO a VALUES (2, 22, 'again');
	BEGIN; UPDATE a SET x = 100 WHERE id = 11; UPDATE a SET x = 101 WHERE id = 11; DELETE FROM a WHERE id = 12; SELECT NEXT VALUE FOR numbers; INSERT INTO a VALUES (12, NEXT VALUE FOR numbers, ''); COMMIT;
	BEGIN; DELETE FROM a; DELETE FROM b; ROLLBACK;
	SET SESSION system_versioning_insert_history = ON; INSERT INTO a (id, x, row_start, row_end) VALUES (11, 5, '2020-01-01', '2021-01-01'), (90, 5, '2020-01-01', '2021-01-01'); SET SESSION system_versioning_insert_history = OFF;
	SET SESSION binlog_row_image = MINIMAL; UPDATE a SET x = 55 WHERE id = 20; DELETE FROM a WHERE id = 13; UPDATE b SET x = 56 WHERE id = 20; DELETE FROM b WHERE id = 11; SET SESSION binlog_row_image = FULL;
	DELETE HISTORY FROM a BEFORE SYSTEM_TIME '2020-06-01'; DELETE HISTORY FROM b; DELETE HISTORY FROM p;
	SELECT SETVAL(numbers, 500); ALTER SEQUENCE numbers RESTART 900; CREATE SEQUENCE more; SELECT NEXTVAL(more); DROP SEQUENCE more`

// TestSystemVersioned replicates the current rows of tables of MariaDB that keep history, beside
// sequences, which have no rows to be replicated.
func TestSystemVersioned(t *testing.T) {
	for _, release := range []string{mariadb118, mariadb1011} {
		t.Run(release, func(t *testing.T) {
			s := sharedServer(t, release)
			s.schema(t, "versioned")
			s.exec(t, `USE versioned; CREATE TABLE a (id INT PRIMARY KEY, x INT, plain VARCHAR(20) WITHOUT SYSTEM VERSIONING) WITH SYSTEM VERSIONING;
				CREATE TABLE b (rs TIMESTAMP(6) GENERATED ALWAYS AS ROW START, re TIMESTAMP(6) GENERATED ALWAYS AS ROW END, id INT PRIMARY KEY, x INT, PERIOD FOR SYSTEM_TIME (rs, re)) WITH SYSTEM VERSIONING;
				CREATE TABLE c (id INT PRIMARY KEY, x INT, rs BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, re BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (rs, re)) ENGINE = InnoDB WITH SYSTEM VERSIONING;
				CREATE TABLE p (id INT PRIMARY KEY, x INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION old HISTORY, PARTITION now CURRENT);
				CREATE SEQUENCE numbers; INSERT INTO a VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, 'd'); INSERT INTO b (id, x) VALUES (1, 1), (2, 2), (3, 3); INSERT INTO p VALUES (1, 1), (2, 2);
				UPDATE a SET x = 10; DELETE FROM a WHERE id = 4; UPDATE b SET x = 10; UPDATE p SET x = 10`)
			t.Cleanup(func() { s.exec(t, "SET GLOBAL system_versioning_asof = DEFAULT") })
			p := newPipeline(t, s, "versioned.*", settings{"on_table_error": "stop"})
			p.wantProblems(`column "re": type not supported: a system-versioned table with numbers of transactions`)
			s.exec(t, "DROP TABLE versioned.c; SET GLOBAL system_versioning_asof = '2020-01-01'")
			p.wantProblems("SELECT shows rows of the past")
			s.exec(t, "SET GLOBAL system_versioning_asof = DEFAULT")
			p.start()
			p.reach()
			for range 2 {
				conn := s.conn(t)
				for _, q := range append([]string{"USE versioned"}, strings.Split(versionedChanges, ";")...) {
					if _, err := conn.ExecContext(t.Context(), q); err != nil && !hasCode(err, codeDuplicate) {
						t.Fatalf("%s: %v", q, err)
					}
				}
				p.reach()
				p.oracle("duckdb").equal(t, "versioned.a", "versioned.b", "versioned.p")
				p.kill()
				p.start()
			}
			s.exec(t, "SET SESSION system_versioning_alter_history = KEEP; ALTER TABLE versioned.a ADD y INT FIRST; UPDATE versioned.a SET y = id; DELETE FROM versioned.a WHERE id = 1; SET SESSION system_versioning_alter_history = DEFAULT")
			p.reach()
			p.oracle("duckdb").equal(t, "versioned.a")
			p.verify()
			if out := p.must("status").out; strings.Contains(out, "numbers") {
				t.Errorf("a sequence is replicated:\n%s", out)
			}
			s.exec(t, "SET GLOBAL system_versioning_asof = '2020-01-01'; CREATE TABLE versioned.late (id INT PRIMARY KEY) WITH SYSTEM VERSIONING")
			eventually(t, 30*time.Second, "a new table of which SELECT shows the past is refused", func() error {
				st, err := p.status()
				if err == nil && len(st.Refused) != 1 {
					err = fmt.Errorf("refused: %+v", st.Refused)
				}
				return err
			})
			s.exec(t, "SET GLOBAL system_versioning_asof = DEFAULT")
			s.exec(t, "ALTER TABLE versioned.p REMOVE PARTITIONING; ALTER TABLE versioned.p DROP SYSTEM VERSIONING")
			p.wantExit(78, "this ALTER TABLE on versioned.p")
		})
	}
}
