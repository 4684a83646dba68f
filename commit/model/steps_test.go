package model

import (
	"fmt"
	"strings"
)

// action is a kind of step.
type action uint8

const (
	starts action = iota
	crashes
	fences
	takesOver
	isFenced
	breaks
	loads
	detects
	seesRewind
	sends
	marks
	reuses
	resends
	cleansUp
	lists
	deletes
	publishes
	isLost
	isDoubled
	lands
	landsLate
	refusedByBase
	refusedByFence
	refusedByTag
	refusedBySequence
	compacts
	expires
	rollsBack
	rewinds
	rewindsTable
	actions // how many there are
)

// texts describe the actions. %d: daemon, %t: table, %s: snapshot or attempt, %o: the other
// snapshot or fence, %p: position, %x: transactions, %f: files, %u: the file reused.
var texts = [actions]string{
	starts:            "daemon %d starts: it takes fence number %d",
	crashes:           "daemon %d crashes and loses all that it knew",
	fences:            "daemon %d sets its fence on table %t",
	takesOver:         "daemon %d takes table %t over from fence %o",
	isFenced:          "daemon %d finds a higher fence on table %t and ends",
	breaks:            "daemon %d loses its stream inside %x, whose rows it drops",
	loads:             "daemon %d loads table %t: snapshot %s at %p",
	detects:           "daemon %d cannot tell table %t's position (rolled back?) and ends",
	seesRewind:        "daemon %d finds table %t on another timeline and ends",
	sends:             "daemon %d sends %s on %o: rows of %x, position %p",
	marks:             "daemon %d sends %s on %o: a Mark alone, position %p",
	reuses:            "daemon %d sends %s on %o: rows of %x in the old file %u, position %p",
	resends:           "daemon %d sends %s again",
	cleansUp:          "daemon %d does not find %s in table %t and deletes its file",
	lists:             "daemon %d lists garbage of table %t: %f",
	deletes:           "daemon %d deletes %f of table %t",
	publishes:         "daemon %d publishes a cut at %p",
	isLost:            "the request for %s is lost",
	isDoubled:         "the request for %s is doubled on its way",
	lands:             "%s lands on %o",
	landsLate:         "%s lands on %o, and nobody waits for it any more",
	refusedByBase:     "%s is refused: main is %o",
	refusedByFence:    "%s is refused: the fence has moved",
	refusedByTag:      "%s is refused: the position tag has moved",
	refusedBySequence: "%s is refused: its sequence number is taken",
	compacts:          "another program compacts %o into %s",
	expires:           "another program expires %f of table %t",
	rollsBack:         "somebody sets table %t back to %s",
	rewinds:           "the operator begins to rewind to the cut %p, with fence number %d",
	rewindsTable:      "the rewind sets table %t to a copy of %o: %s",
}

// step is one thing that happened, with what a reader of the trace wants to know.
type step struct {
	action         action
	daemon         uint8 // its fence number
	table, id      uint8
	other          uint8 // snapshot, or fence
	file           uint8
	rows, position set
}

func (st step) String() string {
	table := string(rune('A' + st.table))
	other := fmt.Sprintf("%s%d", table, st.other)
	if st.action == takesOver {
		other = fmt.Sprint(st.other)
	}
	return strings.NewReplacer(
		"%d", fmt.Sprint(st.daemon), "%t", table, "%s", fmt.Sprintf("%s%d", table, st.id), "%o", other,
		"%p", st.position.format("x", 1), "%x", st.rows.format("x", 1), "%f", st.rows.format(table, 0),
		"%u", fmt.Sprintf("%s%d", table, st.file),
	).Replace(texts[st.action])
}

// format names a set's members, counting them from first.
func (s set) format(name string, first int) string {
	var names []string
	for i := range uint8(8) {
		if s.has(i) {
			names = append(names, fmt.Sprintf("%s%d", name, int(i)+first))
		}
	}
	return "{" + strings.Join(names, " ") + "}"
}
