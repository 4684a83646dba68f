package binlog

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
)

// mapBody builds a TABLE_MAP body: types and their metadata, then optional metadata.
func mapBody(types, meta string, optional ...string) []byte {
	nullable := make([]byte, (len(types)+7)/8)
	nullable[0] = 2 // the second column
	body := join(le(9, 6), le(1, 2), "\x01s\x00", "\x02tt\x00", []byte{byte(len(types))}, types, []byte{byte(len(meta))}, meta, nullable)
	for _, o := range optional {
		body = append(body, o[0], byte(len(o)-1))
		body = append(body, o[1:]...)
	}
	return body
}

func TestParseTableMapReadsTypes(t *testing.T) {
	for name, c := range map[string]struct {
		typ, meta string
		want      TableMapColumn
	}{
		"int":               {"\x03", "", TableMapColumn{Type: ColumnLong}},
		"decimal":           {"\xf6", "\x41\x1e", TableMapColumn{Type: ColumnDecimal, Meta: 65<<8 | 30}},
		"bit(9)":            {"\x10", "\x01\x01", TableMapColumn{Type: ColumnBit, Meta: 1<<8 | 1}},
		"varchar":           {"\x0f", "\x2c\x01", TableMapColumn{Type: ColumnVarchar, Meta: 300, Length: 300}},
		"char(5)":           {"\xfe", "\xfe\x14", TableMapColumn{Type: ColumnString, Length: 20}},
		"char(255) utf8mb4": {"\xfe", "\xce\xfc", TableMapColumn{Type: ColumnString, Length: 1020}},
		"char(64) utf8mb4":  {"\xfe", "\xee\x00", TableMapColumn{Type: ColumnString, Length: 256}},
		"enum":              {"\xfe", "\xf7\x02", TableMapColumn{Type: ColumnEnum, Length: 2}},
		"set":               {"\xfe", "\xf8\x08", TableMapColumn{Type: ColumnSet, Length: 8}},
		"blob":              {"\xfc", "\x04", TableMapColumn{Type: ColumnBlob, Meta: 4}},
		"json":              {"\xf5", "\x04", TableMapColumn{Type: ColumnJSON, Meta: 4}},
		"datetime(6)":       {"\x12", "\x06", TableMapColumn{Type: ColumnDatetime2, Meta: 6}},
		"date":              {"\x0a", "", TableMapColumn{Type: ColumnDate}},
		"vector":            {"\xf2", "\x04", TableMapColumn{Type: ColumnVector, Meta: 4}},
		"compressed":        {"\x8d", "\x2c\x01", TableMapColumn{Type: ColumnVarcharZ, Meta: 300, Length: 300}},
		"compressed blob":   {"\x8c", "\x02", TableMapColumn{Type: ColumnBlobZ, Meta: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			tm, err := ParseTableMap(mapBody(c.typ+"\x02", c.meta), false) // a SMALLINT behind it
			if err != nil {
				t.Fatal(err)
			}
			want := []TableMapColumn{c.want, {Type: ColumnShort, Nullable: true}}
			if !reflect.DeepEqual(tm.Columns, want) || tm.ID != 9 || tm.Schema != "s" || tm.Table != "tt" || tm.Full {
				t.Errorf("got %+v", tm)
			}
		})
	}
}

func TestParseTableMapReadsMetadata(t *testing.T) {
	// Nine columns, of which 0-2 and 8 are numbers, 3, 4 and 6 texts.
	const types, meta = "\x03\x08\x0d\x0f\xfc\xfe\xfe\xfe\xf6", "\x0a\x00" + "\x02" + "\xf7\x01" + "\xfe\x05" + "\xf8\x01" + "\x05\x02"
	for name, c := range map[string]struct {
		optional string
		want     func(c []TableMapColumn)
	}{
		"signedness":                 {"\x01\x70", func(c []TableMapColumn) { c[1].Unsigned, c[2].Unsigned, c[8].Unsigned = true, true, true }},
		"default charset":            {"\x02\xfc\xff\x00", func(c []TableMapColumn) { c[3].Collation, c[4].Collation, c[6].Collation = 255, 255, 255 }},
		"default charset, exception": {"\x02\x2d\x01\x3f", func(c []TableMapColumn) { c[3].Collation, c[4].Collation, c[6].Collation = 45, 63, 45 }},
		"column charsets":            {"\x03\x08\x3f\xfc\x00\x09", func(c []TableMapColumn) { c[3].Collation, c[4].Collation, c[6].Collation = 8, 63, 2304 }},
		"enum charset":               {"\x0a\x08\x01\x2d", func(c []TableMapColumn) { c[5].Collation, c[7].Collation = 8, 45 }},
		"enum charsets":              {"\x0b\x08\x2d", func(c []TableMapColumn) { c[5].Collation, c[7].Collation = 8, 45 }},
		"set members":                {"\x05\x02\x01x\x00", func(c []TableMapColumn) { c[7].Elements = []string{"x", ""} }},
		"enum elements":              {"\x06\x01\x02\xc3\xb1", func(c []TableMapColumn) { c[5].Elements = []string{"ñ"} }},
		"key":                        {"\x08\x03\x00", func(c []TableMapColumn) { c[3].Key, c[0].Key = 1, 2 }},
		"key with prefix":            {"\x09\x03\x0a\x00\x00", func(c []TableMapColumn) { c[3].Key, c[0].Key = 1, 2 }},
		"unknown":                    {"\x63abc", func([]TableMapColumn) {}},
		"names": {"\x04\x01a\x01b\x01c\x01d\x01e\x01f\x01g\x01h\x02ii", func(c []TableMapColumn) {
			for i := range c {
				c[i].Name = "abcdefghi"[i : i+1]
			}
			c[8].Name = "ii"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			plain, err := ParseTableMap(mapBody(types, meta), false)
			if err != nil {
				t.Fatal(err)
			}
			c.want(plain.Columns)
			tm, err := ParseTableMap(mapBody(types, meta, c.optional), false)
			if err != nil || !reflect.DeepEqual(tm.Columns, plain.Columns) || tm.Full != (name == "names") {
				t.Errorf("got %+v, %v\nwant %+v", tm, err, plain.Columns)
			}
		})
	}
}

