package commit

import (
	"fmt"
	"testing"

	"cdcd/capture"
	"cdcd/table"
)

// brokenAt gives the transaction that a table cannot follow, 0 for none.
func (w *world) brokenAt(name string) int {
	for n, t := range w.server.breaks {
		if t == name {
			return n
		}
	}
	return 0
}

// membersAt gives how many tables a cut at a position may have. From where a table has left it
// is without it; before, it may be.
func (w *world) membersAt(position string) (most, least int) {
	most, least = len(w.names), len(w.names)
	n := w.brokenAt(w.names[0])
	if n == 0 && !w.plan.renews {
		return most, least
	}
	if least--; w.plan.renews {
		return most, least
	}
	p, err := capture.ParsePosition(capture.MySQL, position)
	if at, ok := w.count(p); err == nil && ok && at >= n {
		most--
	}
	return most, least
}

// asItWas checks that a table has left before a transaction.
func (r *reader) asItWas(h *table.Head, n int) error {
	if h.Quarantine == nil {
		return violation{"I2", fmt.Sprintf("%s cannot follow %d and is not quarantined", h.Name, n)}
	}
	if at, ok := r.w.count(h.Mark.Position); !ok || at != n-1 {
		return violation{"I2", fmt.Sprintf("%s is at %s, and left before %d", h.Name, h.Mark.Position, n)}
	}
	return nil
}

// quarantineSchedules is how many schedules of each kind TestQuarantineSchedules plays, unless all
// are asked for.
const quarantineSchedules = 70

// TestQuarantineSchedules plays schedules of one fault in which a table leaves.
func TestQuarantineSchedules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		playKinds(t, min(*schedulesFlag, quarantineSchedules), enumerate,
			schedule{tables: 1, seed: 1, begun: true, breaks: true}, schedule{tables: 1, seed: 1, breaks: true}, schedule{tables: 2, seed: 1, begun: true, breaks: true})
	})
}
