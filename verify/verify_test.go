package verify

import (
	"fmt"
	"strings"
	"testing"

	"cdcd/capture"
	"cdcd/table"
	"pgregory.net/rapid"
)

func TestSourceText(t *testing.T) {
	null := capture.TypeOptions{ZeroDateAsNull: true}
	for _, c := range []struct {
		column  capture.Column
		options capture.TypeOptions
		in, out string
		null    bool
	}{
		{capture.Column{Type: capture.TypeDouble}, capture.TypeOptions{}, "1e10", "1e+10", false},
		{capture.Column{Type: capture.TypeDouble}, capture.TypeOptions{}, "10000000000", "1e+10", false},
		{capture.Column{Type: capture.TypeDouble}, capture.TypeOptions{}, "-0", "0", false},
		{capture.Column{Type: capture.TypeDate}, capture.TypeOptions{}, "0000-00-00", "0000-00-00", false},
		{capture.Column{Type: capture.TypeDate}, null, "0000-00-00", "0000-00-00", true},
		{capture.Column{Type: capture.TypeDate}, null, "2024-02-31", "2024-02-31", true},
		{capture.Column{Type: capture.TypeDatetime}, null, "2024-02-29 00:00:00", "2024-02-29 00:00:00", false},
		{capture.Column{Type: capture.TypeVarchar}, null, "0000-00-00", "0000-00-00", false},
		{capture.Column{Type: capture.TypeInt, Unsigned: true}, null, "000042", "42", false}, // ZEROFILL
		{capture.Column{Type: capture.TypeInt, Unsigned: true}, null, "000000", "0", false},
		{capture.Column{Type: capture.TypeInt}, null, "-42", "-42", false},
		{capture.Column{Type: capture.TypeDecimal, Precision: 8, Scale: 2}, null, "000001.50", "1.50", false},
		{capture.Column{Type: capture.TypeDecimal, Precision: 8, Scale: 2}, null, "000000.50", "0.50", false},
		{capture.Column{Type: capture.TypeDecimal, Precision: 8, Scale: 2}, null, "-0.50", "-0.50", false},
		{capture.Column{Type: capture.TypeVarchar}, null, "000042", "000042", false},
	} {
		out, isNull := sourceText(c.column, c.options, []byte(c.in))
		if string(out) != c.out || isNull != c.null {
			t.Errorf("%s %q: %q, null %v; want %q, %v", c.column.Type, c.in, out, isNull, c.out, c.null)
		}
	}
}

// TestChecksumsFindChanges changes one row of one side in every way.
func TestChecksumsFindChanges(t *testing.T) {
	h, err := newHasher()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 50).Draw(t, "rows")
		changed := rapid.IntRange(0, n-1).Draw(t, "changed")
		a, b := newChecksums(), newChecksums()
		for i := range n {
			key := h.sum([]byte(fmt.Sprint(i)))
			row := h.sum([]byte(fmt.Sprint("row", i)))
			a.add(key, row)
			switch {
			case i != changed:
				b.add(key, row)
			case rapid.Bool().Draw(t, "missing"):
			default:
				b.add(key, h.sum([]byte("other")))
			}
		}
		bad := a.differing(b)
		want := bucketOf(h.sum([]byte(fmt.Sprint(changed))))
		if len(bad) != 1 || !bad[want] {
			t.Fatalf("buckets %v, want %d", bad, want)
		}
	})
}

// TestChecksumsCountEqualRows tells rows that are there twice from others that are.
func TestChecksumsCountEqualRows(t *testing.T) {
	h, err := newHasher()
	if err != nil {
		t.Fatal(err)
	}
	key := h.sum([]byte("key"))
	of := func(rows ...string) *checksums {
		c := newChecksums()
		for _, r := range rows {
			c.add(key, h.sum([]byte(r)))
		}
		return c
	}
	two := of("a", "a", "b")
	for name, x := range map[string]struct {
		other *checksums
		equal bool
	}{
		"another order": {of("b", "a", "a"), true},
		"others twice":  {of("c", "c", "b"), false},
		"one too few":   {of("a", "b"), false},
		"one of each":   {of("a", "b", "b"), false},
	} {
		if bad := two.differing(x.other); (len(bad) == 0) != x.equal {
			t.Errorf("%s: buckets %v differ", name, bad)
		}
	}
}

// TestRowsWithoutKey takes all values for the key, and keeps no more of them than is shown.
func TestRowsWithoutKey(t *testing.T) {
	h, err := newHasher()
	if err != nil {
		t.Fatal(err)
	}
	r := newRowReader(h, table.Source{Table: capture.Table{Identity: capture.ByRow, Columns: []capture.Column{{Name: "a", Type: capture.TypeInt}, {Name: "b", Type: capture.TypeText, Charset: "utf8mb4"}}}})
	digests := map[digest]bool{}
	for _, text := range []string{"x", strings.Repeat("y", shownBytes+1), strings.Repeat("y", shownBytes+2)} {
		r.begin()
		r.value(0, nil, true)
		r.value(1, []byte(text), false)
		r.end(0, func(got row) {
			digests[got.key] = true
			if got.key != got.all || len(got.values) != 2 || len(got.values[1]) > shownBytes {
				t.Errorf("got %+v", got)
			}
		})
	}
	if len(digests) != 3 || r.searchable() {
		t.Errorf("%d keys, searchable: %v", len(digests), r.searchable())
	}
}

