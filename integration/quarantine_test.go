//go:build integration

package integration

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// quarantineCase is what a table cannot follow. %s is its name.
type quarantineCase struct {
	set   string // in a session of its own, before
	does  string
	words []string
	only  string // a release, "" for all
}

func quarantineCases() []quarantineCase {
	return []quarantineCase{
		{"", "ALTER TABLE %s ADD extra INT GENERATED ALWAYS AS (id + 1) STORED", []string{"this ALTER TABLE", "are computed"}, ""},
		{"", "ALTER TABLE %s MODIFY v CHAR(20)", []string{"this ALTER TABLE", "does not tell what becomes of the rows"}, ""},
		{"", "ALTER TABLE %s DROP PRIMARY KEY, ADD PRIMARY KEY (id, v)", []string{"this ALTER TABLE"}, ""},
		{"", "ALTER TABLE %s DROP PARTITION p0", []string{"PARTITION"}, ""},
		{"SET SESSION sql_mode = ''", "INSERT INTO %s (id, d) VALUES (7, '2026-00-01')", []string{"a row event", `column "d"`}, ""},
		{"SET SESSION binlog_alter_two_phase = ON", "ALTER TABLE %s ADD extra INT", []string{"in two phases"}, mariadb118},
		{"", "CREATE OR REPLACE TABLE %s (id INT PRIMARY KEY)", []string{"CREATE"}, mariadb118},
		{"SET SESSION binlog_row_image = MINIMAL", "REPLACE INTO %s (id, v) VALUES (1, 'x')", []string{"an incomplete row image"}, mariadb118},
	}
}

// TestQuarantine has one table after the other meet what it cannot follow, in transactions that
// change another one too. Each stays as it was before, and is known after a kill; the others go on.
// cdcd resnapshot brings all of them back, in the shape that they have by then.
func TestQuarantine(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "aside")
		s.exec(t, "CREATE TABLE aside.healthy (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20)); INSERT INTO aside.healthy (v) VALUES ('first')")
		var broken []string
		var cases []quarantineCase
		for i, c := range quarantineCases() {
			if c.only != "" && c.only != s.release {
				continue
			}
			name := fmt.Sprintf("aside.t%d", i)
			s.exec(t, fmt.Sprintf(`CREATE TABLE %s (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL DEFAULT '', doc JSON, d DATE)
				PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE); INSERT INTO %s VALUES (1, 'before', '[1, 2]', NULL)`, name, name))
			broken, cases = append(broken, name), append(cases, c)
		}
		p := newPipeline(t, s, "aside.*", settings{"on_table_replaced": "quarantine"})
		p.start()
		p.reach()
		for i, c := range cases {
			c.happen(t, s, broken[i])
			if i == len(cases)/2 {
				p.kill()
				p.start()
			}
		}
		p.reach()
		p.kill()
		p.start()
		s.exec(t, "INSERT INTO aside.healthy (v) VALUES ('after the kill')")
		p.reach()
		for i, c := range cases {
			p.wantQuarantined(broken[i], c.words...)
			shown := p.must("show", broken[i]).out
			wantWords(t, shown, "before", "just before")
			if strings.Contains(shown, "300") {
				t.Errorf("%s went on:\n%s", broken[i], shown)
			}
		}
		p.oracle("duckdb").equal(t, "aside.healthy")
		p.must("verify", "aside.healthy")
		f := p.run("verify")
		if f.code != 1 {
			t.Errorf("verify ends with %d", f.code)
		}
		wantWords(t, f.out, fmt.Sprintf("%d quarantined", len(broken)), "cdcd resnapshot "+broken[0])
		wantWords(t, p.must("status").out, "quarantined before", "cdcd resnapshot "+broken[0])
		p.fsck(t)
		for i, c := range cases {
			if strings.Contains(c.does, "(id, d)") { // the value that it could not follow
				s.exec(t, fmt.Sprintf("DELETE FROM %s WHERE id = 7", broken[i]))
			}
			if i == len(cases)/2 {
				p.reach()
				p.kill()
				p.start()
			}
			p.must("resnapshot", broken[i])
		}
		p.reach()
		s.exec(t, "INSERT INTO aside.healthy (v) VALUES ('last')")
		p.must("resnapshot", "--wait", "aside.healthy") // which has not left
		p.reach()
		p.oracle("duckdb").equal(t, append(broken, "aside.healthy")...)
		p.verify()
		p.kill()
		p.start()
		s.exec(t, "INSERT INTO aside.healthy (v) VALUES ('behind it all')")
		p.reach()
		p.verify()
		p.fsck(t)
	})
}

