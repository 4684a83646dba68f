package binlog

import (
	"bytes"
	"reflect"
	"testing"
)

func TestJSONDiffsAreRead(t *testing.T) {
	list := []byte("\x00\x03$.a\x02\x04\x01" + "\x01\x04$[1]\x03\x05\x07\x00" + "\x02\x03$.b")
	want := []JSONDiff{
		{JSONReplace, []byte("$.a"), []byte("\x04\x01")},
		{JSONInsert, []byte("$[1]"), []byte("\x05\x07\x00")},
		{JSONRemove, []byte("$.b"), nil},
	}
	rest := list
	for _, w := range want {
		d, r, err := NextJSONDiff(rest)
		if err != nil || !reflect.DeepEqual(d, w) {
			t.Fatalf("got %+v, %v; want %+v", d, err, w)
		}
		for n := range len(rest) - len(r) {
			if d, _, err := NextJSONDiff(rest[:n]); err == nil {
				t.Errorf("the first %d bytes are accepted as %+v", n, d)
			}
		}
		rest = r
	}
	if d, _, err := NextJSONDiff([]byte("\x03\x01$\x01\x04")); err == nil {
		t.Errorf("an unknown operation is %+v", d)
	}
}

func TestWhatPrecedesAfterImages(t *testing.T) {
	for name, c := range map[string]struct {
		image   string
		columns int
		diffs   []byte
		rest    string // "-": refused
	}{
		"no diffs":       {"\x00image", 9, nil, "image"},
		"diffs":          {"\x01\x05image", 3, []byte{5}, "image"},
		"nine columns":   {"\x01\x05\x01image", 9, []byte{5, 1}, "image"},
		"unknown option": {"\x02\x05image", 3, nil, "-"},
		"another option": {"\x03\x05image", 3, nil, "-"},
		"no options":     {"", 3, nil, "-"},
		"bits cut off":   {"\x01\x05", 9, nil, "-"},
	} {
		diffs, rest, err := CutPartial([]byte(c.image), c.columns)
		if (err != nil) != (c.rest == "-") || err == nil && (!bytes.Equal(diffs, c.diffs) || string(rest) != c.rest) {
			t.Errorf("%s: %x, %q, %v", name, diffs, rest, err)
		}
	}
	list, rest, err := CutDiffs([]byte("\x03\x00\x00\x00abcd"))
	if err != nil || string(list) != "abc" || string(rest) != "d" {
		t.Errorf("got %q, %q, %v", list, rest, err)
	}
	if list, rest, err := CutDiffs([]byte("\x00\x00\x00\x00")); err != nil || list == nil || len(list)+len(rest) != 0 {
		t.Errorf("no diffs are %v, %q, %v", list, rest, err)
	}
	if list, _, err := CutDiffs([]byte("\x03\x00\x00\x00ab")); err == nil {
		t.Errorf("a list that is cut off is %q", list)
	}
}

// FuzzJSONDiffs reads foreign lists of diffs to their end.
func FuzzJSONDiffs(f *testing.F) {
	f.Add([]byte("\x00\x03$.a\x02\x04\x01"+"\x02\x03$.b"), 3)
	f.Add([]byte("\x01\x05\x03\x00\x00\x00abc"), 9)
	f.Fuzz(func(t *testing.T, list []byte, columns int) {
		spends(t, len(list), smallBase, func() {
			if diffs, rest, err := CutPartial(list, columns&0xffff); err == nil && len(diffs)+len(rest) >= len(list) {
				t.Errorf("%d bytes give %d and %d", len(list), len(diffs), len(rest))
			}
			if diffs, rest, err := CutDiffs(list); err == nil && 4+len(diffs)+len(rest) != len(list) {
				t.Errorf("%d bytes give %d and %d", len(list), len(diffs), len(rest))
			}
			for rest := list; len(rest) > 0; {
				d, next, err := NextJSONDiff(rest)
				if err != nil {
					return
				}
				if d.Op > JSONRemove || len(d.Path)+len(d.Value)+1 >= len(rest)-len(next)+1 {
					t.Errorf("%d bytes give %+v", len(rest)-len(next), d)
				}
				rest = next
			}
		})
	})
}
