package verify

import (
	"testing"

	"cdcd/table"
)

// TestOneSided judges rows of a table that began empty: what the lake lacks is no difference, what
// it has too many of is one.
func TestOneSided(t *testing.T) {
	row := digest{1, 1}
	for name, c := range map[string]struct {
		source, lake int
		equal        bool
	}{
		"only in the source":   {2, 0, true},
		"fewer in the lake":    {3, 1, true},
		"as many":              {2, 2, true},
		"one more in the lake": {1, 2, false},
		"only in the lake":     {0, 1, false},
	} {
		x := sides{oneSided: true}
		held := map[digest]int64{}
		for range c.lake {
			x.lake.add(row, 7)
			held[row]++
		}
		notLoaded := 0
		for range c.source {
			x.source.add(row, 0)
			if !takeOne(held, row) {
				notLoaded++
			}
		}
		if x.equal() != c.equal || (len(held) == 0) != c.equal {
			t.Errorf("%s: equal is %v, %d kept", name, x.equal(), held[row])
		}
		if want := max(0, c.source-c.lake); notLoaded != want {
			t.Errorf("%s: %d not loaded, want %d", name, notLoaded, want)
		}
	}
}

// TestOneSidedVerdict does not call rows those of before which a lake that is behind may have yet.
func TestOneSidedVerdict(t *testing.T) {
	different := suspects{digest{1, 1}: {source: found{rows: 1}, lake: found{rows: 2}, oneSided: true}}
	for name, c := range map[string]struct {
		confirmed suspects
		notLoaded int64
		behind    string
		want      Verdict
	}{
		"all is there":               {nil, 0, "", Equal},
		"all is there, none runs":    {nil, 0, "is the daemon running?", Equal},
		"some are not loaded":        {nil, 5, "", Equal},
		"some may be on their way":   {nil, 5, "is the daemon running?", Unknown},
		"the lake has one too many":  {different, 5, "", Different},
		"one too many, and it lacks": {different, 5, "is the daemon running?", Unknown},
	} {
		x := &comparison{reader: newRowReader(hasher{}, table.Source{Empty: true}), behind: c.behind}
		x.result.NotLoaded = c.notLoaded
		if x.conclude(c.confirmed, nil); x.result.Verdict != c.want || (x.result.Reason == "") != (c.want == Different || c.notLoaded == 0) {
			t.Errorf("%s: %s, %q", name, x.result.Verdict, x.result.Reason)
		}
	}
}
