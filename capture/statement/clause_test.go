package statement

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// described renders an alteration in one line.
func described(a Alteration) string {
	if !a.Understood {
		return "?"
	}
	var out []string
	if a.Ignore {
		out = append(out, "ignore")
	}
	for _, c := range a.Clauses {
		out = append(out, describedClause(c))
	}
	return strings.Join(out, "; ")
}

func describedClause(c Clause) string {
	s := []string{"add", "drop", "rename", "change", "dropkey", "renamekey", "convert", "redefault", "beyond"}[c.Kind]
	for _, part := range []string{c.Name, c.To, c.Charset} {
		if part != "" {
			s += " " + part
		}
	}
	if c.Tolerant {
		s += " tolerant"
	}
	if c.Kind == AddColumn || c.Kind == ChangeColumn {
		s += " " + describedDefinition(c.Definition)
	}
	if c.First {
		s += " first"
	}
	if c.After != "" {
		s += " after " + c.After
	}
	return s
}

func describedDefinition(d Definition) string {
	s := d.Type
	if len(d.Sizes) > 0 {
		s += fmt.Sprint(d.Sizes)
	}
	if d.Elements != nil {
		s += fmt.Sprintf("%q", d.Elements)
	}
	for word, is := range map[string]bool{" unsigned": d.Unsigned} {
		if is {
			s += word
		}
	}
	if d.Charset != "" {
		s += " " + d.Charset
	}
	if d.Binary {
		s += " bytes"
	}
	s += []string{"", " null", " notnull"}[d.Null]
	if d.Default.Kind != NoDefault {
		s += " =" + []string{"", "null", "number", "text", "bits", "now", "expression"}[d.Default.Kind]
		if d.Default.Text != nil {
			s += fmt.Sprintf(" %q", d.Default.Text)
		}
		if d.Default.Introduced {
			s += " introduced"
		}
	}
	if d.AutoValue {
		s += " auto"
	}
	if d.Generated {
		s += " generated"
	}
	return s
}

