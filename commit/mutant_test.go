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
	like   schedule // what the schedules are like; zero: those of TestSchedules
}{
	{rule: "unpinned", near: isLate, broken: []string{"I6"}},
	{rule: "nofence", near: acts(takesOver), broken: []string{"I7"}},
	{rule: "norecheck", near: isLost, broken: []string{"I1"}},
	{rule: "headonly", near: acts(compacts), broken: []string{"I4"}},
	{rule: "proponly", near: acts(rollsBack), broken: []string{"I19", "rows"}},
	{rule: "notag", near: acts(coversUp), broken: []string{"I19", "rows"}},
	{rule: "norollback", near: acts(rollsBack), broken: []string{"I19"}},
	{rule: "cleanup", near: isLate, broken: []string{"I8", "I9"}},
	{rule: "twodvs", near: anything, broken: []string{"I13"}},
	{rule: "split", near: anything, broken: []string{"rows"}},
	{rule: "early", near: anything, broken: []string{"rows"}},
	{rule: "earlycut", near: anything, broken: []string{"I11"}},
	{rule: "nofilter", near: apart, broken: []string{"rows", "lineage", "I1"}},
	{rule: "union", near: apart, broken: []string{"rows", "I2"}},
	{rule: "leaveend", near: anything, broken: []string{"rows", "I2"}, like: schedule{tables: 2, seed: 1, begun: true, breaks: true}},
	{rule: "blindbranch", near: acts(appends), broken: []string{"I19"}, like: schedule{tables: 1, seed: 1, begun: true, renews: true}},
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
			t.Setenv("CDCD_MUTANT", "")
			list, caught, played := schedules, false, 0
			if m.like.tables > 0 {
				r, err := from.play(m.like)
				if err != nil {
					t.Fatal(err)
				}
				list = order(enumerate(m.like, r.calls))
			}
			t.Setenv("CDCD_MUTANT", m.rule)
			for _, s := range list {
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
