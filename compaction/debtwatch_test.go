package compaction

import (
	"testing"
	"time"
)

// TestDebtWatch plays courses of a debt, a value a minute.
func TestDebtWatch(t *testing.T) {
	const unit = 10
	p := Policy{TargetBytes: unit}
	for name, c := range map[string]struct {
		minutes int
		debt    func(minute int) int64
		growing bool
	}{
		"grows":             {60, func(m int) int64 { return int64(m) }, true},
		"not for so long":   {30, func(m int) int64 { return int64(10 * m) }, false},
		"is small":          {300, func(m int) int64 { return int64(m / 20) }, false},
		"up and down":       {600, func(m int) int64 { return int64(m%9) * 100 }, false},
		"a wave that grows": {90, func(m int) int64 { return int64(m%9)*100 + int64(m)*10 }, true},
		"is paid in the end": {120, func(m int) int64 {
			if m < 60 {
				return int64(m) * unit
			}
			return int64(120-m) * unit
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var w debtWatch
			at := time.Unix(0, 0)
			for m := range c.minutes {
				w.observe(c.debt(m), at.Add(time.Duration(m)*time.Minute))
			}
			if got := w.growing(p); got != c.growing {
				t.Errorf("growing: %v, want %v; %+v", got, c.growing, w)
			}
		})
	}
}
