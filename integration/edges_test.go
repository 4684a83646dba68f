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
func edgeColumns(f capture.Flavor) [][]string {
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
		{"LONGBLOB", "REPEAT('L', 100000)", "''", "'l'"},
		{"ENUM('a','b,c','it''s','é','') CHARACTER SET utf8mb4", "'b,c'", "'it\\'s'", "'é'"},
		{"ENUM('x','ÿ','\\\\n') CHARACTER SET latin1", "'ÿ'", "'\\\\n'", "'x'"},
		{"SET('a','b','é','d') CHARACTER SET utf8mb4", "'a,é'", "''", "'a,b,é,d'"},
	}
	if f == capture.MySQL {
		cols = append(cols,
			[]string{"JSON", `'{"a": [1, -1, 1.5, "x\\u0001\\"", null, true, {"b": {}}], "é": "😀"}'`, `'[]'`, `'18446744073709551615'`},
			[]string{"JSON", `CAST('[1e300, 1.5e-7, 100, 1.0, -0.0, 123456789012345678]' AS JSON)`, `JSON_OBJECT('d', DATE'2024-02-29', 't', TIME'-12:34:56.5', 'ts', TIMESTAMP'2024-02-29 01:02:03.000004', 'n', 12.50, 'b', x'00FF')`, `'"plain"'`},
			[]string{"JSON", `(SELECT JSON_ARRAYAGG(REPEAT('y', 300)) FROM (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3) x)`, `JSON_ARRAY(REPEAT('z', 70000), 1, 65536, -40000, 2147483648)`, `'false'`})
	}
	return append(cols, charsetColumns(f)...)
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

func edgeTable(f capture.Flavor) string {
	defs := []string{"id INT PRIMARY KEY"}
	for i, c := range edgeColumns(f) {
		defs = append(defs, fmt.Sprintf("c%d %s", i, c[0]))
	}
	return "CREATE TABLE t (" + strings.Join(defs, ", ") + ") CHARACTER SET utf8mb4"
}

// edgeRows gives rows in which every value of each column stands at least once, those of
// columns with fewer values more often, and behind them a row of NULLs.
func edgeRows(f capture.Flavor) []string {
	columns, most := edgeColumns(f), 0
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
