package model

// invariant is one of the rules that must hold in every state; doc.go states them.
type invariant uint8

const (
	holds invariant = 0 // none is broken
	i1    invariant = 1
	i2    invariant = 2
	i4    invariant = 4
	i5    invariant = 5
	i7    invariant = 7
	i8    invariant = 8
	i9    invariant = 9
	i11   invariant = 11
	i13   invariant = 13
	i19   invariant = 19
)

// landing checks a snapshot of ours that has just been added on before's main.
func (m *model) landing(before, after *table, a *attempt, id, t uint8) invariant {
	s, parent := &after.history[id], before.head()
	switch {
	case s.twice != 0:
		return i1
	case s.once != s.position&m.touched(t):
		return i2
	case s.vectors > 1 || a.file != 0 && !parent.live.has(a.oldest):
		return i13
	case s.line == parent.line && !s.position.contains(parent.position):
		return i4
	case a.from != parent.position:
		return i5
	case a.late:
		return i19
	}
	return holds
}

// deletion checks the files that a daemon is about to delete.
func deletion(s *state, d *daemon, t uint8, files set) invariant {
	tab := &s.tables[t]
	for _, r := range s.net {
		if r.copies == 0 || r.table != t {
			continue
		}
		if a := &tab.attempts[r.id]; a.fence == d.fence && a.file != 0 && files.has(a.file) && !tab.landed.has(a.file) {
			return i8
		}
	}
	return holds
}

// fenceGrew checks a table's fence after it was set.
func fenceGrew(before, after *table) invariant {
	if after.fence < before.fence {
		return i7
	}
	return holds
}

// cutHolds checks a cut that has just been published.
func (m *model) cutHolds(s *state) invariant {
	for t := range m.tables {
		named := &s.tables[t].history[s.control.members[t]]
		if named.twice != 0 || named.once != s.control.cut&m.touched(t) {
			return i11
		}
	}
	return holds
}

// check is for what a state shows by itself: no snapshot names a deleted file.
func (m *model) check(s *state) invariant {
	for t := range m.tables {
		if s.tables[t].reachable()&s.tables[t].gone != 0 {
			return i9
		}
	}
	return holds
}

// done is the goal: every transaction is in every table, and a cut says so.
func (m *model) done(s *state) bool {
	all := prefix(m.txns)
	for t := range m.tables {
		head := s.tables[t].head()
		if head.position != all || head.once != all&m.touched(t) {
			return false
		}
	}
	return s.control.cut == all
}
