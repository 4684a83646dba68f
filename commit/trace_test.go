package commit

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var updateTraces = flag.Bool("update", false, "write the golden files")

// traces are the paths whose calls are kept in testdata/traces.txt.
var traces = []struct {
	name   string
	s      schedule
	faults []fault
}{
	{"started on an empty lake, until it asks the source where to begin", schedule{}, nil},
	{"an epoch that updates, a cut, an end, and all of it once more", schedule{begun: true}, nil},
	{"the answer of an epoch's commit is lost", schedule{begun: true}, []fault{{at: site{"commit", "a", 2}, kind: lost}}},
	{"an epoch's commit is lost", schedule{begun: true}, []fault{{at: site{"commit", "a", 2}, kind: fails}}},
	{"another program compacts before an epoch's commit", schedule{begun: true}, []fault{{at: site{"commit", "a", 2}, kind: passes, actor: compacts}}},
	{"another program commits to a branch before it", schedule{begun: true}, []fault{{at: site{"commit", "a", 2}, kind: passes, actor: branches}}},
	{"another daemon takes over before it", schedule{begun: true}, []fault{{at: site{"commit", "a", 2}, kind: passes, actor: takesOver}}},
	{"a rollback before it", schedule{begun: true}, []fault{{at: site{"commit", "a", 2}, kind: passes, actor: rollsBack}}},
}

// effects reduces a trace to what has effects, and loads; uploads that run side by side are
// sorted.
func effects(trace []string) string {
	var out, puts []string
	flush := func() {
		slices.Sort(puts)
		out = append(out, puts...)
		puts = nil
	}
	for _, line := range trace {
		op, object, _ := strings.Cut(strings.TrimPrefix(line, "rival: "), " ")
		switch {
		case strings.HasPrefix(line, "rival: "), op == "read", op == "list":
		case strings.HasPrefix(object, "source"):
		case op == "put" && !strings.HasSuffix(object, " intent"):
			puts = append(puts, line)
		default:
			flush()
			out = append(out, line)
		}
	}
	flush()
	return strings.Join(out, "\n") + "\n"
}

// TestTraces compares the calls of the main paths, in order, with those that are kept.
func TestTraces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		from, err := newLakes(1)
		if err != nil {
			t.Fatal(err)
		}
		compareTraces(t, playTraces(t, from))
		if err := from.close(); err != nil {
			t.Error(err)
		}
	})
}

// playTraces gives the traces.
func playTraces(t *testing.T, from lakes) string {
	t.Helper()
	var b strings.Builder
	for _, x := range traces {
		x.s.tables, x.s.seed, x.s.traces, x.s.faults = 1, 1, true, x.faults
		r, err := from.play(x.s)
		if err != nil || !r.fired || !r.acted || len(r.broken) > 0 {
			t.Fatalf("%s: %v, %+v", x.name, err, r.broken)
		}
		trace := r.trace
		if !x.s.begun { // the order of what follows is left open
			trace = trace[:slices.Index(trace, "position source")]
		}
		fmt.Fprintf(&b, "# %s\n%s\n", x.name, effects(trace))
	}
	return b.String()
}

func compareTraces(t *testing.T, got string) {
	t.Helper()
	const file = "testdata/traces.txt"
	if *updateTraces {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the calls differ from %s; with -update it is written anew. They are now:\n%s", file, got)
	}
}
