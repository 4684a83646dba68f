package table

import (
	"cmp"
	"slices"
	"time"
)

// What a table retains of its snapshots, besides those that are held: the newest ones, of the
// older ones the first of each hour for a day, and the first of each day for thirty. A commit
// costs time for each of them, and so does every load of the table.
const (
	keepSnapshots = 100
	keepHourly    = 24 // spans, whatever the clock did
	keepDaily     = 30
	hour          = time.Hour
	day           = 24 * time.Hour
)

// aging is a snapshot as expiry sees it.
type aging struct {
	id, sequence int64
	at           time.Time
	held         bool // by a ref, or by what the position rests on
}

// thin gives the snapshots that are to be dropped, oldest first. None of them is held.
func thin(all []aging, now time.Time) []int64 {
	all = slices.SortedFunc(slices.Values(all), func(x, y aging) int { return cmp.Compare(x.sequence, y.sequence) })
	kept := firsts(all, hour, day, keepHourly, now)
	for id := range firsts(all, day, keepDaily*day, keepDaily, now) {
		kept[id] = true
	}
	var out []int64
	newer := 0 // that are not held
	for _, s := range slices.Backward(all) {
		if s.held {
			continue
		}
		if newer++; newer > keepSnapshots && !kept[s.id] {
			out = append(out, s.id)
		}
	}
	slices.Reverse(out)
	return out
}

// firsts gives the first snapshot of each of the newest spans of time, as far as they are not
// older than age.
func firsts(sorted []aging, span, age time.Duration, most int, now time.Time) map[int64]bool {
	first := map[int64]aging{}
	var spans []int64
	for _, s := range sorted {
		n := s.at.UnixNano() / int64(span)
		if _, there := first[n]; !there {
			first[n] = s
			spans = append(spans, n)
		}
	}
	slices.Sort(spans)
	out := map[int64]bool{}
	for _, n := range spans[max(0, len(spans)-most):] {
		if now.Sub(first[n].at) <= age {
			out[first[n].id] = true
		}
	}
	return out
}

// expired gives the snapshots that the commit drops. Those with a ref are held, the parent,
// and main's history back to the snapshot with the position.
func (a *assembly) expired(now time.Time) []int64 {
	held := a.head.sincePosition()
	if a.parent != nil {
		held[a.parent.SnapshotID] = true
	}
	for name, ref := range a.head.meta.Refs() {
		if name != refPosition || a.head.OnBranch() { // it moves to the new snapshot
			held[ref.SnapshotID] = true
		}
	}
	var all []aging
	for _, s := range a.head.meta.Snapshots() {
		all = append(all, aging{s.SnapshotID, s.SequenceNumber, time.UnixMilli(s.TimestampMs), held[s.SnapshotID]})
	}
	return thin(all, now)
}

// sincePosition gives the snapshots of main that follow the one with the position.
func (h *Head) sincePosition() map[int64]bool {
	out := map[int64]bool{}
	position := refSnapshot(h.meta, refPosition)
	for s := h.meta.CurrentSnapshot(); s != nil; s = parentOf(h.meta, s) {
		if position != nil && s.SnapshotID == *position {
			return out
		}
		out[s.SnapshotID] = true
	}
	return map[int64]bool{} // main was set back: there is nothing in between
}
