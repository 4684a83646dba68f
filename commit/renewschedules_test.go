package commit

import (
	"context"
	"errors"
	"testing"
	"time"

	"cdcd/table"
)

// renewBeside has the first table loaded anew, once, beside a run of a pipeline: as soon as it has
// left, or at once where it never does. What it gives waits for the end of that.
func (w *world) renewBeside(ctx context.Context, p *Pipeline) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		n := table.Name{Namespace: "shop", Table: w.names[0]}
		for w.plan.breaks && !w.hasLeft(p, n) {
			select {
			case <-p.ended:
				return
			case <-time.After(100 * time.Microsecond):
			}
		}
		if w.wasRenewed(n) {
			return
		}
		if err := p.Resnapshot(ctx, n); err != nil && !errors.Is(err, ErrNotRenewed) {
			w.violated("renewal", "%v", err)
		}
	}()
	return func() { <-done }
}

func (w *world) hasLeft(p *Pipeline, n table.Name) bool {
	for _, t := range p.Status().Tables {
		if t.Lake == n {
			return t.Quarantine != nil
		}
	}
	return false
}

// wasRenewed reports that a table that never leaves has been loaded anew, or is.
func (w *world) wasRenewed(n table.Name) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.renewed && !w.plan.breaks
}

// renewSchedules is how many schedules of each kind TestRenewSchedules plays, unless all are asked
// for.
const renewSchedules = 60

// TestRenewSchedules plays schedules of one fault in which a table is loaded anew: one that has
// left, and one that has not.
func TestRenewSchedules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := playKinds(t, min(*schedulesFlag, renewSchedules), enumerate,
			schedule{tables: 1, seed: 1, begun: true, renews: true},
			schedule{tables: 2, seed: 1, begun: true, renews: true, breaks: true},
			schedule{tables: 1, seed: 1, begun: true, renews: true, rewrites: true})
		if c.Paths["load anew: published"] == 0 {
			t.Error("too few came to act")
		}
	})
}

// TestFoundRenewSchedules plays what has found defects: main gets a column of others while it is open
// whether the load anew has begun. It is not gone on with before a person has decided.
func TestFoundRenewSchedules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		open := func(like schedule, _ map[site]int) (out []schedule) {
			for _, k := range []kind{lost, falseConflict} {
				for n := range 6 {
					s := like
					s.loose, s.faults = n%2 == 0, []fault{{kind: k, actor: evolves, after: true, at: site{"commit", "a", n + 1}}}
					out = append(out, s)
				}
			}
			return out
		}
		c := playKinds(t, 0, open, schedule{tables: 1, seed: 1, begun: true, renews: true}, schedule{tables: 2, seed: 1, begun: true, renews: true, breaks: true})
		if c.Paths["end: foreign shape"] == 0 {
			t.Error("none took the path")
		}
	})
}
