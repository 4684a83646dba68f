package capture

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"cdcd/capture/statement"
	"pgregory.net/rapid"
)

// alterable is a table with a column of most kinds, by its key's index.
func alterable() *Table {
	return &Table{Name: Name{"s", "t"}, Key: []int{0}, KeyName: statement.Primary, Columns: []Column{
		{Name: "id", Type: TypeInt},
		{Name: "a", Type: TypeVarchar, Size: 40, Charset: "utf8mb4", Nullable: true},
		{Name: "l", Type: TypeVarchar, Size: 10, Charset: "latin1", Nullable: true},
		{Name: "n", Type: TypeInt, Nullable: true},
		{Name: "u", Type: TypeInt, Unsigned: true, Nullable: true},
		{Name: "f", Type: TypeFloat, Nullable: true},
		{Name: "d", Type: TypeDecimal, Precision: 10, Scale: 2, Nullable: true},
		{Name: "e", Type: TypeEnum, Charset: "utf8mb4", Elements: []string{"x", "y"}, Nullable: true},
		{Name: "st", Type: TypeSet, Charset: "utf8mb4", Elements: []string{"x", "y"}, Nullable: true},
		{Name: "t", Type: TypeDatetime, Fraction: 3, Nullable: true},
		{Name: "b", Type: TypeBinary, Size: 4, Nullable: true},
		{Name: "c", Type: TypeChar, Size: 40, Charset: "utf8mb4", Nullable: true},
		{Name: "tm", Type: TypeTime, Nullable: true},
		{Name: "bits", Type: TypeBit, Size: 4, Nullable: true},
	}}
}

// shown renders what a Change leaves of a table: changed, new and moved columns.
func shown(old *Table, c *Change) string {
	if c == nil {
		return "the same"
	}
	var out []string
	last := -1
	gone := map[int]bool{}
	for i := range old.Columns {
		gone[i] = true
	}
	for i, col := range c.Table.Columns {
		from := c.From[i]
		delete(gone, from)
		switch {
		case from < 0 && c.Initial[i] == nil:
			out = append(out, fmt.Sprintf("%d: new %s %s", i, col.Name, col.SQLType()))
		case from < 0:
			out = append(out, fmt.Sprintf("%d: new %s %s %s", i, col.Name, col.SQLType(), c.Initial[i].ValueStr(0)))
		case from < last:
			out = append(out, fmt.Sprintf("%d: %s moved", i, col.Name))
		case !col.equal(old.Columns[from]) || col.Nullable != old.Columns[from].Nullable:
			out = append(out, fmt.Sprintf("%d: %s to %s %s %d", i, old.Columns[from].Name, col.Name, col.SQLType(), col.Size))
		}
		last = max(last, from)
	}
	for i := range old.Columns {
		if gone[i] {
			out = append(out, old.Columns[i].Name+" gone")
		}
	}
	return strings.Join(out, "; ")
}

func alteredBy(clauses string, s session) (*Change, error) {
	return alterable().alter(statement.Alter([]byte("ALTER TABLE t "+clauses), statement.Options{DefaultSchema: "s"}), s)
}

// strictSession is the servers' own.
func strictSession() session {
	return session{strict: true, began: time.Unix(1_700_000_000, 0)}
}

