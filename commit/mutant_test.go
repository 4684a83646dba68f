//go:build mutant

package commit

import (
	"flag"
	"slices"
	"strings"
	"testing"
)

var mutantSchedules = flag.Int("mutants", 400, "how many schedules a mutant may survive at most")

// mutants are rules of the protocol that are left out, what of a schedule can show that, and
// the invariant of which one must break. A difference in rows is an invariant; that a daemon
// ends is none.
var mutants = []struct {
	rule   string
	near   func(s schedule, f fault) bool
	broken []string
}{
	{"unpinned", isLate, []string{"I6"}},
	{"nofence", acts(takesOver), []string{"I7"}},
	{"norecheck", isLost, []string{"I1"}},
	{"headonly", acts(compacts), []string{"I4"}},
	{"proponly", acts(rollsBack), []string{"I19", "rows"}},
	{"notag", acts(coversUp), []string{"I19", "rows"}},
	{"norollback", acts(rollsBack), []string{"I19"}},
	{"cleanup", isLate, []string{"I8", "I9"}},
	{"twodvs", anything, []string{"I13"}},
	{"split", anything, []string{"rows"}},
	{"early", anything, []string{"rows"}},
	{"earlycut", anything, []string{"I11"}},
	{"nofilter", apart, []string{"rows", "lineage", "I1"}},
	{"union", apart, []string{"rows", "I2"}},
}

func anything(schedule, fault) bool   { return true }
func isLate(_ schedule, f fault) bool { return f.kind == comesLate && f.at.op == "commit" }
func isLost(_ schedule, f fault) bool { return f.kind == lost && f.at.op == "commit" }
func apart(s schedule, f fault) bool  { return s.tables > 1 && f.at.op == "put" }

func acts(a actor) func(schedule, fault) bool {
	return func(_ schedule, f fault) bool { return f.actor == a }
}

// order spreads schedules so that neighbours differ.
func order(all []schedule) []schedule {
	const step = 2741 // a prime
	out := make([]schedule, 0, len(all))
	for i := range all {
		out = append(out, all[(i*step)%len(all)])
	}
	return out
}

// TestMutants plays schedules on each mutant until one breaks an invariant.
func TestMutants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		schedules, from, err := all()
		if err != nil {
			t.Fatal(err)
		}
		schedules = order(schedules)
		for _, m := range mutants {
			t.Setenv("CDCD_MUTANT", m.rule)
			caught, played := false, 0
			for _, s := range schedules {
				if !m.near(s, s.faults[0]) {
					continue
				}
				if played++; played > *mutantSchedules {
					break
				}
				v := catch(t, from, s, m.broken)
				if v == nil {
					continue
				}
				t.Logf("%s: caught by %s in schedule %d: %s (%s)", m.rule, v.name, played, v.detail, s)
				caught = true
				break
			}
			if !caught {
				t.Errorf("%s: survives %d schedules", m.rule, played)
			}
		}
		t.Setenv("CDCD_MUTANT", "")
		for _, s := range schedules[:min(len(schedules), *mutantSchedules/10)] {
			if v := catch(t, from, s, nil); v != nil {
				t.Errorf("no mutant: %v (%s)", v, s)
			}
		}
		if err := from.close(); err != nil {
			t.Error(err)
		}
	})
}

// catch plays a schedule and gives a broken invariant of those wanted, or of all.
func catch(t *testing.T, from lakes, s schedule, wanted []string) *violation {
	t.Helper()
	r, err := from.play(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.broken {
		if wanted == nil || slices.Contains(wanted, strings.TrimSpace(v.name)) {
			return &v
		}
	}
	return nil
}
