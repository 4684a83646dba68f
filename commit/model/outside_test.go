package model

// compact is another program's rewrite of a table: all rows in one new file, no Mark.
func (m *model) compact(s *state, t uint8) {
	head := s.tables[t].head()
	if s.spent.compactions == m.limit.compactions || s.tables[t].next == m.ids || head.vectors == 0 {
		return
	}
	next := *s
	next.spent.compactions++
	tab := &next.tables[t]
	id := tab.next
	tab.next++
	c := *head
	c.parent, c.marked = tab.main, false
	c.live, c.oldest, c.vectors = single(id), id, 0
	tab.history[id] = c
	tab.known, tab.main = tab.known.with(id), id
	tab.sequence++
	m.emit(step{action: compacts, table: t, id: id, other: c.parent}, next, holds)
}

// expire removes all snapshots from the metadata but main's newest and those that a tag
// holds.
func (m *model) expire(s *state, t uint8) {
	if s.spent.expiries == m.limit.expiries {
		return
	}
	tab := &s.tables[t]
	ancestors := tab.ancestors()
	var kept set
	for id := tab.main; ancestors.has(id); id = tab.history[id].parent {
		kept = kept.with(id)
		held := kept
		if m.without != noTag {
			held = held.with(tab.tag)
		}
		if held != tab.known {
			next := *s
			next.spent.expiries++
			next.tables[t].known = held
			m.emit(step{action: expires, table: t, rows: tab.known &^ held}, next, holds)
		}
	}
}

// rollBack sets main back to one of its ancestors.
func (m *model) rollBack(s *state, t uint8) {
	if s.spent.rollbacks == m.limit.rollbacks {
		return
	}
	ancestors := s.tables[t].ancestors()
	for id := range s.tables[t].next {
		if id == s.tables[t].main || !ancestors.has(id) {
			continue
		}
		next := *s
		next.spent.rollbacks++
		tab := &next.tables[t]
		tab.main = id
		tab.rolled = tab.rolled || !tab.ancestors().has(tab.property.snapshot)
		m.emit(step{action: rollsBack, table: t, id: id}, next, holds)
	}
}

// rewind is the operator's command that sets all tables back to the newest cut: a fence
// number and a new timeline from the control table, then table by table one commit. One
// that a daemon's start has overtaken goes on where it can, and may be begun again.
func (m *model) rewind(s *state) {
	unfinished := s.control.operator != 0
	if unfinished {
		for t := range m.tables {
			m.rewindTable(s, t)
		}
	}
	if s.control.cut == 0 || s.control.fence == m.fences || s.control.operator == s.control.fence || !m.cutRetained(s) {
		return
	}
	next := *s
	next.control.fence++
	next.control.operator = next.control.fence
	if !unfinished {
		if s.spent.rewinds == m.limit.rewinds {
			return
		}
		next.spent.rewinds++
		next.control.line++
	}
	m.emit(step{action: rewinds, daemon: next.control.fence, position: s.control.cut}, next, holds)
}

// cutRetained reports whether the newest cut can be gone back to.
func (m *model) cutRetained(s *state) bool {
	for t := range m.tables {
		tab := &s.tables[t]
		if !tab.known.has(s.control.members[t]) || tab.next == m.ids && tab.property.line == s.control.line {
			return false
		}
	}
	return true
}

// rewindTable puts a copy of the cut's snapshot, with a Mark of the new timeline, on main.
func (m *model) rewindTable(s *state, t uint8) {
	next := *s
	tab := &next.tables[t]
	target := next.control.members[t]
	if tab.property.line == next.control.line || tab.fence > next.control.operator || !tab.known.has(target) || tab.next == m.ids {
		return
	}
	id := tab.next
	tab.next++
	c := tab.history[target]
	c.parent, c.marked = target, true
	c.position, c.line = next.control.cut, next.control.line
	tab.history[id] = c
	tab.carry(id)
	tab.fence, tab.rolled = next.control.operator, false
	grew := fenceGrew(&s.tables[t], tab)
	if m.rewound(&next) {
		next.control.operator = 0
	}
	m.emit(step{action: rewindsTable, daemon: tab.fence, table: t, id: id, other: target}, next, grew)
}

// rewound reports whether every table is on the control table's timeline.
func (m *model) rewound(s *state) bool {
	for t := range m.tables {
		if s.tables[t].property.line != s.control.line {
			return false
		}
	}
	return true
}
