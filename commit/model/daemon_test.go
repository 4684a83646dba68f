package model

// daemonSteps are what the daemon in slot i can do.
func (m *model) daemonSteps(s *state, i int) {
	d := &s.daemons[i]
	if d.fence == 0 {
		if i == 0 { // free slots come first
			m.start(s)
		}
		return
	}
	if s.spent.crashes < m.limit.crashes {
		next := *s
		next.spent.crashes++
		next.daemons[i] = daemon{}
		m.emit(step{action: crashes, daemon: d.fence}, next, holds)
	}
	if d.fenced != m.everyTable() {
		for t := range m.tables {
			m.setFence(s, i, t)
		}
		return
	}
	if m.without == gtidAtBegin {
		m.breakStream(s, i)
	}
	for t := range m.tables {
		m.load(s, i, t)
		m.prepare(s, i, t)
		m.resend(s, i, t)
		m.list(s, i, t)
		m.remove(s, i, t)
	}
	m.publish(s, i)
}

// start begins a daemon: it takes the next fence number from the control table.
func (m *model) start(s *state) {
	if s.control.fence == m.fences {
		return
	}
	next := *s
	next.control.fence++
	d := daemon{fence: next.control.fence, line: next.control.line}
	if m.without == noFence {
		d.fenced = m.everyTable()
	}
	next.daemons[0] = d
	m.emit(step{action: starts, daemon: d.fence}, next, holds)
}

// setFence sets the daemon's fence on one table. No position is read before all have it.
func (m *model) setFence(s *state, i int, t uint8) {
	next := *s
	d, tab := &next.daemons[i], &next.tables[t]
	st := step{action: fences, daemon: d.fence, table: t, other: tab.fence}
	switch {
	case d.fenced.has(t):
		return
	case tab.fence > d.fence:
		st.action = isFenced
		*d = daemon{}
		m.emit(st, next, holds)
		return
	case tab.fence != 0:
		st.action = takesOver
	}
	tab.fence = d.fence
	d.fenced = d.fenced.with(t)
	m.emit(st, next, fenceGrew(&s.tables[t], tab))
}

// breakStream loses the connection inside the first transaction that a table lacks: its
// rows are dropped, and the stream goes on behind what counts as delivered. With the rule
// in force that is before the transaction, so that nothing changes.
func (m *model) breakStream(s *state, i int) {
	v := &s.daemons[i].views[0]
	if !v.loaded || v.position == prefix(m.txns) {
		return
	}
	next := *s
	x := uint8(0)
	for v.position.has(x) {
		x++
	}
	next.daemons[i].skipped = next.daemons[i].skipped.with(x)
	m.emit(step{action: breaks, daemon: s.daemons[i].fence, rows: single(x)}, next, holds)
}

// load reads a table, and with it the outcome of the attempt on it.
func (m *model) load(s *state, i int, t uint8) {
	next := *s
	d, tab := &next.daemons[i], &next.tables[t]
	st := step{action: loads, daemon: d.fence, table: t, id: tab.main}
	at, ok := m.readMark(tab)
	switch {
	case tab.fence > d.fence && m.without != noFence:
		st.action = isFenced
	case !ok:
		st.action = detects
	case at.line != d.line:
		st.action = seesRewind
	}
	if st.action != loads {
		*d = daemon{}
		m.emit(st, next, holds)
		return
	}
	st.position = at.position
	v := &d.views[t]
	v.loaded, v.main, v.position, v.sequence = true, tab.main, at.position, tab.sequence
	if m.pinTag {
		v.tag = tab.tag
	}
	m.settle(&next, i, t, st)
}

// settle decides what became of the attempt on a table that was just loaded: it is open
// while nothing that it asserts has changed; else it is done or dead.
func (m *model) settle(next *state, i int, t uint8, st step) {
	d, tab := &next.daemons[i], &next.tables[t]
	v := &d.views[t]
	a := &tab.attempts[v.attempt]
	open := v.attempt != 0 && tab.main == a.base && a.sequence == tab.sequence+1
	switch {
	case v.attempt == 0:
	case open && m.without == delUnknown && a.file != 0:
		st.action, st.id = cleansUp, v.attempt
		files := single(a.file)
		broken := deletion(next, d, t, files)
		tab.gone |= files
		v.attempt = 0
		m.emit(st, *next, broken)
		return
	case !open && m.without == noRecheck:
		m.resendOnHead(next, i, t)
		return
	case !open:
		v.attempt = 0
	}
	m.emit(st, *next, holds)
}

