package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cdcd/capture/statement"
	"github.com/apache/arrow-go/v18/arrow"
)

// Change is what an ALTER TABLE makes of a captured table, or that it was truncated.
type Change struct {
	GTID string // of the transaction
	// Truncated says that no row is left. Then the shape is as it was.
	Truncated bool
	Table     *Table // from now on
	// Reordered says that the server may order keys in another way from now on: a Range of before
	// holds other rows then.
	Reordered bool
	// From has for each of the Table's columns the place that it had before, or -1 for a new
	// one.
	From []int
	// Initial has for each new column what the rows that were there already have in it: one
	// value, or nil for NULL.
	Initial []arrow.Array
}

// errNotTold reports an ALTER TABLE after which the log does not tell what the rows are.
var errNotTold = errors.New("the log does not tell what becomes of the rows")

func notTold(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errNotTold, fmt.Sprintf(format, args...))
}

// altering derives a new shape from a table and the clauses of an ALTER TABLE. It is pure.
// Names in the clauses are those before the statement, but for the places of columns, which go
// by new names.
type altering struct {
	old     *Table
	session session
	clauses []statement.Clause
	columns []alteredColumn
	key     string // the key's index, by its name
}

// alteredColumn is a column of the new shape.
type alteredColumn struct {
	Column
	from    int
	initial arrow.Array
}

// alter gives what an ALTER TABLE makes of a table. A nil Change says that columns and rows are
// as they were.
func (t *Table) alter(a statement.Alteration, s session) (*Change, error) {
	if !a.Understood {
		return nil, errors.New("a clause that is not understood")
	}
	if a.Ignore {
		return nil, notTold("IGNORE drops rows")
	}
	x := &altering{old: t, session: s, clauses: a.Clauses, key: t.KeyName}
	if err := x.refuse(); err != nil {
		return nil, err
	}
	if err := x.carry(); err != nil {
		return nil, err
	}
	if err := x.insert(); err != nil {
		return nil, err
	}
	return x.change()
}

// refuse looks for what cannot be followed, and follows the name of the key's index.
func (x *altering) refuse() error {
	for _, c := range x.clauses {
		switch c.Kind {
		case statement.Beyond:
			return notTold("%s", c.Name)
		case statement.DropKey:
			if x.old.Identity != ByKey {
				continue // the key is none of the server's
			}
			if x.key == "" || strings.EqualFold(c.Name, x.key) {
				return fmt.Errorf("the index %s goes, and may be what identifies rows", c.Name)
			}
		case statement.RenameKey:
			if strings.EqualFold(c.Name, x.key) {
				x.key = c.To
			}
		case statement.AddColumn:
			if i := x.place(c.Name); i >= 0 && !c.Tolerant && !x.leaves(i) {
				return fmt.Errorf("column %q is there already", c.Name)
			}
		case statement.Convert:
		default:
			if x.place(c.Name) < 0 && !c.Tolerant {
				return fmt.Errorf("there is no column %q", c.Name)
			}
		}
	}
	return nil
}

// place finds a column of the old shape, or gives -1.
func (x *altering) place(name string) int {
	return slices.IndexFunc(x.old.Columns, func(c Column) bool { return strings.EqualFold(c.Name, name) })
}

// leaves reports that an old column gives its name up.
func (x *altering) leaves(i int) bool {
	c := x.about(i)
	return c != nil && (c.Kind == statement.DropColumn || !strings.EqualFold(c.To, c.Name))
}

// about gives the clause that is about an old column, nil where there is none.
func (x *altering) about(i int) *statement.Clause {
	for k := range x.clauses {
		c := &x.clauses[k]
		switch c.Kind {
		case statement.DropColumn, statement.RenameColumn, statement.ChangeColumn:
			if strings.EqualFold(c.Name, x.old.Columns[i].Name) {
				return c
			}
		}
	}
	return nil
}

// carry takes the old columns over, at the places that they have.
func (x *altering) carry() error {
	for i := range x.old.Columns {
		c := x.about(i)
		if c != nil && c.Kind == statement.DropColumn {
			if x.old.IsKey(i) {
				return fmt.Errorf("column %q goes, and is part of what identifies rows", c.Name)
			}
			continue
		}
		column, err := x.carried(i, c)
		if err != nil {
			return err
		}
		x.columns = append(x.columns, column)
	}
	return nil
}

