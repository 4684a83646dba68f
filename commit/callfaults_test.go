package commit

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// faultRun is a run that calls to the catalog fail in.
type faultRun struct {
	least map[string]int // of an operation, how many calls have to fail
	begin func(t *testing.T) *lab
	run   func(l *lab)
	check func(l *lab) // what has become of it
}

// eachCatalogFault plays a run again and again, each time with another of its calls to the catalog
// failing: commits before and after they took effect, loads of tables. The last run meets no fault.
func eachCatalogFault(t *testing.T, r faultRun) {
	for operation, least := range r.least {
		for _, applied := range []bool{false, true} {
			if operation == "load" && applied {
				continue // nothing takes effect
			}
			t.Run(fmt.Sprintf("%s, applied: %v", operation, applied), func(t *testing.T) {
				t.Parallel()
				at := 0
				for fired := true; fired; {
					at++
					l := r.begin(t)
					l.faults.calls = nil
					l.faults.operation, l.faults.at, l.faults.applied = operation, at, applied
					r.run(l)
					l.faults.operation, fired = "", l.faults.fired
					r.check(l)
				}
				if at <= least {
					t.Errorf("only %d calls failed, not %d", at-1, least)
				}
				t.Logf("%d calls failed", at-1)
			})
		}
	}
}

// runTwice runs the pipeline, and again behind more changes where the first run ends well. A fault
// may end either.
func (l *lab) runTwice(change func()) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), endless)
	defer cancel()
	err := l.run(ctx)
	if err == nil {
		change()
		err = l.run(ctx)
	}
	if err != nil && !errors.Is(err, errInjected) {
		l.t.Fatal(err)
	}
}