func TestCharsetsCountWhatTheServerCounts(t *testing.T) {
	const types, meta = "\x0f\xf2\xff\x0f", "\x0a\x00" + "\x04" + "\x04" + "\x0a\x00" // text, VECTOR, GEOMETRY, text
	for name, c := range map[string]struct {
		mariadb  bool
		optional string
		want     []uint64
	}{
		"MySQL counts VECTOR":      {false, "\x03\x08\x3f\x2d", []uint64{8, 63, 0, 45}},
		"MariaDB counts GEOMETRY":  {true, "\x03\x08\x3f\x3f\x2d", []uint64{8, 63, 63, 45}},
		"places count MySQL's":     {false, "\x02\x08\x02\x2d", []uint64{8, 8, 0, 45}},
		"places count MariaDB's":   {true, "\x02\x08\x03\x2d", []uint64{8, 8, 8, 45}},
		"places beyond the last":   {false, "\x02\x08\x09\x2d", []uint64{8, 8, 0, 8}},
		"places that are negative": {false, "\x02\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x2d", []uint64{8, 8, 0, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			tm, err := ParseTableMap(mapBody(types, meta, c.optional), c.mariadb)
			if err != nil {
				t.Fatal(err)
			}
			var got []uint64
			for _, col := range tm.Columns {
				got = append(got, col.Collation)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestParseTableMapRefuses(t *testing.T) {
	for name, body := range map[string][]byte{
		"no columns' metadata": mapBody("\xf6", "\x0a"),
		"typed array":          mapBody("\x14", "\x00"),
		"too few names":        mapBody("\x03\x03", "", "\x04\x01a"),
		"too few elements":     mapBody("\xfe", "\xf7\x01", "\x06\x02\x01a"),
		"elements without end": mapBody("\xfe", "\xf7\x01", "\x06\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"),
		"too few charsets":     mapBody("\x0f\x0f", "\x01\x00\x01\x00", "\x03\x08"),
		"half an exception":    mapBody("\x0f", "\x01\x00", "\x02\x08\x00"),
		"key of no column":     mapBody("\x03", "", "\x08\x01"),
		"huge key column":      mapBody("\x03", "", "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff"),
		"half a prefix":        mapBody("\x03", "", "\x09\x00"),
		"empty charset":        mapBody("\x0f", "\x01\x00", "\x02"),
	} {
		t.Run(name, func(t *testing.T) {
			if tm, err := ParseTableMap(body, false); err == nil {
				t.Errorf("accepted as %+v", tm)
			}
		})
	}
}

// boundaries counts where a cut body cannot be told from one with less optional metadata.
func boundaries(t *testing.T, body []byte) int {
	c := cursor{b: body}
	c.take(8)
	c.take(int(c.u8()) + 1)
	c.take(int(c.u8()) + 1)
	n := c.count()
	c.take(n)
	c.str()
	c.take((n + 7) / 8)
	places := 0
	for ; len(c.b) > 0 && c.err == nil; places++ {
		c.u8()
		c.str()
	}
	if c.err != nil {
		t.Fatal(c.err)
	}
	return places
}

func TestCutOffTableMapsAreErrors(t *testing.T) {
	for _, body := range recordedBodies(t, TypeTableMap) {
		accepted := 0
		for n := range body {
			if _, err := ParseTableMap(body[:n], false); err == nil {
				accepted++
			}
		}
		if want := boundaries(t, body); accepted != want {
			t.Errorf("%d cut bodies are accepted, %d end where metadata may end", accepted, want)
		}
	}
}

func TestPeekTableMapAgreesWithParse(t *testing.T) {
	for _, body := range recordedBodies(t, TypeTableMap) {
		tm, err := ParseTableMap(body, false)
		if err != nil {
			t.Fatal(err)
		}
		id, schema, name, err := PeekTableMap(body)
		if err != nil || id != tm.ID || string(schema) != tm.Schema || string(name) != tm.Table {
			t.Errorf("%d %s.%s, %v; want %d %s.%s", id, schema, name, err, tm.ID, tm.Schema, tm.Table)
		}
		for n := range 8 + 2 + len(schema) + 2 + len(name) {
			if _, _, _, err := PeekTableMap(body[:n]); !errors.Is(err, ErrTruncated) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
	}
}

func TestTableMapsOwnTheirBytes(t *testing.T) {
	body := mapBody("\x03", "", "\x04\x01a")
	tm, err := ParseTableMap(body, false)
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(body)
	clear(body)
	if !bytes.Equal(tm.Raw, before) || tm.Columns[0].Name != "a" {
		t.Errorf("changed with its event: %+v", tm)
	}
}
