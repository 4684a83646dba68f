//go:build mutant

package compaction

import (
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// mutants are rules of the collector that are left out, and what notices it.
var mutants = []struct {
	rule   string
	played func(*lab)
}{
	{"gctag", refsHold},
	{"gcany", preparedStays},
	{"gczombie", zombieStops},
	{"gcgrace", expiredFilesGo},
	{"gcrecheck", namedAgain},
	{"gcnoted", crashesLeaveNothing},
	{"gcinflight", inFlightStays},
}

// play plays on a new table, and gives what failed.
func play(t *testing.T, what func(*lab)) caught {
	t.Helper()
	l := newLab(catcher{t})
	defer l.close()
	return catch(func() { what(l) })
}

// TestMutants plays on each mutant what notices it. Without one, nothing fails.
func TestMutants(t *testing.T) {
	for _, m := range mutants {
		t.Setenv("CDCD_MUTANT", "")
		if found := play(t, m.played); found != "" {
			t.Errorf("no mutant: %s", found)
		}
		t.Setenv("CDCD_MUTANT", m.rule)
		found := play(t, m.played)
		if found == "" {
			t.Errorf("%s: survives", m.rule)
			continue
		}
		t.Logf("%s: caught by %.200s", m.rule, string(found))
	}
}

// mostSeeds is how many seeds a mutant may survive.
const mostSeeds = 300

// mutantsOfMaintenance are rules that are left out, and what of [maintenance] notices it: what a
// failure begins with. That something ends with an error catches nothing.
var mutantsOfMaintenance = []struct {
	rule   string
	caught []string
}{
	{"forgetlate", []string{"keys", "rows"}},
	{"norank", []string{"keys", "rows"}},
	{"landgone", []string{"keys"}},
	{"nolineage", []string{"row ids", "ages"}},
	{"keepdead", []string{"listing"}},
	{"noredirect", []string{"index"}},
	{"nofollows", []string{"index"}},
	{"gctag", []string{"absent"}},
}

// TestMutantsOfMaintenance plays seeds on each mutant until one fails as it has to.
func TestMutantsOfMaintenance(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	for _, m := range mutantsOfMaintenance {
		t.Setenv("CDCD_MUTANT", m.rule)
		survived := true
		for seed := uint64(1); survived && seed <= mostSeeds; seed++ {
			found, _ := playSeed(t, seed)
			by, _, _ := strings.Cut(string(found), ":")
			if survived = !slices.Contains(m.caught, by); !survived {
				t.Logf("%s: caught in seed %d: %.200s", m.rule, seed, string(found))
			}
		}
		if survived {
			t.Errorf("%s: survives", m.rule)
		}
	}
}

// TestFaultsDoc compares docs/faults.md with the mutants of maintenance.
func TestFaultsDoc(t *testing.T) {
	b, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "## Maintenance")
	section, _, _ = strings.Cut(section, "## Mutants")
	rows := map[string]string{}
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) > 3 {
			rows[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[3])
		}
	}
	for _, m := range mutantsOfMaintenance {
		if want := strings.Join(m.caught, ", "); rows[m.rule] != want {
			t.Errorf("%s: caught by %q, the document says %q", m.rule, want, rows[m.rule])
		}
	}
	if extra := len(rows) - len(mutantsOfMaintenance) - len([]string{"header", "rule"}); extra != 0 {
		t.Errorf("%d more mutants in the document", extra)
	}
}
