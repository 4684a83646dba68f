package commit

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"cdcd/capture"
	"cdcd/table"
)

// StartOver has every table of a pipeline leave, for the source's log does not lead on from where
// they are, or not all of it can be followed. The next daemon begins where the source is then and
// loads them anew; readers see the rows of before until each is there. It gives the tables. Those
// that had left before, and those that have no rows yet, stay as they are.
//
// cfg.Members are all tables of the pipeline in the lake; of them only the lake's names are needed.
// Each table leaves in a commit of its own. After an error some may have: the same call does the rest.
func StartOver(ctx context.Context, cfg Config, why string) ([]table.Name, error) {
	p := newPipeline(cfg)
	heads, err := p.loadHeads(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.checkAhead(ctx, heads); err != nil {
		return nil, err
	}
	if err := p.takeFence(ctx, heads); err != nil {
		return nil, err
	}
	if err := p.readTimeline(ctx, heads); err != nil {
		return nil, err
	}
	p.epoch = nextEpoch(heads, p.records)
	var out []table.Name
	for _, h := range p.following(heads) {
		if err := p.leaveAsItIs(ctx, h, table.Quarantine{Kind: table.Cut, Reason: why, Since: cfg.Tables.Now().UTC()}); err != nil {
			return out, err
		}
		out = append(out, h.Name)
	}
	return out, nil
}

// following gives the tables, by name, that have a position and are to go on from it.
func (p *Pipeline) following(heads map[*member]*table.Head) (out []*table.Head) {
	for m, h := range heads {
		if m != p.control && h.Begun() && h.Quarantine == nil {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b *table.Head) int { return cmp.Compare(a.Name.String(), b.Name.String()) })
	return out
}

// checkAhead reports why the source cannot be begun with anew: positions only grow, so it has to have
// all that the lake has, and the same transactions.
func (p *Pipeline) checkAhead(ctx context.Context, heads map[*member]*table.Head) error {
	executed, err := p.cfg.Source.Executed(ctx)
	if err != nil {
		return err
	}
	var witnesses []capture.Witness
	for _, h := range heads {
		at := h.Mark.Position
		if !h.Begun() {
			continue
		}
		if at.Flavor() != executed.Flavor() {
			return fmt.Errorf("%w: %s is at a position of %s, and the source is %s", ErrCannotRepair, h.Name, at.Flavor(), executed.Flavor())
		}
		if !executed.Covers(at) {
			return fmt.Errorf("%w: the source lacks transactions that %s has: %s. Go back to a cut that it has (cdcd rewind), or load the tables as a new pipeline (pipeline, warehouse.location)",
				ErrCannotRepair, h.Name, executed.Missing(at))
		}
		if w := h.Mark.Last; !w.IsZero() {
			witnesses = append(witnesses, w)
		}
	}
	stream, err := p.cfg.Source.Stream(executed, witnesses, nil)
	if err != nil {
		return err
	}
	defer stream.Close()
	return stream.Connect(ctx)
}

// leaveAsItIs has a table leave where it is.
func (p *Pipeline) leaveAsItIs(ctx context.Context, h *table.Head, why table.Quarantine) error {
	h, err := p.land(ctx, h, func(h *table.Head) (*table.Attempt, error) {
		mark := h.Mark
		mark.Fence, mark.Epoch = p.committer.fence, p.epoch
		return table.PrepareLeave(ctx, p.cfg.Tables, h, mark, why)
	})
	if err == nil {
		p.cfg.Logger.Info("table waits to be loaded anew", "table", h.Name.String(), "position", h.Mark.Position.String())
	}
	return err
}
