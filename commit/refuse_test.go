package commit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cdcd/capture"
	"cdcd/table"
)

// TestNameTheCatalogRefuses creates a table on the source that no catalog takes: it is
// refused, and stops nothing.
func TestNameTheCatalogRefuses(t *testing.T) {
	l := newLab(t, 6, "a")
	l.mustRun()
	for _, name := range []string{"b/c", strings.Repeat("表", 64)} {
		l.server.tables[name] = fakeTable(name)
		l.server.add(change{"a", 1, value("x")})
		l.server.created[len(l.server.log)] = []capture.Name{{Schema: "shop", Table: name}}
	}
	l.churn(3)
	l.mustRun()
	l.check()
}

// TestShapeChangesBeforeTheBegin changes a source table while its lake table is there but
// has no snapshot: the log that tells of the change is not going to be read.
func TestShapeChangesBeforeTheBegin(t *testing.T) {
	l := newLab(t, 6, "a")
	l.server.add(change{"a", 1, value("x")})
	p := &Pipeline{cfg: l.cfg} // which ends when it has created the table
	if h, err := p.loadOrCreate(t.Context(), &member{Member: l.members()[0]}); err != nil || h.Begun() {
		t.Fatal(h, err)
	}
	l.server.tables["a"].Columns[1].Charset = "latin1"
	if err := l.run(t.Context()); !errors.Is(err, table.ErrOptionsChanged) {
		t.Errorf("got %v", err)
	}
	l.server.tables["a"].Columns[1].Charset = "utf8mb4"
	l.mustRun()
	l.check()
}

// TestRefusalsAreOfTheNewest shows of each name why it is refused now, if it is, and no more than so
// many.
func TestRefusalsAreOfTheNewest(t *testing.T) {
	p := &Pipeline{}
	name := func(n int) capture.Name { return capture.Name{Schema: "shop", Table: fmt.Sprint(n)} }
	for n := range mostRefused + 5 {
		p.refuse(name(n), errors.New("first"))
	}
	p.refuse(name(9), errors.New("second"))
	p.refuse(name(8), nil)
	if len(p.refused) != mostRefused-1 || p.refused[0].Table != name(5) || p.refused[len(p.refused)-1] != (Refusal{name(9), "second"}) {
		t.Errorf("%d, from %v to %v", len(p.refused), p.refused[0], p.refused[len(p.refused)-1])
	}
	if slices.ContainsFunc(p.refused, func(r Refusal) bool { return r.Table == name(8) }) {
		t.Error("it is refused still")
	}
}

// brokenSource loses the connection when it is first asked for a table.
type brokenSource struct {
	*fakeServer
	asked int
	stop  chan struct{} // closed when it fails; nil: nothing is
}

// Member fails once.
func (s *brokenSource) Member(ctx context.Context, n capture.Name) (Member, bool, error) {
	if s.asked++; s.asked == 1 {
		if s.stop != nil {
			close(s.stop)
		}
		return Member{}, false, errBroken
	}
	return s.fakeServer.Member(ctx, n)
}

// newTableLab is a lab of a table a, in whose log the next thing is that a table b came into being.
func newTableLab(t *testing.T) *lab {
	t.Helper()
	l := newLab(t, 6, "a")
	l.churn(3)
	l.mustRun()
	l.server.tables["b"] = fakeTable("b")
	l.server.add(change{"b", 1, value("x")})
	l.server.created[len(l.server.log)] = []capture.Name{{Schema: "shop", Table: "b"}}
	return l
}

// TestConnectionLostAtNewTable loses the connection to the source when a table came into being: that
// says nothing of the table. The next start has it.
func TestConnectionLostAtNewTable(t *testing.T) {
	l := newTableLab(t)
	l.cfg.Source = &brokenSource{fakeServer: l.server}
	if err := l.run(t.Context()); !errors.Is(err, errBroken) {
		t.Fatalf("got %v", err)
	}
	l.mustRun()
	l.names = append(l.names, "b")
	l.check()
}

// TestStoppedAtNewTable stops a pipeline while it asks the source for a table that came into being, as
// who stops it may close the connection. It ends well, and the next start has the table.
func TestStoppedAtNewTable(t *testing.T) {
	l := newTableLab(t)
	source := &brokenSource{fakeServer: l.server, stop: make(chan struct{})}
	l.cfg.Source = source
	if err := l.opened().Run(t.Context(), source.stop); err != nil || source.asked != 1 {
		t.Fatalf("asked %d times: %v", source.asked, err)
	}
	l.names = append(l.names, "b")
	l.mustRun()
	l.churn(3)
	l.mustRun()
	l.check()
	l.mem.AssertSize(t, 0)
}

// TestLeavesFor: of a table that cannot be loaded one setting decides, and of one that was dropped before
// another.
func TestLeavesFor(t *testing.T) {
	for _, on := range []bool{false, true} {
		p := &Pipeline{cfg: Config{Quarantine: on, LeaveDropped: !on}}
		if got := p.leavesFor(&capture.Stop{Cause: capture.Unsupported}); got != on {
			t.Errorf("quarantine %v: it leaves: %v", on, got)
		}
		if got := p.leavesFor(fmt.Errorf("load: %w", &capture.Stop{Cause: capture.Dropped})); got == on {
			t.Errorf("dropped, quarantine %v: it leaves: %v", on, got)
		}
	}
}