func TestAlterations(t *testing.T) {
	for clauses, want := range map[string]string{
		"ADD INDEX (a), COMMENT 'x', ENGINE = InnoDB": "the same",
		"ADD z INT":                                          "14: new z INT",
		"ADD z INT FIRST, ADD y INT FIRST":                   "0: new y INT; 1: new z INT",
		"ADD z INT AFTER id, ADD y INT AFTER z":              "1: new z INT; 2: new y INT",
		"ADD z INT NOT NULL":                                 "14: new z INT 0",
		"ADD z INT NOT NULL DEFAULT 7":                       "14: new z INT 7",
		"ADD z INT DEFAULT '-07'":                            "14: new z INT -7",
		"ADD z BIGINT UNSIGNED DEFAULT 18":                   "14: new z BIGINT UNSIGNED 18",
		"ADD z DECIMAL(8,3) NOT NULL":                        "14: new z DECIMAL(8,3) 0",
		"ADD z DECIMAL(8,3) DEFAULT 1.5":                     "14: new z DECIMAL(8,3) 1.5",
		"ADD z DECIMAL(60,3) DEFAULT 1.5":                    "14: new z DECIMAL(60,3) 1.500",
		"ADD z FLOAT DEFAULT 0.1":                            "14: new z FLOAT 0.1",
		"ADD z VARCHAR(9) DEFAULT 1.50":                      "14: new z VARCHAR CHARACTER SET utf8mb4 1.50",
		"ADD z VARCHAR(9) DEFAULT -0.5":                      "14: new z VARCHAR CHARACTER SET utf8mb4 -0.5",
		"ADD z VARCHAR(9) COLLATE utf8mb3_bin DEFAULT 'я'":   "14: new z VARCHAR CHARACTER SET utf8mb3 я",
		"ADD z CHAR(9) DEFAULT 'é'":                          "14: new z CHAR CHARACTER SET utf8mb4 é",
		"ADD z YEAR DEFAULT 0, ADD y YEAR DEFAULT '0000'":    "14: new z YEAR 0; 15: new y YEAR 0",
		"ADD z REAL DEFAULT 0.1":                             "14: new z DOUBLE 0.1",
		"ADD z VARCHAR(5) NOT NULL":                          "14: new z VARCHAR CHARACTER SET utf8mb4 ",
		"ADD z VARCHAR(5) DEFAULT 'a b '":                    "14: new z VARCHAR CHARACTER SET utf8mb4 a b ",
		"ADD z CHAR(5) DEFAULT 'a '":                         "14: new z CHAR CHARACTER SET utf8mb4 a",
		"ADD z ENUM('p','q') NOT NULL":                       "14: new z ENUM CHARACTER SET utf8mb4 p",
		"ADD z SET('p','q','r') DEFAULT 'p,r'":               "14: new z SET CHARACTER SET utf8mb4 p,r",
		"ADD z BIT(9) DEFAULT b'101'":                        "14: new z BIT(9) AAU=",
		"ADD z BIT DEFAULT 1":                                "14: new z BIT(1) true",
		"ADD z BINARY(3) DEFAULT 'a'":                        "14: new z BINARY(3) YQAA",
		"ADD z DATE DEFAULT '2024-02-29'":                    "14: new z DATE 2024-02-29",
		"ADD z DATETIME(2) DEFAULT '2024-02-29 01:02:03.5'":  "14: new z DATETIME(2) 2024-02-29T01:02:03.5",
		"ADD z TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP": "14: new z TIMESTAMP 2023-11-14T22:13:20Z",
		"ADD z TIMESTAMP NULL":                               "14: new z TIMESTAMP",
		"ADD z TIME(2) NOT NULL":                             "14: new z TIME(2) 00:00:00.00",
		"ADD z YEAR DEFAULT 2024":                            "14: new z YEAR 2024",
		"ADD z POINT, ADD v VECTOR(3), ADD i UUID":           "14: new z GEOMETRY; 15: new v VECTOR(3); 16: new i UUID",
		"ADD z JSON":           "14: new z JSON",
		"DROP a":               "a gone",
		"DROP a, ADD a INT":    "13: new a INT; a gone",
		"RENAME COLUMN a TO z": "1: a to z VARCHAR CHARACTER SET utf8mb4 40",
		"RENAME COLUMN a TO l, RENAME COLUMN l TO a":   "1: a to l VARCHAR CHARACTER SET utf8mb4 40; 2: l to a VARCHAR CHARACTER SET latin1 10",
		"RENAME COLUMN a TO z, ADD a INT AFTER z":      "1: a to z VARCHAR CHARACTER SET utf8mb4 40; 2: new a INT",
		"CHANGE A z VARCHAR(20) CHARACTER SET utf8mb4": "1: a to z VARCHAR CHARACTER SET utf8mb4 80",
		"MODIFY l VARCHAR(10) CHARACTER SET utf8mb4":   "2: l to l VARCHAR CHARACTER SET utf8mb4 40",
		"MODIFY a TEXT":                    "1: a to a TEXT CHARACTER SET utf8mb4 2",
		"MODIFY c VARCHAR(10)":             "11: c to c VARCHAR CHARACTER SET utf8mb4 40",
		"MODIFY id BIGINT NOT NULL":        "0: id to id BIGINT 0",
		"MODIFY id BIGINT AUTO_INCREMENT":  "0: id to id BIGINT 0",
		"ADD z FLOAT(5,2)":                 "14: new z FLOAT",
		"MODIFY n BIGINT":                  "3: n to n BIGINT 0",
		"MODIFY n SMALLINT":                "3: n to n SMALLINT 0",
		"MODIFY u BIGINT":                  "4: u to u BIGINT 0",
		"MODIFY n INT(9) NOT NULL":         "3: n to n INT 0",
		"MODIFY n INT(9)":                  "",
		"MODIFY f DOUBLE":                  "5: f to f DOUBLE 0",
		"MODIFY d DECIMAL(12,2)":           "6: d to d DECIMAL(12,2) 0",
		"MODIFY e ENUM('y','x','z')":       "7: e to e ENUM CHARACTER SET utf8mb4 0",
		"MODIFY st SET('w','x','y')":       "8: st to st SET CHARACTER SET utf8mb4 0",
		"MODIFY e VARCHAR(10)":             "7: e to e VARCHAR CHARACTER SET utf8mb4 40",
		"MODIFY t DATETIME(6)":             "9: t to t DATETIME(6) 0",
		"MODIFY b VARBINARY(10)":           "10: b to b VARBINARY 10",
		"MODIFY bits BIT(8)":               "13: bits to bits BIT(8) 8",
		"MODIFY f FLOAT FIRST":             "1: id moved; 2: a moved; 3: l moved; 4: n moved; 5: u moved",
		"CONVERT TO CHARACTER SET utf8mb4": "2: l to l VARCHAR CHARACTER SET utf8mb4 40",
		"ADD COLUMN IF NOT EXISTS a INT, DROP COLUMN IF EXISTS z":                     "the same",
		"ADD COLUMN IF NOT EXISTS a INT, DROP a":                                      "a gone",
		"ADD IF NOT EXISTS z INT, ADD IF NOT EXISTS Z BIGINT":                         "14: new z INT",
		"MODIFY a VARCHAR(10) AFTER l, MODIFY l VARCHAR(10) AFTER id":                 "2: a moved",
		"MODIFY a VARCHAR(10) AFTER l, MODIFY l VARCHAR(10) FIRST, ADD z INT AFTER a": "1: id moved; 2: a moved; 3: new z INT",
		"DROP INDEX other": "the same",
	} {
		c, err := alteredBy(clauses, strictSession())
		if got := shown(alterable(), c); err != nil || got != want {
			t.Errorf("%s\n got %s (%v)\nwant %s", clauses, got, err, want)
		}
	}
}

