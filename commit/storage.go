package commit

import (
	"context"
	"fmt"
	"strings"

	"cdcd/table"
)

// arrange brings a table's partition spec and properties to what the configuration says, by a
// commit of its own: the only one that changes them. It comes behind the fence, and before the
// table is opened; from then on a spec that is another is somebody else's.
func (p *Pipeline) arrange(ctx context.Context, m *member, h *table.Head) (*table.Head, error) {
	before := h.Partitioning()
	for range rebaseTries {
		a, err := table.PrepareStorage(h, m.Storage)
		if err != nil {
			return nil, err
		}
		if a == nil {
			return h, nil
		}
		now, what, err := settle(ctx, p.cfg.Tables, a, p.committer.fence)
		switch {
		case err != nil:
			return nil, err
		case what == fenced:
			return nil, fencedBy(now, p.committer.fence)
		case what == landed:
			p.cfg.Logger.Info("the table is kept in another way from now on", "table", m.Lake.String(),
				"partition", strings.Join(now.Partitioning(), ", "), "before", strings.Join(before, ", "))
			return now, nil
		}
		h = now // maintenance has moved the table on
	}
	return nil, fmt.Errorf("%s: the table does not come to rest while its partition spec is changed", m.Lake)
}
