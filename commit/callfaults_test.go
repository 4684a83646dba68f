package commit

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// eachCatalogFault plays a run again and again, each time with another of its calls to the catalog
// failing: commits before and after they took effect, loads of tables. least says how many calls of
// an operation have to fail. play arms the fault where the run begins, and checks what becomes of it;
// its last run meets no fault.
func eachCatalogFault(t *testing.T, least map[string]int, play func(t *testing.T, arm func(*lab))) {
	for operation, n := range least {
		for _, applied := range []bool{false, true} {
			if operation == "load" && applied {
				continue // nothing takes effect
			}
			t.Run(fmt.Sprintf("%s, applied: %v", operation, applied), func(t *testing.T) {
				t.Parallel()
				at := 0
				for fired := true; fired; {
					at++
					var faults *faultyCatalog
					play(t, func(l *lab) {
						faults = l.faults
						faults.calls = nil
						faults.operation, faults.at, faults.applied = operation, at, applied
					})
					fired = faults.fired
				}
				if at <= n {
					t.Errorf("only %d calls failed, not %d", at-1, n)
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
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
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
