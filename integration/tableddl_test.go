//go:build integration

package integration

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestTablesComeAndGo drops, replaces, renames and swaps tables: with the daemon at hand, and once
// more while it was killed. What the source has in the end is in the lake, and what is gone stays
// there as it was.
func TestTablesComeAndGo(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "tddl")
		s.schema(t, "tddl2")
		names := []string{"tddl.gone", "tddl.again", "tddl.swapa", "tddl.swapb", "tddl.moves", "tddl.stays", "tddl2.other", "tddl.replaced"}
		for i, name := range names {
			s.exec(t, "CREATE TABLE "+name+" (id INT PRIMARY KEY, n INT)")
			s.exec(t, fillOf(name, 20+i))
		}
		p := newPipeline(t, s, "tddl*.*", nil)
		p.start()
		p.reach()
		comeAndGo(t, s, "1")
		p.reachWhole()
		p.wantDropped(t, "tddl.gone", "tddl.moves", "tddl2.other")
		wantWords(t, p.run("resnapshot", "tddl.gone").err, "is gone from the source")
		wantWords(t, p.must("status").out, "dropped before", "DROP TABLE; its rows stay")
		wantWords(t, p.must("verify").out, "3 dropped")
		p.verifyExact(t)
		p.kill()
		s.exec(t, `CREATE TABLE tddl.gone (k VARCHAR(9) PRIMARY KEY); CREATE TABLE tddl.moves LIKE tddl.stays; CREATE TABLE IF NOT EXISTS tddl2.other LIKE tddl.stays;
			INSERT INTO tddl.gone VALUES ('new'); INSERT INTO tddl.moves VALUES (1, 100); DROP TABLE tddl.moved1, tddl2.away1`)
		comeAndGo(t, s, "2")
		p.start()
		p.reachWhole()
		p.wantDropped(t, "tddl.gone", "tddl.moves", "tddl2.other", "tddl.moved1", "tddl2.away1")
		p.verifyExact(t)
		p.kill()
		p.start()
		s.exec(t, "INSERT INTO tddl.stays VALUES (1000, 1)")
		p.reach()
		p.wantDropped(t, "tddl.gone", "tddl.moves", "tddl2.other", "tddl.moved1", "tddl2.away1")
		p.verifyExact(t)
		p.stop()
		p.fsck(t)
		p.oracle("duckdb").equal(t, "tddl.again", "tddl.swapa", "tddl.swapb", "tddl.stays", "tddl.moved2", "tddl2.away2", "tddl.replaced")
	})
}

// TestDroppedBeforeItBegan kills the daemon when it has created a table in the lake, and drops that of the
// source. The others are replicated, and so is one that has the name later.
func TestDroppedBeforeItBegan(t *testing.T) {
	s := sharedServer(t, mariadb118)
	s.schema(t, "began")
	s.exec(t, "CREATE TABLE began.a (id INT PRIMARY KEY, n INT); CREATE TABLE began.b LIKE began.a; INSERT INTO began.b VALUES (1, 1)")
	p := newPipeline(t, s, "began.*", nil)
	p.launch("CDCD_FAILPOINT=table-created=2") // the control table's is the first
	if code, err := p.daemon.exitCode(time.Minute); err != nil || code != -1 {
		t.Fatalf("exit %d, %v", code, err)
	}
	s.exec(t, "DROP TABLE began.a")
	p.start()
	p.reach()
	s.exec(t, "CREATE TABLE began.a (id INT PRIMARY KEY, n INT); INSERT INTO began.a VALUES (1, 1); INSERT INTO began.b VALUES (2, 2)")
	p.reachWhole()
	p.verifyExact(t)
}

