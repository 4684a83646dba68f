package table

import (
	"database/sql/driver"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"cdcd/capture"
	"cdcd/capture/charset"
	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the generated parts of docs/types.md")
	flag.Parse()
	os.Exit(m.Run())
}

const typesDoc = "../docs/types.md"

// docColumn is a line of testdata/columns.tsv and what the code makes of it.
type docColumn struct {
	sql, server string
	journey     string // the column of the journey test that shows it, "-" for none
	describe    []driver.Value
	table       capture.TableInfo
}

// TestTypesDoc compares the tables in docs/types.md with what the code does. Run it with
// -update to write them anew.
func TestTypesDoc(t *testing.T) {
	columns := readDocColumns(t)
	describeColumns(t, columns)
	text, err := os.ReadFile(typesDoc)
	if err != nil {
		t.Fatal(err)
	}
	want := replaceGenerated(t, string(text), []string{mappedTypes(t, columns), refusedTypes(columns), charsets()})
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(typesDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s is stale (-code +doc); go test ./table -run TypesDoc -update writes it:\n%s", typesDoc, diff)
	}
}

const (
	generatedBegin = "<!-- generated -->\n"
	generatedEnd   = "<!-- end of generated -->\n"
)

// replaceGenerated puts the sections between the markers, in order.
func replaceGenerated(t *testing.T, text string, sections []string) string {
	t.Helper()
	parts := strings.Split(text, generatedBegin)
	if len(parts) != len(sections)+1 {
		t.Fatalf("%s has %d generated parts, want %d", typesDoc, len(parts)-1, len(sections))
	}
	for i, section := range sections {
		_, rest, ok := strings.Cut(parts[i+1], generatedEnd)
		if !ok {
			t.Fatalf("%s: generated part %d has no end", typesDoc, i+1)
		}
		parts[i+1] = "\n" + section + "\n" + generatedEnd + rest
	}
	return strings.Join(parts, generatedBegin)
}

func readDocColumns(t *testing.T) []*docColumn {
	t.Helper()
	const fields = 10
	text, err := os.ReadFile("testdata/columns.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var out []*docColumn
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != fields {
			t.Fatalf("%d cells: %s", len(cells), line)
		}
		c := &docColumn{sql: cells[0], server: cells[1], journey: cells[2]}
		for _, cell := range cells[3:] {
			if cell == "NULL" {
				c.describe = append(c.describe, nil)
				continue
			}
			c.describe = append(c.describe, cell)
		}
		out = append(out, c)
	}
	return out
}

// describeColumns asks package capture what it makes of each column, each in a table of
// its own.
func describeColumns(t *testing.T, columns []*docColumn) {
	t.Helper()
	schema := make(infoSchema, len(columns))
	for i, c := range columns {
		schema[i] = c.describe
	}
	db := schema.open()
	defer db.Close()
	infos, err := capture.Tables(t.Context(), db, func(capture.Name) bool { return true }, nil)
	if err != nil || len(infos) != len(columns) {
		t.Fatalf("%d tables of %d: %v", len(infos), len(columns), err)
	}
	for i := range infos {
		columns[i].table = infos[i]
	}
	checkEveryType(t, columns)
}