// happen has a table meet what it cannot follow, where that can be in a transaction that changes
// another one too.
func (c quarantineCase) happen(t *testing.T, s *server, name string) {
	t.Helper()
	conn := s.conn(t)
	for _, statement := range []string{
		"USE aside", fmt.Sprintf("INSERT INTO %s (id, v, doc) VALUES (2, 'just before', '[1, 2]')", name), cmp.Or(c.set, "DO 0"),
		"BEGIN", "INSERT INTO healthy (v) VALUES ('beside')", fmt.Sprintf(c.does, name), "INSERT INTO healthy (v) VALUES ('behind')", "COMMIT",
	} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	_, _ = s.db.Exec(fmt.Sprintf("INSERT INTO %s (id) VALUES (300)", name)) // where it is still there
}

// wantQuarantined checks that the daemon says of a source table that it is quarantined.
func (p *pipeline) wantQuarantined(source string, words ...string) {
	p.t.Helper()
	st, err := p.status()
	if err != nil {
		p.t.Fatal(err)
	}
	x := st.table(source)
	if x == nil || x.State != "quarantined" || x.Quarantine == nil {
		p.t.Errorf("%s is not quarantined: %+v", source, x)
		return
	}
	wantWords(p.t, x.Quarantine.Reason, words...)
	if x.Quarantine.GTID == "" {
		p.t.Errorf("%s: no transaction is named", source)
	}
}

// TestResnapshotKilled kills the daemon again and again while a table that changes all the time is
// loaded anew. Until it is published readers see the rows of before.
func TestResnapshotKilled(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		const rows, kills = 12_000, 3
		s.schema(t, "anew")
		churnTables(t, s, "anew", rows)
		f := startForwarder(t, s.address)
		p := newPipeline(t, s, "anew.*", settings{"source.address": f.address, "load.chunk_rows": 100, "load.connections": 1})
		p.start()
		p.reach()
		c := startChurn(t, s, "anew", rows, 7)
		c.busyFor(t, 50)
		s.exec(t, "ALTER TABLE anew.kv MODIFY amount DECIMAL(14,3)")
		c.busyFor(t, 50)
		p.reach()
		p.wantQuarantined("anew.kv", "this ALTER TABLE")
		lake, columns := p.oracle("duckdb"), sourceColumns(t, s, "anew.kv")
		shown := func() []string {
			rows := lake.lakeRows(t, "anew.kv", columns)
			slices.Sort(rows)
			return rows
		}
		before := shown()
		f.change(func(f *forwarder) { f.delay = 20 * time.Millisecond }) // so that the load is not over before it is looked at
		p.must("resnapshot", "anew.kv")
		killed, loaded := 0, int64(0)
		eventually(t, 5*time.Minute, "the table is loaded anew", func() error {
			st, err := p.status()
			if err != nil {
				return err
			}
			x := st.table("anew.kv")
			if x == nil || x.State == "streaming" {
				return nil
			}
			if x.LoadedRows > loaded && killed < kills {
				loaded = x.LoadedRows
				if now := shown(); !slices.Equal(now, before) {
					return fatalError{fmt.Errorf("readers see %d rows, and %d before", len(now), len(before))}
				}
				p.kill()
				if killed++; killed == 1 {
					p.fsck(t)
				}
				if killed == kills {
					f.fast()
				}
				p.start()
			}
			return errors.New(x.State)
		})
		if killed < kills {
			t.Errorf("killed %d times only", killed)
		}
		c.stop(t)
		p.reach()
		p.oracle("duckdb").equal(t, "anew.kv", "anew.pair")
		p.verify()
		p.fsck(t)
	})
}
