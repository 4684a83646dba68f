//go:build integration

package integration

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// failpoints are the places at which the daemon can be killed, by the name given in
// CONTRIBUTING.md.
func failpoints() []failpointPlace {
	return []failpointPlace{
		{"table-created", 1, true},
		{"table-begun", 1, true},
		{"data-files-written", 20, false},
		{"uploaded", 30, false},
		{"before-swap", 40, false},
		{"after-swap", 40, false},
		{"landed", 30, false},
	}
}

// commandFailpoints are those of commands, which TestRewind and TestAdopt arm.
func commandFailpoints() []string {
	return []string{"rewind-begun", "table-rewound", "adoption-begun"}
}

// failpointPlace is a failpoint; passages are among how many a crash is drawn. One that is
// passed for new tables only needs one.
type failpointPlace struct {
	name     string
	passages int
	newTable bool
}

// plannedCrash is one round of a long run: how the daemon ends, and what becomes of its
// state.
type plannedCrash struct {
	crash
	newTable, wipe bool
}

// planCrashes draws rounds: as many at failpoints as at random moments, every failpoint as
// often as the others but those that need a new table, which stays and costs.
func planCrashes(random *rand.Rand, rounds int) []plannedCrash {
	newTables := 1 + rounds/50 // for each failpoint
	var often []failpointPlace
	var out []plannedCrash
	at := func(f failpointPlace) {
		out = append(out, plannedCrash{crash: crash{f.name, 1 + random.IntN(f.passages)}, newTable: f.newTable, wipe: random.IntN(2) == 0})
	}
	for _, f := range failpoints() {
		if !f.newTable {
			often = append(often, f)
			continue
		}
		for range newTables {
			at(f)
		}
	}
	for i := range rounds/2 - len(out) {
		at(often[i%len(often)])
	}
	for len(out) < rounds {
		out = append(out, plannedCrash{wipe: random.IntN(2) == 0})
	}
	random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// TestFailpointsAreArmed compares the failpoints in the code with those that crashes are
// drawn from, and with their documentation.
func TestFailpointsAreArmed(t *testing.T) {
	calls := map[string]bool{}
	sources, err := filepath.Glob("../commit/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`failpoint\("([a-z-]+)"\)`).FindAllSubmatch(b, -1) {
			calls[string(m[1])] = true
		}
	}
	doc, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	armed := commandFailpoints()
	for _, f := range failpoints() {
		armed = append(armed, f.name)
	}
	for _, name := range armed {
		if !calls[name] {
			t.Errorf("no code passes %s", name)
		}
	}
	for name := range calls {
		if !slices.Contains(armed, name) {
			t.Errorf("no crash is drawn at %s", name)
		}
		if !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("CONTRIBUTING.md does not name %s", name)
		}
	}
}
