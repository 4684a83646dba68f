//go:build integration

package integration

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// oldRows is a statement that may change the rows that a table has, in a session of its own. %s is
// the table.
type oldRows struct {
	columns, values string // of the table, and of its row
	set             string // in the session
	does            string
	follows         bool   // else the table is quarantined
	only            string // a release, "" for all
}

func oldRowsCases() []oldRows {
	const strict, padded = "sql_mode = 'STRICT_TRANS_TABLES'", "sql_mode = 'STRICT_TRANS_TABLES,PAD_CHAR_TO_FULL_LENGTH'"
	const recoded = "character_set_client = utf8mb4, character_set_connection = latin1"
	return []oldRows{
		{"c CHAR(10)", "'a'", strict, "ALTER TABLE %s MODIFY c VARCHAR(10)", true, ""},
		{"c CHAR(10)", "'a'", padded, "ALTER TABLE %s MODIFY c VARCHAR(10)", false, ""},
		{"f FLOAT, d DOUBLE", "-1, -2", "sql_mode = ''", "ALTER TABLE %s MODIFY d DOUBLE UNSIGNED", false, ""},
		{"t TIMESTAMP NULL", "NULL", strict, "ALTER TABLE %s MODIFY t TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)", false, ""},
		{"n INT, UNIQUE KEY (n)", "NULL", strict, "ALTER TABLE %s MODIFY n INT NOT NULL AUTO_INCREMENT", false, ""},
		{"n INT", "1", strict, "ALTER TABLE %s ADD c VARCHAR(9) DEFAULT 007, ADD d VARCHAR(9) DEFAULT 1e3", false, ""},
		{"n INT", "1", strict, "ALTER TABLE %s ADD c VARCHAR(9) DEFAULT 1.50, ADD d VARCHAR(9) DEFAULT -0.5, ADD e CHAR(3) DEFAULT TRUE", true, ""},
		{"n INT", "1", strict, "ALTER TABLE %s ADD y YEAR DEFAULT '0'", false, ""},
		{"n INT", "1", "sql_mode = ''", "ALTER TABLE %s ADD y YEAR DEFAULT 0, ADD z YEAR DEFAULT '0000'", true, ""},
		{"n INT", "1", recoded, "ALTER TABLE %s ADD c VARCHAR(9) CHARACTER SET utf8mb4 DEFAULT 'я'", false, ""},
		{"n INT", "1", "sql_mode = ''", "ALTER TABLE %s ADD c VARCHAR(9) CHARACTER SET utf8mb4 DEFAULT 'я'", true, ""},
		{"n INT", "1", "sql_mode = ''", "ALTER TABLE %s ADD c VARCHAR(9) CHARACTER SET latin1 DEFAULT 'é'", false, ""},
		{"v VARCHAR(9) CHARACTER SET latin1, g INT AS (LENGTH(v)) STORED", "'é', DEFAULT", strict, "ALTER TABLE %s CONVERT TO CHARACTER SET utf8mb4", false, ""},
		{"d DATETIME, g VARCHAR(40) AS (CONCAT(d)) STORED", "'2024-01-01', DEFAULT", strict, "ALTER TABLE %s MODIFY d DATETIME(3)", false, ""},
		{"n SMALLINT, g VARCHAR(40) AS (CONCAT(n)) STORED", "-7, DEFAULT", strict, "ALTER TABLE %s MODIFY n INT, ADD z INT DEFAULT 5 AFTER n", true, ""},
		{"a INT, b INT", "1, 2", strict, "ALTER TABLE %s MODIFY a INT AFTER b, MODIFY b INT AFTER id, ADD c INT DEFAULT 3 AFTER a", true, ""},
		{"a INT, b INT", "1, 2", "binlog_format = STATEMENT", "CREATE TEMPORARY TABLE %s (z INT); TRUNCATE %s; DROP TABLE %s", false, ""},
		{"a INT, b INT", "1, 2", strict, "CREATE TEMPORARY TABLE %s (z INT); ALTER TABLE %s ADD y INT DEFAULT 1; TRUNCATE %s; DROP TABLE %s", true, ""},
		{"n INT", "1", "sql_mode = 'EMPTY_STRING_IS_NULL'", "ALTER TABLE %s ADD c VARCHAR(9) DEFAULT ''", false, mariadb118},
		{"n INT", "1", "sql_mode = 'ORACLE'", "ALTER TABLE %s ADD d DATE DEFAULT '2024-01-01'", true, mariadb118},
		{"a INT, b INT", "1, 2", strict, "ALTER TABLE %s DROP IF EXISTS a, ADD IF NOT EXISTS a INT DEFAULT 9, ADD IF NOT EXISTS c INT DEFAULT 1, ADD IF NOT EXISTS c INT DEFAULT 2", true, mariadb118},
	}
}

// TestAlterationsOfOldRows has statements do to rows that are there what their text does not tell,
// each to a table of its own: the lake has what the source has, or the table is quarantined.
func TestAlterationsOfOldRows(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "oldrows")
		cases := map[string]oldRows{}
		for i, c := range oldRowsCases() {
			if c.only == "" || c.only == s.release {
				name := fmt.Sprintf("oldrows.t%d", i)
				cases[name] = c
				s.exec(t, fmt.Sprintf("CREATE TABLE %[1]s (id INT PRIMARY KEY, %[2]s); INSERT INTO %[1]s VALUES (1, %[3]s)", name, c.columns, c.values))
			}
		}
		p := newPipeline(t, s, "oldrows.*", nil)
		p.start()
		p.reach()
		for name, c := range cases {
			conn := s.conn(t)
			does := strings.Split(strings.ReplaceAll(c.does, "%s", name), "; ")
			for _, q := range append([]string{"USE oldrows", "SET SESSION " + c.set}, does...) {
				if _, err := conn.ExecContext(t.Context(), q); err != nil {
					t.Fatalf("%s: %v", q, err)
				}
			}
		}
		p.reach()
		if f := p.run("verify"); regexp.MustCompile(`(?m)^\s*differ`).MatchString(f.out) {
			t.Errorf("cdcd verify ended with %d:\n%s", f.code, f.out)
		}
		st, err := p.status()
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range cases {
			if x := st.table(name); x == nil || (x.State == "streaming") != c.follows {
				t.Errorf("%s: %+v", c.does, x)
			}
		}
		for name := range cases {
			s.exec(t, "INSERT INTO "+name+" (id) VALUES (2)")
		}
		p.reach()
		for name, c := range cases {
			if c.follows {
				p.must("verify", name)
			}
		}
	})
}