func TestAlterationsThatCannotBeFollowed(t *testing.T) {
	loose := strictSession()
	loose.strict = false
	for clauses, s := range map[string]session{
		"ADD z INT DEFAULT (1 + 1)":                       strictSession(),
		"ADD z DATETIME DEFAULT CURRENT_TIMESTAMP":        strictSession(),
		"ADD z TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3)": strictSession(),
		"ADD z TIMESTAMP DEFAULT '2024-01-01 00:00:00'":   strictSession(),
		"ADD z TIMESTAMP":                                 strictSession(),
		"ADD z DATE NOT NULL":                             strictSession(),
		"ADD z JSON NOT NULL":                             strictSession(),
		"ADD z INT AS (n + 1)":                            strictSession(),
		"ADD z INT AUTO_INCREMENT UNIQUE":                 strictSession(),
		"ADD z BIGINT DEFAULT 9007199254740993":           strictSession(),
		"ADD z INT DEFAULT 1.5":                           strictSession(),
		"ADD z DECIMAL(5,1) DEFAULT 1.25":                 strictSession(),
		"ADD z ENUM('p') DEFAULT 'P'":                     strictSession(),
		"ADD z GEOMETRY NOT NULL":                         strictSession(),
		"ADD z POINT SRID 4326":                           strictSession(),
		"ADD z NCHAR(3)":                                  strictSession(),
		"ADD z VARCHAR(3) CHARACTER SET martian":          strictSession(),
		"ADD a INT":                                       strictSession(),
		"ADD z INT AFTER nowhere":                         strictSession(),
		"DROP id":                                         strictSession(),
		"DROP nowhere":                                    strictSession(),
		"RENAME COLUMN nowhere TO z":                      strictSession(),
		"DROP PRIMARY KEY":                                strictSession(),
		"MODIFY id VARCHAR(10) NOT NULL":                  strictSession(),
		"MODIFY n VARCHAR(10)":                            strictSession(),
		"MODIFY n BIGINT UNSIGNED":                        strictSession(),
		"MODIFY u BIGINT UNSIGNED":                        strictSession(),
		"MODIFY n INT AS (id)":                            strictSession(),
		"MODIFY d DECIMAL(12,3)":                          strictSession(),
		"MODIFY d DECIMAL(9,2)":                           strictSession(),
		"MODIFY a VARCHAR(9)":                             strictSession(),
		"MODIFY a CHAR(10)":                               strictSession(),
		"MODIFY a ENUM('x')":                              strictSession(),
		"MODIFY a VARBINARY(99)":                          strictSession(),
		"MODIFY a JSON":                                   strictSession(),
		"MODIFY e ENUM('x','Y')":                          strictSession(),
		"MODIFY st SET('y','x')":                          strictSession(),
		"MODIFY t DATETIME":                               strictSession(),
		"MODIFY t TIMESTAMP(3) NULL":                      strictSession(),
		"MODIFY b BINARY(8)":                              strictSession(),
		"MODIFY tm TIME(3)":                               strictSession(),
		"MODIFY bits BIT(9)":                              strictSession(),
		"CONVERT TO CHARACTER SET binary":                 strictSession(),
		"CONVERT TO CHARACTER SET latin1":                 loose,
		"MODIFY n SMALLINT":                               loose,
		"MODIFY n INT NOT NULL":                           loose,
		"MODIFY a VARCHAR(20)":                            loose,
		"MODIFY f FLOAT(5,2)":                             strictSession(),
		"ADD z DOUBLE(5,2) DEFAULT 1.234":                 strictSession(),
		"ADD z VARCHAR(9) DEFAULT 'é'":                    loose,
		"ADD z TEXT CHARACTER SET latin1 DEFAULT 'я'":     loose,
		"ADD z TEXT CHARACTER SET utf8mb3 DEFAULT '😀'":    loose,
		"ADD z ENUM('я','b') DEFAULT 'я'":                 strictSession(),
		"ADD z VARCHAR(9) DEFAULT 'я'":                    {strict: true, recoded: true},
		"ADD z ENUM('я','b') NOT NULL":                    strictSession(),
		"ADD z VARCHAR(9) DEFAULT 007":                    strictSession(),
		"ADD z VARCHAR(9) DEFAULT 1e3":                    strictSession(),
		"ADD z VARCHAR(9) DEFAULT -0.0":                   strictSession(),
		"ADD z VARCHAR(9) DEFAULT (5.)":                   strictSession(),
		"ADD z YEAR DEFAULT '0'":                          strictSession(),
		"ADD z YEAR DEFAULT '00'":                         strictSession(),
		"ADD z VARCHAR(9) DEFAULT ''":                     {strict: true, mariaDB: true, emptyIsNull: true},
		"ADD z TEXT CHARACTER SET utf8mb4 DEFAULT 'я'":    {strict: true, recoded: true},
		"MODIFY f FLOAT UNSIGNED":                         loose,
		"MODIFY f DOUBLE UNSIGNED":                        loose,
		"MODIFY n INT NOT NULL AUTO_INCREMENT":            strictSession(),
		"MODIFY c VARCHAR(40)":                            {strict: true, padsChar: true},
		"MODIFY c TEXT":                                   {strict: true, padsChar: true},
		"DROP PARTITION p":                                strictSession(),
		"ENGINE = BLACKHOLE":                              strictSession(),
		"FROBNICATE":                                      strictSession(),
	} {
		if c, err := alteredBy(clauses, s); err == nil {
			t.Errorf("%s: %s", clauses, shown(alterable(), c))
		}
	}
	if _, err := alterable().alter(statement.Alter([]byte("ALTER IGNORE TABLE t ADD UNIQUE (a)"), statement.Options{}), strictSession()); !errors.Is(err, errNotTold) {
		t.Errorf("IGNORE: %v", err)
	}
}