// carried gives what becomes of an old column that stays.
func (x *altering) carried(i int, c *statement.Clause) (alteredColumn, error) {
	old := x.old.Columns[i]
	out := alteredColumn{Column: old, from: i}
	switch {
	case c == nil:
	case c.Kind == statement.RenameColumn:
		out.Name = c.To
	default:
		switch {
		case c.Definition.Generated:
			return out, notTold("the values of %q are computed", c.Name)
		case rounds(c.Definition):
			return out, notTold("the values of %q are rounded", c.Name)
		case c.Definition.AutoValue && old.Nullable:
			return out, notTold("the server numbers the rows in %q that have NULL", c.Name)
		}
		var err error
		if out.Column, err = x.session.column(c.To, c.Definition, &old); err != nil {
			return out, fmt.Errorf("column %q: %w", c.Name, err)
		}
		out.Default = x.session.described(out.Column, c.Definition)
		if err := x.session.convertible(old, out.Column, c.Definition.Charset != ""); err != nil {
			return out, fmt.Errorf("column %q: %w", c.Name, err)
		}
	}
	for _, k := range x.clauses {
		if k.Kind == statement.Redefault && strings.EqualFold(k.Name, old.Name) {
			out.Default = nil
		}
		if k.Kind == statement.Convert && out.Charset != "" && (c == nil || c.Kind == statement.RenameColumn) {
			if err := x.session.convert(&out.Column, k.Charset); err != nil {
				return out, fmt.Errorf("column %q: %w", old.Name, err)
			}
		}
	}
	if !old.Generated && !old.computedAlike(out.Column) && x.computes() {
		return out, notTold("%q becomes %s, and other columns are computed", old.Name, out.SQLType())
	}
	if x.old.IsKey(i) {
		if x.old.KeyName == statement.Primary {
			out.Nullable = false // whatever is said
		}
		if out.Default != nil && out.Default.Null {
			out.Default = nil
		}
		return out, x.keepsKey(old, out.Column)
	}
	return out, nil
}

// computes reports that values of columns come out of others, which ones is not known.
func (x *altering) computes() bool {
	return slices.ContainsFunc(x.old.Columns, func(c Column) bool { return c.Generated })
}

// rounds reports a floating type with a number of digits, to which the server rounds values.
func rounds(d statement.Definition) bool {
	floating := session{}
	var c Column
	return len(d.Sizes) == 2 && c.numeric(d, floating) && (c.Type == TypeFloat || c.Type == TypeDouble)
}

// keepsKey refuses changes of a key column after which values could be told apart by other
// rules than before.
func (x *altering) keepsKey(old, now Column) error {
	if now.Type != old.Type && !(isInteger(old.Type) && isInteger(now.Type)) {
		return fmt.Errorf("column %q is part of what identifies rows, and becomes %s", old.Name, now.SQLType())
	}
	if now.Nullable && !old.Nullable {
		return fmt.Errorf("column %q is part of what identifies rows, and may be NULL", old.Name)
	}
	if why := ambiguous(now); why != "" {
		return fmt.Errorf("column %q is part of what identifies rows, and %s cannot%s", old.Name, now.SQLType(), why)
	}
	return nil
}

// insert puts new columns in, and moves old ones, in the order of the clauses.
func (x *altering) insert() error {
	for k := range x.clauses {
		c := &x.clauses[k]
		var column alteredColumn
		var err error
		i := x.place(c.Name)
		switch {
		case c.Kind == statement.AddColumn && c.Tolerant && (i >= 0 || x.newPlace(c.Name) >= 0):
			continue // it was there, though it may leave, or came before
		case c.Kind == statement.AddColumn && (i < 0 || x.leaves(i)):
			column, err = x.added(c)
		case c.Kind == statement.ChangeColumn && i >= 0 && x.about(i) == c && (c.First || c.After != ""):
			column = x.takeOut(i)
		default:
			continue
		}
		if err != nil {
			return err
		}
		at := len(x.columns)
		switch {
		case c.First:
			at = 0
		case c.After != "":
			if at = x.newPlace(c.After) + 1; at == 0 {
				return fmt.Errorf("there is no column %q to put %q behind", c.After, column.Name)
			}
		}
		x.columns = slices.Insert(x.columns, at, column)
	}
	return nil
}

// takeOut takes an old column out, to put it elsewhere.
func (x *altering) takeOut(i int) alteredColumn {
	at := slices.IndexFunc(x.columns, func(c alteredColumn) bool { return c.from == i })
	column := x.columns[at]
	x.columns = slices.Delete(x.columns, at, at+1)
	return column
}

func (x *altering) newPlace(name string) int {
	return slices.IndexFunc(x.columns, func(c alteredColumn) bool { return strings.EqualFold(c.Name, name) })
}

