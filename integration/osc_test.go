//go:build integration

package integration

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestSchemaChangeTools changes two tables as gh-ost and pt-online-schema-change do, by their own
// statements, while rows are written: the lake ends with the rows of the new tables, and never has a
// table of the tools.
func TestSchemaChangeTools(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "osc")
		for _, table := range []string{"ghost", "perco"} {
			s.exec(t, "CREATE TABLE osc."+table+" (id INT PRIMARY KEY, n INT, v VARCHAR(20) CHARACTER SET utf8mb4)")
			s.exec(t, fillOf("osc."+table, 500))
		}
		p := newPipeline(t, s, "osc.*", settings{"load.chunk_rows": 100})
		p.start()
		p.reach()
		stop := startWriter(t, s, "osc.ghost", "osc.perco")
		ghostChange(t, s, "osc", "ghost", "MODIFY n VARCHAR(30), DROP COLUMN v, ADD w INT NOT NULL DEFAULT 5")
		percoChange(t, s, "osc", "perco", "MODIFY n VARCHAR(30), ADD INDEX (n)")
		p.reachWhole()
		ghostChange(t, s, "osc", "ghost", "MODIFY n INT")
		p.kill()
		p.start()
		stop()
		p.reachWhole()
		p.verifyExact(t)
		st, err := p.status()
		if err != nil || len(st.Tables) != 2 || len(st.Refused) != 0 {
			t.Errorf("%+v, %v", st, err)
		}
		p.stop()
		p.fsck(t)
		p.oracle("duckdb").equal(t, "osc.ghost", "osc.perco")
	})
}

// fillOf inserts rows with the ids 1 to n.
func fillOf(table string, n int) string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprintf("(%d, %d)", i+1, i)
	}
	return "INSERT INTO " + table + " (id, n) VALUES " + strings.Join(values, ",")
}

// startWriter changes rows of tables all the time, in one session. The function that it gives ends
// that. What a schema change does not let through is tried again with the next change.
func startWriter(t *testing.T, s *server, tables ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	conn, random, ended := s.conn(t), rand.New(rand.NewPCG(1, 2)), make(chan struct{})
	go func() {
		defer close(ended)
		for next := 10_000; ctx.Err() == nil; next++ {
			for _, table := range tables {
				for _, change := range []string{
					fmt.Sprintf("INSERT INTO %s (id, n) VALUES (%d, %d)", table, next, next),
					fmt.Sprintf("UPDATE %s SET n = %d WHERE id = %d", table, random.IntN(1000), 1+random.IntN(500)),
					fmt.Sprintf("DELETE FROM %s WHERE id = %d", table, 1+random.IntN(next)),
				} {
					_, _ = conn.ExecContext(ctx, change)
				}
			}
		}
	}()
	t.Cleanup(cancel)
	return func() { cancel(); <-ended }
}

// session runs statements in one session.
type session struct {
	t    *testing.T
	conn *sql.Conn
}

func (s *server) session(t *testing.T) session { return session{t, s.conn(t)} }

func (x session) exec(statements ...string) {
	x.t.Helper()
	for _, q := range statements {
		if _, err := x.conn.ExecContext(x.t.Context(), q); err != nil {
			x.t.Fatalf("%s: %v", firstLine(q), err)
		}
	}
}

// ghostChange changes a table as gh-ost does: into a ghost table, which takes the table's name in a
// RENAME that waits behind the lock of another session. What gh-ost would read from the log is
// copied under that lock.
func ghostChange(t *testing.T, s *server, schema, table, alter string) {
	t.Helper()
	name := func(suffix string) string { return fmt.Sprintf("`%s`.`_%s_%s`", schema, table, suffix) }
	original, ghost, sentry := fmt.Sprintf("`%s`.`%s`", schema, table), name("gho"), name("del")
	applier := s.session(t)
	applier.exec(
		"drop /* gh-ost */ table if exists "+ghost, "drop /* gh-ost */ table if exists "+sentry,
		"create /* gh-ost */ table "+name("ghc")+" (id bigint auto_increment, hint varchar(64) charset ascii not null, primary key(id), unique key hint_uidx(hint)) comment='gh-ost'",
		"create /* gh-ost */ table "+ghost+" like "+original,
		"alter /* gh-ost */ table "+ghost+" "+alter,
		"insert /* gh-ost */ into "+name("ghc")+" (hint) values ('state at start')",
		"insert /* gh-ost */ ignore into "+ghost+" (id, n) (select id, n from "+original+" force index (PRIMARY) lock in share mode)",
	)
	locker, renamer := s.session(t), s.session(t)
	locker.exec("create /* gh-ost */ table "+sentry+" (id int auto_increment primary key) engine=InnoDB comment='ghost-cut-over-sentry'",
		"lock /* gh-ost */ tables "+original+" write, "+sentry+" write")
	renamed := make(chan error, 1)
	go func() {
		_, err := renamer.conn.ExecContext(t.Context(), "rename /* gh-ost */ table "+original+" to "+sentry+", "+ghost+" to "+original)
		renamed <- err
	}()
	waitBlocked(t, s, "rename /* gh-ost */%")
	copyRows(t, locker, applier, original, ghost)
	locker.exec("drop /* gh-ost */ table if exists "+sentry, "unlock tables")
	if err := <-renamed; err != nil {
		t.Fatal(err)
	}
	applier.exec("drop /* gh-ost */ table if exists "+name("ghc"), "drop /* gh-ost */ table if exists "+sentry)
}

