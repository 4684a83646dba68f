package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cdcd/capture/binlog"
	"cdcd/capture/statement"
)

// TestIdentify decides how rows are told apart, by keys of the server and by what the user wishes.
func TestIdentify(t *testing.T) {
	columns := []Column{{Name: "a", Type: TypeInt}, {Name: "b", Type: TypeInt, Nullable: true}, {Name: "f", Type: TypeFloat}}
	for name, x := range map[string]struct {
		primary  bool
		wish     Wish
		engine   string
		identity Identity
		key      []int
		problem  error
	}{
		"a key":                      {true, Wish{}, "InnoDB", ByKey, []int{0}, nil},
		"a key of MyISAM":            {true, Wish{}, "MyISAM", ByKey, []int{0}, nil},
		"none":                       {false, Wish{}, "InnoDB", ByKey, nil, ErrNoKey},
		"declared":                   {false, Wish{Key: []string{"B", "a"}}, "InnoDB", ByDeclaredKey, []int{1, 0}, nil},
		"declared beside a key":      {true, Wish{Key: []string{"b"}}, "InnoDB", ByKey, []int{0}, ErrNotAKey},
		"declared that is not there": {false, Wish{Key: []string{"a", "z"}}, "InnoDB", ByKey, []int{0}, ErrNotAKey},
		"declared twice":             {false, Wish{Key: []string{"a", "A"}}, "InnoDB", ByKey, []int{0}, ErrNotAKey},
		"declared of a float":        {false, Wish{Key: []string{"f"}}, "InnoDB", ByDeclaredKey, []int{2}, ErrUnsupportedType},
		"declared of MyISAM":         {false, Wish{Key: []string{"a"}}, "MyISAM", ByDeclaredKey, []int{0}, ErrUnsupportedType},
		"rows":                       {false, Wish{ByRow: true}, "InnoDB", ByRow, nil, nil},
		"rows of MyISAM":             {false, Wish{ByRow: true}, "MyISAM", ByRow, nil, ErrUnsupportedType},
		"rows beside a key":          {true, Wish{ByRow: true}, "InnoDB", ByKey, []int{0}, nil},
		"appended":                   {false, Wish{Append: true}, "InnoDB", Appended, nil, nil},
		"appended beside a key":      {true, Wish{Append: true}, "InnoDB", Appended, nil, nil},
		"appended from now on":       {false, Wish{Append: true, Empty: true}, "MyISAM", Appended, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			info := TableInfo{Table: Table{Columns: columns}, engine: x.engine}
			if x.primary {
				info.offerKey("PRIMARY", []string{"a"})
			}
			info.identify(x.wish)
			if info.Identity != x.identity || !slices.Equal(info.Key, x.key) || !errors.Is(info.Problem, x.problem) || (x.problem == nil) != (info.Problem == nil) {
				t.Errorf("%q, key %v, %v", info.Identity, info.Key, info.Problem)
			}
		})
	}
}

// TestRepairLeavesOut names every rule as the place to exclude a table in: a rule of its own that
// excludes what it includes leaves the table to the next.
func TestRepairLeavesOut(t *testing.T) {
	n := Name{"shop", "bag"}
	repair := repairKey(n, ErrNoKey)
	if want := LeaveOut(n); !strings.HasSuffix(repair, want) || strings.Contains(repair, `include: "shop.bag", exclude`) {
		t.Errorf("%s does not end with %s", repair, want)
	}
	for _, want := range []string{`exclude: ["shop.bag"]`, "in every rule that includes it"} {
		if !strings.Contains(repair, want) {
			t.Errorf("no %q in %s", want, repair)
		}
	}
}

// identityPlan is testPlan for a table whose rows are told apart in some way; a declared key is of
// the columns b and a.
func identityPlan(t *testing.T, i Identity) *plan {
	t.Helper()
	table, wire := wireTable()
	if table.Key, table.Identity = nil, i; i == ByDeclaredKey {
		table.Key = []int{1, 0}
	}
	return planOf(t, table, wire, TypeOptions{}, false)
}

