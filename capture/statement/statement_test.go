package statement

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// scanCase is one statement with all that Scan must say of it.
type scanCase struct {
	sql  string
	opts Options
	want Statement
}

// The sessions that the cases run in.
func mysql() Options     { return Options{DefaultSchema: "d"} }
func maria() Options     { return Options{DefaultSchema: "d", MariaDB: true} }
func ansi() Options      { return Options{DefaultSchema: "d", ANSIQuotes: true} }
func noEscapes() Options { return Options{DefaultSchema: "d", NoBackslashEscapes: true} }

// sure is a certain answer; tables are given as schema.table.
func sure(k Kind, tables ...string) Statement {
	s := doubtful(k, tables...)
	s.Certain = true
	return s
}

func doubtful(k Kind, tables ...string) Statement {
	s := Statement{Kind: k}
	for _, t := range tables {
		s.Tables = append(s.Tables, named(t))
	}
	return s
}

func named(s string) Name {
	schema, table, _ := strings.Cut(s, ".")
	return Name{Schema: schema, Table: table}
}

// renamed adds pairs of old and new names to an answer.
func renamed(s Statement, names ...string) Statement {
	for i := 0; i < len(names); i += 2 {
		s.Renames = append(s.Renames, Rename{From: named(names[i]), To: named(names[i+1])})
	}
	return s
}

func partition(s Statement) Statement   { s.Partition = true; return s }
func temporary(s Statement) Statement   { s.Temporary = true; return s }
func ifNotExists(s Statement) Statement { s.IfNotExists = true; return s }
func ifExists(s Statement) Statement    { s.IfExists = true; return s }
func replaces(s Statement) Statement    { s.Replaces = true; return s }
func asSelect(s Statement) Statement    { s.AsSelect = true; return s }

func database(s Statement, name string) Statement { s.Schema = name; return s }

func xid(k Kind, id string) Statement { return Statement{Kind: k, XID: id, Certain: true} }

// allCases has the cases of the other files.
func allCases() []scanCase {
	return slices.Concat(
		transactionsCases(),
		xaCases(),
		createTableCases(),
		dropTableCases(),
		renameAndTruncateCases(),
		databasesCases(),
		indexesCases(),
		alterTableCases(),
		alterTableRenameCases(),
		alterTablePartitionCases(),
		insertAndLoadCases(),
		updateCases(),
		deleteCases(),
		otherChangesCases(),
		harmlessCases(),
		trailingTextCases(),
		commentsCases(),
		namesCases(),
		literalsCases(),
	)
}

func TestScan(t *testing.T) {
	for _, c := range allCases() {
		t.Run(c.sql, func(t *testing.T) {
			if got := Scan([]byte(c.sql), c.opts); !reflect.DeepEqual(got, c.want) {
				t.Errorf("Scan(%q, %+v)\n got %+v\nwant %+v", c.sql, c.opts, got, c.want)
			}
		})
	}
}

func TestKindString(t *testing.T) {
	cases := map[Kind]string{
		Unknown: "unknown", Begin: "BEGIN", Savepoint: "SAVEPOINT", XACommit: "XA COMMIT",
		AlterTable: "ALTER TABLE", DropDatabase: "DROP DATABASE", LoadData: "LOAD DATA",
		Do: "DO", Harmless: "harmless", kinds: "Kind(28)", 255: "Kind(255)",
	}
	for k, want := range cases {
		if got := k.String(); got != want {
			t.Errorf("Kind(%d) = %q, want %q", k, got, want)
		}
	}
	seen := map[string]Kind{}
	for k := range kinds {
		if other, ok := seen[k.String()]; ok || k.String() == "" {
			t.Errorf("Kind(%d) and Kind(%d) are both %q", k, other, k)
		}
		seen[k.String()] = k
	}
}

func TestNamesOutliveTheText(t *testing.T) {
	sql := []byte("RENAME TABLE one TO two")
	got := Scan(sql, mysql())
	for i := range sql {
		sql[i] = 'x'
	}
	want := renamed(sure(RenameTable, "d.one", "d.two"), "d.one", "d.two")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("after the text is gone: %+v, want %+v", got, want)
	}
}