// checkEveryType fails for a type of package capture that no column has.
func checkEveryType(t *testing.T, columns []*docColumn) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../capture/schema.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || fmt.Sprint(spec.Type) != "Type" {
			return true
		}
		declared++
		name := capture.Type(strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`))
		if !slices.ContainsFunc(columns, func(c *docColumn) bool { return docField(c).Type == name }) {
			t.Errorf("testdata/columns.tsv has no column of type %s", name)
		}
		return true
	})
	if declared == 0 {
		t.Error("no types found in capture/schema.go")
	}
}

// docField is the described column beside the table's key.
func docField(c *docColumn) capture.Column { return c.table.Columns[len(c.table.Columns)-1] }

// docLine is a line of the table of types. Neighbours that differ in their SQL type only
// become one.
type docLine struct{ sql, iceberg, engines, note string }

func mappedTypes(t *testing.T, columns []*docColumn) string {
	t.Helper()
	shown := journeyColumns(t)
	var lines []docLine
	add := func(c *docColumn, option string, o capture.TypeOptions) {
		s := Source{Table: c.table.Table, Options: o}
		schema, err := icebergSchema(s)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			return
		}
		line := docLine{sql: "`" + c.sql + "`" + option, iceberg: schema.Field(schema.NumFields() - 1).Type.String(), engines: "not tested", note: typeNote(c)}
		if c.server != "-" {
			line.sql += " of " + c.server
		}
		if option == "" && shown(t, c) {
			line.engines = "same"
		}
		if n := len(lines); n > 0 && lines[n-1].iceberg == line.iceberg && lines[n-1].engines == line.engines && lines[n-1].note == line.note {
			lines[n-1].sql += ", " + line.sql
			return
		}
		lines = append(lines, line)
	}
	for _, c := range columns {
		if c.table.Problem != nil {
			continue
		}
		add(c, "", capture.TypeOptions{})
		if f := docField(c); f.Type == capture.TypeBigInt && f.Unsigned {
			add(c, " with `types.bigint_unsigned: long`", capture.TypeOptions{UnsignedBigintAsLong: true})
		}
	}
	b := []string{"| MySQL, MariaDB | Iceberg | Spark, Trino, DuckDB, PyIceberg | notes |", "|---|---|---|---|"}
	for _, l := range lines {
		b = append(b, fmt.Sprintf("| %s | %s | %s | %s |", l.sql, l.iceberg, l.engines, l.note))
	}
	return strings.Join(b, "\n") + "\n"
}

// journeyColumns tells which columns the journey test reads with every engine.
func journeyColumns(t *testing.T) func(*testing.T, *docColumn) bool {
	t.Helper()
	journey, err1 := os.ReadFile("../integration/journey_test.go")
	edges, err2 := os.ReadFile("../integration/edges_test.go")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	for _, words := range []string{`{"pyiceberg", "duckdb", "spark", "trino"}`, "edgeTable(s)", `equal(t, "journey.t"`} {
		if !strings.Contains(string(journey), words) {
			t.Errorf("integration/journey_test.go has no %q any more: what do the engines read?", words)
		}
	}
	return func(t *testing.T, c *docColumn) bool {
		if c.journey == "-" {
			return false
		}
		ok := strings.Contains(string(edges), `"`+c.journey+`", `)
		if !ok {
			t.Errorf("%s: the journey test has no column %s", c.sql, c.journey)
		}
		return ok
	}
}

// typeNote says what the Iceberg type alone does not.
func typeNote(c *docColumn) string {
	const date = "what is no date: see `types.zero_date`"
	f := docField(c)
	switch f.Type {
	case capture.TypeTinyInt:
		if c.sql == "BOOLEAN" {
			return "is `TINYINT(1)`"
		}
	case capture.TypeBigInt:
		if f.Unsigned {
			return "see `types.bigint_unsigned`"
		}
	case capture.TypeDecimal:
		if f.Precision > 38 {
			return "more than 38 digits: the text that the server prints"
		}
	case capture.TypeFloat, capture.TypeDouble:
		return "the stored bits; not in a key"
	case capture.TypeBit:
		if f.Size > 1 {
			return "big-endian, as many bytes as the bits need"
		}
	case capture.TypeDate:
		return date
	case capture.TypeDatetime:
		return "no time zone; microseconds; " + date
	case capture.TypeTimestamp:
		return "UTC; microseconds; " + date
	case capture.TypeTime:
		return "the text that the server prints: a duration of up to 838:59:59, with the declared digits of a second"
	case capture.TypeYear:
		return "`0000` is 0"
	case capture.TypeChar:
		return "transcoded to UTF-8; trailing spaces are not stored by the server"
	case capture.TypeVarchar, capture.TypeText:
		if c.sql == "JSON" {
			return "is `LONGTEXT`: the text as it was written"
		}
		return "transcoded to UTF-8"
	case capture.TypeBinary:
		return "padded with zero bytes to the declared length"
	case capture.TypeEnum:
		return "the element's text; the invalid element 0 is the empty string"
	case capture.TypeSet:
		return "the members' texts in the order of their declaration, comma between"
	case capture.TypeGeometry:
		return "as the server stores it: the SRID in four bytes, little-endian, then WKB"
	case capture.TypeVector:
		return "as the server stores it: 32-bit floats, little-endian"
	case capture.TypeUUID, capture.TypeInet4, capture.TypeInet6:
		return "the text that the server prints"
	case capture.TypeJSON:
		return "the text that the server prints, to the byte"
	}
	return ""
}

func refusedTypes(columns []*docColumn) string {
	if !slices.ContainsFunc(columns, func(c *docColumn) bool { return c.table.Problem != nil }) {
		return "None of the types of MySQL 9.7 and MariaDB 11.8.\n"
	}
	b := []string{"| MySQL, MariaDB | message |", "|---|---|"}
	for _, c := range columns {
		if c.table.Problem == nil {
			continue
		}
		name := "`" + c.sql + "`"
		if c.server != "-" {
			name += " of " + c.server
		}
		b = append(b, fmt.Sprintf("| %s | %s |", name, strings.TrimPrefix(c.table.Problem.Error(), `column "c": `)))
	}
	return strings.Join(b, "\n") + "\n"
}

// charsets lists the character sets of MySQL 9.7, of which MariaDB 11.8 lacks gb18030.
func charsets() string {
	const all = "armscii8 ascii big5 cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 cp932 dec8 eucjpms euckr gb18030 gb2312 gbk geostd8 greek hebrew hp8 " +
		"keybcs2 koi8r koi8u latin1 latin2 latin5 latin7 macce macroman sjis swe7 tis620 ucs2 ujis utf16 utf16le utf32 utf8mb3 utf8mb4"
	var read, refused, noKey []string
	for name := range strings.FieldsSeq(all) {
		_, err := capture.ArrowType(capture.Column{Type: capture.TypeVarchar, Charset: name}, capture.TypeOptions{})
		c := charset.For(name)
		switch {
		case err != nil:
			refused = append(refused, "`"+name+"`")
			continue
		case c != nil && !c.Injective():
			noKey = append(noKey, "`"+name+"`")
		}
		read = append(read, "`"+name+"`")
	}
	if len(refused) == 0 {
		refused = []string{"none of them"}
	}
	return fmt.Sprintf("Read: %s.\n\nRefused: %s.\n\nRefused in a key: %s.\n", strings.Join(read, ", "), strings.Join(refused, ", "), strings.Join(noKey, ", "))
}
