package commit

import (
	"fmt"
	"maps"
	"slices"

	"cdcd/capture"
)

// naming is a transaction that changes which table has a name.
type naming struct {
	name  string
	cause capture.Cause // Dropped: none has it; Replaced: another, empty one; else a new one
}

// rename adds a transaction that changes which table has a name.
func (s *fakeServer) rename(name string, cause capture.Cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.namings == nil {
		s.namings = map[int]naming{}
	}
	s.log = append(s.log, nil)
	s.visible = len(s.log)
	s.namings[len(s.log)] = naming{name, cause}
}

// named gives the newest of the first n transactions that changed which table has a name, and
// whether one has it.
func (s *fakeServer) named(name string, n int) (at int, there bool) {
	there = true
	for _, i := range slices.Sorted(maps.Keys(s.namings)) {
		if x := s.namings[i]; i <= n && x.name == name {
			at, there = i, x.cause != capture.Dropped
		}
	}
	return at, there
}

// renames has a table leave, or come into being, with the next transaction.
func (f *fakeStream) renames(seg *capture.Segment, g capture.GTID) {
	x, ok := f.server.namings[f.next+1]
	if !ok {
		return
	}
	n := capture.Name{Schema: "shop", Table: x.name}
	c, captured := f.tables[x.name]
	switch {
	case captured && c.Applied.Contains(g):
		return
	case captured:
		why := &capture.Stop{GTID: fmt.Sprint(f.next + 1), What: "RENAME TABLE", Table: n.String(), Alone: n, Cause: x.cause}
		delete(f.tables, x.name)
		seg.Left = append(seg.Left, capture.Departure{Table: n, Why: why, Before: f.at.Clone(), Newest: f.newest, Committed: seg.Committed})
	}
	if x.cause != capture.Dropped {
		seg.Created = append(seg.Created, n)
	}
}
