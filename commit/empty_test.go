package commit

import (
	"testing"
)

// TestNoTablesYet starts a pipeline whose source has no table that is wanted, twice: it
// begins where the source is then, not at the beginning of the log.
func TestNoTablesYet(t *testing.T) {
	l := newLab(t, 4)
	l.server.add(change{"elsewhere", 1, value("x")})
	for range 2 {
		p := l.opened()
		if !p.start.Equal(l.server.end()) {
			t.Errorf("begins at %q, the source is at %q", p.start, l.server.end())
		}
		if err := p.closeTables(true); err != nil {
			t.Fatal(err)
		}
	}
}