// TestTimestampsThatMayNotBeNull holds that the time which NULL becomes is not guessed.
func TestTimestampsThatMayNotBeNull(t *testing.T) {
	table := alterable()
	table.Columns = append(table.Columns, Column{Name: "maybe", Type: TypeTimestamp, Nullable: true}, Column{Name: "never", Type: TypeTimestamp})
	for clauses, want := range map[string]bool{
		"MODIFY maybe TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP":          false,
		"MODIFY never TIMESTAMP(3) NOT NULL, MODIFY maybe TIMESTAMP(6) NULL": true,
	} {
		if _, err := table.alter(statement.Alter([]byte("ALTER TABLE t "+clauses), statement.Options{DefaultSchema: "s"}), strictSession()); (err == nil) != want {
			t.Errorf("%s: %v", clauses, err)
		}
	}
}

// TestDatesOfOtherModes holds the types that words have in modes of MariaDB.
func TestDatesOfOtherModes(t *testing.T) {
	for clauses, x := range map[string]struct {
		session session
		want    string
	}{
		"ADD z DATE DEFAULT '2024-01-01'": {session{strict: true, mariaDB: true, oracle: true}, "14: new z DATETIME 2024-01-01T00:00:00"},
		"ADD z TIMESTAMP NULL":            {session{strict: true, mariaDB: true, maxDB: true}, "14: new z DATETIME"},
	} {
		c, err := alteredBy(clauses, x.session)
		if got := shown(alterable(), c); err != nil || got != x.want {
			t.Errorf("%s: %s (%v), want %s", clauses, got, err, x.want)
		}
	}
}

