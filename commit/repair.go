package commit

import (
	"context"
	"fmt"

	"cdcd/capture"
	"cdcd/table"
)

// What Rewind and Adopt have in common: they change tables without following the source, in
// the place of a daemon.

// loadHeads loads the control table and the configured members, all of which must be there.
func (p *Pipeline) loadHeads(ctx context.Context) (map[*member]*table.Head, error) {
	heads := map[*member]*table.Head{}
	p.control = &member{Member: p.cfg.Control}
	p.control.Source, p.control.load.complete = controlSource(p.cfg.Control.Lake), true
	for _, m := range p.cfg.Members {
		p.members[capture.Name{Schema: m.Lake.Namespace, Table: m.Lake.Table}] = &member{Member: m}
	}
	for _, m := range p.tables() {
		h, err := table.LoadHead(ctx, p.cfg.Tables, m.Lake)
		if err == nil && h == nil {
			err = fmt.Errorf("%s: %w: there is no such table", m.Lake, ErrCannotRepair)
		}
		if err != nil {
			return nil, err
		}
		heads[m], m.former = h, h.Fence
	}
	return heads, nil
}

// nextEpoch numbers what is written: above every epoch and every cut that there was.
func nextEpoch(heads map[*member]*table.Head, records []record) int64 {
	n := int64(0)
	for _, h := range heads {
		n = max(n, h.Mark.Epoch)
	}
	for _, r := range records {
		if r.kind == kindCut {
			n = max(n, r.number)
		}
	}
	return n + 1
}

// writeRecords commits records to the control table, which is opened for it alone.
func (p *Pipeline) writeRecords(ctx context.Context, h *table.Head, at capture.Position, add, remove []record) error {
	if err := p.openTable(ctx, p.control, h, at); err != nil {
		return err
	}
	err := p.publish(ctx, p.epoch, at, add, remove)
	if closed := p.closeTables(err == nil); err == nil {
		err = closed
	}
	return err
}

// land commits what prepare makes of a table's head, again where the table has moved.
func (p *Pipeline) land(ctx context.Context, h *table.Head, prepare func(*table.Head) (*table.Attempt, error)) (*table.Head, error) {
	for range rebaseTries {
		a, err := prepare(h)
		if err != nil {
			return nil, err
		}
		now, what, err := settle(ctx, p.cfg.Tables, a, p.committer.fence)
		switch {
		case err != nil:
			return nil, err
		case what == landed:
			return now, nil
		case what == fenced:
			return nil, fencedBy(now, p.committer.fence)
		}
		h = now
	}
	return nil, fmt.Errorf("%s: the table does not come to rest", h.Name)
}