// alterCases pairs what stands behind ALTER TABLE t with what it says. "?" is not understood.
func alterCases() [][2]string {
	return [][2]string{
		{"ADD a INT", "add a INT"},
		{"ADD COLUMN a INT(11) UNSIGNED NOT NULL DEFAULT '0' COMMENT 'a, b' AFTER `x``y`", "add a INT[11] unsigned notnull =text \"0\" after x`y"},
		{"ADD COLUMN IF NOT EXISTS a INT FIRST", "add a tolerant INT first"},
		{"ADD COLUMN (a INT, b VARCHAR(10) CHARACTER SET latin1, INDEX i (a), PRIMARY KEY (b))", "add a INT; add b VARCHAR[10] latin1"},
		{"ADD (a INT NULL DEFAULT NULL)", "add a INT null =null"},
		{"ADD a ENUM('x','it''s',\"q\") COLLATE utf8mb4_bin DEFAULT 'x'", `add a ENUM["x" "it's" "q"] utf8mb4 =text "x"`},
		{"ADD a SET('x') CHARSET ascii", `add a SET["x"] ascii`},
		{"ADD a DECIMAL(10,2) DEFAULT -1.50", `add a DECIMAL[10 2] =number "-1.50"`},
		{"ADD a DOUBLE PRECISION DEFAULT 1e10", `add a DOUBLE PRECISION =number "1e10"`},
		{"ADD a DOUBLE DEFAULT 1e-10", "?"},
		{"ADD a BIT(9) DEFAULT b'101'", `add a BIT[9] =bits "\x05"`},
		{"ADD a BINARY(4) DEFAULT X'0aFF'", `add a BINARY[4] =bits "\n\xff"`},
		{"ADD a BLOB DEFAULT 0x0AF", `add a BLOB =bits "\x00\xaf"`},
		{"ADD a TEXT DEFAULT ('abc')", `add a TEXT =text "abc"`},
		{"ADD a TEXT DEFAULT (concat('a', 'b'))", "add a TEXT =expression"},
		{"ADD a JSON DEFAULT (JSON_OBJECT('a', 1, 'b', (2)))", "add a JSON =expression"},
		{"ADD a VARCHAR(36) DEFAULT uuid()", "add a VARCHAR[36] =expression"},
		{"ADD a INT DEFAULT 1 + 2", "?"},
		{"ADD a INT DEFAULT (1 + 2) NOT NULL", "add a INT notnull =expression"},
		{"ADD a VARCHAR(9) DEFAULT 'a' 'b'", `add a VARCHAR[9] =text "ab"`},
		{"ADD a VARCHAR(9) DEFAULT _latin1'\xe9'", `add a VARCHAR[9] =text "\xe9" introduced`},
		{"ADD a VARCHAR(9) DEFAULT 'a\\n\\'b'", `add a VARCHAR[9] =text "a\n'b"`},
		{"ADD a BOOL DEFAULT TRUE, ADD b BOOLEAN NOT NULL DEFAULT false", `add a BOOL =number "1"; add b BOOLEAN notnull =number "0"`},
		{"ADD a TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP", "add a TIMESTAMP notnull =now"},
		{"ADD a DATETIME(6) DEFAULT NOW(6)", "add a DATETIME[6] =now"},
		{"ADD a DATETIME DEFAULT (now())", "add a DATETIME =expression"},
		{"ADD a INT AUTO_INCREMENT UNIQUE KEY", "add a INT auto"},
		{"ADD a INT GENERATED ALWAYS AS (b + 1) STORED NOT NULL", "add a INT notnull generated"},
		{"ADD a INT AS (b) VIRTUAL", "add a INT generated"},
		{"ADD a INT /*!80023 INVISIBLE */", "add a INT"},
		{"ADD a INT /* DEFAULT 7 */ -- , DROP b\n", "add a INT"},
		{"/*!50100 ADD a INT */", "add a INT"},
		{"ADD a INT REFERENCES u (x) ON DELETE RESTRICT ON UPDATE NO ACTION", "add a INT"},
		{"ADD a INT REFERENCES u (x) ON DELETE CASCADE", "beyond FOREIGN KEY ... CASCADE; add a INT"},
		{"ADD a INT CHECK (a > 0) NOT ENFORCED, ADD CONSTRAINT c CHECK (a IN (1, 2))", "add a INT"},
		{"ADD a INT CONSTRAINT c CHECK (a > 0)", "add a INT"},
		{"ADD a INT COMPRESSED", "?"},
		{"ADD a GEOMETRY NOT NULL SRID 4326", "?"},
		{"ADD a NATIONAL VARCHAR(10), ADD b LONG VARBINARY, ADD c CHAR VARYING(3)", "add a NATIONAL VARCHAR[10]; add b LONG VARBINARY; add c CHAR VARYING[3]"},
		{"ADD a CHAR(3) BYTE, ADD b VARCHAR(3) CHARACTER SET binary", "add a CHAR[3] bytes; add b VARCHAR[3] binary bytes"},
		{"ADD a VARCHAR(3) CHARACTER SET 'utf8mb4' COLLATE = utf8mb4_bin", "add a VARCHAR[3] utf8mb4"},
		{"ADD a VARCHAR(3) COLLATE uca1400_ai_ci", "add a VARCHAR[3]"},
		{"ADD `check` INT, ADD `index` INT, ADD system INT, ADD period INT, ADD vector INT", "add check INT; add index INT; add system INT; add period INT; add vector INT"},
		{"ADD INDEX (a), ADD KEY k (b), ADD UNIQUE KEY (c), ADD FULLTEXT (d), ADD SPATIAL INDEX (e), ADD VECTOR INDEX (f)", ""},
		{"ADD PRIMARY KEY (a, b), ADD CONSTRAINT c UNIQUE (d)", ""},
		{"ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (b) ON DELETE NO ACTION", ""},
		{"ADD FOREIGN KEY (a) REFERENCES u (b) ON UPDATE RESTRICT ON DELETE SET NULL", "beyond FOREIGN KEY ... SET"},
		{"ADD SYSTEM VERSIONING", "beyond SYSTEM VERSIONING"},
		{"ADD PERIOD FOR SYSTEM_TIME(a, b)", "beyond SYSTEM VERSIONING"},
		{"DROP a", "drop a"},
		{"DROP COLUMN `a b` RESTRICT, DROP COLUMN IF EXISTS c", "drop a b; drop c tolerant"},
		{"DROP PRIMARY KEY, DROP INDEX i, DROP KEY `k`, DROP CONSTRAINT c, DROP FOREIGN KEY f, DROP CHECK x", "dropkey PRIMARY; dropkey i; dropkey k; dropkey c"},
		{"CHANGE a b BIGINT NOT NULL AUTO_INCREMENT", "change a b BIGINT notnull auto"},
		{"CHANGE COLUMN a a VARCHAR(100) CHARACTER SET utf8mb4 AFTER z", "change a a VARCHAR[100] utf8mb4 after z"},
		{"MODIFY a BIGINT FIRST, MODIFY COLUMN b TEXT", "change a a BIGINT first; change b b TEXT"},
		{"RENAME COLUMN a TO b, RENAME COLUMN b TO a", "rename a b; rename b a"},
		{"RENAME INDEX a TO b, RENAME KEY c TO d", "renamekey a b; renamekey c d"},
		{"RENAME TO u", "beyond RENAME"},
		{"RENAME AS d.u, ADD a INT", "beyond RENAME; add a INT"},
		{"RENAME TO d.t, ADD a INT", "add a INT"},
		{"RENAME `t`", ""},
		{"ALTER a SET DEFAULT 7, ALTER COLUMN b DROP DEFAULT, ALTER INDEX i INVISIBLE, ALTER COLUMN c SET DEFAULT (uuid(), 1)", "redefault a tolerant; redefault b tolerant; redefault c tolerant"},
		{"CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "convert utf8mb4"},
		{"CONVERT TO CHARSET DEFAULT", "convert"},
		{"DEFAULT CHARACTER SET = latin1 COLLATE latin1_bin", ""},
		{"ENGINE = InnoDB ROW_FORMAT=DYNAMIC KEY_BLOCK_SIZE 8, COMMENT='x, DROP y'", ""},
		{"ENGINE = BLACKHOLE", "beyond ENGINE = blackhole"},
		{"AUTO_INCREMENT = 10, ALGORITHM = INSTANT, LOCK = NONE, FORCE", ""},
		{"TABLESPACE ts STORAGE DISK", ""},
		{"FROBNICATE = 1", "?"},
		{"ORDER BY a, b DESC", ""},
		{"DISABLE KEYS", ""},
		{"ADD PARTITION (PARTITION p VALUES LESS THAN (7))", ""},
		{"PARTITION BY HASH (a) PARTITIONS 4", ""},
		{"REMOVE PARTITIONING", ""},
		{"REBUILD PARTITION p, q", ""},
		{"REORGANIZE PARTITION p INTO (PARTITION a VALUES IN (1), PARTITION b VALUES IN (2))", ""},
		{"DROP PARTITION p, q", "beyond DROP PARTITION"},
		{"TRUNCATE PARTITION ALL", "beyond TRUNCATE PARTITION"},
		{"EXCHANGE PARTITION p WITH TABLE u", "beyond EXCHANGE PARTITION"},
		{"ADD a", "?"},
		{"ADD", "?"},
		{"ADD a INT b", "?"},
		{"ADD a INT DEFAULT", "?"},
		{"ADD a INT DEFAULT 'x", "?"},
		{"ADD (a INT", "?"},
		{"MODIFY a", "?"},
		{"RENAME COLUMN a b", "?"},
		{"ADD a INT; DROP TABLE u", "?"},
		{"", ""},
	}
}

func TestAlter(t *testing.T) {
	for _, c := range alterCases() {
		if got := described(Alter([]byte("ALTER TABLE t "+c[0]), Options{DefaultSchema: "d"})); got != c[1] {
			t.Errorf("%s\n got %s\nwant %s", c[0], got, c[1])
		}
	}
	for sql, want := range map[string]string{
		"CREATE UNIQUE INDEX i ON t (a, b)":                              "",
		"DROP INDEX i ON t":                                              "dropkey i",
		"ALTER IGNORE TABLE t ADD UNIQUE (a)":                            "ignore",
		"ALTER ONLINE TABLE IF EXISTS t WAIT 5 ADD a INT":                "add a INT",
		"SET STATEMENT max_statement_time=1 FOR ALTER TABLE t ADD a INT": "add a INT",
		"ALTER TABLE t ADD a INT /*M!100301 DEFAULT 7 */":                `add a INT =number "7"`,
		"DROP TABLE t":                          "?",
		"ALTER DATABASE d CHARACTER SET latin1": "?",
		"ALTER TABLE `d`.`t` ADD `\u00e9\u3042` INT DEFAULT 1, DROP `weird``one`": "add \u00e9\u3042 INT =number \"1\"; drop weird`one",
	} {
		if got := described(Alter([]byte(sql), Options{DefaultSchema: "d", MariaDB: true})); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
	if got := described(Alter([]byte(`ALTER TABLE t ADD "a" INT DEFAULT 'x\'`), Options{ANSIQuotes: true, NoBackslashEscapes: true})); got != `add a INT =text "x\\"` {
		t.Errorf("in the session's sql_mode: %s", got)
	}
}

// TestAlterIsAboutOneTable holds that Alter understands nothing that Scan doubts, and that
// comments and white space between the tokens change nothing.
func TestAlterIsAboutOneTable(t *testing.T) {
	cases := alterCases()
	rapid.Check(t, func(t *rapid.T) {
		clauses := rapid.SliceOfN(rapid.SampledFrom(cases), 1, 4).Draw(t, "clauses")
		gap := rapid.SampledFrom([]string{" ", "\n\t", " /* , DROP x */ ", " -- ADD y INT\n", "/*!80000 */ "}).Draw(t, "gap")
		var text, want []string
		for _, c := range clauses {
			if c[1] == "?" || c[0] == "" || strings.Contains(c[0], "PARTITION") || strings.Contains(c[0], "ORDER BY") || strings.Contains(c[0], "--") {
				continue // which ends a statement, or spoils it
			}
			text = append(text, c[0])
			if c[1] != "" {
				want = append(want, c[1])
			}
		}
		sql := []byte("ALTER" + gap + "TABLE t" + gap + strings.Join(text, gap+","+gap))
		a, s := Alter(sql, Options{DefaultSchema: "d"}), Scan(sql, Options{DefaultSchema: "d"})
		if !s.Certain || s.Kind != AlterTable || s.Tables[0] != (Name{"d", "t"}) {
			t.Fatalf("%s: %+v", sql, s)
		}
		if got := described(a); got != strings.Join(want, "; ") {
			t.Fatalf("%s\n got %s\nwant %s", sql, got, strings.Join(want, "; "))
		}
	})
}

func FuzzAlter(f *testing.F) {
	for _, c := range alterCases() {
		f.Add([]byte("ALTER TABLE t "+c[0]), uint8(0))
	}
	f.Fuzz(func(t *testing.T, sql []byte, flags uint8) {
		o := optionsOf(flags)
		a := Alter(sql, o)
		if s := Scan(sql, o); a.Understood && (s.Kind != AlterTable || len(s.Tables) == 0) {
			t.Fatalf("%q is understood, and is %+v", sql, s)
		}
	})
}
