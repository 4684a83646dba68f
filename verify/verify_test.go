package verify

import (
	"fmt"
	"testing"

	"cdcd/capture"
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
	before := suspects{
		d(1): {key: []string{"still"}, source: d(10), lake: d(11)},
		d(2): {key: []string{"source moved"}, source: d(20), lake: d(21)},
		d(3): {key: []string{"lake moved"}, source: d(30), lake: d(31)},
		d(4): {key: []string{"agrees now"}, source: d(40), lake: d(41)},
		d(5): {key: []string{"missing"}, source: d(50)},
	}
	now := suspects{
		d(1): {key: []string{"still"}, source: d(10), lake: d(11)},
		d(2): {key: []string{"source moved"}, source: d(22), lake: d(21)},
		d(3): {key: []string{"lake moved"}, source: d(30), lake: d(33)},
		d(4): {key: []string{"agrees now"}, source: d(40), lake: d(40)},
		d(5): {key: []string{"missing"}, source: d(50)},
	}
	confirmed, left := now.next(before)
	if got := fmt.Sprint(confirmed.list(9)); got != "[{missing missing in the lake} {still the values differ}]" {
		t.Error("confirmed:", got)
	}
	if len(left) != 2 || left[d(2)] == nil || left[d(3)] == nil {
		t.Error("left:", left.list(9))
	}
}
