package compaction

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// handClock is moved by hand, and by sleeping.
type handClock struct {
	now   time.Time
	slept time.Duration
}

func (c *handClock) Now() time.Time { return c.now }

func (c *handClock) Sleep(ctx context.Context, d time.Duration) error {
	c.now, c.slept = c.now.Add(d), c.slept+d
	return ctx.Err()
}

// nothing is what there is to do in a rest.
func nothing(context.Context) error { return nil }

// TestPacerRestsInParts has something to do in a rest, which lengthens it.
func TestPacerRestsInParts(t *testing.T) {
	clock := &handClock{now: time.Unix(0, 0)}
	p, err := NewPacer(0.1, clock)
	if err != nil {
		t.Fatal(err)
	}
	clock.now = clock.now.Add(time.Second)
	did := 0
	err = p.Rest(t.Context(), func(context.Context) error {
		did++
		clock.now = clock.now.Add(time.Second)
		return nil
	})
	if err != nil || did != 9 || clock.slept != 9*time.Second {
		t.Errorf("slept %v, did %d, %v", clock.slept, did, err)
	}
	if err := p.Rest(t.Context(), nothing); err != nil || clock.slept != 9*time.Second {
		t.Errorf("what was done in the rest was rested for: %v, %v", clock.slept, err)
	}
	clock.now = clock.now.Add(time.Second)
	failed := errors.New("failed")
	if err := p.Rest(t.Context(), func(context.Context) error { return failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
}

func TestPacerKeepsItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0.05, 1).Draw(t, "share")
		clock := &handClock{now: time.Unix(0, 0)}
		p, err := NewPacer(share, clock)
		if err != nil {
			t.Fatal(err)
		}
		worked := time.Duration(0)
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			step := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "step"))
			clock.now, worked = clock.now.Add(step), worked+step
			if err := p.Rest(context.Background(), nothing); err != nil {
				t.Fatal(err)
			}
			owed := time.Duration(float64(worked) * (1 - share) / share)
			if late := owed - clock.slept; late >= shortestRest+time.Microsecond || late < -time.Microsecond {
				t.Fatalf("worked %v at a share of %v, slept %v", worked, share, clock.slept)
			}
		}
	})
}

func TestPacerIsBounded(t *testing.T) {
	clock := &handClock{now: time.Unix(0, 0)}
	p, err := NewPacer(0.1, clock)
	if err != nil {
		t.Fatal(err)
	}
	clock.now = clock.now.Add(time.Hour)
	if err := p.Rest(context.Background(), nothing); err != nil || clock.slept != longestRest {
		t.Errorf("slept %v after an hour, %v", clock.slept, err)
	}
	clock.now = clock.now.Add(time.Hour)
	p.Begin()
	if err := p.Rest(context.Background(), nothing); err != nil || clock.slept != longestRest {
		t.Errorf("slept %v for what was no work, %v", clock.slept, err)
	}
}

func TestPacerEndsWithItsContext(t *testing.T) {
	p, err := NewPacer(0.001, Wall{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := (Wall{}).Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := p.Rest(ctx, nothing); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, share := range []float64{0, -1, 1.1} {
		if _, err := NewPacer(share, Wall{}); err == nil {
			t.Errorf("a share of %v is taken", share)
		}
	}
}
