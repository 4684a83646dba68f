package commit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// ErrCannotRepair reports that a rewind or an adoption is not possible as it was asked for.
// Nothing was changed.
var ErrCannotRepair = errors.New("this cannot be done")

// What a rewind does with a table.
const (
	RewindBack  = "back"  // it goes back to its snapshot of the cut
	RewindKeep  = "keep"  // it is not in the cut and stays as it is, on the new timeline
	RewindDone  = "done"  // it is on the new timeline already
	RewindBegin = "begin" // it has no snapshot yet
)

// Rewound is what a rewind does, or has done.
type Rewound struct {
	Cut       int64          `json:"cut"`
	Position  string         `json:"position"`
	Timeline  int64          `json:"timeline"` // that begins
	Resumed   bool           `json:"resumed"`  // an earlier one is finished
	Tables    []RewoundTable `json:"tables"`
	Withdrawn []int64        `json:"withdrawn_cuts"`
	Done      bool           `json:"done"` // false: it was only planned
}

// RewoundTable is a table's part in a rewind.
type RewoundTable struct {
	Table  string `json:"table"`
	Action string `json:"action"`
	From   int64  `json:"from_snapshot"`
	To     int64  `json:"to_snapshot,omitempty"` // whose content it gets
}

// Rewind sets all tables back to a cut, on a new timeline; the daemon then applies the
// source's log again from there. cfg.Members are all tables of the pipeline in the lake; of
// them only the lake's names are needed. Nothing is changed where something is in the way.
//
// The record in the control table comes first. From then on the rewind can only go forward:
// a daemon refuses to start until the same call has moved every table.
func Rewind(ctx context.Context, cfg Config, cut int64, dryRun bool) (*Rewound, error) {
	p := newPipeline(cfg)
	heads, err := p.loadHeads(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := p.planRewind(ctx, heads, cut)
	if err != nil {
		return nil, err
	}
	if err := p.checkSource(ctx, plan); err != nil || dryRun {
		return plan.report(), err
	}
	if err := p.takeFence(ctx, heads); err != nil {
		return nil, err
	}
	// Only now does nobody else move a table.
	if plan, err = p.planRewind(ctx, heads, cut); err != nil {
		return nil, err
	}
	if err := p.carryOut(ctx, plan); err != nil {
		return nil, err
	}
	out := plan.report()
	out.Done = true
	return out, nil
}

// rewindPlan says what a rewind does.
type rewindPlan struct {
	cut       int64
	timeline  int64
	position  capture.Position
	committed time.Time
	resumed   bool
	control   *table.Head
	parts     []rewindPart // by name
	withdraw  []record
}

// rewindPart is one table's part.
type rewindPart struct {
	head     *table.Head
	action   string
	snapshot int64 // of the cut
}

// planRewind reads the control table and plans.
func (p *Pipeline) planRewind(ctx context.Context, heads map[*member]*table.Head, cut int64) (*rewindPlan, error) {
	records, err := readControl(ctx, heads[p.control])
	if err != nil {
		return nil, err
	}
	p.records, p.epoch = records, nextEpoch(heads, records)
	plan := &rewindPlan{cut: cut, control: heads[p.control]}
	timeline, behind := timelineOf(records, marksOf(heads, p.control))
	plan.timeline, plan.resumed = timeline+1, behind != ""
	if plan.resumed {
		plan.timeline = timeline
		if r, ok := rewindTo(records, timeline); ok && r.snapshot != cut {
			return nil, fmt.Errorf("%w: %w: %s is not on timeline %d yet; finish it with: %s", ErrCannotRepair, ErrUnfinishedRewind, behind, timeline, finishCommand(records, timeline))
		}
	}
	snapshots, err := plan.readCut(records, heads)
	if err != nil {
		return nil, err
	}
	for m, h := range heads {
		if m == p.control {
			continue
		}
		part, err := plan.part(h, snapshots[m.Lake.String()])
		if err != nil {
			return nil, err
		}
		plan.parts = append(plan.parts, part)
		delete(snapshots, m.Lake.String())
	}
	for name := range snapshots {
		return nil, fmt.Errorf("%w: cut %d has the table %s, which is gone", ErrCannotRepair, cut, name)
	}
	slices.SortFunc(plan.parts, func(a, b rewindPart) int { return cmp.Compare(a.head.Name.String(), b.head.Name.String()) })
	return plan, nil
}

// readCut finds the cut's rows, and the cuts after it, and gives the cut's snapshots.
func (plan *rewindPlan) readCut(records []record, heads map[*member]*table.Head) (map[string]int64, error) {
	snapshots, position := map[string]int64{}, ""
	for _, r := range records {
		switch {
		case r.kind == kindCut && r.number == plan.cut:
			snapshots[r.table], position, plan.committed = r.snapshot, r.position, r.sourceTime
		case r.kind == kindCut && r.number > plan.cut:
			plan.withdraw = append(plan.withdraw, r)
		}
	}
	if len(snapshots) == 0 {
		return nil, fmt.Errorf("%w: there is no cut %d (cdcd inspect lists the cuts)", ErrCannotRepair, plan.cut)
	}
	flavor := capture.MySQL
	for _, h := range heads {
		if h.Begun() {
			flavor = h.Mark.Position.Flavor()
		}
	}
	var err error
	plan.position, err = capture.ParsePosition(flavor, position)
	return snapshots, err
}

// part plans for one table. A table that is not in the cut was loaded later, or was being
// loaded. It need not go back: the daemon gives it only what its own position lacks. That holds
// as long as the server has all of that position, which checkSource asks.
func (plan *rewindPlan) part(h *table.Head, snapshot int64) (rewindPart, error) {
	part := rewindPart{head: h, snapshot: snapshot}
	switch {
	case !h.Begun():
		part.action = RewindBegin
	case h.Mark.Timeline == plan.timeline:
		part.action = RewindDone
	case snapshot == 0:
		part.action = RewindKeep
	default:
		part.action = RewindBack
		if err := h.Restorable(snapshot); err != nil {
			return part, fmt.Errorf("%w: cut %d: %w (cdcd inspect says which cuts are retained)", ErrCannotRepair, plan.cut, err)
		}
	}
	return part, nil
}

// last is the Witness of what a table has when the rewind is done.
func (plan *rewindPlan) last(part rewindPart) capture.Witness {
	if part.action != RewindBack {
		return part.head.Mark.Last
	}
	m, ok := part.head.MarkOf(part.snapshot)
	if !ok || m.Last.IsZero() || !plan.position.Contains(m.Last.GTID) {
		return capture.Witness{}
	}
	return m.Last
}

// checkSource makes sure that the source's log goes on from the cut, and that the server has
// what the tables that stay have.
func (p *Pipeline) checkSource(ctx context.Context, plan *rewindPlan) error {
	var witnesses []capture.Witness
	for _, part := range plan.parts {
		if w := plan.last(part); !w.IsZero() {
			witnesses = append(witnesses, w)
		}
	}
	stream, err := p.cfg.Source.Stream(plan.position, witnesses, nil)
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := stream.Connect(ctx); err != nil {
		return fmt.Errorf("cut %d is at %s: %w: choose a cut that the log goes on from", plan.cut, plan.position, err)
	}
	executed, err := p.cfg.Source.Executed(ctx)
	if err != nil {
		return err
	}
	for _, part := range plan.parts {
		if at := part.head.Mark.Position; part.action == RewindKeep && !executed.Covers(at) {
			return fmt.Errorf("%w: %s is not in cut %d, and the server has lost transactions that the table has: %s. Drop it from the lake, to be loaded again, and repeat the rewind",
				ErrCannotRepair, part.head.Name, plan.cut, executed.Missing(at))
		}
	}
	return nil
}

// carryOut makes the rewind. It may be cut off anywhere and be made again.
func (p *Pipeline) carryOut(ctx context.Context, plan *rewindPlan) error {
	p.committer.timeline = plan.timeline
	if _, recorded := rewindTo(p.records, plan.timeline); !recorded || len(plan.withdraw) > 0 {
		owner, err := ownerName()
		if err != nil {
			return err
		}
		own := record{
			kind: kindRewind, number: plan.timeline, snapshot: plan.cut, position: plan.position.String(), timeline: plan.timeline,
			sourceTime: plan.committed, recorded: p.cfg.Tables.Now(), owner: owner,
		}
		if err := p.writeRecords(ctx, plan.control, plan.position, []record{own}, plan.withdraw); err != nil {
			return err
		}
		p.cfg.Logger.Info("rewind begun", "cut", plan.cut, "timeline", plan.timeline, "position", plan.position.String(), "cuts_withdrawn", len(numbersOf(plan.withdraw)))
	}
	failpoint("rewind-begun")
	for i, part := range plan.parts {
		if part.action == RewindBack || part.action == RewindKeep {
			if err := p.rewindTable(ctx, plan, part); err != nil {
				return err
			}
			failpoint("table-rewound")
		}
		p.cfg.Logger.Info("table", "table", part.head.Name.String(), "action", part.action, "number", i+1, "of", len(plan.parts))
	}
	return nil
}

// rewindTable moves one table to the new timeline. The tags of withdrawn cuts go with it.
func (p *Pipeline) rewindTable(ctx context.Context, plan *rewindPlan, part rewindPart) error {
	mark := table.Mark{
		Pipeline: p.cfg.Pipeline, Timeline: plan.timeline, Fence: p.committer.fence, Epoch: p.epoch,
		Position: plan.position, Committed: plan.committed, Last: plan.last(part), Load: table.Load{Complete: true}, // as of every table in a cut
	}
	if part.action == RewindKeep {
		was := part.head.Mark
		mark.Position, mark.Committed, mark.Load = was.Position, was.Committed, was.Load
	}
	_, err := p.land(ctx, part.head, func(h *table.Head) (*table.Attempt, error) {
		if part.action == RewindKeep {
			return table.PrepareMark(ctx, p.cfg.Tables, h, mark)
		}
		var tags []int64
		for cut := range h.CutTags() {
			if cut > plan.cut {
				tags = append(tags, cut)
			}
		}
		return table.PrepareReturn(ctx, p.cfg.Tables, h, part.snapshot, mark, tags)
	})
	return err
}

func (plan *rewindPlan) report() *Rewound {
	out := &Rewound{
		Cut: plan.cut, Position: plan.position.String(), Timeline: plan.timeline, Resumed: plan.resumed,
		Tables: []RewoundTable{}, Withdrawn: numbersOf(plan.withdraw),
	}
	for _, part := range plan.parts {
		out.Tables = append(out.Tables, RewoundTable{part.head.Name.String(), part.action, part.head.Snapshot, part.snapshot})
	}
	return out
}

// numbersOf gives the numbers of records, each once.
func numbersOf(records []record) []int64 {
	out := []int64{}
	for _, r := range records {
		out = append(out, r.number)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
