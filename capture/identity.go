package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Identity is how the rows of a table are told apart, in the log and in the lake. It is chosen
// when the lake's table is created.
type Identity string

const (
	// ByKey: by a key that the server enforces.
	ByKey Identity = ""
	// ByDeclaredKey: by columns of which the user says that they identify rows. Nobody enforces it.
	ByDeclaredKey Identity = "declared"
	// ByRow: by all columns. Equal rows are counted.
	ByRow Identity = "row"
	// Appended: not at all. Rows are inserted, and never change.
	Appended Identity = "append"
)

// matched reports that rows are found by values which nobody keeps from being there twice: then
// both images of a row have to hold them all, and it matters which transaction a row is of.
func (i Identity) matched() bool { return i == ByDeclaredKey || i == ByRow }

// Wish is what the user says of how a table's rows are told apart, in at most one of the first
// three.
type Wish struct {
	Key    []string // these columns identify rows, of a table without a key of its own
	Append bool     // rows never change
	ByRow  bool     // all columns do, where the table has no key
	Empty  bool     // rows that are there before the lake has the table are not wanted
}

var (
	// ErrNoKey reports a table whose rows nothing identifies.
	ErrNoKey = errors.New("no primary key, and no unique key without NULLs")
	// ErrNotAKey reports a wish that does not fit the table.
	ErrNotAKey = errors.New("tables[].key does not fit")
)

// identify decides how a table's rows are told apart, by what the server enforces and what the
// user says.
func (t *TableInfo) identify(w Wish) {
	switch {
	case w.Append:
		t.Key, t.KeyName, t.Identity = nil, "", Appended
	case len(w.Key) > 0:
		t.declare(w.Key)
	case len(t.Key) == 0 && w.ByRow:
		t.Identity = ByRow
	default:
		t.checkKey()
	}
	if t.Identity != ByKey && t.RowEnd != "" {
		t.Problem = errors.Join(t.Problem, fmt.Errorf("%w: a system-versioned table without a key that the server enforces", ErrUnsupportedType))
	}
	if t.Identity != ByKey && !w.Empty && t.engine != "InnoDB" {
		t.Problem = errors.Join(t.Problem, fmt.Errorf("%w: without a key that the server enforces it is loaded in one snapshot, which its engine %s does not have", ErrUnsupportedType, t.engine))
	}
}

// declare makes columns that the user names the key.
func (t *TableInfo) declare(names []string) {
	if len(t.Key) > 0 {
		t.Problem = errors.Join(t.Problem, fmt.Errorf("%w: the server enforces a key of the table, %s", ErrNotAKey, t.KeyName))
		return
	}
	for _, n := range names {
		i := slices.IndexFunc(t.Columns, func(c Column) bool { return strings.EqualFold(c.Name, n) })
		switch {
		case i < 0:
			t.Problem = errors.Join(t.Problem, fmt.Errorf("%w: there is no column %q", ErrNotAKey, n))
			return
		case slices.Contains(t.Key, i):
			t.Problem = errors.Join(t.Problem, fmt.Errorf("%w: column %q is named twice", ErrNotAKey, n))
			return
		}
		t.Key = append(t.Key, i)
	}
	t.Identity = ByDeclaredKey
	t.checkKey()
}

func (t *TableInfo) checkKey() {
	if len(t.Key) == 0 {
		t.Problem = errors.Join(t.Problem, ErrNoKey)
		return
	}
	for _, c := range t.KeyColumns() {
		if why := ambiguous(c); why != "" {
			t.Problem = errors.Join(t.Problem, fmt.Errorf("key column %q: %w: a %s cannot identify rows%s", c.Name, ErrUnsupportedType, c.SQLType(), why))
		}
	}
}

// ambiguous tells why two values of a key column that differ in the source may be one in the
// lake, or "" where they cannot.
func ambiguous(c Column) string {
	switch {
	case c.Type == TypeFloat || c.Type == TypeDouble:
		return ": equal numbers have several forms"
	case c.Type == TypeGeometry || c.Type == TypeVector:
		return ": it is compared by other rules"
	case c.Charset != "" && textDecoder(c.Charset) != nil && !injective(c.Charset):
		return ": some characters have several codes"
	case slices.Contains(c.Elements, ""):
		return ": an element is the empty string, as is a value without one"
	}
	return ""
}

// LeaveOut is the line of the configuration that leaves a table out. A rule that does not include a
// table leaves it to the next, so a rule of the table's own would not do.
func LeaveOut(n Name) string {
	return fmt.Sprintf("tables: [{include: ..., exclude: [%q]}, ...]   # in every rule that includes it", n)
}

// repairKey says what can be done about a table whose rows nothing identifies, or not what the
// user has named.
func repairKey(n Name, problem error) string {
	switch rule := func(how string) string { return fmt.Sprintf("tables: [{include: %q, %s}, ...]", n, how) }; {
	case errors.Is(problem, ErrNoKey):
		return fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (...);\n", n.SQL()) +
			"-- or, as the first rule that includes it, one of:\n" +
			rule("key: [...]") + "     # columns that identify rows, though nothing enforces it\n" +
			rule("mode: append") + "   # rows are inserted and never change\n" +
			rule("mode: rows") + "     # whole rows are compared, and equal ones counted\n" +
			"-- or " + LeaveOut(n)
	case errors.Is(problem, ErrNotAKey):
		return rule("key: [...]") + "   # columns of a table for which the server enforces no key; else leave it out"
	}
	return ""
}