// comeAndGo changes which tables have which names. Of some it makes others, with a number.
func comeAndGo(t *testing.T, s *server, number string) {
	t.Helper()
	s.exec(t, `USE tddl; DROP TABLE IF EXISTS gone, missing;
		INSERT INTO again VALUES (500, 1); DROP TABLE again; CREATE TABLE again (id BIGINT PRIMARY KEY, w VARCHAR(20)); INSERT INTO again VALUES (1, 'other'), (2, 'shape');
		UPDATE swapa SET n = n + 1 WHERE id = 1; RENAME TABLE swapa TO tmp, swapb TO swapa, tmp TO swapb; UPDATE swapa SET n = n + 1 WHERE id = 2;
		RENAME TABLE moves TO step, step TO moved`+number+`; INSERT INTO moved`+number+` VALUES (700, 7);
		ALTER TABLE tddl2.other RENAME TO tddl2.away`+number+`, ADD x INT DEFAULT 3; INSERT INTO tddl2.away`+number+` VALUES (700, 7, 7);
		INSERT INTO stays VALUES (60`+number+`, 1)`)
	if s.release == mariadb118 {
		s.exec(t, `USE tddl; CREATE OR REPLACE TABLE replaced (id INT PRIMARY KEY, n INT, x INT); INSERT INTO replaced VALUES (1, 2, 3);
			CREATE OR REPLACE TABLE replaced (PRIMARY KEY (id)) SELECT id, n FROM stays; UPDATE replaced SET n = -1 WHERE id = 3;
			CREATE TEMPORARY TABLE stays (id INT PRIMARY KEY); RENAME TABLE stays TO fleeting; DROP TEMPORARY TABLE fleeting`) // which it logs as that of a table
	}
}

// wantDropped checks which tables are not replicated any more, because the source dropped them, and
// that no other has left.
func (p *pipeline) wantDropped(t *testing.T, want ...string) {
	t.Helper()
	st, err := p.status()
	if err != nil {
		t.Fatal(err)
	}
	var dropped []string
	for _, x := range st.Tables {
		switch x.State {
		case "dropped":
			dropped = append(dropped, x.Source)
		case "quarantined":
			t.Errorf("%s is quarantined: %s", x.Source, x.Quarantine.Reason)
		}
	}
	slices.Sort(want)
	if !slices.Equal(dropped, want) {
		t.Errorf("dropped are %v, want %v", dropped, want)
	}
}

// reachWhole waits until the lake has everything that the source has executed by now, and all tables
// are loaded, those too whose names mean other tables since.
func (p *pipeline) reachWhole() {
	p.t.Helper()
	p.reach()
	eventually(p.t, time.Minute, "no table is quarantined", func() error {
		st, err := p.status()
		if err != nil {
			return err
		}
		for _, x := range st.Tables {
			if x.State == "quarantined" {
				return fmt.Errorf("%s is: %s", x.Source, x.Quarantine.Reason)
			}
		}
		return nil
	})
	p.reach()
}

// TestKeylessDropped drops a table before it is loaded, by itself and with its schema: that is told
// apart from what a person has to see to.
func TestKeylessDropped(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		for _, drop := range []string{"DROP TABLE keydrop.t", "DROP DATABASE keydrop"} {
			s.schema(t, "keydrop")
			s.exec(t, "CREATE TABLE keydrop.t (a INT)")
			infos, err := capture.Tables(t.Context(), s.db, func(n capture.Name) bool { return n.Schema == "keydrop" }, func(capture.Name) capture.Wish { return capture.Wish{ByRow: true} })
			if err != nil || len(infos) != 1 {
				t.Fatal(infos, err)
			}
			s.exec(t, drop)
			at := s.executed(t)
			r, err := capture.OpenReader(t.Context(), s.source("keydrop"), at.Flavor(), "", memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.ReadWhole(t.Context(), capture.Capture{Table: &infos[0].Table}, at)
			r.Close()
			var stop *capture.Stop
			if !errors.As(err, &stop) || stop.Cause != capture.Dropped {
				t.Errorf("%s: %v", drop, err)
			}
		}
	})
}
