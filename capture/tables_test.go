package capture

import (
	"database/sql"
	"errors"
	"reflect"
	"slices"
	"testing"
)

func TestColumnsAsSQLDescribesThem(t *testing.T) {
	n := func(v int64) sql.NullInt64 { return sql.NullInt64{Int64: v, Valid: true} }
	charset := func(s string) sql.NullString { return sql.NullString{String: s, Valid: true} }
	for name, c := range map[string]struct {
		d    described
		want Column
		err  error
	}{
		"int":                       {described{dataType: "int", fullType: "int(11)"}, Column{Type: TypeInt}, nil},
		"upper case":                {described{dataType: "BIGINT", fullType: "BIGINT UNSIGNED"}, Column{Type: TypeBigInt, Unsigned: true}, nil},
		"zerofill":                  {described{dataType: "int", fullType: "int(5) unsigned zerofill"}, Column{Type: TypeInt, Unsigned: true}, nil},
		"decimal":                   {described{dataType: "decimal", fullType: "decimal(10,2) unsigned", precision: n(10), scale: n(2)}, Column{Type: TypeDecimal, Precision: 10, Scale: 2, Unsigned: true}, nil},
		"bit":                       {described{dataType: "bit", fullType: "bit(9)", precision: n(9)}, Column{Type: TypeBit, Size: 9}, nil},
		"timestamp":                 {described{dataType: "timestamp", fullType: "timestamp(3)", fraction: n(3)}, Column{Type: TypeTimestamp, Fraction: 3}, nil},
		"varchar":                   {described{dataType: "varchar", fullType: "varchar(10)", octets: n(40), charset: charset("utf8mb4")}, Column{Type: TypeVarchar, Size: 40, Charset: "utf8mb4"}, nil},
		"utf8":                      {described{dataType: "char", fullType: "char(1)", octets: n(3), charset: charset("utf8")}, Column{Type: TypeChar, Size: 3, Charset: "utf8mb3"}, nil},
		"text":                      {described{dataType: "text", fullType: "text", charset: charset("latin1")}, Column{Type: TypeText, Size: 2, Charset: "latin1"}, nil},
		"longblob":                  {described{dataType: "longblob", fullType: "longblob"}, Column{Type: TypeBlob, Size: 4}, nil},
		"binary":                    {described{dataType: "binary", fullType: "binary(4)", octets: n(4)}, Column{Type: TypeBinary, Size: 4}, nil},
		"compressed":                {described{dataType: "varchar", fullType: "varchar(10) /*M!100301 COMPRESSED*/", octets: n(10), charset: charset("latin1")}, Column{Type: TypeVarchar, Size: 10, Charset: "latin1", Compressed: true}, nil},
		"geometry":                  {described{dataType: "geometry", fullType: "geometry"}, Column{Type: TypeGeometry}, nil},
		"vector":                    {described{dataType: "vector", fullType: "vector(3)", octets: n(12)}, Column{Type: TypeVector, Size: 12}, nil},
		"point":                     {described{dataType: "point", fullType: "point"}, Column{Type: TypeGeometry}, nil},
		"uuid":                      {described{dataType: "uuid", fullType: "uuid"}, Column{Type: TypeUUID}, nil},
		"uuid, stored otherwise":    {described{dataType: "uuid", fullType: "uuid /* old */"}, Column{}, ErrUnsupportedType},
		"unknown":                   {described{dataType: "xmltype", fullType: "xmltype"}, Column{}, ErrUnsupportedType},
		"sjis":                      {described{dataType: "char", fullType: "char(1)", octets: n(2), charset: charset("sjis")}, Column{Type: TypeChar, Size: 2, Charset: "sjis"}, nil},
		"no such set of characters": {described{dataType: "char", fullType: "char(1)", octets: n(2), charset: charset("utf7")}, Column{}, ErrUnsupportedType},
		"enum":                      {described{dataType: "enum", fullType: "enum('unsigned','compressed')", charset: charset("latin1")}, Column{Type: TypeEnum, Charset: "latin1", Elements: []string{"unsigned", "compressed"}}, nil},
		"set, damaged":              {described{dataType: "set", fullType: "set('a'", charset: charset("latin1")}, Column{}, errAny},
		"no such set":               {described{dataType: "set", fullType: "set", charset: charset("latin1")}, Column{}, errAny},
		"set, no quotes":            {described{dataType: "set", fullType: "set(a)", charset: charset("latin1")}, Column{}, errAny},
	} {
		t.Run(name, func(t *testing.T) {
			c.d.column, c.want.Name = "c", "c"
			got, err := c.d.toColumn()
			if c.err != nil {
				if err == nil || c.err != errAny && !errors.Is(err, c.err) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestElementsOfEnums(t *testing.T) {
	for text, want := range map[string][]string{
		`enum('a')`:               {"a"},
		`enum('a','','b')`:        {"a", "", "b"},
		`enum('it''s','a,b',')')`: {"it's", "a,b", ")"},
		`enum('''')`:              {"'"},
		`enum('a\\b','\n\r\0')`:   {`a\b`, "\n\r\x00"},
		`set('x','ñ')`:            {"x", "ñ"},
	} {
		if got, err := parseElements(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"enum", "enum('a'", "enum('a)", "enum(a)", `enum('a\')`, "enum('a',)x"} {
		if got, err := parseElements(text); err == nil {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestTheBestKeyIsTaken(t *testing.T) {
	columns := []Column{
		{Name: "a", Type: TypeInt},
		{Name: "b", Type: TypeInt},
		{Name: "n", Type: TypeInt, Nullable: true},
		{Name: "f", Type: TypeDouble},
		{Name: "j", Type: TypeChar, Charset: "cp932"},
		{Name: "g", Type: TypeChar, Charset: "gbk"},
		{Name: "e", Type: TypeEnum, Charset: "ascii", Elements: []string{"x", ""}},
		{Name: "s", Type: TypeSet, Charset: "ascii", Elements: []string{"x", "y"}},
	}
	type offer struct {
		name    string
		columns []string
	}
	for name, c := range map[string]struct {
		offers  []offer
		want    []int
		problem error
	}{
		"primary":               {[]offer{{"PRIMARY", []string{"b", "a"}}}, []int{1, 0}, nil},
		"primary before unique": {[]offer{{"PRIMARY", []string{"b", "a"}}, {"u", []string{"a"}}}, []int{1, 0}, nil},
		"primary after unique":  {[]offer{{"A", []string{"a"}}, {"PRIMARY", []string{"b", "a"}}}, []int{1, 0}, nil},
		"fewest columns":        {[]offer{{"u", []string{"a", "b"}}, {"v", []string{"b"}}}, []int{1}, nil},
		"first name":            {[]offer{{"u", []string{"a"}}, {"v", []string{"b"}}}, []int{0}, nil},
		"no NULLs":              {[]offer{{"u", []string{"n"}}, {"v", []string{"a", "b"}}}, []int{0, 1}, nil},
		"no expressions":        {[]offer{{"u", []string{""}}}, nil, ErrNoKey},
		"none":                  {nil, nil, ErrNoKey},
		"no floats":             {[]offer{{"PRIMARY", []string{"f"}}}, []int{3}, ErrUnsupportedType},
		"several codes":         {[]offer{{"PRIMARY", []string{"j"}}}, []int{4}, ErrUnsupportedType},
		"one code":              {[]offer{{"PRIMARY", []string{"g"}}}, []int{5}, nil},
		"empty element":         {[]offer{{"PRIMARY", []string{"e"}}}, []int{6}, ErrUnsupportedType},
		"no empty element":      {[]offer{{"PRIMARY", []string{"s"}}}, []int{7}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			info := TableInfo{Table: Table{Columns: columns}}
			for _, o := range c.offers {
				info.offerKey(o.name, o.columns)
			}
			info.checkKey()
			if !slices.Equal(info.Key, c.want) || !errors.Is(info.Problem, c.problem) || (c.problem == nil) != (info.Problem == nil) {
				t.Errorf("got %v, %v", info.Key, info.Problem)
			}
		})
	}
}