// TestRowsOfIdentities decodes changes of tables for which the server enforces no key.
func TestRowsOfIdentities(t *testing.T) {
	x, y, other := image(1, "k", "v", nil), image(1, "k", "w", nil), image(2, "k", "v", nil)
	null := image(1, nil, "v", nil)
	cut := binlog.Rows{Kind: binlog.RowUpdate, Columns: 4, Present: []byte{0xff}, After: []byte{hasB}, Images: slices.Concat(x, cutImage(hasB, 0, "k", ""))}
	diffs := rowsOf(binlog.RowUpdate, x, y)
	diffs.Partial = true
	for name, c := range map[string]struct {
		identity Identity
		rows     binlog.Rows
		want     []Op
		err      error
	}{
		"an insert by row":               {ByRow, rowsOf(binlog.RowInsert, null), []Op{OpInsert}, nil},
		"an update by row":               {ByRow, rowsOf(binlog.RowUpdate, x, y, x, x), []Op{OpDelete, OpInsert, OpDelete, OpInsert}, nil},
		"a delete by row":                {ByRow, rowsOf(binlog.RowDelete, x, null), []Op{OpDelete, OpDelete}, nil},
		"an incomplete image by row":     {ByRow, cut, nil, errUntold},
		"diffs by row":                   {ByRow, diffs, nil, errUntold},
		"an update by declared key":      {ByDeclaredKey, rowsOf(binlog.RowUpdate, x, y), []Op{OpUpdate}, nil},
		"a changed declared key":         {ByDeclaredKey, rowsOf(binlog.RowUpdate, x, other), []Op{OpDelete, OpInsert}, nil},
		"a NULL in a declared key":       {ByDeclaredKey, rowsOf(binlog.RowInsert, null), nil, errNullKey},
		"a declared key becomes NULL":    {ByDeclaredKey, rowsOf(binlog.RowUpdate, x, null), nil, errNullKey},
		"an incomplete image, declared":  {ByDeclaredKey, cut, nil, errUntold},
		"an appended row":                {Appended, rowsOf(binlog.RowInsert, x, null), []Op{OpInsert, OpInsert}, nil},
		"an update of an appended row":   {Appended, rowsOf(binlog.RowUpdate, x, y), nil, errNotAppended},
		"a delete of an appended row":    {Appended, rowsOf(binlog.RowDelete, x), nil, errNotAppended},
		"an incomplete one of such rows": {Appended, cut, nil, errNotAppended},
	} {
		t.Run(name, func(t *testing.T) {
			p := identityPlan(t, c.identity)
			_, err := p.append(c.rows, origin{gtid: GTID{Number: 5}})
			if !errors.Is(err, c.err) || (c.err == nil) != (err == nil) {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			b := p.buffer.take()
			defer b.Release()
			if !slices.Equal(b.Ops, c.want) {
				t.Errorf("got %v, want %v", b.Ops, c.want)
			}
			if c.identity.matched() != strings.HasSuffix(b.Origin(len(b.Ops)-1), ":5") {
				t.Errorf("of %q", b.Origin(len(b.Ops)-1))
			}
			if last := b.Record.Schema().Field(int(b.Record.NumCols()) - 1).Name; (last == CopyColumn) != (c.identity == ByRow) {
				t.Errorf("the last column is %s", last)
			}
		})
	}
}

// TestOriginsFollowTheRows drops rows of transactions in every way, and looks what the rows that are
// left are said to be of.
func TestOriginsFollowTheRows(t *testing.T) {
	p := identityPlan(t, ByRow)
	add := func(gtid uint64, rows int) {
		if _, err := p.append(rowsOf(binlog.RowInsert, slices.Repeat([][]byte{image(1, "k", "v", nil)}, rows)...), origin{gtid: GTID{Number: gtid}}); err != nil {
			t.Fatal(err)
		}
	}
	add(1, 1)
	p.buffer.drop()
	add(2, 2)
	p.buffer.seal()
	add(3, 1)
	mark := p.buffer.mark()
	add(3, 2)
	p.buffer.dropTo(mark)
	add(3, 1)
	p.buffer.seal()
	add(4, 3)
	p.buffer.drop()
	add(5, 1)
	b := p.buffer.take()
	defer b.Release()
	var got []string
	for row := range b.Rows() {
		_, number, _ := strings.Cut(b.Origin(row), ":")
		got = append(got, number)
	}
	if want := "[2 2 3 3 5]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s: %+v", got, want, b.Origins)
	}
	if b.Origin(b.Rows()) != "" {
		t.Error("a row that is not there is of a transaction")
	}
}

// TestAlterationsOfIdentities alters tables for which the server enforces no key.
func TestAlterationsOfIdentities(t *testing.T) {
	for _, x := range []struct {
		identity Identity
		key      []int
		clauses  string
		follows  bool
	}{
		{ByRow, nil, "ADD z INT", false},
		{ByRow, nil, "DROP INDEX any", true},
		{ByRow, nil, "ADD INDEX (a)", true},
		{Appended, nil, "ADD z INT", true},
		{Appended, nil, "DROP id", true},
		{Appended, nil, "DROP INDEX any", true},
		{ByDeclaredKey, []int{0}, "ADD z INT", true},
		{ByDeclaredKey, []int{0}, "DROP INDEX any", true},
		{ByDeclaredKey, []int{0}, "DROP id", false},
	} {
		table := alterable()
		table.Identity, table.Key, table.KeyName = x.identity, x.key, ""
		c, err := table.alter(statement.Alter([]byte("ALTER TABLE t "+x.clauses), statement.Options{DefaultSchema: "s"}), strictSession())
		if (err == nil) != x.follows {
			t.Errorf("%q, %s: %v", x.identity, x.clauses, err)
		}
		if c != nil && c.Table.Identity != x.identity {
			t.Errorf("%q, %s: becomes %q", x.identity, x.clauses, c.Table.Identity)
		}
	}
}
