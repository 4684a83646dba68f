//go:build integration

package integration

import (
	"fmt"
	"slices"
	"strings"

	"cdcd/capture"
	"cdcd/capture/charset"
)

// edgeColumns are all supported types with the values that tend to go wrong, as SQL.
func edgeColumns(s *server) [][]string {
	cols := [][]string{
		{"TINYINT", "-128", "127", "0"},
		{"TINYINT UNSIGNED", "255", "0", "128"},
		{"SMALLINT", "-32768", "32767", "-1"},
		{"SMALLINT UNSIGNED", "65535", "0", "32768"},
		{"MEDIUMINT", "-8388608", "8388607", "-1"},
		{"MEDIUMINT UNSIGNED", "16777215", "0", "8388608"},
		{"INT", "-2147483648", "2147483647", "-1"},
		{"INT UNSIGNED", "4294967295", "0", "2147483648"},
		{"BIGINT", "-9223372036854775808", "9223372036854775807", "-1"},
		{"BIGINT UNSIGNED", "18446744073709551615", "0", "9223372036854775808"},
		{"DECIMAL(1,0)", "-9", "9", "0"},
		{"DECIMAL(10,5)", "-12345.67890", "99999.99999", "0.00001"},
		{"DECIMAL(18,9)", "-123456789.123456789", "0.000000001", "999999999.999999999"},
		{"DECIMAL(38,0)", "-99999999999999999999999999999999999999", "1", "99999999999999999999999999999999999999"},
		{"DECIMAL(38,30)", "-99999999.999999999999999999999999999999", "0.1", "0.000000000000000000000000000001"},
		{"DECIMAL(50,2) ZEROFILL", "123.45", "0", "9"},
		{"DECIMAL(10,2) ZEROFILL", "123.45", "0", "9"},
		{"INT ZEROFILL", "123", "0", "9"},
		{"DECIMAL(65,30)", "-12345678901234567890123456789012345.123456789012345678901234567890", "0", "0.000000000000000000000000000001"},
		{"DECIMAL(12,2) UNSIGNED", "9999999999.99", "0.01", "0"},
		{"FLOAT", "16777216", "0.1", "-3.4028234e38"},
		{"FLOAT", "1.17549435e-38", "0.12345679", "-0"},
		{"DOUBLE", "0.1", "-1.7976931348623157e308", "2.2250738585072014e-308"},
		{"DOUBLE", "123456789.12345678", "1e15", "-4.9406564584124654e-324"},
		{"BIT(1)", "b'1'", "b'0'", "b'1'"},
		{"BIT(9)", "b'100000001'", "b'0'", "b'111111111'"},
		{"BIT(64)", "18446744073709551615", "0", "9223372036854775808"},
		{"DATE", "'1000-01-01'", "'9999-12-31'", "'2024-02-29'"},
		{"DATETIME", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'1969-12-31 23:59:59'"},
		{"DATETIME(3)", "'2024-02-29 12:34:56.789'", "'1970-01-01 00:00:00.001'", "'1969-12-31 23:59:59.999'"},
		{"DATETIME(6)", "'9999-12-31 23:59:59.999999'", "'0001-01-01 00:00:00.000001'", "'2000-01-01 00:00:00'"},
		{"TIMESTAMP NULL", "'1970-01-02 00:00:01'", "'2038-01-18 03:14:07'", "'2024-03-31 02:30:00'"},
		{"TIMESTAMP(6) NULL", "'1970-01-02 00:00:01.000001'", "'2038-01-18 03:14:07.999999'", "'2024-10-27 02:30:00.5'"},
		{"TIME", "'-838:59:59'", "'838:59:59'", "'00:00:00'"},
		{"TIME(1)", "'-00:00:00.1'", "'838:59:58.9'", "'-12:34:56.7'"},
		{"TIME(4)", "'-838:59:58.9999'", "'00:00:00.0001'", "'-00:00:01.0000'"},
		{"TIME(6)", "'-838:59:58.999999'", "'-00:00:00.000001'", "'23:59:59.999999'"},
		{"YEAR", "1901", "2155", "0"},
		{"CHAR(5) CHARACTER SET utf8mb4", "'a  '", "'😀é'", "''"},
		{"CHAR(255) CHARACTER SET utf8mb4", "REPEAT('😀', 255)", "'x'", "' lead'"},
		{"VARCHAR(10) CHARACTER SET utf8mb3", "'éü€'", "'trail  '", "''"},
		{"VARCHAR(300) CHARACTER SET latin1", "CONVERT(0x80818D8F909D9FA0FF41 USING latin1)", "'plain'", "''"},
		{"VARCHAR(300) CHARACTER SET ascii", "'ascii'", "'a\\0b'", "''"},
		{"VARCHAR(20) CHARACTER SET binary", "0x0001FF00", "''", "'abc'"},
		{"TEXT CHARACTER SET utf8mb4", "REPEAT('é', 400)", "'\\'\\\"\\\\\\n'", "''"},
		{"TINYTEXT CHARACTER SET latin1", "'ÿ'", "'a'", "''"},
		{"MEDIUMTEXT CHARACTER SET utf8mb4", "REPEAT('m', 70000)", "'a'", "''"},
		{"LONGTEXT CHARACTER SET ascii", "'long'", "'a'", "''"},
		{"BINARY(8)", "0x0102000000000000", "0x0000000000000000", "'abcdefgh'"},
		{"VARBINARY(300)", "0x00", "REPEAT('b', 300)", "''"},
		{"BLOB", "0x00FF00", "''", "REPEAT('x', 1000)"},
		{"TINYBLOB", "0x80", "''", "'t'"},
		{"MEDIUMBLOB", "REPEAT('m', 70000)", "''", "x'00'"},
		{"LONGBLOB", "REPEAT('L', 100000)", "''", "'l'"},
		{"ENUM('a','b,c','it''s','é','') CHARACTER SET utf8mb4", "'b,c'", "'it\\'s'", "'é'"},
		{"ENUM('x','ÿ','\\\\n') CHARACTER SET latin1", "'ÿ'", "'\\\\n'", "'x'"},
		{"SET('a','b','é','d') CHARACTER SET utf8mb4", "'a,é'", "''", "'a,b,é,d'"},
		{"ENUM(' ','\"','a ''b','😀','日本','\\\\t') CHARACTER SET utf8mb4", "'😀'", "' '", "'a ''b'", "'\"'", "'日本'", "'\\\\t'"},
		{"SET('x y','''','\"','é','😀') CHARACTER SET utf8mb4", "'x y,\\''", "31", "'\",😀'", "0"},
		{"YEAR", "1970", "'2000'", "'0000'", "2069"},
		{"DATE", "'0001-01-01'", "'1582-10-10'", "'1900-02-28'", "'2000-02-29'"},
		{"DATETIME(1)", "'1500-02-28 23:59:59.9'", "'0001-01-01 00:00:00'", "'2038-01-19 03:14:08'"},
		{"TIME(2)", "'-01:02:03.04'", "'838:59:59.00'", "'-838:59:59.00'", "'00:00:59.99'"},
		{"TIME(3)", "'-100:00:00.001'", "'100:00:00.999'", "'-00:00:59.999'"},
		{"TIME(5)", "'-00:00:00.00001'", "'-00:59:00.99999'", "'24:00:00'"},
		{"BIT(2)", "1", "2", "3", "0"},
		{"BIT(8)", "255", "128", "0"},
		{"BIT(17)", "65537", "131071", "0"},
		{"BIT(33)", "8589934591", "4294967296", "1"},
		{"BIT(63)", "9223372036854775807", "4611686018427387904", "0"},
		{"BINARY(3)", "'a'", "0x000000", "0x00FF00", "' a '"},
		{"BINARY(255)", "REPEAT(x'00', 255)", "REPEAT('b', 255)", "''"},
		{"DOUBLE", "-0e0", "0.1e0 + 0.2e0", "1.7976931348623157e308", "5e-324", "-1e22", "9007199254740993"},
		{"FLOAT", "-0e0", "1.4e-45", "3.4028234e38", "0.3", "8388609", "123456.789"},
		{"DECIMAL(65,30)", "99999999999999999999999999999999999.999999999999999999999999999999", "-0.000000000000000000000000000001", "-1"},
		{"DECIMAL(65,0)", "-99999999999999999999999999999999999999999999999999999999999999999", "1", "0"},
		{"DECIMAL(30,30)", "-0.999999999999999999999999999999", "0.000000000000000000000000000001", "0"},
		{"POINT", "POINT(1, 2)", "POINT(-0e0, 1e308)", "ST_GeomFromText('POINT(10 20)', 4326)"},
		{"GEOMETRY", "ST_GeomFromText('POLYGON((0 0, 10 0, 10 10, 0 0))')", "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(0 0, 1 1))')", "ST_GeomFromText('POINT(52.5 13.4)', 4326)"},
		{"LINESTRING", "ST_GeomFromText('LINESTRING(0 0, 1e-9 1, -3 4.5)')", "ST_GeomFromText('LINESTRING(0 0, 1 1)', 4326)"},
		{"POLYGON", "ST_GeomFromText('POLYGON((0 0, 10 0, 10 10, 0 10, 0 0), (1 1, 2 1, 2 2, 1 1))')"},
		{"MULTIPOINT", "ST_GeomFromText('MULTIPOINT(0 0, 1 1)')"},
		{"MULTILINESTRING", "ST_GeomFromText('MULTILINESTRING((0 0, 1 1), (2 2, 3 3, 4 4))')"},
		{"MULTIPOLYGON", "ST_GeomFromText('MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))')"},
		{"GEOMETRYCOLLECTION", "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2), POINT(3 4))')"},
	}
	if s.flavor == capture.MariaDB {
		cols = append(cols, mariadbColumns()...)
	}
	if s.flavor == capture.MySQL {
		cols = append(cols,
			[]string{"VECTOR(3)", "STRING_TO_VECTOR('[1,2.5,-0]')", "STRING_TO_VECTOR('[-1.5]')", "STRING_TO_VECTOR('[3.4028234e38,1.2e-38,0.1]')"},
			[]string{
				"JSON", `JSON_OBJECT('bits', b'1010', 'blob', CAST(x'00FF80' AS BINARY), 'utf', _utf8mb4'é')`,
				`JSON_ARRAY(CAST(1 AS UNSIGNED), -1, 18446744073709551615, -9223372036854775808, 9223372036854775807, 0.0, 1e0)`,
				`CAST('"\\u00e9\\ud83d\\ude00\\u0000\\b\\f\\n\\r\\t\\/\\\\\\""' AS JSON)`,
				`JSON_ARRAY(CAST('12345678901234567890123456789012345.123456789012345678901234567890' AS DECIMAL(65,30)), CAST(-0.50 AS DECIMAL(10,2)))`,
				`JSON_ARRAY(CAST('-838:59:58.999999' AS TIME(6)), CAST('0001-01-01' AS DATE), CAST('9999-12-31 23:59:59.999999' AS DATETIME(6)), CAST(2155 AS YEAR))`,
				`JSON_ARRAY(0.1e0, 1e15, 1e16, 123456789012345680000e0, 1e-7, 5e-324, 1.7976931348623157e308, -0e0)`, `'null'`, `'true'`, `'{"": {"": []}, "a": {"b": [[[[]]]]}}'`,
				`JSON_OBJECT('b', 1, 'aa', 2, 'a', 3, 'é', 4)`, `CAST(ST_GeomFromText('POINT(1 2)') AS JSON)`, `JSON_ARRAY(CAST(x'' AS BINARY), '', REPEAT('é', 127), REPEAT('é', 128))`,
			},
			[]string{"JSON", `'{"a": [1, -1, 1.5, "x\\u0001\\"", null, true, {"b": {}}], "é": "😀"}'`, `'[]'`, `'18446744073709551615'`},
			[]string{"JSON", `CAST('[1e300, 1.5e-7, 100, 1.0, -0.0, 123456789012345678]' AS JSON)`, `JSON_OBJECT('d', DATE'2024-02-29', 't', TIME'-12:34:56.5', 'ts', TIMESTAMP'2024-02-29 01:02:03.000004', 'n', 12.50, 'b', x'00FF')`, `'"plain"'`},
			[]string{"JSON", `(SELECT JSON_ARRAYAGG(REPEAT('y', 300)) FROM (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3) x)`, `JSON_ARRAY(REPEAT('z', 70000), 1, 65536, -40000, 2147483648)`, `'false'`})
	}
	cols = append(cols, charsetColumns(s.flavor)...)
	return slices.DeleteFunc(cols, func(c []string) bool { return c[0] == "VECTOR(3)" && !s.vectors() })
}

// mariadbColumns are columns of the types that MariaDB alone has.
func mariadbColumns() [][]string {
	return [][]string{
		{"VECTOR(3)", "VEC_FromText('[1,2.5,-0]')", "VEC_FromText('[-1.5,0,1e-9]')", "VEC_FromText('[1e10,1.2e-38,0.1]')"},
		{
			"UUID", "'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'123e4567-e89b-12d3-a456-426655440000'", "'01890a5d-ac96-774b-bcce-b302099a8057'",
			"'6ccd780c-baba-1026-9564-5b8c656024db'", "'00000000-0000-4000-8000-000000000001'", "'FFFFFFFF-0000-1000-8000-00000000AB00'",
		},
		{"INET4", "'0.0.0.0'", "'255.255.255.255'", "'10.0.0.0'", "'1.2.3.4'"},
		{
			"INET6", "'::'", "'::1'", "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'", "'2001:db8::ff00:42:8329'", "'::ffff:1.2.3.4'", "'::1.2.3.4'", "'::ffff:0:0'", "'1::'", "'1:0:2:3:4:5:6:7'",
			"'1:0:0:2:0:0:0:3'", "'1:0:0:2:3:0:0:4'", "'::2:3:4:5:6:7:8'", "'1:2:3:4:5:6:7::'", "'::ffff:0.0.0.1'", "'0:0:0:0:0:1:0:0'", "'fe80::'",
		},
		{"VARCHAR(1000) COMPRESSED CHARACTER SET utf8mb4", "REPEAT('é', 1000)", "'short'", "''", "CONCAT(REPEAT('a', 99), ' ')"},
		{"VARCHAR(60) COMPRESSED CHARACTER SET gbk", "'中文'", "''", "REPEAT('中', 60)"},
		{"TEXT COMPRESSED CHARACTER SET utf16", "REPEAT('😀é', 9000)", "'a'", "''"},
		{"LONGTEXT COMPRESSED CHARACTER SET latin1", "REPEAT('ÿab', 100000)", "'a'", "''"},
		{"VARBINARY(500) COMPRESSED", "REPEAT(x'00', 500)", "x'00'", "''"},
		{"BLOB COMPRESSED", "REPEAT('blob', 15000)", "x'80'", "''"},
		{"MEDIUMBLOB COMPRESSED", "REPEAT(x'01FF', 100000)", "''", "x'00'"},
		{"JSON", `'{"a":  1}'`, `'"\\u00e9"'`, `'[]'`},
	}
}

// charsetColumns are columns of every character set that a server knows, by whose name others
// know them too, with characters from all over it.
func charsetColumns(f capture.Flavor) [][]string {
	cols := [][]string{
		{"CHAR(6) CHARACTER SET cp1251", "'Привет'", "'я  '", "' я'"},
		{"CHAR(3) CHARACTER SET gbk", "'中文'", "'a '", "''"},
		{"CHAR(3) CHARACTER SET ucs2", "'é€'", "'a  '", "''"},
		{"CHAR(3) CHARACTER SET utf16", "'😀é'", "'a  '", "''"},
		{"CHAR(3) CHARACTER SET utf16le", "'😀é'", "'a  '", "''"},
		{"CHAR(3) CHARACTER SET utf32", "'😀é'", "'a  '", "''"},
		{"TEXT CHARACTER SET sjis", "'日本語'", "REPEAT('ｱ表\\\\', 1000)", "''"},
		{"LONGTEXT CHARACTER SET utf16", "REPEAT('😀', 20000)", "'a'", "''"},
		{"TINYTEXT CHARACTER SET euckr", "'한국어'", "'a'", "''"},
		{"ENUM('П','я,','it''s') CHARACTER SET cp1251", "'П'", "'я,'", "'it''s'"},
		{"ENUM('€','é ü') CHARACTER SET ucs2", "'€'", "'é ü'", "1"},
		{"ENUM('Å','é','a') CHARACTER SET swe7", "'Å'", "'é'", "'a'"},
		{"SET('中','文','x') CHARACTER SET gbk", "'中,x'", "''", "'中,文,x'"},
		{"SET('表','ソ','x') CHARACTER SET sjis", "'表,ソ'", "''", "'x'"},
		{"SET('😀','é') CHARACTER SET utf32", "'😀,é'", "''", "'é'"},
	}
	for _, name := range charset.Names() {
		if name == "gb18030" && f == capture.MariaDB {
			continue
		}
		cols = append(cols, append([]string{"VARCHAR(40) CHARACTER SET " + name}, charsetValues(name)...))
	}
	return cols
}

// charsetValues are the first and the last characters of a set that are not ASCII, some from
// between, and none, as literals.
func charsetValues(name string) []string {
	const length = 40
	codes := charsetCodes(name)
	spread := make([]string, length)
	for i := range spread {
		spread[i] = codes[i*(len(codes)-1)/(length-1)]
	}
	n := min(length, len(codes))
	var out []string
	for _, text := range [][]string{codes[:n], codes[len(codes)-n:], spread, {}} {
		out = append(out, fmt.Sprintf("_%s x'%X'", name, strings.Join(text, "")))
	}
	return out
}

// charsetCodes are codes of a set, without those of ASCII where others are enough, in order.
func charsetCodes(name string) []string {
	var codes []string
	c := charset.For(name)
	add := func(code ...byte) {
		if r, n := c.Rune(code); n == len(code) && (r >= 0x80 || name == "ascii" || name == "swe7") {
			codes = append(codes, string(code))
		}
	}
	for a := range 256 {
		add(byte(a))
		for b := range 256 {
			add(byte(a), byte(b))
			add(byte(a), byte(b), 0xA4)
			add(0, 1, byte(a), byte(b))
			add(0xD8, byte(a), 0xDE, byte(b))
			add(byte(a), 0xD8, byte(b), 0xDE)
			add(byte(a), 0x30, byte(b), 0x39)
		}
	}
	slices.Sort(codes)
	return codes
}

func edgeTable(s *server) string {
	defs := []string{"id INT PRIMARY KEY"}
	for i, c := range edgeColumns(s) {
		defs = append(defs, fmt.Sprintf("c%d %s", i, c[0]))
	}
	return "CREATE TABLE t (" + strings.Join(defs, ", ") + ") CHARACTER SET utf8mb4"
}

// edgeRows gives rows in which every value of each column stands at least once, those of
// columns with fewer values more often, and behind them a row of NULLs.
func edgeRows(s *server) []string {
	columns, most := edgeColumns(s), 0
	for _, c := range columns {
		most = max(most, len(c)-1)
	}
	var rows []string
	for v := range most {
		row := []string{fmt.Sprint(v + 1)}
		for _, c := range columns {
			row = append(row, c[1+v%(len(c)-1)])
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
	}
	nulls := []string{fmt.Sprint(most + 1)}
	for range columns {
		nulls = append(nulls, "NULL")
	}
	return append(rows, "("+strings.Join(nulls, ", ")+")")
}