func TestValuesDoNotRunTogether(t *testing.T) {
	rows := [][]string{{"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"", "abc"}}
	seen := map[string][]string{}
	for _, r := range rows {
		var b []byte
		for _, v := range r {
			b = appendValue(b, []byte(v), false)
		}
		if other, twice := seen[string(b)]; twice {
			t.Errorf("%q and %q are the same", r, other)
		}
		seen[string(b)] = r
	}
	if string(appendValue(nil, nil, true)) == string(appendValue(nil, nil, false)) {
		t.Error("NULL and empty are the same")
	}
}

func TestSuspects(t *testing.T) {
	d := func(n uint64) digest { return digest{n, n} }
	one := func(n uint64, version int64) found { return found{1, d(n), version} }
	before := suspects{
		d(1): {key: []string{"still"}, source: one(10, 0), lake: one(11, 7)},
		d(2): {key: []string{"source moved"}, source: one(20, 0), lake: one(21, 7)},
		d(3): {key: []string{"lake moved"}, source: one(30, 0), lake: one(31, 7)},
		d(4): {key: []string{"agrees now"}, source: one(40, 0), lake: one(41, 7)},
		d(5): {key: []string{"missing"}, source: one(50, 0)},
		d(6): {key: []string{"lake went and came back"}, source: one(60, 0), lake: one(61, 7)},
		d(7): {key: []string{"twice"}, source: one(70, 0), lake: found{2, digest{}, 7}},
	}
	now := suspects{
		d(1): {key: []string{"still"}, source: one(10, 0), lake: one(11, 7)},
		d(2): {key: []string{"source moved"}, source: one(22, 0), lake: one(21, 7)},
		d(3): {key: []string{"lake moved"}, source: one(30, 0), lake: one(33, 8)},
		d(4): {key: []string{"agrees now"}, source: one(40, 0), lake: one(40, 8)},
		d(5): {key: []string{"missing"}, source: one(50, 0)},
		d(6): {key: []string{"lake went and came back"}, source: one(60, 0), lake: one(61, 9)},
		d(7): {key: []string{"twice"}, source: one(70, 0), lake: found{2, digest{}, 7}},
	}
	confirmed, left := now.next(before)
	if got := fmt.Sprint(confirmed.list(9)); got != "[{missing missing in the lake} {still the values differ} {twice 2 times in the lake}]" {
		t.Error("confirmed:", got)
	}
	if len(left) != 3 || left[d(2)] == nil || left[d(3)] == nil || left[d(6)] == nil {
		t.Error("left:", left.list(9))
	}
}

// TestMissingMoves looks twice at rows of which the lake lacks some: whether they were there
// meanwhile only the table's standing still tells.
func TestMissingMoves(t *testing.T) {
	row := digest{1, 1}
	at := func(epoch int64, source, lake found) suspects {
		s := suspects{row: {source: source, lake: lake}}
		s.dateMissing(epoch)
		return s
	}
	one, two, twoNewer, none := found{1, row, 7}, found{2, row.plus(row), 7}, found{2, row.plus(row), 8}, found{}
	for name, c := range map[string]struct {
		before, now suspects
		confirmed   bool
	}{
		"the table stood still":            {at(5, one, none), at(5, one, none), true},
		"the table changed":                {at(5, one, none), at(6, one, none), false},
		"one of two, the table stood":      {at(5, two, one), at(5, two, one), true},
		"one of two, the table changed":    {at(5, two, one), at(6, two, one), false},
		"one too many, the table changed":  {at(5, one, two), at(6, one, two), true},
		"one too many, which was written":  {at(5, one, two), at(6, one, twoNewer), false},
		"only in the lake, table changed":  {at(5, none, one), at(6, none, one), true},
		"other values, the table changed":  {at(5, one, found{1, digest{2, 2}, 7}), at(6, one, found{1, digest{2, 2}, 7}), true},
		"other values that were written":   {at(5, one, found{1, digest{2, 2}, 7}), at(6, one, found{1, digest{2, 2}, 8}), false},
		"missing, and the source is other": {at(5, one, none), at(5, found{1, digest{2, 2}, 7}, none), false},
	} {
		confirmed, left := c.now.next(c.before)
		if (len(confirmed) == 1) != c.confirmed || len(confirmed)+len(left) != 1 {
			t.Errorf("%s: %d confirmed, %d left", name, len(confirmed), len(left))
		}
	}
}

// TestKeyComparison checks the types whose text in a condition means something else than in
// a result: the server was asked.
func TestKeyComparison(t *testing.T) {
	for typ, want := range map[capture.Type]string{
		capture.TypeYear:   "`a``b` = LPAD(?, 4, '0')",
		capture.TypeBinary: "`a``b` = UNHEX(?)",
		capture.TypeInt:    "`a``b` = ?",
	} {
		if got := keyComparison(capture.Column{Name: "a`b", Type: typ}); got != want {
			t.Errorf("%s: %s, want %s", typ, got, want)
		}
	}
}
