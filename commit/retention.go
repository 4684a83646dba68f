package commit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cdcd/table"
	"golang.org/x/sync/errgroup"
)

const (
	// keepCuts is how many of the newest cuts are kept, as far as the tables still have their
	// snapshots. Of the older ones the first of each hour and of each day stay for a time;
	// those are tagged on every table, so that nobody expires them.
	keepCuts    = 100
	hourlyFor   = 24 * time.Hour
	dailyFor    = 30 * 24 * time.Hour
	keepHourly  = 25 // buckets, whatever the clock did
	keepDaily   = 31
	hour        = time.Hour
	day         = 24 * time.Hour
	tagsAtATime = 50 // that one commit of a table sets or removes
)

// outdated gives the records that are to be withdrawn before another cut is published: those
// of cuts beyond the bounds, and of cuts that name a snapshot which its table has expired or
// soon will. tables has every table that is written.
func outdated(records []record, tables map[string]retained, now time.Time) []record {
	kept := anchors(records, now)
	numbers, gone := map[string]map[int64]bool{}, map[int64]bool{}
	for _, r := range records {
		if numbers[r.kind] == nil {
			numbers[r.kind] = map[int64]bool{}
		}
		numbers[r.kind][r.number] = true
		if r.kind != kindCut {
			continue
		}
		t, written := tables[r.table]
		age, there := t.ages[r.snapshot]
		held := kept[r.number] && t.tags[r.number] == r.snapshot
		if written && (!there || age > cutDepth && !held) {
			gone[r.number] = true
		}
	}
	old := map[string]map[int64]bool{
		kindFence: beyond(numbers[kindFence], keepFences), kindRewind: beyond(numbers[kindRewind], keepRewinds),
		kindCut: beyond(numbers[kindCut], keepCuts-1),
	}
	var out []record
	for _, r := range records {
		drop := old[r.kind][r.number]
		if r.kind == kindCut {
			drop = gone[r.number] || drop && !kept[r.number]
		}
		if drop {
			out = append(out, r)
		}
	}
	return out
}

// beyond gives all numbers but the newest ones.
func beyond(numbers map[int64]bool, keep int) map[int64]bool {
	sorted := make([]int64, 0, len(numbers))
	for n := range numbers {
		sorted = append(sorted, n)
	}
	slices.Sort(sorted)
	out := map[int64]bool{}
	for _, n := range sorted[:max(0, len(sorted)-keep)] {
		out[n] = true
	}
	return out
}

// anchors gives the cuts that are kept for longer: the first of each hour for a day, the first
// of each day for thirty.
func anchors(records []record, now time.Time) map[int64]bool {
	out := map[int64]bool{}
	for _, every := range []struct {
		span, age time.Duration
		most      int
	}{{hour, hourlyFor, keepHourly}, {day, dailyFor, keepDaily}} {
		first := map[int64]record{} // by the span that it is of
		for _, r := range records {
			span := r.recorded.UnixNano() / int64(every.span)
			if f, ok := first[span]; r.kind == kindCut && (!ok || r.number < f.number) {
				first[span] = r
			}
		}
		spans := make([]int64, 0, len(first))
		for span, r := range first {
			if now.Sub(r.recorded) <= every.age {
				spans = append(spans, span)
			}
		}
		slices.SortFunc(spans, func(a, b int64) int { return cmp.Compare(b, a) })
		for _, span := range spans[:min(len(spans), every.most)] {
			out[first[span].number] = true
		}
	}
	return out
}

// retag makes every table's tags those of the cuts that are kept for longer. A tag goes only
// when the cut's row is withdrawn. What cannot be tagged now, because somebody else moved the
// table, is tried again at the next cut.
func (p *Pipeline) retag(ctx context.Context, members []*member, records []record) error {
	kept := anchors(records, p.cfg.Tables.Now())
	wanted, there := map[string]map[int64]int64{}, map[int64]bool{}
	for _, r := range records {
		if r.kind != kindCut {
			continue
		}
		there[r.number] = true
		if kept[r.number] {
			if wanted[r.table] == nil {
				wanted[r.table] = map[int64]int64{}
			}
			wanted[r.table][r.number] = r.snapshot
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelTables)
	for _, m := range members {
		set, remove := tagChanges(m.table.Head(), wanted[m.Lake.String()], there)
		if len(set)+len(remove) > 0 {
			g.Go(func() error { return p.tag(ctx, m, set, remove) })
		}
	}
	return g.Wait()
}

// tagChanges says which tags a table lacks, and which are of cuts that are withdrawn.
func tagChanges(h *table.Head, wanted map[int64]int64, rows map[int64]bool) (set map[int64]int64, remove []int64) {
	tags := h.CutTags()
	set = map[int64]int64{}
	for cut, snapshot := range wanted {
		if tags[cut] == 0 && h.Retains(snapshot) && len(set) < tagsAtATime {
			set[cut] = snapshot
		}
	}
	for cut := range tags {
		if !rows[cut] && len(remove) < tagsAtATime {
			remove = append(remove, cut)
		}
	}
	slices.Sort(remove)
	return set, remove
}

// tag commits changes of a table's tags. Tags are worth one try and no wait, as commits stand
// still meanwhile: a catalog refuses a commit without a snapshot while its clock is behind the
// newest one. Whatever became of the try, the table's next commit does not rest on it.
func (p *Pipeline) tag(ctx context.Context, m *member, set map[int64]int64, remove []int64) error {
	was := m.table.Head()
	a, err := table.PrepareTags(was, set, remove)
	if err != nil {
		return err
	}
	h, err := table.Swap(ctx, p.cfg.Tables, a)
	if err != nil || !a.Landed(h) {
		now, loadErr := table.LoadAs(ctx, p.cfg.Tables, was)
		if permanent(loadErr) {
			return loadErr
		}
		if now == nil {
			p.cfg.Logger.Warn("tags of cuts are open", "table", m.Lake.String(), "err", errors.Join(err, loadErr))
			return nil
		}
		h = now
	}
	switch {
	case h.Fence > p.committer.fence:
		return fencedBy(h, p.committer.fence)
	case !h.SameShape(was):
		return fmt.Errorf("%s: %w", m.Lake, table.ErrForeignShape)
	case !a.Landed(h) || h.Snapshot != was.Snapshot:
		p.cfg.Logger.Warn("tags of cuts are to be set again", "table", m.Lake.String(), "err", err)
		return nil
	}
	if err := m.table.Retag(ctx, h); err != nil {
		p.cfg.Logger.Warn("old files left behind", "table", m.Lake.String(), "err", err)
	}
	return nil
}
