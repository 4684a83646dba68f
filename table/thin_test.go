package table

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// every makes snapshots at a distance, the newest at now.
func every(n int, apart time.Duration, now time.Time) []aging {
	var out []aging
	for i := range n {
		out = append(out, aging{id: int64(i + 1), sequence: int64(i + 1), at: now.Add(-time.Duration(n-1-i) * apart)})
	}
	return out
}

// left gives what thin leaves.
func left(all []aging, now time.Time) []aging {
	gone := map[int64]bool{}
	for _, id := range thin(all, now) {
		gone[id] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(s aging) bool { return gone[s.id] })
}

// TestThin checks what is left of regular histories.
func TestThin(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		n     int
		apart time.Duration
		left  int
	}{
		{"few", 90, time.Second, 90},
		{"a hundred in an hour", 100, time.Second, 100},
		{"one more, which is the first of its hour", 101, time.Second, 101},
		{"two more", 102, time.Second, 101},
		{"every ten seconds for a week", 7 * 8640, 10 * time.Second, 100 + 24 + 7},
		{"every minute for forty days", 40 * 1440, time.Minute, 100 + 22 + 29}, // of which two hours are among the newest
		{"daily", 200, day, 100},
		{"hourly", 2000, hour, 100 + 26},
	} {
		if got := len(left(every(c.n, c.apart, now), now)); got != c.left {
			t.Errorf("%s: %d are left, want %d", c.name, got, c.left)
		}
	}
}

// TestThinKeepsFirsts follows a history over days, thinning at every step: the first snapshot
// of an hour stays for a day, the first of a day for thirty.
func TestThinKeepsFirsts(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 1, 0, 0, time.UTC)
	began := now
	var all []aging
	for i := range int64(40 * 24 * 12) {
		all = append(all, aging{id: i + 1, sequence: i + 1, at: now})
		all = left(all, now)
		now = now.Add(5 * time.Minute)
	}
	there := map[time.Time]bool{}
	for _, s := range all {
		there[s.at] = true
	}
	last := now.Add(-5 * time.Minute)
	for at := began; !at.After(last); at = at.Add(hour) {
		age := last.Sub(at)
		wanted := age < day-hour || at.Equal(at.Truncate(day).Add(time.Minute)) && age < (keepDaily-1)*day
		if wanted && !there[at] {
			t.Errorf("the snapshot of %v is gone", at)
		}
	}
	if n := len(all); n > keepSnapshots+keepHourly+keepDaily {
		t.Errorf("%d snapshots", n)
	}
}

// TestThinHolds draws histories with clocks that jump: what is held stays, as do the newest,
// and the number of the others is bounded.
func TestThinHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		var all []aging
		for i := range rapid.IntRange(90, 400).Draw(t, "snapshots") {
			at = at.Add(time.Duration(rapid.Int64Range(-int64(hour), int64(6*hour)).Draw(t, "step")))
			all = append(all, aging{int64(1000 - i), int64(2 * i), at, rapid.IntRange(0, 9).Draw(t, "held") == 0})
		}
		now := at.Add(time.Duration(rapid.Int64Range(-int64(40*day), int64(40*day)).Draw(t, "now")))
		gone := map[int64]bool{}
		for _, id := range thin(all, now) {
			gone[id] = true
		}
		free, stay := 0, 0
		for _, s := range slices.Backward(all) {
			if s.held && gone[s.id] {
				t.Fatalf("%d is held, and gone", s.id)
			}
			if s.held {
				continue
			}
			if free++; free <= keepSnapshots && gone[s.id] {
				t.Fatalf("%d is one of the newest, and gone", s.id)
			}
			if !gone[s.id] {
				stay++
			}
		}
		if stay > keepSnapshots+keepHourly+keepDaily {
			t.Fatalf("%d stay", stay)
		}
		if again := thin(slices.DeleteFunc(all, func(s aging) bool { return gone[s.id] }), now); len(again) > 0 {
			t.Fatalf("%v go only in the second round", again)
		}
	})
}

// TestMetadataStaysSmall has a table with as many snapshots as it can have: the newest, those of
// hours and days, and as many again with tags of cuts. The metadata file that every commit writes
// has its bound.
func TestMetadataStaysSmall(t *testing.T) {
	const most, cuts = 300 << 10, keepHourly + keepDaily + 2
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, testSource(false), memory.DefaultAllocator)
	defer l.cat.Close()
	for i := range keepSnapshots + 2*cuts {
		l.commit(nil)
		if i < 2*cuts { // a tag is what makes the test hold the others, too
			l.tag(int64(i+1), l.table.Head().Snapshot)
		}
	}
	h := l.load()
	content, err := json.Marshal(h.meta)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(h.meta.Snapshots()); n < keepSnapshots+2*cuts || len(content) > most {
		t.Errorf("%d snapshots in %d bytes", n, len(content))
	}
	t.Logf("%d snapshots in %d bytes", len(h.meta.Snapshots()), len(content))
}

// tag tags a snapshot for a cut.
func (l *lab) tag(cut, snapshot int64) {
	l.t.Helper()
	a, err := PrepareTags(l.table.Head(), map[int64]int64{cut: snapshot}, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	h, err := Swap(context.Background(), l.cfg, a)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.table.Retag(context.Background(), h); err != nil {
		l.t.Fatal(err)
	}
}
