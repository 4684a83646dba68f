package capture

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// interval is a run of transaction numbers, lo included, hi not.
type interval struct{ lo, hi uint64 }

// intervals is a set of transaction numbers: sorted, disjoint, no two touching.
type intervals []interval

func (s intervals) contains(n uint64) bool {
	i, found := slices.BinarySearchFunc(s, n, func(iv interval, n uint64) int {
		switch {
		case n < iv.lo:
			return 1
		case n >= iv.hi:
			return -1
		}
		return 0
	})
	_ = i
	return found
}

// add inserts n. Numbers mostly arrive in order, so the last interval is tried first.
func (s intervals) add(n uint64) intervals {
	if k := len(s); k > 0 && s[k-1].hi == n {
		s[k-1].hi++
		return s
	}
	if s.contains(n) {
		return s
	}
	return s.union(intervals{{n, n + 1}})
}

func (s intervals) union(o intervals) intervals {
	all := make(intervals, 0, len(s)+len(o))
	all = append(append(all, s...), o...)
	slices.SortFunc(all, func(a, b interval) int {
		if a.lo < b.lo {
			return -1
		}
		return 1
	})
	out := all[:0]
	for _, iv := range all {
		if k := len(out); k > 0 && iv.lo <= out[k-1].hi {
			out[k-1].hi = max(out[k-1].hi, iv.hi)
			continue
		}
		out = append(out, iv)
	}
	return out
}

func (s intervals) intersect(o intervals) intervals {
	var out intervals
	for i, j := 0, 0; i < len(s) && j < len(o); {
		lo, hi := max(s[i].lo, o[j].lo), min(s[i].hi, o[j].hi)
		if lo < hi {
			out = append(out, interval{lo, hi})
		}
		if s[i].hi < o[j].hi {
			i++
		} else {
			j++
		}
	}
	return out
}

func (s intervals) subtract(o intervals) intervals {
	var out intervals
	j := 0
	for _, iv := range s {
		lo := iv.lo
		for j < len(o) && o[j].hi <= lo {
			j++
		}
		for k := j; k < len(o) && o[k].lo < iv.hi; k++ {
			if lo < o[k].lo {
				out = append(out, interval{lo, o[k].lo})
			}
			lo = max(lo, o[k].hi)
		}
		if lo < iv.hi {
			out = append(out, interval{lo, iv.hi})
		}
	}
	return out
}

// covers reports s ⊇ o.
func (s intervals) covers(o intervals) bool { return len(o.subtract(s)) == 0 }

// appendText renders the set as MySQL does: ":1-5:7".
func (s intervals) appendText(b []byte) []byte {
	for _, iv := range s {
		b = append(b, ':')
		b = strconv.AppendUint(b, iv.lo, 10)
		if iv.hi-iv.lo > 1 {
			b = append(b, '-')
			b = strconv.AppendUint(b, iv.hi-1, 10)
		}
	}
	return b
}

// maxGNO is the largest transaction number a server can assign (2^63 - 2).
const maxGNO = 1<<63 - 2

// parseInterval reads "7" or "1-5".
func parseInterval(s string) (interval, error) {
	first, last, ranged := strings.Cut(s, "-")
	lo, err := strconv.ParseUint(strings.TrimSpace(first), 10, 64)
	if err != nil {
		return interval{}, fmt.Errorf("interval %q: not a number", s)
	}
	hi := lo
	if ranged {
		if hi, err = strconv.ParseUint(strings.TrimSpace(last), 10, 64); err != nil {
			return interval{}, fmt.Errorf("interval %q: not a number", s)
		}
	}
	if lo == 0 || hi < lo || hi > maxGNO {
		return interval{}, fmt.Errorf("interval %q: out of range", s)
	}
	return interval{lo, hi + 1}, nil
}
