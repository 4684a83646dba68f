package compaction

import (
	"context"
	"fmt"
	"time"
)

const (
	// shortestRest is what is worth going to sleep for. What is owed below it is carried over.
	shortestRest = 2 * time.Millisecond
	// longestRest bounds one rest, also after a step that took very long.
	longestRest = time.Minute
	// longestSleep is after how much of a rest it is looked for something else to do.
	longestSleep = lookEvery
)

// Clock is the time that a Pacer goes by.
type Clock interface {
	Now() time.Time
	// Sleep waits, and returns early with ctx's error once that ends.
	Sleep(ctx context.Context, d time.Duration) error
}

// Wall is the real time.
type Wall struct{}

// Now gives the time.
func (Wall) Now() time.Time { return time.Now() }

// Sleep waits.
func (Wall) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Pacer keeps one goroutine's work to a share of the time: after it has worked for a while it
// rests in proportion. Work is measured as time that passed, so it counts also what the work
// waited for, and a busy machine slows it down further. It is used by one goroutine.
type Pacer struct {
	share  float64
	clock  Clock
	worked time.Time // until when work is paid for
}

// NewPacer makes a Pacer for a share above 0 and up to 1, whose work begins now.
func NewPacer(share float64, clock Clock) (*Pacer, error) {
	if !(share > 0 && share <= 1) {
		return nil, fmt.Errorf("a share of the time of %v", share)
	}
	return &Pacer{share: share, clock: clock, worked: clock.Now()}, nil
}

// Begin says that work begins now: the time since the last rest was none.
func (p *Pacer) Begin() { p.worked = p.clock.Now() }

// Skip says that some of the time since the last rest was somebody else's.
func (p *Pacer) Skip(d time.Duration) { p.worked = p.worked.Add(d) }

// Rest sleeps for what was worked since the last rest, and does meanwhile what there is to do.
func (p *Pacer) Rest(ctx context.Context, meanwhile func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	worked := float64(p.clock.Now().Sub(p.worked))
	rest := time.Duration(min(worked*(1-p.share)/p.share, float64(longestRest)))
	if rest < shortestRest {
		return nil
	}
	for ; rest > 0; rest -= longestSleep {
		if err := p.clock.Sleep(ctx, min(rest, longestSleep)); err != nil {
			return err
		}
		if err := meanwhile(ctx); err != nil {
			return err
		}
	}
	p.Begin()
	return nil
}
