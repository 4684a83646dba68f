//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"cdcd/table"
)

// rewound is what the tests look at of cdcd rewind --json.
type rewound struct {
	Timeline      int64
	Resumed, Done bool
	Tables        []struct{ Table, Action string }
	Withdrawn     []int64 `json:"withdrawn_cuts"`
}

func (p *pipeline) rewind(args ...string) rewound {
	p.t.Helper()
	var out rewound
	if err := json.Unmarshal([]byte(p.must(append([]string{"rewind", "--json"}, args...)...).out), &out); err != nil {
		p.t.Fatal(err)
	}
	return out
}

// cuts gives the numbers of the cuts that are retained.
func (p *pipeline) cuts() []int64 {
	p.t.Helper()
	var out struct {
		Cuts []struct {
			Number   int64
			Retained bool
		}
	}
	if err := json.Unmarshal([]byte(p.must("inspect", "--json").out), &out); err != nil {
		p.t.Fatal(err)
	}
	var numbers []int64
	for _, c := range out.Cuts {
		if c.Retained {
			numbers = append(numbers, c.Number)
		}
	}
	return numbers
}

// TestRewind goes back to older cuts while the source goes on, is killed in the middle of it,
// and is finished; then the daemon catches up, and an independent reader finds the source's
// rows, and all money at every cut that is left.
func TestRewind(t *testing.T) {
	s := sharedServer(t, mysql97)
	stop := startBank(t, s)
	p := newPipeline(t, s, "bank.*", settings{"pipeline": "bank"})
	p.start()
	p.waitForCuts(8)
	if f := p.run("rewind", "--to-cut", "1"); f.code != 75 {
		t.Fatalf("beside a daemon: exit %d: %s%s", f.code, f.out, f.err)
	}
	p.stop()
	p.set(settings{"commit.interval": "2s"}) // few commits, so that the cut is not out of date before the last time
	cuts := p.cuts()
	behind := min(5, len(cuts)-1) // the busier the tables, the fewer are retained
	if behind < 2 {
		t.Fatalf("%d cuts are retained", len(cuts))
	}
	cut := fmt.Sprint(cuts[len(cuts)-1-behind])
	if plan := p.rewind("--to-cut", cut, "--dry-run"); plan.Done || len(plan.Withdrawn) != behind || len(plan.Tables) != 3 {
		t.Errorf("%+v", plan)
	}
	if f := p.run("rewind", "--to-cut", "999999"); f.code != 78 {
		t.Errorf("no such cut: exit %d: %s%s", f.code, f.out, f.err)
	}
	for timeline, failpoint := range []string{"rewind-begun", "table-rewound", ""} {
		if failpoint != "" {
			p.killedAt(failpoint, "rewind", "--to-cut", cut)
			p.launch()
			p.wantExit(78, "cdcd rewind --to-cut "+cut)
		}
		got := p.rewind("--to-cut", cut)
		if !got.Done || got.Resumed != (failpoint != "") || got.Timeline != int64(timeline+2) {
			t.Errorf("killed at %q: %+v", failpoint, got)
		}
		p.start()
		p.reach()
		p.stop()
		p.fsck(t)
	}
	stop()
	p.catchUp()
	p.verify()
	checkCuts(t, startEngine(t, "duckdb", p.uri()), map[string]bool{})
	p.oracle("duckdb").equal(t, "bank.here", "bank.there", "bank.abroad")
}

// waitForCuts waits until the daemon has published so many cuts.
func (p *pipeline) waitForCuts(n int) {
	p.t.Helper()
	eventually(p.t, 2*time.Minute, "cuts are published", func() error {
		if got := len(p.cuts()); got < n {
			return fmt.Errorf("%d of %d", got, n)
		}
		return nil
	})
}

// killedAt runs a command that is killed at a failpoint.
func (p *pipeline) killedAt(failpoint string, args ...string) {
	p.t.Helper()
	log := p.path("failpoint")
	c, err := startProcess(p.command([]string{"CDCD_FAILPOINT=" + failpoint + "=1", "CDCD_FAILPOINT_LOG=" + log}, args...))
	if err != nil {
		p.t.Fatal(err)
	}
	if code, err := c.exitCode(2 * time.Minute); err != nil || code != -1 {
		p.t.Fatalf("failpoint %s: exit %d, %v: %s", failpoint, code, err, lastLines(c.output.String(), 10))
	}
	if err := os.Remove(log); err != nil {
		p.t.Fatalf("failpoint %s was not hit: %v", failpoint, err)
	}
}

// TestAdopt sets a table back as another program would, while the source goes on. The daemon
// stops and names the command; after it nothing is missing.
func TestAdopt(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "adopted")
	churnTables(t, s, "adopted", 500)
	p := newPipeline(t, s, "adopted.*", nil)
	p.start()
	c := startChurn(t, s, "adopted", 500, 11)
	for round := range 2 {
		p.waitForCuts(3)
		c.busyFor(t, 20)
		p.setBack(t, table.Name{Namespace: "adopted", Table: "kv"})
		p.wantExit(78, "cdcd adopt adopted.kv")
		if f := p.run("adopt", "adopted.none"); f.code != 78 {
			t.Errorf("no such table: exit %d: %s%s", f.code, f.out, f.err)
		}
		wantWords(t, p.must("adopt", "adopted.kv", "--dry-run").out, "nothing was changed")
		if round == 0 {
			p.killedAt("adoption-begun", "adopt", "adopted.kv")
		}
		wantWords(t, p.must("adopt", "adopted.kv").out, "done")
		p.start()
		p.reach()
	}
	c.stop(t)
	p.reach()
	p.verify()
	p.fsck(t)
	p.oracle("duckdb").equal(t, "adopted.kv", "adopted.pair")
	p.stop()
}
