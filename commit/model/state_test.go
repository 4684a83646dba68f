package model

// The largest bounds that a state has room for.
const (
	maxTables = 2
	maxIDs    = 5 // snapshots and attempts of one table, the first snapshot included
	maxNet    = 2 // requests on their way
)

const none = 0xff // parent of the first snapshot; in no set

// set is a set of small numbers: transactions (then it is a position), tables, snapshots
// or files.
type set uint8

func (s set) has(i uint8) bool    { return s&(1<<i) != 0 }
func (s set) with(i uint8) set    { return s | 1<<i }
func (s set) contains(o set) bool { return o&^s == 0 }

// prefix is the set of the first n numbers.
func prefix(n uint8) set { return 1<<n - 1 }

// single is the set of one number.
func single(i uint8) set { return 1 << i }

// state is the whole system at one moment. It is a plain value: equal states are the same
// state.
type state struct {
	tables  [maxTables]table
	daemons [2]daemon // in the order of their fence numbers
	net     [maxNet]request
	control control
	spent   faults
}

// table is a table as its catalog and object store hold it. Snapshots, attempts and data
// files share one numbering: attempt i would become snapshot i and uploads file i.
type table struct {
	history  [maxIDs]snapshot
	attempts [maxIDs]attempt
	known    set   // snapshots in the metadata
	main     uint8 // branch
	tag      uint8 // cdcd_pos
	property mark  // the Mark's repetition
	fence    uint8 // branch cdcd_fence
	sequence uint8 // last sequence number
	next     uint8 // number of the next attempt
	landed   set   // files that some snapshot named once
	gone     set   // files that were deleted
	rolled   bool  // ghost: main was set back behind a Mark and no operator has decided
}

// mark is a position record together with the snapshot that carries it.
type mark struct {
	snapshot uint8
	position set
	line     uint8 // timeline
}

type snapshot struct {
	parent   uint8
	marked   bool // carries a Mark; of others position and line are ghosts
	position set
	line     uint8
	once     set   // ghost: transactions whose rows are in the snapshot
	twice    set   // ghost: those that are in it more than once
	live     set   // data files
	oldest   uint8 // the data file that every transaction changes a row of
	vectors  uint8 // deletion vectors of that file
}

// attempt is an Intent: what was uploaded, and the request that would make it a snapshot.
type attempt struct {
	fence    uint8 // of the daemon: the request asserts it and the file's name carries it
	file     uint8 // data file that it adds; 0: none
	base     uint8 // main, as the request asserts it
	tag      uint8 // as the request asserts it, where it does
	sequence uint8 // of the snapshot
	from     set   // position of base
	position set
	line     uint8
	rows     set   // transactions whose rows the file holds
	oldest   uint8 // data file that its deletion vector is for
	late     bool  // ghost: prepared after a rollback that no operator had decided on
}

// request is a commit on its way to the catalog, in so many copies.
type request struct{ copies, table, id uint8 }

// daemon is a process. All of it is lost in a crash.
type daemon struct {
	fence   uint8 // 0: it is not running
	line    uint8
	fenced  set // tables that it has set its fence on
	skipped set // transactions that its stream counts as delivered without their rows
	views   [maxTables]view
}

// view is what a daemon knows of a table.
type view struct {
	loaded   bool
	main     uint8
	tag      uint8 // where requests assert it
	position set
	sequence uint8
	attempt  uint8 // its outcome is not known; 0: there is none
	listed   set   // files that the collector has seen to be garbage
}

// control is the control table.
type control struct {
	fence    uint8 // the highest number that was given out
	line     uint8 // timeline
	operator uint8 // fence number of an unfinished rewind; 0: there is none
	cut      set   // the newest cut's position
	members  [maxTables]uint8
}

// faults counts what happens a bounded number of times.
type faults struct {
	crashes, duplicates, compactions, expiries, rollbacks, rewinds, collections uint8
}

func (t *table) head() *snapshot { return &t.history[t.main] }

// ancestors are the snapshots from main back to the first that the metadata lacks.
func (t *table) ancestors() set {
	var found set
	for id := t.main; t.known.has(id); id = t.history[id].parent {
		found = found.with(id)
	}
	return found
}

// reachable are the files that some snapshot in the metadata names.
func (t *table) reachable() set {
	var files set
	for id := range t.next {
		if t.known.has(id) {
			files |= t.history[id].live
		}
	}
	return files
}

// uploaded reports whether there is a file i with a name of our making.
func (t *table) uploaded(i uint8) bool { return t.attempts[i].file == i && t.attempts[i].fence != 0 }

// carry makes snapshot id the one that holds the position.
func (t *table) carry(id uint8) {
	s := &t.history[id]
	t.main, t.tag = id, id
	t.property = mark{id, s.position, s.line}
	t.known = t.known.with(id)
	t.sequence++
}

// sent reports whether a request is on its way.
func (s *state) sent(table, id uint8) bool {
	for _, r := range s.net {
		if r.copies > 0 && r.table == table && r.id == id {
			return true
		}
	}
	return false
}

// send puts a request on its way; it fails where the network is full.
func (s *state) send(table, id uint8) bool {
	for i := range s.net {
		if s.net[i].copies == 0 {
			s.net[i] = request{1, table, id}
			return true
		}
	}
	return false
}

// tidy orders what has no order, so that states that differ in nothing else are equal.
func (s *state) tidy() {
	if s.daemons[0].fence > s.daemons[1].fence {
		s.daemons[0], s.daemons[1] = s.daemons[1], s.daemons[0]
	}
	for i := range s.net {
		if s.net[i].copies == 0 {
			s.net[i] = request{}
		}
	}
	a, b := s.net[0], s.net[1]
	if a.copies == 0 || b.copies > 0 && (b.table < a.table || b.table == a.table && b.id < a.id) {
		s.net[0], s.net[1] = b, a
	}
}
