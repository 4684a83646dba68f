package compaction

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// workClock is a clock by which all work takes time.
type workClock struct{ *steppedClock }

func (c workClock) Now() time.Time {
	c.now = c.now.Add(lookEvery / 10)
	return c.now
}

// TestLargeRewriteGivesWay has small files come while many are being rewritten: they are merged
// before that is done, also where it was asked for, and count once. One that fails does not end it.
func TestLargeRewriteGivesWay(t *testing.T) {
	for name, run := range map[string]func(t *testing.T, l *labLake, c *Compactor){
		"background": func(t *testing.T, l *labLake, c *Compactor) {
			if did, err := c.step(t.Context(), l.targets()[0]); !did || err != nil {
				t.Fatal(did, err)
			}
		},
		"asked": func(t *testing.T, l *labLake, c *Compactor) {
			for _, err := range c.Compact(t.Context(), Asked{Table: l.name}) {
				if err != nil {
					t.Fatal(err)
				}
			}
		},
		"failing": func(t *testing.T, l *labLake, c *Compactor) {
			l.fails = []error{errors.New("no")}
			if did, err := c.step(t.Context(), l.targets()[0]); !did || err != nil {
				t.Fatal(did, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, c, clock, _ := newCompactorLab(t)
			c.cfg.Clock = workClock{clock}
			insert := func(from, commits int64) {
				for i := range commits {
					l.commit(change{from + i, "new"})
				}
			}
			insert(0, 60)
			come := int64(0)
			c.cfg.Targets = func() []Target {
				if come++; come <= 2 {
					insert(1000*come, fanout+1)
				}
				return l.targets()
			}
			run(t, l, c)
			l.check()
			want, failed := []int{fanout + 1, fanout + 1, 60}, int64(0)
			if name == "failing" { // and the table is left alone from then on
				want, failed = []int{60}, 1
			}
			if !slices.Equal(l.landed, want) {
				t.Errorf("rewrites of %v files, not %v", l.landed, want)
			}
			s := c.Status()
			if s.Totals.Rewrites != int64(len(want)) || s.Totals.Failed != failed || s.Job != nil || len(c.InFlight()) > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}