// resendOnHead is what must not be done after a conflict.
func (m *model) resendOnHead(next *state, i int, t uint8) {
	d, tab := &next.daemons[i], &next.tables[t]
	id := tab.next
	if id == m.ids || !next.send(t, id) {
		return
	}
	tab.next++
	a := tab.attempts[d.views[t].attempt]
	a.base, a.tag, a.sequence, a.oldest = tab.main, d.views[t].tag, tab.sequence+1, tab.head().oldest
	tab.attempts[id] = a
	d.views[t].attempt = id
	m.emit(step{action: sends, daemon: d.fence, table: t, id: id, other: a.base, rows: a.rows, position: a.position}, *next, holds)
}

// prepare makes an attempt on the snapshot that the daemon knows, and sends it: an epoch
// that ends behind any transaction, or a Mark alone.
func (m *model) prepare(s *state, i int, t uint8) {
	d, tab := &s.daemons[i], &s.tables[t]
	v := &d.views[t]
	if !v.loaded || v.attempt != 0 || tab.next == m.ids {
		return
	}
	for n := range m.txns + 1 {
		end := prefix(n)
		bare := end == v.position && tab.known.has(v.main) && !tab.history[v.main].marked
		if end.contains(v.position) && (end != v.position || bare) {
			m.prepareEnd(s, i, t, end)
		}
	}
}

func (m *model) prepareEnd(s *state, i int, t uint8, end set) {
	next := *s
	d, tab := &next.daemons[i], &next.tables[t]
	v := &d.views[t]
	id := tab.next
	if !next.send(t, id) {
		return
	}
	tab.next++
	v.attempt = id
	a := attempt{
		fence: d.fence, base: v.main, tag: v.tag, sequence: v.sequence + 1, line: d.line, from: v.position, position: end,
		rows: end &^ v.position & m.touched(t) &^ d.skipped, oldest: tab.history[v.main].oldest, late: tab.rolled,
	}
	st := step{action: sends, daemon: d.fence, table: t, id: id, other: a.base, rows: a.rows, position: end}
	if a.rows == 0 {
		st.action = marks
	} else {
		a.file = m.upload(tab, &a, id)
		if a.file != id {
			st.action, st.file = reuses, a.file
			v.listed &^= single(a.file) // the collector is another part of the same process
		}
	}
	tab.attempts[id] = a
	m.emit(st, next, holds)
}

// upload gives the file that holds an attempt's rows: one that an Intent of the fence
// before ours or of our own names, if it holds the same rows and never became part of the
// table, else a new one.
//
// Files of still earlier fences are not taken: a collector of the fence before ours that
// was paused may be about to delete them.
func (m *model) upload(tab *table, a *attempt, id uint8) uint8 {
	if !m.reuse {
		return id
	}
	for i := range id {
		was := &tab.attempts[i]
		near := was.fence+1 >= a.fence || m.without == reuseAny
		if tab.uploaded(i) && was.rows == a.rows && near && !tab.landed.has(i) && !tab.gone.has(i) {
			return i
		}
	}
	return id
}

// resend offers the attempt whose outcome is open once more, as it was.
func (m *model) resend(s *state, i int, t uint8) {
	d := &s.daemons[i]
	id := d.views[t].attempt
	if id == 0 || s.sent(t, id) {
		return
	}
	next := *s
	if next.send(t, id) {
		m.emit(step{action: resends, daemon: d.fence, table: t, id: id}, next, holds)
	}
}

// publish appends a cut to the control table, whose compare-and-swap asserts the fence.
func (m *model) publish(s *state, i int) {
	d := &s.daemons[i]
	if d.fence != s.control.fence {
		return
	}
	for n := uint8(1); n <= m.txns; n++ {
		at := prefix(n)
		if at == s.control.cut || !at.contains(s.control.cut) || !m.complete(d, at) {
			continue
		}
		next := *s
		next.control.cut = at
		for t := range m.tables {
			next.control.members[t] = d.views[t].main
		}
		m.emit(step{action: publishes, daemon: d.fence, position: at}, next, m.cutHolds(&next))
	}
}

// complete reports whether every member is exactly at a position.
func (m *model) complete(d *daemon, at set) bool {
	there := uint8(0)
	for t := range m.tables {
		if !d.views[t].loaded {
			return false
		}
		if d.views[t].position == at {
			there++
		}
	}
	return there == m.tables || there > 0 && m.without == earlyPublish
}
