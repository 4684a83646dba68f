package commit

import (
	"errors"
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
