package model

// list has the collector see which files are garbage. They are deleted in a later step,
// with no second look at the table: the grace in between, and whatever happens in it, is
// any number of steps.
func (m *model) list(s *state, i int, t uint8) {
	v := &s.daemons[i].views[t]
	if !v.loaded || v.listed != 0 || s.spent.collections == m.limit.collections {
		return
	}
	next := *s
	next.spent.collections++
	listed := m.garbage(&s.tables[t], &s.daemons[i], v)
	if listed == 0 {
		return
	}
	next.daemons[i].views[t].listed = listed
	m.emit(step{action: lists, daemon: s.daemons[i].fence, table: t, rows: listed}, next, holds)
}

// garbage are the files with a name of our making that no snapshot names, if
//   - a snapshot named them once: they cannot come back; or
//   - none ever did, their name's fence is older than ours, and no attempt of ours names
//     them. One that is dead counts: main may be set back to its base.
func (m *model) garbage(tab *table, d *daemon, v *view) set {
	var files set
	reachable := tab.reachable()
	for i := uint8(1); i < tab.next; i++ {
		if !tab.uploaded(i) || tab.gone.has(i) || reachable.has(i) || m.needed(tab, d, v, i) {
			continue
		}
		if tab.landed.has(i) || tab.attempts[i].fence < d.fence || m.without == gcAny {
			files = files.with(i)
		}
	}
	return files
}

// needed reports whether an attempt of the daemon's own names a file.
func (m *model) needed(tab *table, d *daemon, v *view, file uint8) bool {
	for id := uint8(1); id < tab.next; id++ {
		a := &tab.attempts[id]
		if a.file != file || a.fence != d.fence || tab.landed.has(file) {
			continue
		}
		if v.attempt == id || m.without != gcDeadReuse && m.without != gcAny {
			return true
		}
	}
	return false
}

// remove deletes what was listed.
func (m *model) remove(s *state, i int, t uint8) {
	listed := s.daemons[i].views[t].listed
	if listed == 0 {
		return
	}
	next := *s
	d := &next.daemons[i]
	broken := deletion(s, d, t, listed)
	d.views[t].listed = 0
	next.tables[t].gone |= listed
	m.emit(step{action: deletes, daemon: d.fence, table: t, rows: listed}, next, broken)
}
