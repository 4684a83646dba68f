package model

// readMark reads a table's position: the newest Mark in main's history. It is not ok where
// the tag or the property names a snapshot outside of that history: main was set back, or
// too much has expired to tell.
func (m *model) readMark(t *table) (at mark, ok bool) {
	ancestors := t.ancestors()
	found := false
	for id := t.main; ancestors.has(id) && !found; id = t.history[id].parent {
		if s := &t.history[id]; s.marked {
			at, found = mark{id, s.position, s.line}, true
		}
	}
	switch m.without {
	case propertyOnly:
		return t.property, true
	case headOnly:
		if !t.head().marked {
			return mark{line: t.head().line}, true
		}
		return at, found
	case noTag:
		if t.known.has(t.property.snapshot) && !ancestors.has(t.property.snapshot) {
			return at, false
		}
	case noRollDetect:
	default:
		return at, found && ancestors.has(t.tag) && ancestors.has(t.property.snapshot)
	}
	if !found {
		at = t.property
	}
	return at, true
}

// networkSteps are what can become of a request: it is lost, doubled, or arrives, sooner
// or later.
func (m *model) networkSteps(s *state, i int) {
	r := s.net[i]
	next := *s
	next.net[i] = request{}
	m.emit(step{action: isLost, table: r.table, id: r.id}, next, holds)
	if r.copies == 1 && s.spent.duplicates < m.limit.duplicates {
		next := *s
		next.spent.duplicates++
		next.net[i].copies = 2
		m.emit(step{action: isDoubled, table: r.table, id: r.id}, next, holds)
	}
	m.arrive(s, i)
}

// arrive has the catalog decide on a request.
func (m *model) arrive(s *state, i int) {
	r := s.net[i]
	next := *s
	next.net[i].copies--
	tab := &next.tables[r.table]
	a := &tab.attempts[r.id]
	st := step{action: m.verdict(tab, a, r.id), table: r.table, id: r.id, other: tab.main}
	if st.action != lands {
		m.emit(st, next, holds)
		return
	}
	if !waited(s, &r) {
		st.action = landsLate
	}
	id := r.id
	if tab.known.has(id) { // a library that rebases makes a new snapshot each time
		id = tab.next
		tab.next++
	}
	m.land(tab, a, id)
	m.emit(st, next, m.landing(&s.tables[r.table], tab, a, id, r.table))
}

// verdict is the catalog's: every assertion of the request must hold.
func (m *model) verdict(tab *table, a *attempt, id uint8) action {
	switch {
	case tab.fence != a.fence && m.without != noFence:
		return refusedByFence
	case m.without == noCAS: // rebased; libraries do look whether the file of a deletion vector is there
		if tab.known.has(id) && tab.next == m.ids || a.file != 0 && !tab.head().live.has(a.oldest) {
			return refusedByBase
		}
	case tab.main != a.base, tab.known.has(id):
		return refusedByBase
	case m.pinTag && tab.tag != a.tag:
		return refusedByTag
	case a.sequence <= tab.sequence && !m.loose && m.without != noSequence:
		return refusedBySequence
	}
	return lands
}

// waited reports whether the daemon that sent a request still waits for its outcome.
func waited(s *state, r *request) bool {
	return s.daemons[0].views[r.table].attempt == r.id || s.daemons[1].views[r.table].attempt == r.id
}

// land makes an attempt the snapshot id.
func (m *model) land(tab *table, a *attempt, id uint8) {
	s := *tab.head()
	s.parent, s.marked = tab.main, true
	s.position, s.line = a.position, a.line
	s.twice |= s.once & a.rows
	s.once |= a.rows
	if a.file != 0 {
		s.live = s.live.with(a.file)
		tab.landed = tab.landed.with(a.file)
		if m.without == twoDVs {
			s.vectors++
		} else {
			s.vectors = 1
		}
	}
	tab.history[id] = s
	tab.carry(id)
}
