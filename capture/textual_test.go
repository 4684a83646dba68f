package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cdcd/capture/binlog"
)

func TestStoredValues(t *testing.T) {
	elements := []string{"a", "b,c", "\xf1"} // in latin1
	many := make([]string, 64)
	for i := range many {
		many[i] = fmt.Sprint("e", i)
	}
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct {
		column Column
		wire   binlog.TableMapColumn
		stored string
		want   string
		err    error
	}{
		"tinyint":            {Column{Type: TypeTinyInt}, binlog.TableMapColumn{}, "\x80", "-128", nil},
		"tinyint unsigned":   {Column{Type: TypeTinyInt, Unsigned: true}, binlog.TableMapColumn{}, "\xff", "255", nil},
		"smallint":           {Column{Type: TypeSmallInt}, binlog.TableMapColumn{}, "\x00\x80", "-32768", nil},
		"smallint unsigned":  {Column{Type: TypeSmallInt, Unsigned: true}, binlog.TableMapColumn{}, "\xff\xff", "65535", nil},
		"mediumint":          {Column{Type: TypeMediumInt}, binlog.TableMapColumn{}, "\x00\x00\x80", "-8388608", nil},
		"mediumint unsigned": {Column{Type: TypeMediumInt, Unsigned: true}, binlog.TableMapColumn{}, "\xff\xff\xff", "16777215", nil},
		"int":                {Column{Type: TypeInt}, binlog.TableMapColumn{}, "\xfe\xff\xff\xff", "-2", nil},
		"int unsigned":       {Column{Type: TypeInt, Unsigned: true}, binlog.TableMapColumn{}, "\xff\xff\xff\xff", "4294967295", nil},
		"bigint":             {Column{Type: TypeBigInt}, binlog.TableMapColumn{}, "\x00\x00\x00\x00\x00\x00\x00\x80", "-9223372036854775808", nil},
		"bigint unsigned":    {Column{Type: TypeBigInt, Unsigned: true}, binlog.TableMapColumn{}, "\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615", nil},
		"float":              {Column{Type: TypeFloat}, binlog.TableMapColumn{}, "\x00\x00\xc0\xbf", "-1.5", nil},
		"double":             {Column{Type: TypeDouble}, binlog.TableMapColumn{}, "\x00\x00\x00\x00\x00\x00\xf8\xbf", "-1.5", nil},
		"bit(1)":             {Column{Type: TypeBit, Size: 1}, binlog.TableMapColumn{Meta: 1}, "\x01", "true", nil},
		"bit(9)":             {Column{Type: TypeBit, Size: 9}, binlog.TableMapColumn{Meta: 1<<8 | 1}, "\x01\x02", "AQI=", nil},
		"char":               {Column{Type: TypeChar, Charset: "utf8mb4"}, binlog.TableMapColumn{Length: 20}, "\x03ñx", "ñx", nil},
		"char, two bytes":    {Column{Type: TypeChar, Charset: "utf8mb4"}, binlog.TableMapColumn{Length: 256}, "\x03\x00ñx", "ñx", nil},
		"varchar(255)":       {Column{Type: TypeVarchar, Charset: "ascii"}, binlog.TableMapColumn{Length: 255}, "\x01x", "x", nil},
		"varchar(300)":       {Column{Type: TypeVarchar, Charset: "ascii"}, binlog.TableMapColumn{Length: 300}, "\x2c\x01" + long, long, nil},
		"text":               {Column{Type: TypeText, Charset: "latin1"}, binlog.TableMapColumn{Meta: 2}, "\x03\x00\x80\x81\xe9", "€\u0081é", nil},
		"longtext":           {Column{Type: TypeText, Charset: "utf8mb3"}, binlog.TableMapColumn{Meta: 4}, "\x01\x00\x00\x00x", "x", nil},
		"no UTF-8":           {Column{Type: TypeText, Charset: "utf8mb4"}, binlog.TableMapColumn{Meta: 1}, "\x01\xff", "", errNotText},
		"no ASCII":           {Column{Type: TypeText, Charset: "ascii"}, binlog.TableMapColumn{Meta: 1}, "\x01\xff", "", errNotText},
		"binary is padded":   {Column{Type: TypeBinary, Size: 4}, binlog.TableMapColumn{Length: 4}, "\x01a", "YQAAAA==", nil},
		"varbinary is not":   {Column{Type: TypeVarbinary, Size: 4}, binlog.TableMapColumn{Length: 4}, "\x01a", "YQ==", nil},
		"blob":               {Column{Type: TypeBlob}, binlog.TableMapColumn{Meta: 3}, "\x01\x00\x00\xff", "/w==", nil},
		"enum":               {Column{Type: TypeEnum, Charset: "latin1"}, binlog.TableMapColumn{Length: 1, Elements: elements}, "\x03", "ñ", nil},
		"enum, wide element": {Column{Type: TypeEnum, Charset: "utf16", Elements: []string{"?"}}, binlog.TableMapColumn{Length: 1, Elements: []string{"\xd8\x3d\xde\x00"}}, "\x01", "😀", nil},
		"no gbk":             {Column{Type: TypeText, Charset: "gbk"}, binlog.TableMapColumn{Meta: 1}, "\x02\xa2\xa0", "", errNotText},
		"gbk":                {Column{Type: TypeText, Charset: "gbk"}, binlog.TableMapColumn{Meta: 1}, "\x05ab\xd6\xd0c", "ab中c", nil},
		"enum of no element": {Column{Type: TypeEnum, Charset: "latin1"}, binlog.TableMapColumn{Length: 1, Elements: elements}, "\x00", "", nil},
		"enum, two bytes":    {Column{Type: TypeEnum, Charset: "latin1"}, binlog.TableMapColumn{Length: 2, Elements: make([]string, 300)}, "\x2c\x01", "", nil},
		"enum beyond":        {Column{Type: TypeEnum, Charset: "latin1"}, binlog.TableMapColumn{Length: 1, Elements: elements}, "\x04", "", errAny},
		"set":                {Column{Type: TypeSet, Charset: "latin1"}, binlog.TableMapColumn{Length: 1, Elements: elements}, "\x05", "a,ñ", nil},
		"empty set":          {Column{Type: TypeSet, Charset: "latin1"}, binlog.TableMapColumn{Length: 1, Elements: elements}, "\x00", "", nil},
		"set of 64":          {Column{Type: TypeSet, Charset: "latin1"}, binlog.TableMapColumn{Length: 8, Elements: many}, "\x01\x00\x00\x00\x00\x00\x00\x80", "e0,e63", nil},
		"set beyond":         {Column{Type: TypeSet, Charset: "latin1"}, binlog.TableMapColumn{Length: 1, Elements: elements}, "\x08", "", errAny},
	} {
		t.Run(name, func(t *testing.T) {
			values, n, err := decodeOne(t, c.column, c.wire, []byte(c.stored+"\xaa"))
			if c.err != nil {
				if err == nil || c.err != errAny && !errors.Is(err, c.err) {
					t.Errorf("got %v, %v; want %v", values, err, c.err)
				}
				return
			}
			if err != nil || n != len(c.stored) || values.ValueStr(0) != c.want {
				t.Fatalf("got %v, took %d of %d, %v", values, n, len(c.stored), err)
			}
			refuseCut(t, c.column, c.wire, []byte(c.stored))
		})
	}
}

func TestStorageThatDoesNotFitIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		column Column
		wire   binlog.TableMapColumn
	}{
		"bits":              {Column{Type: TypeBit, Size: 9}, binlog.TableMapColumn{Meta: 1 << 8}},
		"enum of no bytes":  {Column{Type: TypeEnum, Charset: "latin1"}, binlog.TableMapColumn{}},
		"enum, three bytes": {Column{Type: TypeEnum, Charset: "latin1"}, binlog.TableMapColumn{Length: 3}},
		"set, nine bytes":   {Column{Type: TypeSet, Charset: "latin1"}, binlog.TableMapColumn{Length: 9}},
	} {
		if _, _, err := decodeOne(t, c.column, c.wire, make([]byte, 20)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLongsOverflowLoudly(t *testing.T) {
	c := Column{Type: TypeBigInt, Unsigned: true}
	dt, err := ArrowType(c, TypeOptions{UnsignedBigintAsLong: true})
	if err != nil {
		t.Fatal(err)
	}
	decode, _, err := columnDecoder(c, binlog.TableMapColumn{}, dt)
	if err != nil {
		t.Fatal(err)
	}
	v := newVector(dt, NewPool())
	defer v.free()
	if n, err := decode(&v, slices.Repeat([]byte{0xff}, 8)); !errors.Is(err, errOverflow) {
		t.Errorf("took %d, %v", n, err)
	}
	if n, err := decode(&v, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}); err != nil || n != 8 {
		t.Errorf("took %d, %v", n, err)
	}
}
