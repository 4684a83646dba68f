//go:build integration

package integration

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// oracle compares source and lake through an engine that shares no code with cdcd.
type oracle struct {
	p      *pipeline
	engine *engine
}

func (p *pipeline) oracle(engineName string) *oracle {
	p.t.Helper()
	return &oracle{p, startEngine(p.t, engineName, p.uri())}
}

// equal compares tables, given as schema.table of the source, with the lake's tables of the
// same names. Neither side may change meanwhile.
func (o *oracle) equal(t testing.TB, tables ...string) {
	t.Helper()
	for _, name := range tables {
		columns := sourceColumns(t, o.p.server, name)
		source, lake := sourceRows(t, o.p.server, name, columns), o.lakeRows(t, name, columns)
		slices.Sort(source)
		slices.Sort(lake)
		if slices.Equal(source, lake) {
			continue
		}
		onlySource, onlyLake := minus(source, lake), minus(lake, source)
		t.Errorf("%s by %s: %d rows in the source, %d in the lake; %d only in the source, %d only in the lake\n%s", name, o.engine.name,
			len(source), len(lake), len(onlySource), len(onlyLake), sample(columns, onlySource, onlyLake))
	}
	if t.Failed() {
		t.FailNow()
	}
}

// sourceColumn is a column as information_schema describes it.
type sourceColumn struct{ name, kind, full string }

func sourceColumns(t testing.TB, s *server, table string) []sourceColumn {
	t.Helper()
	schema, name, _ := strings.Cut(table, ".")
	rows, err := s.db.Query("SELECT column_name, data_type, column_type FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position", schema, name)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []sourceColumn
	for rows.Next() {
		var c sourceColumn
		if err := rows.Scan(&c.name, &c.kind, &c.full); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		t.Fatalf("the source has no table %s", table)
	}
	return out
}

const (
	null      = "\x00NULL"
	separator = "\x1e"
)

// sourceRows gives every row of a source table as one line.
func sourceRows(t testing.TB, s *server, table string, columns []sourceColumn) []string {
	t.Helper()
	exprs := make([]string, len(columns))
	for i, c := range columns {
		exprs[i] = "`" + c.name + "`"
		if c.kind == "float" {
			exprs[i] = "CAST(" + exprs[i] + " AS DOUBLE)"
		}
	}
	conn, err := s.db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(context.Background(), "SET time_zone = '+00:00'"); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.QueryContext(context.Background(), "SELECT "+strings.Join(exprs, ", ")+" FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	values := make([][]byte, len(columns))
	targets := make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	var out []string
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		cells := make([]string, len(columns))
		for i, v := range values {
			if cells[i] = null; v != nil {
				cells[i] = sourceCell(t, columns[i], string(v))
			}
		}
		out = append(out, strings.Join(cells, separator))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// sourceCell brings the server's text of a value into the common form.
func sourceCell(t testing.TB, c sourceColumn, v string) string {
	t.Helper()
	switch c.kind {
	case "float":
		return floatCell(t, v, 32)
	case "double":
		return floatCell(t, v, 64)
	case "binary", "varbinary", "blob", "tinyblob", "mediumblob", "longblob":
		return hex.EncodeToString([]byte(v))
	case "bit":
		if c.full == "bit(1)" {
			return strconv.FormatBool(v == "\x01")
		}
		return hex.EncodeToString([]byte(v))
	case "decimal":
		return decimalCell(t, v)
	case "datetime", "timestamp":
		return timeCell(t, v)
	}
	return v
}

// floatCell renders a number of 32 or 64 bits so that equal values have equal text.
func floatCell(t testing.TB, v string, bits int) string {
	t.Helper()
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		t.Fatal(err)
	}
	if f == 0 {
		f = 0 // no sign
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}

func decimalCell(t testing.TB, v string) string {
	t.Helper()
	r, ok := new(big.Rat).SetString(v)
	if !ok {
		t.Fatalf("%q is no number", v)
	}
	return r.RatString()
}

func timeCell(t testing.TB, v string) string {
	t.Helper()
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", time.RFC3339} {
		if at, err := time.Parse(layout, v); err == nil {
			return at.UTC().Format("2006-01-02T15:04:05.999999")
		}
	}
	t.Fatalf("%q is no time", v)
	return ""
}

// lakeRows gives every row of a lake table as one line.
func (o *oracle) lakeRows(t testing.TB, table string, columns []sourceColumn) []string {
	t.Helper()
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = o.engine.quote(c.name)
	}
	r := o.engine.query(t, "SELECT "+strings.Join(names, ", ")+" FROM "+table)
	out := make([]string, 0, len(r.Rows))
	for _, row := range r.Rows {
		cells := make([]string, len(columns))
		for i, v := range row {
			cells[i] = lakeCell(t, columns[i], v)
		}
		out = append(out, strings.Join(cells, separator))
	}
	return out
}

// quote quotes a column's name as the engine wants it.
func (e *engine) quote(name string) string {
	if e.name == "spark" {
		return "`" + name + "`"
	}
	return `"` + name + `"`
}

// lakeCell brings an engine's value into the common form.
func lakeCell(t testing.TB, c sourceColumn, v any) string {
	t.Helper()
	switch v := v.(type) {
	case nil:
		return null
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		switch c.kind {
		case "float":
			return floatCell(t, v.String(), 32)
		case "double":
			return floatCell(t, v.String(), 64)
		case "decimal":
			return decimalCell(t, v.String())
		}
		return v.String()
	case string:
		switch c.kind {
		case "decimal", "bigint":
			return decimalCell(t, v)
		case "datetime", "timestamp":
			return timeCell(t, v)
		}
		return v
	}
	t.Fatalf("column %s: %T", c.name, v)
	return ""
}

// minus gives what a sorted list has and another has not, counting repeats.
func minus(a, b []string) []string {
	count := map[string]int{}
	for _, x := range b {
		count[x]++
	}
	var out []string
	for _, x := range a {
		if count[x]--; count[x] < 0 {
			out = append(out, x)
		}
	}
	return out
}

// sample shows cells in which rows of two sorted lists differ.
func sample(columns []sourceColumn, source, lake []string) string {
	const most, width = 10, 80
	var out []string
	for i := range max(len(source), len(lake)) {
		a, b := cellsAt(source, i), cellsAt(lake, i)
		for j, c := range columns {
			left, right := "(no row)", "(no row)"
			if a != nil {
				left = a[j]
			}
			if b != nil {
				right = b[j]
			}
			if left != right && len(out) < most {
				out = append(out, fmt.Sprintf("  %s (%s): %.*q in the source, %.*q in the lake", c.name, c.full, width, left, width, right))
			}
		}
	}
	return strings.Join(out, "\n")
}

func cellsAt(rows []string, i int) []string {
	if i >= len(rows) {
		return nil
	}
	return strings.Split(rows[i], separator)
}

// fsck checks the lake's files against the rules of the format, with decoders of its own.
func (p *pipeline) fsck(t testing.TB) {
	t.Helper()
	if out, err := p.checker().CombinedOutput(); err != nil {
		t.Errorf("fsck: %v\n%s", err, out)
	}
}
