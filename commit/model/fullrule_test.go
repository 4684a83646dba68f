package model

import (
	"flag"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	large  = flag.Bool("model.large", false, "search the large bounds too: many minutes")
	states = flag.Int("model.states", 6_000_000, "with -model.large, stop each search after so many states")
)

// coverage counts how often each action was taken, in all searches of a test.
type coverage struct {
	sync.Mutex
	searches int
	taken    [actions]int
}

func (c *coverage) add(r *result) {
	c.Lock()
	defer c.Unlock()
	c.searches++
	for a, n := range r.taken {
		c.taken[a] += n
	}
}

// TestFullRule visits every state within the bounds, and finds no invariant broken, every
// goal reachable and every action taken.
func TestFullRule(t *testing.T) {
	var c coverage
	t.Run("bounds", func(t *testing.T) {
		for _, b := range scenarios() {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				r := searchFullRule(t, b, 5_000_000)
				if !r.whole {
					t.Errorf("the search was stopped after %d states: the bounds are too large", r.states)
				}
				c.add(&r)
			})
		}
	})
	if c.searches < len(scenarios()) {
		return // some failed, or were not asked for
	}
	for a, n := range c.taken {
		t.Logf("%9d  %s", n, texts[a])
		byAblation := action(a) == breaks || action(a) == cleansUp
		if n == 0 && !byAblation {
			t.Errorf("never taken: %s", texts[a])
		}
	}
}

// TestLargeBounds visits as many states of the large bounds as it is allowed to.
func TestLargeBounds(t *testing.T) {
	if !*large {
		t.Skip("takes many minutes; run with -model.large -timeout 0")
	}
	for _, b := range largeScenarios() {
		t.Run(b.name, func(t *testing.T) { searchFullRule(t, b, *states) })
	}
}

func searchFullRule(t *testing.T, b bounds, limit int) result {
	t.Helper()
	began := time.Now()
	m := &model{bounds: b}
	r := m.run(limit, goalsWithin(&b))
	if r.broken != holds {
		t.Fatalf("I%d is broken after %d steps:\n%s", r.broken, len(r.counter), trace(r.counter))
	}
	extent := "all"
	if !r.whole {
		extent = "the first"
	}
	t.Logf("%s %d states, up to %d steps away, %v", extent, r.states, r.depth, time.Since(began).Round(time.Millisecond))
	for _, g := range goalsWithin(&b) {
		if n, ok := r.goals[g.name]; ok {
			t.Logf("after %d steps: %s", n, g.name)
		} else {
			t.Errorf("not reachable: %s", g.name)
		}
	}
	return r
}

// trace renders steps, one to a line.
func trace(steps []step) string {
	var b strings.Builder
	for i := range steps {
		b.WriteString("\t" + steps[i].String() + "\n")
	}
	return b.String()
}

// TestSearchRepeats finds the same twice, whatever the seeds of the hashes.
func TestSearchRepeats(t *testing.T) {
	var first result
	for range 2 {
		m := &model{bounds: rewoundTables()}
		r := m.run(1_000_000, nil)
		if first.states != 0 && (r.states != first.states || r.depth != first.depth || r.taken != first.taken) {
			t.Errorf("%d states, then %d", first.states, r.states)
		}
		first = r
	}
}
