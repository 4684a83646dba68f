package commit

import (
	"testing"

	"cdcd/capture"
	"cdcd/table"
)

// checkLeft checks that a table stays as it was before a transaction that took its name.
func (l *lab) checkLeft(name, kind string, n int) {
	l.t.Helper()
	h := l.head(name)
	if h.Quarantine == nil || h.Quarantine.Kind != kind || l.count(h.Mark.Position) != n-1 {
		l.t.Fatalf("%s is at %d, with %+v", name, l.count(h.Mark.Position), h.Quarantine)
	}
}

// TestNamesThatAreLost has the names of tables mean others, or none, and tables get the names again.
// A table leaves and is asked for again in one segment, which may have to wait for its place.
func TestNamesThatAreLost(t *testing.T) {
	for seed := range uint64(8) {
		l := newLab(t, seed, "a", "b", "c")
		l.cfg.MaxRows = 10
		l.churn(5)
		l.mustRun()
		fill := func() { // so that a segment with what follows has no room in the epoch
			for i := range int64(16) {
				l.server.add(change{"c", 2 * i, value("x%d", i)}, change{"c", 2*i + 1, value("y%d", i)}, change{"a", i, value("z%d", i)})
			}
		}
		fill()
		l.server.rename("a", capture.Replaced)
		a := len(l.server.log)
		fill()
		l.server.rename("b", capture.Dropped)
		b := len(l.server.log)
		l.churnTables(9, "a", "c")
		l.mustRun()
		l.checkLeft("a", table.Replaced, a)
		l.checkLeft("b", table.Dropped, b)
		l.mustRun()
		l.server.rename("b", capture.Unsupported) // a new table
		l.churn(3)
		l.mustRun()
		l.checkLeft("a", table.Replaced, a)
		l.checkLeft("b", table.Dropped, b)
		l.checkHistory()
		l.checkCuts()
		l.without("a", "b")
		l.check()
		l.mem.AssertSize(t, 0)
	}
}