// waitBlocked waits until a statement waits for a lock.
func waitBlocked(t *testing.T, s *server, like string) {
	t.Helper()
	eventually(t, time.Minute, "a statement is blocked", func() error {
		n := s.text(t, "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE ? AND state LIKE 'Waiting for table%'", like)
		if n == "0" {
			return fmt.Errorf("it is not")
		}
		return nil
	})
}

// copyRows makes a table's rows those of another, which only the first session can read.
func copyRows(t *testing.T, reader, writer session, from, to string) {
	t.Helper()
	rows, err := reader.conn.QueryContext(t.Context(), "SELECT id, n FROM "+from)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var values []string
	for rows.Next() {
		var id int
		var n sql.NullString
		if err := rows.Scan(&id, &n); err != nil {
			t.Fatal(err)
		}
		values = append(values, fmt.Sprintf("(%d, %s)", id, n.String))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	writer.exec("DELETE FROM "+to, "REPLACE INTO "+to+" (id, n) VALUES "+strings.Join(values, ","))
}

// percoChange changes a table as pt-online-schema-change does: triggers carry changes over to a new
// table, which takes the name of the old one.
func percoChange(t *testing.T, s *server, schema, table, alter string) {
	t.Helper()
	original, fresh, old := fmt.Sprintf("`%s`.`%s`", schema, table), fmt.Sprintf("`%s`.`_%s_new`", schema, table), fmt.Sprintf("`%s`.`_%s_old`", schema, table)
	trigger := func(on string) string { return fmt.Sprintf("`%s`.`pt_osc_%s_%s_%s`", schema, schema, table, on) }
	x := s.session(t)
	x.exec(
		"CREATE TABLE "+fresh+" LIKE "+original,
		"ALTER TABLE "+fresh+" "+alter,
		"CREATE TRIGGER "+trigger("del")+" AFTER DELETE ON "+original+" FOR EACH ROW DELETE IGNORE FROM "+fresh+" WHERE "+fresh+".`id` <=> OLD.`id`",
		"CREATE TRIGGER "+trigger("upd")+" AFTER UPDATE ON "+original+" FOR EACH ROW BEGIN DELETE IGNORE FROM "+fresh+" WHERE !(OLD.`id` <=> NEW.`id`) AND "+fresh+".`id` <=> OLD.`id`; REPLACE INTO "+fresh+" (`id`, `n`) VALUES (NEW.`id`, NEW.`n`); END",
		"CREATE TRIGGER "+trigger("ins")+" AFTER INSERT ON "+original+" FOR EACH ROW REPLACE INTO "+fresh+" (`id`, `n`) VALUES (NEW.`id`, NEW.`n`)",
		"INSERT LOW_PRIORITY IGNORE INTO "+fresh+" (`id`, `n`) SELECT `id`, `n` FROM "+original+" FORCE INDEX(`PRIMARY`) WHERE `id` <= 250 LOCK IN SHARE MODE /*pt-online-schema-change copy nibble*/",
		"INSERT LOW_PRIORITY IGNORE INTO "+fresh+" (`id`, `n`) SELECT `id`, `n` FROM "+original+" FORCE INDEX(`PRIMARY`) WHERE `id` > 250 LOCK IN SHARE MODE /*pt-online-schema-change copy nibble*/",
		"ANALYZE TABLE "+fresh+" /* pt-online-schema-change */",
		"RENAME TABLE "+original+" TO "+old+", "+fresh+" TO "+original,
		"DROP TABLE IF EXISTS "+old,
	)
	for _, on := range []string{"del", "upd", "ins"} {
		x.exec("DROP TRIGGER IF EXISTS " + trigger(on))
	}
}
