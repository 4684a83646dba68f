package judge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func testTable(t *testing.T, name string) Table {
	t.Helper()
	table, err := NewTable(name, []string{"id", "version", "amount", "note"}, "id")
	if err != nil {
		t.Fatal(err)
	}
	return table
}

const testRows = 20

// testContent are rows whose amounts are 100 each, at a version.
func testContent(version int) []Row {
	var out []Row
	for i := range testRows {
		out = append(out, Row{fmt.Sprint(i), fmt.Sprint(version), "100", "x"})
	}
	return out
}

// damages are the ways in which a lake can be wrong, and a word of what has to be said.
func damages() map[string]struct {
	damage           func([]Row) []Row
	compare, observe string
} {
	return map[string]struct {
		damage           func([]Row) []Row
		compare, observe string
	}{
		"one row missing":            {func(r []Row) []Row { return slices.Delete(r, 7, 8) }, "key 7: missing in the lake", "add up to 1900"},
		"one row too many":           {func(r []Row) []Row { return append(r, Row{"99", "5", "0", "x"}) }, "key 99: only in the lake", ""},
		"one row twice":              {func(r []Row) []Row { return append(r, r[3]) }, "key 3: 2 times in the lake, 1 times in the source", "key 3 is there twice"},
		"two rows twice":             {func(r []Row) []Row { return append(r, r[3], r[3]) }, "key 3: 3 times", "key 3 is there twice"},
		"one version back":           {func(r []Row) []Row { r[4] = Row{"4", "4", "100", "x"}; return r }, "key 4: other values in version (version 5 in the source, 4 in the lake)", "key 4 went from version 5 back to 4"},
		"one amount off":             {func(r []Row) []Row { r[4] = Row{"4", "5", "101", "x"}; return r }, "key 4: other values in amount", "add up to 2001, not to 2000"},
		"one value off":              {func(r []Row) []Row { r[4] = Row{"4", "5", "100", "X"}; return r }, "key 4: other values in note", ""},
		"values of two rows swapped": {func(r []Row) []Row { r[1], r[2] = Row{"1", "5", "100", "y"}, Row{"2", "5", "100", "z"}; return r }, "key 1: other values in note", ""},
		"all rows gone":              {func([]Row) []Row { return nil }, "20 rows in the source, 0 in the lake", "add up to 0"},
		"cells moved by one":         {func(r []Row) []Row { r[0] = Row{"0", "5", "10", "0x"}; return r }, "key 0: other values in amount, note", "add up to 1910"},
	}
}

// TestDamageIsFound shows both judges damaged content: a check that cannot fail shows nothing.
func TestDamageIsFound(t *testing.T) {
	table := testTable(t, "t")
	for name, d := range damages() {
		t.Run(name, func(t *testing.T) {
			lake := d.damage(testContent(5))
			want(t, "compare", table.Compare(testContent(5), lake), d.compare)
			h := NewHistory(100 * testRows)
			mustObserve(t, h, []Read{{table, testContent(5)}}, "")
			mustObserve(t, h, []Read{{table, lake}}, d.observe)
		})
	}
}

func mustObserve(t *testing.T, h *History, reads []Read, word string) {
	t.Helper()
	found, err := h.Observe(reads)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "observe", found, word)
}

func want(t *testing.T, judge string, found []string, word string) {
	t.Helper()
	all := strings.Join(found, "\n")
	if (word == "") != (len(found) == 0) || !strings.Contains(all, word) {
		t.Errorf("%s: want %q, found %q", judge, word, all)
	}
}

// TestOrderDoesNotMatter reads the same rows in another order.
func TestOrderDoesNotMatter(t *testing.T) {
	rows := testContent(5)
	slices.Reverse(rows)
	if found := testTable(t, "t").Compare(testContent(5), rows); found != nil {
		t.Errorf("found %q", found)
	}
}

// TestVersionsAcrossAbsence lets a key vanish and come back at an older version.
func TestVersionsAcrossAbsence(t *testing.T) {
	table, h := testTable(t, "t"), NewHistory(100*testRows)
	rest := append(testContent(6)[1:], Row{"99", "1", "100", "x"})
	mustObserve(t, h, []Read{{table, testContent(5)}}, "")
	mustObserve(t, h, []Read{{table, rest}}, "")
	back := append(testContent(7)[1:], Row{"0", "4", "100", "x"})
	mustObserve(t, h, []Read{{table, back}}, "key 0 went from version 5 back to 4")
}

// TestMoneyBetweenTables moves money: only the sum over all tables counts.
func TestMoneyBetweenTables(t *testing.T) {
	a, b, h := testTable(t, "a"), testTable(t, "b"), NewHistory(200*testRows)
	mustObserve(t, h, []Read{{a, testContent(1)}, {b, testContent(1)}}, "")
	poor, rich := testContent(2), testContent(2)
	poor[0][2], rich[9][2] = "60", "140"
	mustObserve(t, h, []Read{{a, poor}, {b, rich}}, "")
	mustObserve(t, h, []Read{{a, poor}, {b, testContent(2)}}, "add up to 3960, not to 4000")
}

// TestFindingsAreBounded compares content of which every row differs.
func TestFindingsAreBounded(t *testing.T) {
	if n := len(testTable(t, "t").Compare(testContent(1), testContent(2))); n != mostFindings+2 {
		t.Errorf("%d findings", n)
	}
}
