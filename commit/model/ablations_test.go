package model

import "testing"

// caught is what must come of leaving a rule out.
type caught struct {
	name    string
	without ablation
	bounds  bounds
	broken  invariant
	steps   int
}

// ablations has, for each rule, what goes wrong without it: within the same bounds in
// which the full rule breaks nothing.
func ablations() []caught {
	return []caught{
		{"nocas", noCAS, oneTable(), i1, 7},
		{"norecheck", noRecheck, oneTable(), i1, 7},
		{"headonly", headOnly, oneTable(), i2, 9},
		{"proponly", propertyOnly, oneTable(), i11, 8},
		{"notag", noTag, oneTable(), i19, 10},
		{"norolldetect", noRollDetect, oneTable(), i19, 9},
		{"delunknown", delUnknown, oneTable(), i8, 5},
		{"gcany", gcAny, oneTable(), i9, 10},
		{"earlypublish", earlyPublish, twoTables(), i11, 9},
		{"nofence", noFence, oneTable(), i9, 8},
		{"gtidatbegin", gtidAtBegin, oneTable(), i2, 6},
		{"twodvs", twoDVs, oneTable(), i13, 8},
		{"noseq", noSequence, oneTable(), i19, 15},
		{"reuseany", reuseAny, reusedOften(), i9, 15},
		{"gcdeadreuse", gcDeadReuse, reusedUploads(), i8, 15},
	}
}

// TestAblations leaves out one rule at a time.
func TestAblations(t *testing.T) {
	seen := map[ablation]bool{}
	for _, a := range ablations() {
		seen[a.without] = true
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			m := &model{bounds: a.bounds, without: a.without}
			r := m.run(2_000_000, nil)
			if r.broken != a.broken || len(r.counter) != a.steps {
				t.Errorf("I%d after %d steps, want I%d after %d", r.broken, len(r.counter), a.broken, a.steps)
			}
			t.Logf("I%d after %d steps, %d states (%s):\n%s", r.broken, len(r.counter), r.states, a.bounds.name, trace(r.counter))
		})
	}
	for a := fullRule + 1; a <= noSequence; a++ {
		if !seen[a] {
			t.Errorf("ablation %d is not in the table", a)
		}
	}
}

// TestTrace pins how a counterexample reads.
func TestTrace(t *testing.T) {
	m := &model{bounds: oneTable(), without: noRecheck}
	const want = `	daemon 1 starts: it takes fence number 1
	daemon 1 sets its fence on table A
	daemon 1 loads table A: snapshot A0 at {}
	daemon 1 sends A1 on A0: rows of {x1}, position {x1}
	A1 lands on A0
	daemon 1 sends A2 on A1: rows of {x1}, position {x1}
	A2 lands on A1
`
	if got := trace(m.run(1_000_000, nil).counter); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
