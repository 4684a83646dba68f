package commit

import (
	"context"
	"fmt"
	"slices"

	"cdcd/table"
)

// Adopted is what an adoption does, or has done.
type Adopted struct {
	Table     string  `json:"table"`
	Trouble   string  `json:"trouble,omitempty"` // why the table needs it
	Snapshot  int64   `json:"snapshot"`          // of main
	Mark      int64   `json:"mark_snapshot"`     // whose position main gets
	Position  string  `json:"position"`
	Compared  bool    `json:"compared"` // by their rows
	Rows      int64   `json:"rows,omitempty"`
	Withdrawn []int64 `json:"withdrawn_cuts"`
	Done      bool    `json:"done"` // false: it was only planned, or there was nothing to do
}

// Adopt takes a table as somebody else has left it: main was set back, or its history was
// expired. It goes on from a position only where that is evident: main's own history shows it,
// or main's rows are, value by value, those of the snapshot that the tag keeps. cfg.Members are
// all tables of the pipeline in the lake; of them only the lake's names are needed.
func Adopt(ctx context.Context, cfg Config, name table.Name, dryRun bool) (*Adopted, error) {
	cfg.Tables.Repair = true
	p := newPipeline(cfg)
	heads, err := p.loadHeads(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := p.planAdoption(ctx, heads, name)
	if err != nil {
		return nil, err
	}
	out := plan.report()
	if dryRun || plan.head.Trouble == nil && plan.head.Marked() {
		return out, nil
	}
	if err := p.takeFence(ctx, heads); err != nil {
		return nil, err
	}
	if now := heads[plan.member]; now.Snapshot != plan.head.Snapshot {
		return nil, fmt.Errorf("%s: %w while it was looked at", name, table.ErrMoved)
	}
	plan.head = heads[plan.member]
	if err := p.carryAdoption(ctx, heads[p.control], plan); err != nil {
		return nil, err
	}
	out.Done = true
	return out, nil
}

// adoption is what an adoption does.
type adoption struct {
	member   *member
	head     *table.Head
	evidence table.Evidence
	timeline int64
	rows     int64 // that were compared
	withdraw []record
}

// planAdoption looks for evidence, and compares rows where it takes that.
func (p *Pipeline) planAdoption(ctx context.Context, heads map[*member]*table.Head, name table.Name) (*adoption, error) {
	plan := &adoption{}
	for m, h := range heads {
		if m.Lake == name {
			plan.member, plan.head = m, h
		}
	}
	if plan.member == nil || !plan.head.Begun() {
		return nil, fmt.Errorf("%w: the pipeline has no rows in a table %s", ErrCannotRepair, name)
	}
	if plan.member != p.control && heads[p.control].Trouble != nil {
		return nil, fmt.Errorf("%w: the control table comes first: %w", ErrCannotRepair, heads[p.control].Trouble)
	}
	records, err := readControl(ctx, heads[p.control])
	if err != nil {
		return nil, err
	}
	if plan.evidence, err = plan.head.Evidence(); err != nil {
		return nil, err
	}
	if err := plan.head.Restorable(plan.head.Snapshot); err != nil {
		return nil, err
	}
	if plan.evidence.Compare {
		if err := plan.compare(ctx); err != nil {
			return nil, err
		}
	}
	p.records, p.epoch = records, max(nextEpoch(heads, records), plan.evidence.Mark.Epoch+1)
	p.committer.timeline, _ = timelineOf(records, marksOf(heads, p.control))
	plan.timeline = plan.takenTimeline(records)
	plan.withdraw = p.stray(heads, plan)
	return plan, nil
}

// compare compares main with the snapshot that the tag keeps.
func (plan *adoption) compare(ctx context.Context) error {
	tagged := plan.evidence.Snapshot
	result, err := plan.head.CompareRows(ctx, plan.head.Snapshot, tagged)
	if err != nil {
		return err
	}
	plan.rows = result.Rows
	if result.Equal {
		return nil
	}
	return fmt.Errorf("%s: %w: main has %d rows, and the %d rows of snapshot %d, which our position is of, are others. What remains: set main back to snapshot %d, which needs no adoption, or drop the table from the lake, to be loaded again",
		plan.head.Name, table.ErrForeignRows, result.Rows, result.Other, tagged, tagged)
}

// takenTimeline is the timeline that the table goes on in. A position of an older timeline
// holds in a newer one as far as the newer ones began behind it; otherwise the table stays on
// the old one, and the rewind has to be made for it too.
func (plan *adoption) takenTimeline(records []record) int64 {
	mark := plan.evidence.Mark
	timeline := mark.Timeline
	for {
		next, ok := rewindTo(records, timeline+1)
		if !ok {
			return timeline
		}
		at, err := positionOf(next, mark.Position.Flavor())
		if err != nil || !at.Covers(mark.Position) {
			return timeline
		}
		timeline++
	}
}

// stray gives the records of cuts that name a snapshot which a table has left: it is gone, or
// is outside of main's history and behind the position that main has now.
func (p *Pipeline) stray(heads map[*member]*table.Head, plan *adoption) []record {
	gone := map[int64]bool{}
	for m, h := range heads {
		mark := h.Mark
		if m == plan.member {
			mark = plan.evidence.Mark
		} else if h.Trouble != nil || !h.Begun() {
			continue // its own adoption sees to it
		}
		for _, r := range p.records {
			if r.kind != kindCut || r.table != m.Lake.String() {
				continue
			}
			at, err := positionOf(r, mark.Position.Flavor())
			behind := err == nil && mark.Position.Covers(at)
			if !h.Retains(r.snapshot) || !h.InHistory(r.snapshot) && !behind {
				gone[r.number] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(p.records), func(r record) bool { return r.kind != kindCut || !gone[r.number] })
}

// carryAdoption withdraws what is not true any more and puts a Mark on main. The control table
// itself has to be in order first.
func (p *Pipeline) carryAdoption(ctx context.Context, control *table.Head, plan *adoption) error {
	mark := plan.evidence.Mark
	mark.Fence, mark.Epoch, mark.Timeline = p.committer.fence, p.epoch, plan.timeline
	withdraw := func() error {
		if len(plan.withdraw) == 0 {
			return nil
		}
		return p.writeRecords(ctx, control, mark.Position, nil, plan.withdraw)
	}
	if plan.member != p.control {
		if err := withdraw(); err != nil {
			return err
		}
		failpoint("adoption-begun")
	}
	h, err := p.land(ctx, plan.head, func(h *table.Head) (*table.Attempt, error) {
		if h.Snapshot != plan.head.Snapshot {
			return nil, fmt.Errorf("%s: %w while it was adopted", h.Name, table.ErrMoved)
		}
		return table.PrepareMark(ctx, p.cfg.Tables, h, mark)
	})
	if err != nil {
		return err
	}
	p.cfg.Logger.Info("adopted", "table", h.Name.String(), "position", mark.Position.String(), "snapshot_id", h.Snapshot)
	if plan.member == p.control {
		control = h
		return withdraw()
	}
	return nil
}

func (plan *adoption) report() *Adopted {
	out := &Adopted{
		Table: plan.head.Name.String(), Snapshot: plan.head.Snapshot, Mark: plan.evidence.Snapshot, Position: plan.evidence.Mark.Position.String(),
		Compared: plan.evidence.Compare, Rows: plan.rows, Withdrawn: numbersOf(plan.withdraw),
	}
	if plan.head.Trouble != nil {
		out.Trouble = plan.head.Trouble.Error()
	}
	return out
}
