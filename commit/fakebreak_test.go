package commit

import (
	"fmt"

	"cdcd/capture"
)

// breakNext has a table not follow the next transaction that is added.
func (s *fakeServer) breakNext(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.breaks == nil {
		s.breaks = map[int]string{}
	}
	s.breaks[len(s.log)+1] = name
}

// breaks has a table leave that cannot follow the next transaction.
func (f *fakeStream) breaks(seg *capture.Segment, g capture.GTID) {
	s := f.server
	name, ok := s.breaks[f.next+1]
	c, captured := f.tables[name]
	parts := len(s.log[f.next]) > partRows
	if !ok || !captured || c.Applied.Contains(g) || s.late && parts && f.part == 0 {
		return
	}
	delete(f.tables, name)
	seg.Left = append(seg.Left, capture.Departure{
		Table: c.Table.Name, Why: stopOf(c.Table.Name, f.next+1), Before: f.at.Clone(), Newest: f.newest, Committed: seg.Committed, Torn: f.part > 0,
	})
}

// stopOf is what a table cannot follow.
func stopOf(n capture.Name, transaction int) *capture.Stop {
	return &capture.Stop{GTID: fmt.Sprint(transaction), What: "DROP TABLE", Table: n.String(), Alone: n}
}

func (f *fakeStream) Forget(n capture.Name) { delete(f.tables, n.Table) }