// TestDefaultsOfAlteredColumns holds what rows are taken to have that are logged without a column,
// behind an ALTER TABLE.
func TestDefaultsOfAlteredColumns(t *testing.T) {
	for clauses, want := range map[string]struct {
		column string
		is     *Default
	}{
		"ADD z INT":                                  {"z", &Default{Null: true}},
		"ADD z INT NOT NULL":                         {"z", nil},
		"ADD z INT DEFAULT 7":                        {"z", &Default{Text: "7"}},
		"ADD z VARCHAR(9) NOT NULL DEFAULT 'a'":      {"z", &Default{Text: "a"}},
		"ADD z TIMESTAMP DEFAULT CURRENT_TIMESTAMP":  {"z", nil},
		"MODIFY n INT DEFAULT 8":                     {"n", &Default{Text: "8"}},
		"MODIFY n INT NOT NULL":                      {"n", nil},
		"MODIFY id BIGINT":                           {"id", nil},
		"RENAME COLUMN n TO z":                       {"z", &Default{Text: "5"}},
		"ALTER n SET DEFAULT 9":                      {"n", nil},
		"ALTER COLUMN n DROP DEFAULT, ADD INDEX (n)": {"n", nil},
		"ADD z INT, ALTER u DROP DEFAULT":            {"n", &Default{Text: "5"}},
	} {
		old := alterable()
		old.Described, old.Columns[3].Default = true, &Default{Text: "5"}
		c, err := old.alter(statement.Alter([]byte("ALTER TABLE t "+clauses), statement.Options{DefaultSchema: "s"}), strictSession())
		if err != nil || c == nil || !c.Table.Described {
			t.Errorf("%s: %v, %v", clauses, c, err)
			continue
		}
		for _, column := range c.Table.Columns {
			if column.Name == want.column && !reflect.DeepEqual(column.Default, want.is) {
				t.Errorf("%s: the default of %s is %+v", clauses, column.Name, column.Default)
			}
		}
	}
}

// TestZeroDatesOfNewColumns holds what a new column of dates has that may not be NULL.
func TestZeroDatesOfNewColumns(t *testing.T) {
	s := strictSession()
	s.options.ZeroDateAsNull = true
	for _, clauses := range []string{"ADD z DATE NOT NULL", "ADD z DATETIME(3) NOT NULL", "ADD z DATE DEFAULT '0000-00-00'", "ADD z TIMESTAMP NOT NULL DEFAULT 0"} {
		if c, err := alteredBy(clauses, s); err != nil || c.Initial[14] != nil {
			t.Errorf("%s: %v", clauses, err)
		}
	}
}

// TestAlterationsKeepColumns plays random alterations: no old column is in two places, what is
// dropped is gone, everything else is there once.
func TestAlterationsKeepColumns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := alterable()
		var clauses []string
		dropped := map[string]bool{}
		place := func(i int) string {
			switch rapid.IntRange(0, 2).Draw(t, "place") {
			case 0:
				return " FIRST"
			case 1:
				return " AFTER id"
			}
			return ""
		}
		added := 0
		for i, c := range old.Columns[3:7] {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				clauses = append(clauses, "DROP "+c.Name)
				dropped[c.Name] = true
			case 1:
				clauses = append(clauses, "RENAME COLUMN "+c.Name+" TO new_"+c.Name)
			case 2:
				clauses = append(clauses, fmt.Sprintf("MODIFY %s %s", c.Name, c.SQLType())+place(i))
			default:
				clauses = append(clauses, fmt.Sprintf("ADD x%d INT", i)+place(i))
				added++
			}
		}
		c, err := alteredBy(strings.Join(clauses, ", "), strictSession())
		if err != nil {
			t.Fatal(clauses, err)
		}
		if c == nil {
			return
		}
		seen := map[int]bool{}
		for i, from := range c.From {
			switch {
			case from < 0:
				added--
			case seen[from]:
				t.Fatalf("%v: column %d twice", clauses, from)
			case dropped[old.Columns[from].Name]:
				t.Fatalf("%v: column %d is there", clauses, from)
			case c.Table.Columns[i].Type != old.Columns[from].Type:
				t.Fatalf("%v: column %d is %s", clauses, from, c.Table.Columns[i].SQLType())
			default:
				seen[from] = true
			}
		}
		if added != 0 || len(seen) != len(old.Columns)-len(dropped) || c.From[c.Table.Key[0]] != 0 {
			t.Fatalf("%v: %v", clauses, c.From)
		}
	})
}
