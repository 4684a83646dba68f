//go:build mutant

package compaction

import (
	"fmt"
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

// catcher is a test of which it is known that it fails.
type catcher struct{ *testing.T }

type caught string

// Fatal ends the test.
func (catcher) Fatal(args ...any) { panic(caught(fmt.Sprint(args...))) }

// Fatalf ends the test.
func (catcher) Fatalf(format string, args ...any) { panic(caught(fmt.Sprintf(format, args...))) }

// play plays on a new table, and gives what failed.
func play(t *testing.T, what func(*lab)) (found caught) {
	t.Helper()
	l := newLab(catcher{t})
	defer l.close()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case caught:
			found = r
		default:
			panic(r)
		}
	}()
	what(l)
	return ""
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
