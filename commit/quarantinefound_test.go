package commit

import "testing"

// TestFoundQuarantineSchedules plays the schedules in which tables leave that found defects.
func TestFoundQuarantineSchedules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		from, err := newLakes(1, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []schedule{
			{tables: 1, seed: 1, begun: true, breaks: true, loose: true, faults: []fault{{at: site{"load", "a", 2}, kind: stale}}},
			{tables: 1, seed: 1, begun: true, breaks: true, loose: true, faults: []fault{{at: site{"commit", "a", 2}, kind: comesLate, delay: 2, actor: takesOver, after: true}}},
			{tables: 2, seed: 1, begun: true, breaks: true, faults: []fault{{at: site{"commit", "b", 2}, kind: lost, actor: evolves, after: true}}},
		} {
			r, err := from.play(s)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range r.broken {
				t.Errorf("%v (%s)", v, s)
			}
		}
		if err := from.close(); err != nil {
			t.Error(err)
		}
	})
}
