package keyindex

import (
	"errors"
	"slices"
	"testing"

	"cdcd/table/rowset"
)

// TestRedirectsAreForgotten checks that a redirect ends with the last run that needs it.
func TestRedirectsAreForgotten(t *testing.T) {
	x, _, err := Open(t.TempDir(), "t", always)
	if err != nil {
		t.Fatal(err)
	}
	x.diskFrom = 1
	add := func(path string, from, n int) error {
		es := make([]Entry, n)
		for i := range es {
			es[i] = Entry{Key: rowset.Key{Lo: uint64(from + i)}, RowID: ImplicitRowID, File: x.File(path), Pos: uint32(i)}
		}
		return x.Add(es, []uint32{x.File(path)}, all{})
	}
	err = errors.Join(add("a", 0, 4), x.flush(all{}), x.Redirect([]Redirect{{Input: x.File("a"), Output: x.File("b"), Rows: 4}}, all{}))
	if err != nil || x.moved[x.File("a")] == nil || !x.Covers("b") {
		t.Fatal(err, x.moved)
	}
	err = errors.Join(add("c", 10, 4), add("d", 20, 4), add("e", 30, 4))
	if err != nil || x.moved[x.File("a")] != nil || x.movedIn != "" {
		t.Errorf("%v: after a merge there is still a redirect, in %q", err, x.movedIn)
	}
	if err := x.Close(all{}); err != nil {
		t.Fatal(err)
	}
}

// TestForeignRedirects checks that what no compaction does is refused.
func TestForeignRedirects(t *testing.T) {
	seen := CollectPositions(slices.Values([]uint64{0, 1, 2, 3, 4}))
	for name, rs := range map[string][]Redirect{
		"input that is not covered":    {{Input: 2, Output: 3, Rows: 4}},
		"output that is covered":       {{Input: 0, Output: 1, Rows: 4}},
		"one input twice":              {{Input: 0, Output: 3, Rows: 4}, {Input: 0, Output: 3, Start: 4, Rows: 4}},
		"gap in the output":            {{Input: 0, Output: 3, Rows: 4}, {Input: 1, Output: 3, Start: 5, Rows: 4}},
		"overlap":                      {{Input: 0, Output: 3, Rows: 4}, {Input: 1, Output: 3, Start: 3, Rows: 4}},
		"more dead rows than rows":     {{Input: 0, Output: 3, Rows: 4, Seen: seen}},
		"unknown file":                 {{Input: 0, Output: 9, Rows: 4}},
		"compaction of its own output": {{Input: 0, Output: 0, Rows: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			x, _, err := Open(t.TempDir(), "t", always)
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"a", "b"} {
				if err := x.Add(nil, []uint32{x.File(path)}, all{}); err != nil {
					t.Fatal(err)
				}
			}
			x.File("c")
			x.File("d")
			if err := x.Redirect(rs, all{}); err == nil {
				t.Error("taken")
			}
		})
	}
}

// TestMergedRunsSurviveACrash checks that the next Open finds the runs that a merge has left.
func TestMergedRunsSurviveACrash(t *testing.T) {
	dir := t.TempDir()
	x, _, err := Open(dir, "t", always)
	if err != nil {
		t.Fatal(err)
	}
	x.diskFrom = 1
	for i := range fanOut {
		err = errors.Join(err, x.Add([]Entry{{Key: rowset.Key{Lo: uint64(i)}}}, nil, all{}))
	}
	if err := errors.Join(err, x.Abandon()); err != nil || len(x.disk) != 0 {
		t.Fatal(err)
	}
	x, discarded, err := Open(dir, "t", always)
	if err != nil || discarded != nil || x.Len() != fanOut || len(x.disk) != 1 {
		t.Errorf("%v, %v: %d entries in %d runs", err, discarded, x.Len(), len(x.disk))
	}
	if err := x.Abandon(); err != nil {
		t.Fatal(err)
	}
}
