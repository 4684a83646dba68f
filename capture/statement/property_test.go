package statement

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// identifier draws a name that needs its quotes.
func identifier() *rapid.Generator[string] {
	odd := rapid.SampledFrom([]rune("`'\".;,*/\\#-! \t\n@$()0aZé表🐬"))
	return rapid.StringOfN(rapid.OneOf(odd, rapid.Rune()), 1, 64, -1)
}

func quote(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

func TestQuotedNamesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Name{Schema: identifier().Draw(t, "schema"), Table: identifier().Draw(t, "table")}
		b := Name{Schema: identifier().Draw(t, "schema"), Table: a.Table + identifier().Draw(t, "suffix")}
		o := optionsOf(rapid.Uint8().Draw(t, "flags"))
		qa, qb := quote(a.Schema)+"."+quote(a.Table), quote(b.Schema)+" . "+quote(b.Table)
		pair := []Rename{{From: a, To: b}}
		cases := map[string]Statement{
			"DROP TABLE " + qa + "," + qb:                                    {Kind: DropTable, Tables: []Name{a, b}},
			"ALTER TABLE " + qa + " ADD " + quote(b.Table) + " INT":          {Kind: AlterTable, Tables: []Name{a}},
			"ALTER TABLE " + qa + " RENAME TO " + qb:                         {Kind: AlterTable, Tables: []Name{a, b}, Renames: pair},
			"CREATE TABLE " + qa + "(" + quote(b.Table) + " INT)":            {Kind: CreateTable, Tables: []Name{a}},
			"CREATE TABLE " + qa + " LIKE " + qb:                             {Kind: CreateTable, Tables: []Name{a}},
			"RENAME TABLE " + qa + " TO " + qb:                               {Kind: RenameTable, Tables: []Name{a, b}, Renames: pair},
			"TRUNCATE " + qa:                                                 {Kind: TruncateTable, Tables: []Name{a}},
			"CREATE INDEX " + quote(b.Table) + " ON " + qa + "(x)":           {Kind: AlterTable, Tables: []Name{a}},
			"DROP DATABASE " + quote(a.Schema):                               {Kind: DropDatabase, Schema: a.Schema},
			"DELETE x FROM " + qb + " JOIN " + qa + " AS x":                  {Kind: Delete, Tables: []Name{a}},
			"UPDATE " + qa + " AS " + quote(b.Table) + "," + qb + " SET x=1": {Kind: Update, Tables: []Name{a, b}},
		}
		if o.DefaultSchema == "" { // an alias is not qualified, and so has the default schema
			o.DefaultSchema = a.Schema
		}
		for sql, want := range cases {
			want.Certain = true
			if got := Scan([]byte(sql), o); !reflect.DeepEqual(got, want) {
				t.Fatalf("Scan(%q, %+v)\n got %+v\nwant %+v", sql, o, got, want)
			}
		}
	})
}

func TestUnquotedNamesTakeTheDefaultSchema(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{DefaultSchema: identifier().Draw(t, "default schema")}
		table := rapid.StringMatching(`[0-9]{0,3}[a-zA-Z_$é]{1,5}[0-9]{0,3}_`).Draw(t, "table")
		want := Statement{Kind: DropTable, Tables: []Name{{o.DefaultSchema, table}}, Certain: true}
		if got := Scan([]byte("DROP TABLE "+table), o); !reflect.DeepEqual(got, want) {
			t.Fatalf("Scan(DROP TABLE %s, %+v)\n got %+v\nwant %+v", table, o, got, want)
		}
	})
}
