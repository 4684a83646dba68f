package commit

import (
	"context"
	"slices"
	"testing"
	"time"
)

// at sets the tables' clock.
func (l *lab) at(now time.Time) { l.cfg.Tables.Now = func() time.Time { return now } }

// cutNumbers gives the cuts in the control table, oldest first.
func (l *lab) cutNumbers() []int64 {
	l.t.Helper()
	cuts, err := ReadCuts(context.Background(), l.cfg.Tables, controlName)
	if err != nil {
		l.t.Fatal(err)
	}
	var out []int64
	for _, c := range cuts {
		out = append(out, c.Number)
	}
	return out
}

// TestAnchors checks which cuts are kept for longer.
func TestAnchors(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 30, 0, 0, time.UTC)
	var records []record
	at := map[int64]time.Time{}
	number := int64(0)
	for when := now.Add(-40 * day); !when.After(now); when = when.Add(20 * time.Minute) {
		number++
		at[number] = when
		records = append(records, record{kind: kindCut, number: number, table: "s.a", recorded: when}, record{kind: kindCut, number: number, table: "s.b", recorded: when})
	}
	records = append(records, record{kind: kindFence, number: number + 1, recorded: now})
	got := anchors(records, now)
	hours, days := map[time.Time]bool{}, map[time.Time]bool{}
	for n := range got {
		age := now.Sub(at[n])
		switch first := at[n].Truncate(hour).Add(10 * time.Minute); {
		case at[n].Equal(first) && age <= hourlyFor:
			hours[first] = true
		case at[n].Truncate(day).Add(10*time.Minute).Equal(at[n]) && age <= dailyFor:
		default:
			t.Errorf("kept: %v, %v old", at[n], age)
		}
		if at[n].Truncate(day).Add(10 * time.Minute).Equal(at[n]) {
			days[at[n]] = true
		}
	}
	if len(hours) != 24 || len(days) != 30 {
		t.Errorf("%d hours and %d days are kept", len(hours), len(days))
	}
	// A clock that ran into the future and back makes no more of them.
	for i := range int64(100) {
		records = append(records, record{kind: kindCut, number: number + i + 2, recorded: now.Add(time.Duration(i) * day)})
	}
	if n := len(anchors(records, now)); n > keepHourly+keepDaily {
		t.Errorf("%d cuts are kept", n)
	}
}

// TestOldCutsStay lets hours pass, and another program expire every snapshot without a ref: the
// first cut of each hour is the source's state still, and the others are withdrawn.
func TestOldCutsStay(t *testing.T) {
	l := newLab(t, 41, "a", "b")
	now := time.Date(2026, 1, 1, 0, 5, 0, 0, time.UTC)
	for range 8 {
		l.at(now)
		l.churn(5)
		l.mustRun()
		now = now.Add(20 * time.Minute)
	}
	before, first := l.cutNumbers(), l.firstOfHours()
	for _, name := range l.names {
		l.expireBefore(name)
	}
	l.churn(5)
	l.mustRun()
	l.check()
	l.checkCuts()
	after := l.cutNumbers()
	if len(first) < 3 || !slices.Equal(after[:len(first)], first) || len(after) > len(first)+2 {
		t.Errorf("cuts %v before the expiry, of these first in their hours %v, %v after", before, first, after)
	}
	for _, name := range l.names {
		if n := len(l.head(name).CutTags()); n < len(first) {
			t.Errorf("%s: %d tags", name, n)
		}
	}
}

// firstOfHours gives the cuts that are the first of their hours.
func (l *lab) firstOfHours() []int64 {
	l.t.Helper()
	cuts, err := ReadCuts(context.Background(), l.cfg.Tables, controlName)
	if err != nil {
		l.t.Fatal(err)
	}
	var out []int64
	seen := map[time.Time]bool{}
	for _, c := range cuts {
		if h := c.Published.Truncate(hour); !seen[h] {
			seen[h] = true
			out = append(out, c.Number)
		}
	}
	return out
}

// TestTagsGo removes the tags of cuts that are withdrawn, and no others.
func TestTagsGo(t *testing.T) {
	l := newLab(t, 45, "a")
	l.churn(5)
	l.mustRun()
	p := l.opened()
	m := p.members[l.server.tables["a"].Name]
	at := m.table.Head().Snapshot
	if err := p.tag(context.Background(), m, map[int64]int64{901: at, 902: at}, nil); err != nil {
		t.Fatal(err)
	}
	records := slices.Concat(p.records, []record{{kind: kindCut, number: 902, table: "shop.a", snapshot: at}})
	for range 2 { // the second finds nothing to do
		if err := p.retag(context.Background(), []*member{m}, records); err != nil {
			t.Fatal(err)
		}
	}
	if tags := l.head("a").CutTags(); tags[901] != 0 || tags[902] != at {
		t.Errorf("%v", tags)
	}
	if set, remove := tagChanges(m.table.Head(), nil, map[int64]bool{902: true}); len(set) != 0 || slices.Contains(remove, 902) {
		t.Errorf("%v, %v", set, remove)
	}
	l.expireBefore("a")
	if err := p.closeTables(false); err != nil {
		t.Fatal(err)
	}
	l.churn(5)
	l.mustRun()
	l.check()
}
