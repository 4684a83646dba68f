package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cdcd/capture/binlog"
)

// cutImage builds a row image of wireTable's table that holds the given columns, of which b and d may
// be "null".
func cutImage(columns byte, a byte, b, c string) []byte {
	var nulls byte
	var values []byte
	at := 0
	for i, value := range [][]byte{{a, 0, 0, 0}, append([]byte{byte(len(b))}, b...), append([]byte{byte(len(c)), 0}, c...), storeDate(2024, 2, 29)} {
		if columns&(1<<i) == 0 {
			continue
		}
		if i == 1 && b == "null" {
			nulls |= 1 << at
		} else {
			values = append(values, value...)
		}
		at++
	}
	return append([]byte{nulls}, values...)
}

const (
	hasA, hasB, hasC, hasD = 1, 2, 4, 8
	hasKey                 = hasA | hasC
	hasAll                 = 15
)

func TestIncompleteImagesBecomeRows(t *testing.T) {
	minimal := func(after byte, images ...[]byte) binlog.Rows {
		return binlog.Rows{Kind: binlog.RowUpdate, Columns: 4, Present: []byte{hasKey}, After: []byte{after}, Images: slices.Concat(images...)}
	}
	key := cutImage(hasKey, 1, "", "x")
	for name, c := range map[string]struct {
		rows  binlog.Rows
		want  []string
		known byte // 0: all
	}{
		"update":           {minimal(hasB, key, cutImage(hasB, 0, "new", "")), []string{"1 1 new x (null)"}, hasKey | hasB},
		"update to NULL":   {minimal(hasB, key, cutImage(hasB, 0, "null", "")), []string{"1 1 (null) x (null)"}, hasKey | hasB},
		"of nothing":       {minimal(0, key, []byte(nil)), []string{"1 1 (null) x (null)"}, hasKey},
		"two rows":         {minimal(hasD, key, cutImage(hasD, 0, "", ""), cutImage(hasKey, 2, "", "y"), cutImage(hasD, 0, "", "")), []string{"1 1 (null) x 2024-02-29", "1 2 (null) y 2024-02-29"}, hasKey | hasD},
		"of the key":       {minimal(hasA, key, cutImage(hasA, 7, "", "")), []string{"2 1 (null) x (null)", "1 7 (null) x (null)"}, hasKey},
		"of the same key":  {minimal(hasA|hasB, key, cutImage(hasA|hasB, 1, "b", "")), []string{"1 1 b x (null)"}, hasKey | hasB},
		"to all columns":   {minimal(hasAll, key, cutImage(hasAll, 1, "b", "x")), []string{"1 1 b x 2024-02-29"}, 0},
		"without a blob":   {binlog.Rows{Kind: binlog.RowUpdate, Columns: 4, Present: []byte{hasAll &^ hasB}, After: []byte{hasAll &^ hasB}, Images: slices.Concat(cutImage(hasAll&^hasB, 1, "", "x"), cutImage(hasAll&^hasB, 1, "", "x"))}, []string{"1 1 (null) x 2024-02-29"}, hasAll &^ hasB},
		"no duplicates":    {binlog.Rows{Kind: binlog.RowUpdate, Columns: 4, Present: []byte{hasAll}, After: []byte{hasD}, Images: slices.Concat(cutImage(hasAll, 1, "b", "x"), cutImage(hasD, 0, "", ""))}, []string{"1 1 b x 2024-02-29"}, 0},
		"delete":           {binlog.Rows{Kind: binlog.RowDelete, Columns: 4, Present: []byte{hasKey}, After: []byte{hasKey}, Images: key}, []string{"2 1 (null) x (null)"}, 0},
		"insert":           {binlog.Rows{Kind: binlog.RowInsert, Columns: 4, Present: []byte{hasKey | hasD}, After: []byte{hasKey | hasD}, Images: cutImage(hasKey|hasD, 1, "", "x")}, []string{"0 1 é x 2024-02-29"}, 0},
		"insert of a NULL": {binlog.Rows{Kind: binlog.RowInsert, Columns: 4, Present: []byte{hasKey | hasB}, After: []byte{hasKey | hasB}, Images: cutImage(hasKey|hasB, 1, "null", "x")}, []string{"0 1 (null) x (null)"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "of nothing" {
				c.rows.Images = key
			}
			p := testPlan(t, TypeOptions{})
			p.buffer.table.Columns[1].Default = &Default{Text: "é"}
			p.buffer.table.Columns[3].Default = &Default{Null: true}
			if _, err := p.append(c.rows, origin{gtid: GTID{Number: 5}}); err != nil {
				t.Fatal(err)
			}
			batch := p.buffer.take()
			defer batch.Release()
			var got []string
			for i, op := range batch.Ops {
				got = append(got, fmt.Sprintf("%d %s", op, strings.Join(rowText(batch.Record, i)[:4], " ")))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if len(batch.Partial) != min(1, int(c.known)) || c.known != 0 && (batch.Partial[0].Known[0] != c.known || batch.Partial[0].From != 0 || batch.Partial[0].To != len(c.want) || batch.Partial[0].GTID.Number != 5) {
				t.Errorf("partial %+v, want %04b", batch.Partial, c.known)
			}
			if batch.Moved() != (name == "of the key") {
				t.Errorf("moved %v", batch.Moved())
			}
		})
	}
}

// TestPartialRunsFollowTheRows drops the rows of a transaction that was cut off, and looks what
// is left of what is noted of them.
func TestPartialRunsFollowTheRows(t *testing.T) {
	update := binlog.Rows{
		Kind: binlog.RowUpdate, Columns: 4, Present: []byte{hasKey}, After: []byte{hasB},
		Images: slices.Concat(cutImage(hasKey, 1, "", "x"), cutImage(hasB, 0, "new", "")),
	}
	p := testPlan(t, TypeOptions{})
	add := func(number uint64) {
		if _, err := p.append(update, origin{gtid: GTID{Number: number}}); err != nil {
			t.Fatal(err)
		}
	}
	add(1)
	add(1)
	p.buffer.seal()
	add(2)
	p.buffer.drop()
	add(3)
	batch := p.buffer.take()
	defer batch.Release()
	if n := batch.Partial; len(n) != 2 || n[0].From != 0 || n[0].To != 2 || n[1].From != 2 || n[1].To != 3 || n[1].GTID.Number != 3 {
		t.Errorf("got %+v", n)
	}
	if p.buffer.partial != nil || len(p.images) != 1 {
		t.Errorf("left are %v, %d shapes", p.buffer.partial, len(p.images))
	}
}

func TestImagesThatCannotBeRead(t *testing.T) {
	rows := func(kind binlog.RowKind, present, after byte) binlog.Rows {
		return binlog.Rows{Kind: kind, Columns: 4, Present: []byte{present}, After: []byte{after}}
	}
	for name, c := range map[string]struct {
		rows   binlog.Rows
		flavor Flavor
		word   string
	}{
		"an update without the key":      {rows(binlog.RowUpdate, hasA|hasB, hasAll), MySQL, `column "c"`},
		"a delete without the key":       {rows(binlog.RowDelete, hasC, hasC), MySQL, `column "a"`},
		"an insert without a default":    {rows(binlog.RowInsert, hasKey|hasB, hasKey|hasB), MySQL, `column "d"`},
		"an insert without columns":      {rows(binlog.RowInsert, 0, 0), MySQL, "without any column"},
		"a generated column of MariaDB":  {rows(binlog.RowUpdate, hasKey, hasD), MariaDB, "generated"},
		"what may be REPLACE of MariaDB": {rows(binlog.RowUpdate, hasKey, hasKey|hasB), MariaDB, "REPLACE"},
	} {
		p := testPlan(t, TypeOptions{})
		p.buffer.table.Described = true
		p.buffer.table.Columns[1].Generated = true
		_, err := p.append(c.rows, origin{flavor: c.flavor})
		if !errors.Is(err, errUntold) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := testPlan(t, TypeOptions{})
	if _, err := p.append(rows(binlog.RowUpdate, hasKey, hasD), origin{flavor: MariaDB}); !errors.Is(err, errUntold) {
		t.Errorf("a table of an older version: %v", err)
	}
	p.buffer.table.Described = true
	p.images = nil
	if _, err := p.append(rows(binlog.RowUpdate, hasKey, hasD), origin{flavor: MariaDB}); err != nil {
		t.Errorf("an update of MariaDB that leaves the key out: %v", err)
	}
	for n := range len(cutImage(hasKey, 1, "", "x")) + len(cutImage(hasB, 0, "new", "")) {
		r := rows(binlog.RowUpdate, hasKey, hasB)
		r.Images = slices.Concat(cutImage(hasKey, 1, "", "x"), cutImage(hasB, 0, "new", ""))[:n]
		if _, err := testPlan(t, TypeOptions{}).append(r, origin{}); (err == nil) != (n == 0) {
			t.Errorf("an image cut off at %d: %v", n, err)
		}
	}
}

func TestDefaultsAreTakenOnlyWhereTheyAreExact(t *testing.T) {
	text := func(s string) *Default { return &Default{Text: s} }
	for _, c := range []struct {
		typ     Type
		text    any
		extra   string
		mariaDB bool
		want    *Default
	}{
		{TypeInt, "7", "", false, text("7")},
		{TypeInt, "7", "", true, text("7")},
		{TypeInt, nil, "", false, &Default{Null: true}},
		{TypeInt, "NULL", "", true, &Default{Null: true}},
		{TypeInt, nil, "auto_increment", false, nil},
		{TypeInt, nil, "VIRTUAL GENERATED", false, nil},
		{TypeInt, "(1 + 2)", "DEFAULT_GENERATED", false, nil},
		{TypeInt, "1 + 2", "", true, nil},
		{TypeDatetime, "current_timestamp()", "", true, nil},
		{TypeVarchar, "NULL", "", false, text("NULL")},
		{TypeVarchar, "'it''s \\\\ ok'", "", true, text("it's \\ ok")},
		{TypeVarchar, "concat('a','b')", "", true, nil},
		{TypeChar, "a  ", "", false, text("a")},
		{TypeFloat, "0", "", false, text("0")},
		{TypeFloat, "0.123457", "", false, nil},
		{TypeTimestamp, "2020-01-01 00:00:00", "", false, nil},
		{TypeBit, "b'1'", "", false, nil},
		{TypeBinary, "0x61", "", false, nil},
	} {
		d := described{extra: c.extra, mariaDB: c.mariaDB}
		if s, ok := c.text.(string); ok {
			d.byDefault.Valid, d.byDefault.String = true, s
		}
		got := d.defaultOf(Column{Type: c.typ, Nullable: true})
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s DEFAULT %v %s: got %+v, want %+v", c.typ, c.text, c.extra, got, c.want)
		}
	}
	if got := (described{}).defaultOf(Column{Type: TypeInt}); got != nil {
		t.Errorf("NOT NULL without a default: %+v", got)
	}
}
