//go:build integration

package integration

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdcd/integration/judge"
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
	rows, err := readSource(t.Context(), s.db, table, columns)
	if err != nil {
		t.Fatal(err)
	}
	return lines(rows)
}

func lines(rows []judge.Row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = strings.Join(r, separator)
	}
	return out
}

// readSource gives every row of a table in the common form.
func readSource(ctx context.Context, db *sql.DB, table string, columns []sourceColumn) ([]judge.Row, error) {
	exprs := make([]string, len(columns))
	for i, c := range columns {
		exprs[i] = "`" + c.name + "`"
		if c.kind == "float" {
			exprs[i] = "CAST(" + exprs[i] + " AS DOUBLE)"
		}
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SET time_zone = '+00:00'"); err != nil {
		return nil, err
	}
	rows, err := conn.QueryContext(ctx, "SELECT "+strings.Join(exprs, ", ")+" FROM "+table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []judge.Row
	for rows.Next() {
		r, err := sourceRow(rows, columns)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

func sourceRow(rows *sql.Rows, columns []sourceColumn) (judge.Row, error) {
	values := make([][]byte, len(columns))
	targets := make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	if err := rows.Scan(targets...); err != nil {
		return nil, err
	}
	cells := make(judge.Row, len(columns))
	for i, v := range values {
		cells[i] = null
		if v == nil {
			continue
		}
		var err error
		if cells[i], err = sourceCell(columns[i], string(v)); err != nil {
			return nil, fmt.Errorf("column %s: %w", columns[i].name, err)
		}
	}
	return cells, nil
}

// sourceCell brings the server's text of a value into the common form.
func sourceCell(c sourceColumn, v string) (string, error) {
	switch c.kind {
	case "float":
		return floatCell(v, 32)
	case "double":
		return floatCell(v, 64)
	case "binary", "varbinary", "blob", "tinyblob", "mediumblob", "longblob", "vector",
		"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geomcollection", "geometrycollection":
		return hex.EncodeToString([]byte(v)), nil
	case "bit":
		if c.full == "bit(1)" {
			return strconv.FormatBool(v == "\x01"), nil
		}
		return hex.EncodeToString([]byte(v)), nil
	case "decimal":
		return decimalCell(v)
	case "date", "datetime", "timestamp":
		if _, err := time.Parse(time.DateOnly, v[:len(time.DateOnly)]); err != nil {
			return null, nil // only types.zero_date: null lets it into the lake
		}
		if c.kind == "date" {
			return v, nil
		}
		return timeCell(v)
	}
	return v, nil
}

// floatCell renders a number of 32 or 64 bits so that equal values have equal text.
func floatCell(v string, bits int) (string, error) {
	f, err := strconv.ParseFloat(v, 64)
	return strconv.FormatFloat(f, 'g', -1, bits), err
}

func decimalCell(v string) (string, error) {
	r, ok := new(big.Rat).SetString(v)
	if !ok {
		return "", fmt.Errorf("%q is no number", v)
	}
	return r.RatString(), nil
}

func timeCell(v string) (string, error) {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", time.RFC3339} {
		if at, err := time.Parse(layout, v); err == nil {
			return at.UTC().Format("2006-01-02T15:04:05.999999"), nil
		}
	}
	return "", fmt.Errorf("%q is no time", v)
}

// lakeRows gives every row of a lake table as one line.
func (o *oracle) lakeRows(t testing.TB, table string, columns []sourceColumn) []string {
	t.Helper()
	rows, err := o.engine.read(table, columns)
	if err != nil {
		t.Fatal(err)
	}
	return lines(rows)
}

// read gives every row of a lake table, perhaps as it was at a version, in the common form.
func (e *engine) read(from string, columns []sourceColumn) ([]judge.Row, error) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = e.quote(c.name)
	}
	r, err := e.ask("SELECT " + strings.Join(names, ", ") + " FROM " + from)
	if err != nil {
		return nil, err
	}
	out := make([]judge.Row, 0, len(r.Rows))
	for _, row := range r.Rows {
		cells := make(judge.Row, len(columns))
		for i, v := range row {
			if cells[i], err = lakeCell(columns[i], v); err != nil {
				return nil, fmt.Errorf("%s: column %s: %w", from, columns[i].name, err)
			}
		}
		out = append(out, cells)
	}
	return out, nil
}

// quote quotes a column's name as the engine wants it.
func (e *engine) quote(name string) string {
	if e.name == "spark" {
		return "`" + name + "`"
	}
	return `"` + name + `"`
}

// lakeCell brings an engine's value into the common form.
func lakeCell(c sourceColumn, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return null, nil
	case bool:
		return strconv.FormatBool(v), nil
	case json.Number:
		switch c.kind {
		case "float":
			return floatCell(v.String(), 32)
		case "double":
			return floatCell(v.String(), 64)
		case "decimal":
			return decimalCell(v.String())
		}
		return v.String(), nil
	case string:
		switch c.kind {
		case "decimal", "bigint":
			return decimalCell(v)
		case "datetime", "timestamp":
			return timeCell(v)
		}
		return v, nil
	}
	return "", fmt.Errorf("an engine's value of type %T", v)
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

// fsck checks the lake's files against the rules of the format: by cdcd fsck, and with
// decoders of its own.
func (p *pipeline) fsck(t testing.TB) {
	t.Helper()
	if f := p.run("fsck", "--keys"); f.code != 0 {
		t.Errorf("cdcd fsck ended with %d:\n%s%s", f.code, f.out, f.err)
	}
	if out, err := p.checker().CombinedOutput(); err != nil {
		t.Errorf("fsck: %v\n%s", err, out)
	}
}
