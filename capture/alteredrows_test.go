package capture

import (
	"testing"

	"cdcd/capture/statement"
)

// TestOrderOfAlteredKeys holds which alterations may give keys another order.
func TestOrderOfAlteredKeys(t *testing.T) {
	table := &Table{Name: Name{"s", "t"}, Key: []int{1, 2}, KeyName: statement.Primary, Columns: []Column{
		{Name: "v", Type: TypeVarchar, Size: 40, Charset: "utf8mb4", Nullable: true},
		{Name: "k", Type: TypeVarchar, Size: 40, Charset: "utf8mb4"},
		{Name: "e", Type: TypeEnum, Charset: "utf8mb4", Elements: []string{"x", "y"}},
	}}
	for clauses, want := range map[string]bool{
		"MODIFY k VARCHAR(10) COLLATE utf8mb4_bin NOT NULL":           true,
		"CHANGE k z VARCHAR(20) NOT NULL":                             true,
		"CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin":        true,
		"MODIFY e ENUM('y','x') NOT NULL":                             true,
		"MODIFY e ENUM('z','x','y') NOT NULL":                         true,
		"MODIFY e ENUM('x','y','z') NOT NULL":                         false,
		"RENAME COLUMN k TO z, MODIFY v VARCHAR(90), ADD n INT FIRST": false,
		"ADD INDEX (v)": false,
	} {
		c, err := table.alter(statement.Alter([]byte("ALTER TABLE t "+clauses), statement.Options{DefaultSchema: "s"}), strictSession())
		if got := c != nil && c.Reordered; err != nil || got != want {
			t.Errorf("%s: %t (%v)", clauses, got, err)
		}
	}
}

// TestKeysOfUniqueIndexes holds what a key that is not the primary one may become.
func TestKeysOfUniqueIndexes(t *testing.T) {
	table := alterable()
	table.KeyName = "byid"
	for clauses, want := range map[string]bool{
		"MODIFY id BIGINT NOT NULL":                  true,
		"MODIFY id BIGINT":                           false,
		"DROP INDEX byid":                            false,
		"DROP PRIMARY KEY":                           true,
		"RENAME INDEX ById TO other":                 true,
		"RENAME INDEX byid TO x, ADD INDEX byid (a)": true,
	} {
		if _, err := table.alter(statement.Alter([]byte("ALTER TABLE t "+clauses), statement.Options{DefaultSchema: "s"}), strictSession()); (err == nil) != want {
			t.Errorf("%s: %v", clauses, err)
		}
	}
	table.KeyName = "" // of a table that was created when it was not recorded
	if _, err := table.alter(statement.Alter([]byte("DROP INDEX any ON t"), statement.Options{DefaultSchema: "s"}), strictSession()); err == nil {
		t.Error("an index goes that may be what identifies rows")
	}
}

// TestComputedFromAlteredColumns holds which changes of a column are taken to leave alone what the
// server computes from it.
func TestComputedFromAlteredColumns(t *testing.T) {
	table := alterable()
	table.Columns = append(table.Columns, Column{Name: "g", Type: TypeVarchar, Size: 40, Charset: "latin1", Nullable: true, Generated: true},
		Column{Name: "m", Type: TypeText, Size: 2, Charset: "utf8mb3", Nullable: true})
	for clauses, want := range map[string]bool{
		"MODIFY n BIGINT, MODIFY d DECIMAL(12,2), MODIFY a VARCHAR(90), RENAME COLUMN f TO z": true,
		"MODIFY m MEDIUMTEXT CHARACTER SET utf8mb4":                                           true,
		"MODIFY e ENUM('x','y','z'), MODIFY a TEXT":                                           true,
		"MODIFY b VARBINARY(9)":                                                               true,
		"ADD z INT DEFAULT 1, DROP a":                                                         true,
		"MODIFY f DOUBLE":                                                                     false,
		"MODIFY n INT UNSIGNED":                                                               false,
		"MODIFY d DECIMAL(12,2) UNSIGNED":                                                     false,
		"MODIFY t DATETIME(6)":                                                                false,
		"MODIFY e ENUM('z','x','y')":                                                          false,
		"MODIFY st SET('w','x','y')":                                                          false,
		"MODIFY e VARCHAR(9)":                                                                 false,
		"MODIFY l VARCHAR(10) CHARACTER SET utf8mb4":                                          false,
		"CONVERT TO CHARACTER SET utf8mb4":                                                    false,
		"DROP l, CONVERT TO CHARACTER SET utf8mb4":                                            true,
	} {
		if _, err := table.alter(statement.Alter([]byte("ALTER TABLE t "+clauses), statement.Options{DefaultSchema: "s"}), strictSession()); (err == nil) != want {
			t.Errorf("%s: %v", clauses, err)
		}
	}
}
