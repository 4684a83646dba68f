package model

// bounds are the limits within which every interleaving is visited.
type bounds struct {
	name   string
	tables uint8
	txns   uint8 // transactions of the source
	ids    uint8 // snapshots and attempts of one table, the first snapshot included
	fences uint8 // fence numbers: starts of a daemon and of an operator's command
	limit  faults
	reuse  bool // attempts add files that earlier attempts uploaded
	loose  bool // the catalog does not compare sequence numbers
	pinTag bool // requests assert the tag as well
}

// touched are the transactions that change rows of a table. The second one leaves the
// second table alone.
func (b *bounds) touched(table uint8) set {
	all := prefix(b.txns)
	if table == 1 {
		return all &^ (1 << 1)
	}
	return all
}

// everyTable is the set of all tables.
func (b *bounds) everyTable() set { return prefix(b.tables) }

// ablation is the one rule that is left out.
type ablation uint8

const (
	fullRule     ablation = iota
	noCAS                 // the request is rebased on whatever main is, again for each copy
	noRecheck             // after a conflict the batch goes to the new head, without a look at the position
	headOnly              // the position is read from main's own snapshot only
	propertyOnly          // the position is read from the table's property only
	noTag                 // no tag holds the snapshot with the position; where it has expired the property is believed
	noRollDetect          // the places where the Mark is repeated are not compared with main's history
	delUnknown            // an attempt that is not in the table is cleaned up
	gcAny                 // the collector deletes unreachable files of any fence
	earlyPublish          // a cut is published when one of its members is there
	noFence               // no fence is set on tables or asserted
	gtidAtBegin           // a transaction counts as delivered when it begins
	twoDVs                // a deletion vector is added beside the one that the file has
	reuseAny              // uploads of any earlier fence are reused
	gcDeadReuse           // a dead attempt of our own no longer protects the file it reused
	noSequence            // the catalog accepts a sequence number that is taken, and the tag is not asserted
)

// model is the system: what may happen next, and what must hold.
type model struct {
	bounds
	without ablation
	out     []successor
}

// successor is a state that one step leads to.
type successor struct {
	step   step
	state  state
	broken invariant // by the step itself
}

// initial is the state with all tables begun, and nothing running.
func (m *model) initial() state {
	var s state
	for t := range m.tables {
		tab := &s.tables[t]
		tab.history[0] = snapshot{parent: none, marked: true, live: single(0)}
		tab.known, tab.next = single(0), 1
	}
	return s
}

// expand gives everything that can happen in a state, in a fixed order. The slice is valid
// until the next call.
func (m *model) expand(s *state) []successor {
	m.out = m.out[:0]
	for i := range s.daemons {
		m.daemonSteps(s, i)
	}
	for i := range s.net {
		if s.net[i].copies > 0 {
			m.networkSteps(s, i)
		}
	}
	for t := range m.tables {
		m.compact(s, t)
		m.expire(s, t)
		m.rollBack(s, t)
	}
	m.rewind(s)
	return m.out
}

// emit adds a successor.
func (m *model) emit(st step, s state, broken invariant) {
	s.tidy()
	m.out = append(m.out, successor{st, s, broken})
}