// added gives a new column.
func (x *altering) added(c *statement.Clause) (alteredColumn, error) {
	out := alteredColumn{from: -1}
	d := c.Definition
	switch {
	case d.Generated:
		return out, notTold("the values of %q are computed", c.Name)
	case d.AutoValue:
		return out, notTold("the server numbers the rows in %q", c.Name)
	case rounds(d) && d.Default.Kind > statement.NullValue:
		return out, notTold("the default of %q is rounded", c.Name)
	}
	var err error
	if out.Column, err = x.session.column(c.Name, d, nil); err == nil {
		out.Default = x.session.described(out.Column, d)
		out.initial, err = x.session.initial(out.Column, d)
	}
	if err != nil {
		return out, fmt.Errorf("column %q: %w", c.Name, err)
	}
	return out, nil
}

// change puts the new shape together.
func (x *altering) change() (*Change, error) {
	t := &Table{Name: x.old.Name, KeyName: x.key, Described: x.old.Described, Identity: x.old.Identity, RowEnd: x.old.RowEnd}
	c := &Change{Table: t, Reordered: x.reorders()}
	same := x.key == x.old.KeyName && len(x.columns) == len(x.old.Columns) && !c.Reordered
	for i, column := range x.columns {
		t.Columns = append(t.Columns, column.Column)
		c.From, c.Initial = append(c.From, column.from), append(c.Initial, column.initial)
		same = same && column.from == i && column.Column.same(x.old.Columns[i])
	}
	if same {
		return nil, nil
	}
	if t.Identity == ByRow {
		return nil, errors.New("rows are told apart by all columns (tables[].mode: rows), which must not change")
	}
	for _, k := range x.old.Key {
		t.Key = append(t.Key, slices.Index(c.From, k))
	}
	if slices.Contains(t.Key, -1) {
		return nil, errors.New("what identifies rows is gone")
	}
	return c, x.fits(t)
}

// reorders reports that the server may order keys in another way: texts by another collation,
// which a clause need not name, elements by other numbers.
func (x *altering) reorders() bool {
	for _, column := range x.columns {
		if x.old.Identity != ByKey || !x.old.IsKey(column.from) {
			continue
		}
		old, c := x.old.Columns[column.from], x.about(column.from)
		switch {
		case len(old.Elements) > 0:
			if n := len(old.Elements); n > len(column.Elements) || !slices.Equal(old.Elements, column.Elements[:n]) {
				return true
			}
		case !old.isText():
		case c != nil && c.Kind == statement.ChangeColumn, slices.ContainsFunc(x.clauses, converts):
			return true
		}
	}
	return false
}

func converts(c statement.Clause) bool { return c.Kind == statement.Convert }

// same reports that nothing that is recorded of two columns differs.
func (c Column) same(d Column) bool {
	defaults := c.Default == d.Default || c.Default != nil && d.Default != nil && *c.Default == *d.Default
	return c.equal(d) && c.Nullable == d.Nullable && c.Generated == d.Generated && defaults
}

// fits checks that the lake can hold the new shape in the place of the old one.
func (x *altering) fits(t *Table) error {
	for i, column := range x.columns {
		now, err := ArrowType(t.Columns[i], x.session.options)
		if err != nil {
			return fmt.Errorf("column %q: %w", column.Name, err)
		}
		if column.from < 0 {
			continue
		}
		was, err := ArrowType(x.old.Columns[column.from], x.session.options)
		if err != nil {
			return fmt.Errorf("column %q: %w", column.Name, err)
		}
		if !Promotes(was, now) {
			return fmt.Errorf("column %q: %s cannot become %s in the lake", column.Name, x.old.Columns[column.from].SQLType(), t.Columns[i].SQLType())
		}
	}
	return nil
}

// Promotes reports whether values of one type are read as another's by everybody who follows
// Iceberg's rules (https://iceberg.apache.org/spec/#schema-evolution).
func Promotes(was, now arrow.DataType) bool {
	if arrow.TypeEqual(was, now) {
		return true
	}
	a, okA := was.(*arrow.Decimal128Type)
	b, okB := now.(*arrow.Decimal128Type)
	switch {
	case okA && okB:
		return a.Scale == b.Scale && a.Precision <= b.Precision
	case was.ID() == arrow.INT32:
		return now.ID() == arrow.INT64
	case was.ID() == arrow.FLOAT32:
		return now.ID() == arrow.FLOAT64
	}
	return false
}
