//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// compacted is the last line of what cdcd compact --json prints.
type compacted struct {
	Done    int   `json:"groups_done"`
	Groups  int   `json:"groups"`
	Files   int   `json:"files_before"`
	Left    int   `json:"files_after"`
	Dropped int64 `json:"deleted_rows_dropped"`
}

func (p *pipeline) compact(t testing.TB, args ...string) (c compacted) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(p.must(append([]string{"compact", "--json"}, args...)...).out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// number gives a metric that is there.
func (p *pipeline) number(t testing.TB, name string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(p.metric(name), 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// beside has Spark maintain the tables that the daemon compacts: one at rest, where it wins, and one
// that changes, where it may lose.
func (m *maintainer) beside(t testing.TB) {
	t.Helper()
	m.call(t, "CALL ice.system.rewrite_data_files(table => 'kept.cold', options => map('rewrite-all', 'true'))")
	m.call(t, "CALL ice.system.rewrite_manifests('kept.cold')")
	m.compete(t)
	m.call(t, "CALL ice.system.expire_snapshots(table => 'kept.cold', older_than => now(), retain_last => 5)")
	m.call(t, "CALL ice.system.remove_orphan_files(table => 'kept.cold')")
}

// TestCompaction has the daemon compact the tables that it writes to, and kills it meanwhile.
// Spark's procedures work beside it. The rows are the source's, by all readers, rows keep their ids, and files stay few.
func TestCompaction(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "kept")
	churnTables(t, s, "kept", 3000)
	s.exec(t, "CREATE TABLE kept.cold (id INT PRIMARY KEY, v VARCHAR(40))")
	more, uri := writable(t)
	maps.Copy(more, settings{"commit.interval": "100ms", "compaction.enabled": true, "compaction.cpu_percent": 100, "garbage.grace": "30s", "garbage.interval": "1s"})
	p := newPipeline(t, s, "kept.*", more)
	p.start()
	p.reach()
	p.fillCold(t)
	spark := &maintainer{engine: startEngine(t, "spark", uri, "CATALOG_TOKEN="+maintenanceToken), pipeline: p}
	before := spark.rowIDs(t)
	c := startChurn(t, s, "kept", 3000, uint64(time.Now().UnixNano()))
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 4 {
		landed := float64(0)
		eventually(t, 3*time.Minute, "rewrites land", func() error {
			if landed = p.number(t, `cdcd_compactions_total{result="landed"}`); landed < 6 {
				return fmt.Errorf("%v have", landed)
			}
			return nil
		})
		p.kill()
		if i%2 == 1 {
			p.crash(t, crash{"after-swap", 5 + i}, random, map[string]int{})
		}
		p.start()
		c.busyFor(t, 20)
	}
	spark.beside(t)
	c.stop(t)
	s.exec(t, fmt.Sprintf("UPDATE kept.kv SET amount = 7 WHERE id >= %d AND id %% 3 = 0; DELETE FROM kept.kv WHERE id >= %d AND id %% 7 = 0", coldFrom, coldFrom))
	p.reach()
	p.verify()

	if c := p.compact(t, "kept.kv", "--where", fmt.Sprintf("id >= %d", coldFrom)); c.Done != c.Groups {
		t.Errorf("%+v", c)
	}
	all := p.compact(t, "kept.kv")
	st, err := p.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range st.Tables {
		if x.Table == "kept.kv" && (x.DataFiles > 2 || x.DeleteFiles > 0) {
			t.Errorf("after cdcd compact: %+v", x)
		}
	}
	t.Logf("cdcd compact: %+v; metrics: %v outdated, %v failed", all, p.metric(`cdcd_compactions_total{result="outdated"}`), p.metric(`cdcd_compactions_total{result="failed"}`))
	if n := p.number(t, `cdcd_compactions_total{result="failed"}`); n > 0 {
		t.Errorf("%v rewrites failed", n)
	}
	if again := p.compact(t, "kept.kv"); again.Groups != 0 {
		t.Errorf("there is more to compact: %+v", again)
	}
	wantWords(t, p.wantRefused(t, "compact", "kept.none"), "no table of this pipeline")
	wantWords(t, p.wantRefused(t, "compact", "kept.kv", "--where", "nothing = 1"), "no column")

	p.verify()
	after := spark.rowIDs(t)
	for id, row := range after {
		if before[id] != row {
			t.Errorf("row %s has id %s, had %s", id, row, before[id])
		}
	}
	if len(after) == 0 {
		t.Error("no cold rows are left")
	}
	(&oracle{p, spark.engine}).equal(t, "kept.kv", "kept.pair", "kept.cold")
	p.oracle("duckdb").equal(t, "kept.kv", "kept.pair", "kept.cold")
	p.stop()
	p.fsck(t)
}

// wantRefused runs a command that the daemon refuses.
func (p *pipeline) wantRefused(t testing.TB, args ...string) string {
	t.Helper()
	f := p.run(args...)
	if f.code == 0 {
		t.Errorf("%v: done", args)
	}
	return f.err
}
