package judge

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Table says what the columns of a table mean.
type Table struct {
	Name    string
	Columns []string
	Key     []int // columns of the primary key
	Version int   // column that grows with each change of a key; -1: none
	Amount  int   // column that is summed up over all tables that have one; -1: none
}

// NewTable finds the columns that the judge knows by name: version and amount.
func NewTable(name string, columns []string, key ...string) (Table, error) {
	t := Table{Name: name, Columns: columns, Version: slices.Index(columns, "version"), Amount: slices.Index(columns, "amount")}
	for _, k := range key {
		i := slices.Index(columns, k)
		if i < 0 {
			return Table{}, fmt.Errorf("table %s has no column %s", name, k)
		}
		t.Key = append(t.Key, i)
	}
	return t, nil
}

// Row is the canonical text of each cell.
type Row []string

const separator = "\x1e"

func (r Row) line() string { return strings.Join(r, separator) }

// key names a row within its table.
func (t Table) key(r Row) string {
	parts := make([]string, len(t.Key))
	for i, c := range t.Key {
		parts[i] = r[c]
	}
	return strings.Join(parts, ",")
}

func (t Table) number(r Row, column int) (int64, error) {
	n, err := strconv.ParseInt(r[column], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: key %s: %s: %w", t.Name, t.key(r), t.Columns[column], err)
	}
	return n, nil
}

// Digest stands for the rows of a table in any order. Hashes are added up and not XORed, so
// that a row which is there twice does not cancel out.
type Digest struct {
	Rows      int
	High, Low uint64
}

// Sum computes the digest of rows.
func Sum(rows []Row) Digest {
	d := Digest{Rows: len(rows)}
	for _, r := range rows {
		h := sha256.Sum256([]byte(r.line()))
		d.High += binary.BigEndian.Uint64(h[:])
		d.Low += binary.BigEndian.Uint64(h[8:])
	}
	return d
}

// mostFindings bounds what is said about one table.
const mostFindings = 10

// Compare gives the keys in which the lake differs from the source, and nothing where both
// hold the same rows.
func (t Table) Compare(source, lake []Row) []string {
	if Sum(source) == Sum(lake) {
		return nil
	}
	out := []string{fmt.Sprintf("%s: %d rows in the source, %d in the lake", t.Name, len(source), len(lake))}
	want, have := t.byKey(source), t.byKey(lake)
	for _, k := range keysOf(want, have) {
		if len(out) > mostFindings {
			return append(out, "and more")
		}
		if what := t.difference(want[k], have[k]); what != "" {
			out = append(out, fmt.Sprintf("%s: key %s: %s", t.Name, k, what))
		}
	}
	return out
}

func (t Table) byKey(rows []Row) map[string][]Row {
	out := make(map[string][]Row, len(rows))
	for _, r := range rows {
		k := t.key(r)
		out[k] = append(out[k], r)
	}
	return out
}

func keysOf(a, b map[string][]Row) []string {
	var out []string
	for k := range a {
		out = append(out, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// difference says how the rows of one key differ; "": they do not.
func (t Table) difference(source, lake []Row) string {
	switch {
	case len(lake) == 0:
		return "missing in the lake"
	case len(source) == 0:
		return "only in the lake"
	case len(source) != len(lake):
		return fmt.Sprintf("%d times in the lake, %d times in the source", len(lake), len(source))
	}
	var columns []string
	for i, name := range t.Columns {
		if source[0][i] != lake[0][i] {
			columns = append(columns, name)
		}
	}
	if len(columns) == 0 {
		return ""
	}
	what := "other values in " + strings.Join(columns, ", ")
	if t.Version >= 0 {
		what += fmt.Sprintf(" (version %s in the source, %s in the lake)", source[0][t.Version], lake[0][t.Version])
	}
	return what
}
