//go:build integration

package integration

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
)

// drain reads a stream until it has delivered everything up to a position.
func drain(t testing.TB, s *capture.Stream, until capture.Position) []*capture.Segment {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out []*capture.Segment
	for {
		seg, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, seg)
		if seg.End.Covers(until) {
			return out
		}
	}
}

func describe(t testing.TB, s *server, schema string) []capture.TableInfo {
	t.Helper()
	infos, err := capture.Tables(context.Background(), s.db, func(n capture.Name) bool { return n.Schema == schema })
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		if i.Problem != nil {
			t.Fatalf("%s: %v", i.Name, i.Problem)
		}
	}
	return infos
}

func streamOf(t testing.TB, s *server, start capture.Position, tables ...capture.Capture) *capture.Stream {
	t.Helper()
	st, err := capture.NewStream(capture.StreamConfig{
		Source: s.source(t.Name()), Start: start, Tables: tables,
		Wanted: func(capture.Name) bool { return false },
		Limits: capture.Limits{Rows: 10_000, Bytes: 64 << 20, Linger: 100 * time.Millisecond},
		Memory: capture.NewPool(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st
}

// TestPathsAgree writes edge values of every supported type and compares what the log and
// what SELECT gives, value for value.
func TestPathsAgree(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		schema := s.schema(t, "paths")
		s.exec(t, "USE paths; "+edgeTable(s.flavor))
		info := describe(t, s, schema)[0]
		c := capture.Capture{Table: &info.Table, Applied: capture.EmptyPosition(s.flavor)}
		start := s.executed(t)
		for _, row := range edgeRows(s.flavor) {
			s.exec(t, "SET NAMES utf8mb4; INSERT INTO paths.t VALUES "+row)
		}
		end := s.executed(t)
		segments := drain(t, streamOf(t, s, start, c), end)
		var logged []*capture.Batch
		for _, seg := range segments {
			logged = append(logged, seg.Batches...)
		}
		reader, err := capture.OpenReader(context.Background(), s.source(t.Name()), s.flavor, serverID(t, s), capture.NewPool())
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		chunk, err := reader.Read(context.Background(), c, capture.Range{}, end)
		if err != nil {
			t.Fatal(err)
		}
		compareRows(t, &info.Table, logged, []*capture.Batch{chunk.Batch})
		if got, want := chunk.Batch.Rows(), len(edgeRows(s.flavor)); got != want {
			t.Errorf("%d rows selected, want %d", got, want)
		}
	})
}

func serverID(t testing.TB, s *server) string {
	t.Helper()
	d, err := capture.Describe(context.Background(), s.db)
	if err != nil {
		t.Fatal(err)
	}
	return d.ID
}

// compareRows compares two sequences of batches by the first column.
func compareRows(t testing.TB, table *capture.Table, a, b []*capture.Batch) {
	t.Helper()
	left, right := rowTexts(a), rowTexts(b)
	if len(left) != len(right) {
		t.Errorf("%d rows against %d", len(left), len(right))
	}
	for key, l := range left {
		r := right[key]
		for i := range l {
			if r == nil || l[i] != r[i] {
				t.Errorf("row %s column %s (%s): log %q, select %q", key, table.Columns[i].Name, table.Columns[i].SQLType(), l[i], at(r, i))
			}
		}
	}
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return "(no row)"
}

// rowTexts renders rows by the value of their first column.
func rowTexts(batches []*capture.Batch) map[string][]string {
	out := map[string][]string{}
	for _, b := range batches {
		for i := range b.Rows() {
			row := make([]string, b.Record.NumCols())
			for j, c := range b.Record.Columns() {
				row[j] = "NULL"
				if c.IsValid(i) {
					row[j] = fmt.Sprintf("%v", c.GetOneForMarshal(i))
				}
			}
			out[row[0]] = row
		}
	}
	return out
}

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
	return cols
}

func edgeTable(f capture.Flavor) string {
	defs := []string{"id INT PRIMARY KEY"}
	for i, c := range edgeColumns(f) {
		defs = append(defs, fmt.Sprintf("c%d %s", i, c[0]))
	}
	return "CREATE TABLE t (" + strings.Join(defs, ", ") + ") CHARACTER SET utf8mb4"
}

// edgeRows gives one row per value of each column, and a row of NULLs.
func edgeRows(f capture.Flavor) []string {
	var rows []string
	for v := 1; v <= 3; v++ {
		row := []string{fmt.Sprint(v)}
		for _, c := range edgeColumns(f) {
			row = append(row, c[v])
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
	}
	nulls := []string{"4"}
	for range edgeColumns(f) {
		nulls = append(nulls, "NULL")
	}
	return append(rows, "("+strings.Join(nulls, ", ")+")")
}
