//go:build integration

package integration

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestCutCheckerFindsDamage lets source and lake differ, and the source do what it never
// does, in each way that the checker of cuts is there for: it has to see it at the next cut.
func TestCutCheckerFindsDamage(t *testing.T) {
	s := ownServer(t, mysql97)
	const schema = "damage"
	workloadTables(t, s, schema)
	s.exec(t, "INSERT INTO damage.keyed VALUES (1, 5, 'x'), (2, 5, 'y')")
	p := newPipeline(t, s, schema+".*", settings{"pipeline": "damage"})
	p.start()
	r := startReplica(t, s)
	c := newCutChecker(t, p, p.uri(), schema, r)
	w := startWorkload(t, s, schema, uint64(time.Now().UnixNano()))
	w.busyFor(t, 100)
	w.stop(t)
	s.exec(t, "REPLACE INTO damage.keyed VALUES (1, 1 << 60, 'x'), (2, 1 << 60, 'y')")
	mustCheck(t, c, s, "", "")
	behind := func(statement, words string) {
		t.Helper()
		conn := r.conn(t)
		if _, err := conn.ExecContext(t.Context(), "SET SESSION sql_log_bin = 0; "+statement); err != nil {
			t.Fatal(err)
		}
		mustCheck(t, c, s, "", words)
	}
	log := func(statement, words string) {
		t.Helper()
		mustCheck(t, c, s, statement+"; ", words)
	}
	for name, x := range map[string]struct {
		change       func(statement, words string)
		damage, mend string
		words        string
	}{
		"a row that the source lacks":   {behind, "DELETE FROM damage.keyed WHERE id = 1", "INSERT INTO damage.keyed VALUES (1, 1 << 60, 'x')", "keyed: key 1: only in the lake"},
		"a row that the lake lacks":     {behind, "INSERT INTO damage.wide (id, version) VALUES (-7, 1)", "DELETE FROM damage.wide WHERE id = -7", "wide: key -7: missing in the lake"},
		"a row of an older state":       {behind, "UPDATE damage.keyed SET version = version + 1 WHERE id = 2", "UPDATE damage.keyed SET version = version - 1 WHERE id = 2", "keyed: key 2: other values in version"},
		"a value that differs":          {behind, "UPDATE damage.keyed SET note = 'X' WHERE id = 1", "UPDATE damage.keyed SET note = 'x' WHERE id = 1", "keyed: key 1: other values in note"},
		"money from nowhere":            {log, "UPDATE damage.there SET amount = amount + 1 WHERE id = 1", "UPDATE damage.there SET amount = amount - 1 WHERE id = 1", "the amounts add up to 300001, not to 300000"},
		"a version that goes backwards": {log, "UPDATE damage.keyed SET version = version - 1 WHERE id = 1", "UPDATE damage.keyed SET version = version + 1 WHERE id = 1", "keyed: key 1 went from version"},
	} {
		t.Run(name, func(t *testing.T) {
			x.change(x.damage, x.words)
			x.change(x.mend, "")
		})
	}
}

// mustCheck makes a change in one transaction, and checks the first cut that shows it: nothing may
// be found, or what words say.
func mustCheck(t *testing.T, c *cutChecker, s *server, change, words string) {
	t.Helper()
	s.exec(t, "BEGIN; "+change+"UPDATE damage.here SET version = version + 1 WHERE id = 1; COMMIT")
	want := s.executed(t)
	var found error
	eventually(t, time.Minute, "a cut is checked", func() error {
		before := c.last
		found = c.step(context.Background())
		_, passed, _ := c.state()
		if found == nil && (passed.Flavor() != want.Flavor() || !passed.Covers(want)) || c.last == before {
			return fmt.Errorf("the newest one is %d at %s (%v)", c.last, passed, found)
		}
		return nil
	})
	if words == "" && found != nil {
		t.Fatalf("found %v", found)
	}
	if words != "" {
		if found == nil {
			t.Fatalf("nothing was found, want %q", words)
		}
		wantWords(t, found.Error(), words)
	}
}
