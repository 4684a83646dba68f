//go:build integration

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"cdcd/table"
	icetable "github.com/apache/iceberg-go/table"
)

// inspection is what the tests look at of cdcd inspect --json.
type inspection struct {
	Lease  struct{ Fresh, Released bool }
	Fences struct {
		Recorded, Control int64
		Agree             bool
	}
	Tables []struct {
		Table   string
		Agree   bool
		InDoubt int `json:"in_doubt"`
	}
	Cuts     []struct{ Retained bool }
	Problems []struct {
		Table, What, Repair string
		Human               bool
	}
}

// inspect runs cdcd inspect, which has to end with the given code.
func (p *pipeline) inspect(code int) inspection {
	p.t.Helper()
	f := p.run("inspect", "--json")
	if f.code != code {
		p.t.Fatalf("cdcd inspect ended with %d, want %d: %s%s", f.code, code, f.out, f.err)
	}
	var out inspection
	if err := json.Unmarshal([]byte(f.out), &out); err != nil {
		p.t.Fatal(err)
	}
	return out
}

// TestInspect looks at a pipeline whose daemon runs, was killed, and has ended, and at one of
// whose tables somebody has set one back.
func TestInspect(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "inspected")
	churnTables(t, s, "inspected", 500)
	p := newPipeline(t, s, "inspected.*", nil)
	wantWords(t, p.run("inspect").err, "there is no catalog yet")
	p.start()
	p.reach()
	c := startChurn(t, s, "inspected", 500, 7)
	c.busyFor(t, 20)
	for range 3 { // beside a daemon that commits
		if got := p.inspect(0); !got.Lease.Fresh || !got.Fences.Agree || got.Fences.Control != 1 || len(got.Tables) != 3 {
			t.Errorf("while it runs: %+v", got)
		}
	}
	eventually(t, time.Minute, "a cut is shown", func() error {
		if got := p.inspect(0); len(got.Cuts) == 0 || !got.Cuts[len(got.Cuts)-1].Retained {
			return fmt.Errorf("%+v", got.Cuts)
		}
		return nil
	})
	c.stop(t)
	p.reach()
	p.kill()
	if got := p.inspect(0); got.Lease.Released || !got.Fences.Agree {
		t.Errorf("after a kill: %+v", got)
	}
	p.start()
	p.reach()
	p.stop()
	got := p.inspect(0)
	if !got.Lease.Released || got.Fences.Control != 2 || got.Fences.Recorded != 2 {
		t.Errorf("after the end: %+v", got)
	}
	wantWords(t, p.must("inspect", "inspected.kv").out, "released", "2, on the control table and on all others", "\nok")
	p.setBack(t, table.Name{Namespace: "inspected", Table: "kv"})
	got = p.inspect(78)
	if len(got.Problems) != 1 || !got.Problems[0].Human || got.Problems[0].Repair != "cdcd adopt inspected.kv" || len(got.Tables) != 3 {
		t.Errorf("set back: %+v", got)
	}
	for _, x := range got.Tables {
		if x.Agree != (x.Table != "inspected.kv") {
			t.Errorf("set back: %+v", x)
		}
	}
	wantWords(t, p.run("inspect").out, "repair: cdcd adopt inspected.kv")
	if f := p.run("inspect", "inspected.none"); f.code != 75 {
		t.Errorf("no such table: exit %d: %s%s", f.code, f.out, f.err)
	}
}

// setBack puts main of a table back to its oldest snapshot, as another writer would: again where the
// daemon was faster.
func (p *pipeline) setBack(t *testing.T, n table.Name) {
	t.Helper()
	lake, err := table.OpenEmbedded("file://"+p.path("warehouse"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer lake.Close()
	ident := icetable.Identifier{n.Namespace, n.Table}
	const tries = 20
	for range tries {
		loaded, err := lake.LoadTable(t.Context(), ident)
		if err != nil {
			t.Fatal(err)
		}
		at := loaded.Metadata().CurrentSnapshot()
		for at.ParentSnapshotID != nil && loaded.Metadata().SnapshotByID(*at.ParentSnapshotID) != nil {
			at = loaded.Metadata().SnapshotByID(*at.ParentSnapshotID)
		}
		back := icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, at.SnapshotID, icetable.BranchRef, 0, 0, 0)
		_, _, err = lake.CommitTable(t.Context(), ident, nil, []icetable.Update{back})
		if err == nil {
			return
		}
		if !errors.Is(err, icetable.ErrCommitFailed) {
			t.Fatal(err)
		}
	}
	t.Fatalf("the daemon was faster %d times", tries)
}
