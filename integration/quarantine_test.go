//go:build integration

package integration

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"cdcd/capture"
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
		{"", "DROP TABLE %s", []string{"DROP TABLE"}, ""},
		{"", "RENAME TABLE %s TO elsewhere", []string{"RENAME TABLE"}, ""},
		{"", "ALTER TABLE %s DROP PARTITION p0", []string{"PARTITION"}, ""},
		{"SET SESSION sql_mode = ''", "INSERT INTO %s (id, d) VALUES (7, '2026-00-01')", []string{"a row event", `column "d"`}, ""},
		{"SET SESSION binlog_alter_two_phase = ON", "ALTER TABLE %s ADD extra INT", []string{"in two phases"}, mariadb118},
		{"", "CREATE OR REPLACE TABLE %s (id INT PRIMARY KEY)", []string{"CREATE"}, mariadb118},
		{"SET SESSION binlog_row_image = MINIMAL", "REPLACE INTO %s (id, v) VALUES (1, 'x')", []string{"an incomplete row image"}, mariadb118},
	}
}

// TestQuarantine has one table after the other meet what it cannot follow, in transactions that
// change another one too. Each stays as it was before, and is known after a kill; the others go on.
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
		p := newPipeline(t, s, "aside.*", nil)
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
		healthy := []string{"aside.healthy", "aside.elsewhere"}
		p.oracle("duckdb").equal(t, healthy...)
		p.must(append([]string{"verify"}, healthy...)...)
		f := p.run("verify")
		if f.code != 1 {
			t.Errorf("verify ends with %d", f.code)
		}
		wantWords(t, f.out, fmt.Sprintf("%d quarantined", len(broken)), "cdcd resnapshot "+broken[0])
		wantWords(t, p.must("status").out, "quarantined before", "cdcd resnapshot "+broken[0])
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
	for _, x := range st.Tables {
		if x.Source != source {
			continue
		}
		if x.State != "quarantined" || x.Quarantine == nil {
			p.t.Errorf("%s is %s", source, x.State)
			return
		}
		wantWords(p.t, x.Quarantine.Reason, words...)
		if x.Quarantine.GTID == "" && p.server.flavor == capture.MySQL {
			p.t.Errorf("%s: no transaction is named", source)
		}
		return
	}
	p.t.Errorf("no table %s", source)
}
