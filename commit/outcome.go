package commit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cdcd/table"
	"github.com/cenkalti/backoff/v5"
)

// outcome is what became of an attempt, as the table itself shows it.
type outcome int

const (
	landed  outcome = iota // it is in the table's history
	open                   // nothing has changed: the same request may be sent again
	rebuild                // only numbers of other branches moved: build anew on the same snapshot
	dead                   // main moved without it: it can never land
	fenced                 // somebody else owns the table
)

// judge decides what became of an attempt by comparing the head it was made on with the
// one that is there now. The error is for a table that somebody changed in a way that must
// not be committed to. That comes first, as does another owner: to go on from a head that
// shows either is to commit in its name, though the attempt itself has landed.
func judge(a *table.Attempt, now *table.Head, own int64) (outcome, error) {
	before := a.Head
	switch {
	case now.UUID != before.UUID:
		return 0, fmt.Errorf("%s: %w: it was dropped and created again", before.Name, table.ErrForeignShape)
	case now.Fence > own && !mutated("nofence"):
		return fenced, nil
	case a.Reshapes() && a.Landed(now) && a.KeptMain(now):
		return landed, nil
	case !now.SameShape(before):
		return 0, fmt.Errorf("%s: %w", before.Name, table.ErrForeignShape)
	case a.Landed(now):
		return landed, nil
	case now.Snapshot != before.Snapshot:
		return dead, nil
	case now.Same(before):
		return open, nil
	}
	return rebuild, nil
}

const (
	// swapTries bounds how often one attempt is offered to the catalog.
	swapTries = 8
	// reloadFor bounds how long the catalog may not answer while an outcome is open. After
	// that the process ends: the next start finds out.
	reloadFor = time.Minute
)

// settle offers an attempt to the catalog until it is known what became of it, and gives
// the head that shows it. own is our fence number.
func settle(ctx context.Context, cfg table.Config, a *table.Attempt, own int64) (*table.Head, outcome, error) {
	var last error
	wait := backoff.NewExponentialBackOff()
	for range swapTries {
		failpoint("before-swap")
		h, err := table.Swap(ctx, cfg, a)
		failpoint("after-swap")
		if err == nil && a.Landed(h) {
			what, err := judge(a, h, own)
			return h, what, err
		}
		last = err
		h, err = reload(ctx, cfg, a.Head)
		if err != nil {
			return nil, 0, fmt.Errorf("%w; the outcome of a commit is open (%w)", err, last)
		}
		what, err := judge(a, h, own)
		if mutated("norecheck") && what == landed {
			what = dead
		}
		if err != nil || what != open {
			return h, what, err
		}
		if err := pause(ctx, wait.NextBackOff()); err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, fmt.Errorf("commit %s: %w, %d times: %w", a.Head.Name, ErrNotTaken, swapTries, last)
}

// ErrNotTaken reports a catalog that does not do what is asked, and does not say that it never
// will.
var ErrNotTaken = errors.New("the catalog does not take it")

// fencedBy reports that a table is another daemon's by now.
func fencedBy(h *table.Head, own int64) error {
	return fmt.Errorf("%s: %w: fence %d, ours is %d", h.Name, ErrFenced, h.Fence, own)
}

// ErrOutdated reports a catalog that shows a table as it was before we last saw it.
var ErrOutdated = errors.New("the catalog shows an older state of the table than before")

// reload loads the head of a table that was at seen before, trying again while the catalog
// does not answer. An answer from before that, out of a cache, is none: sequence numbers
// only grow.
func reload(ctx context.Context, cfg table.Config, seen *table.Head) (*table.Head, error) {
	n := seen.Name
	return backoff.Retry(ctx, func() (*table.Head, error) {
		h, err := table.LoadAs(ctx, cfg, seen)
		switch {
		case err == nil && h == nil:
			return nil, backoff.Permanent(fmt.Errorf("%s: %w: it is gone", n, table.ErrForeignShape))
		case permanent(err):
			return nil, backoff.Permanent(err)
		case err == nil && h.UUID == seen.UUID && h.Sequence < seen.Sequence:
			return nil, fmt.Errorf("%s: %w: sequence number %d after %d", n, ErrOutdated, h.Sequence, seen.Sequence)
		}
		return h, err
	}, backoff.WithMaxElapsedTime(reloadFor))
}

// permanent tells the errors of a load that trying again does not mend.
func permanent(err error) bool {
	for _, known := range []error{
		table.ErrNotOurs, table.ErrOtherPipeline, table.ErrRolledBack, table.ErrForeignRows, table.ErrForeignShape, table.ErrCorrupt,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fractional gives milliseconds: most commits take few of them.
func fractional(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
