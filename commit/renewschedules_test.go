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
