//go:build integration && bench

package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	latencyTables = 8
	latencyRows   = 5000
	latencyEpochs = 110 // of each kind: more than the snapshots that a table retains
)

// TestBenchCommits measures the commits alone, to work on them.
func TestBenchCommits(t *testing.T) {
	s := ownServer(t, mysql97, "--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0")
	out := figures{}
	benchCommits(t, s, out)
	for k, v := range out {
		t.Logf("%s %.1f", k, v)
	}
}

// benchCommits measures how long small epochs take from the moment they are cut until they are
// in the lake: those that touch one table, those that touch eight, and the cut apart. Every
// figure is over as many epochs as fill a table's history.
func benchCommits(t *testing.T, s *server, out figures) {
	t.Helper()
	progress(t, "commits of one and of %d tables", latencyTables)
	s.schema(t, "latency")
	var all strings.Builder
	for i := range latencyTables {
		fmt.Fprintf(&all, "CREATE TABLE latency.t%d (id INT PRIMARY KEY, v INT NOT NULL, note VARCHAR(100)); ", i)
		fmt.Fprintf(&all, "INSERT INTO latency.t%d WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < %d) SELECT /*+ SET_VAR(cte_max_recursion_depth = 1M) */ n, n, REPEAT('x', 80) FROM n; ", i, latencyRows)
	}
	s.exec(t, all.String())
	p := newPipeline(t, s, "latency.*", settings{"commit.interval": "50ms"})
	p.start()
	p.reach()
	benchEpochs(t, p, latencyTables)
	all8, cuts := tookMS(p, latencyTables)
	benchEpochs(t, p, 1)
	one, more := tookMS(p, 1)
	cuts = append(cuts, more...)
	p.stop()
	for name, took := range map[string][]float64{"commit1_p50_ms": one, "commit8_p50_ms": all8, "cut_p50_ms": cuts} {
		slices.Sort(took)
		if len(took) < latencyEpochs/2 {
			t.Errorf("%s: only %d", name, len(took))
		}
		out[name] = quantile(took, 0.5)
		progress(t, "%s: %d, p10 %.1f, p50 %.1f, p90 %.1f", name, len(took), quantile(took, 0.1), quantile(took, 0.5), quantile(took, 0.9))
	}
}

// benchEpochs makes epochs that change some rows of the first tables, one after the other.
func benchEpochs(t *testing.T, p *pipeline, tables int) {
	t.Helper()
	for n := range latencyEpochs {
		var tx strings.Builder
		tx.WriteString("BEGIN; ")
		for i := range tables {
			fmt.Fprintf(&tx, "UPDATE latency.t%d SET v = v + 1 WHERE id %% 500 = %d; ", i, n)
		}
		tx.WriteString("COMMIT")
		p.server.exec(t, tx.String())
		p.reach()
	}
}

// tookMS gives how long the epochs of so many tables and the cuts took, as far back as the
// daemon's log is kept.
func tookMS(p *pipeline, tables int) (epochs, cuts []float64) {
	for line := range strings.Lines(p.daemon.output.String()) {
		var record struct {
			Msg    string
			Tables int
			Took   float64 `json:"took_ms"`
		}
		if json.Unmarshal([]byte(line), &record) != nil {
			continue
		}
		switch {
		case record.Msg == "epoch committed" && record.Tables == tables:
			epochs = append(epochs, record.Took)
		case record.Msg == "cut published":
			cuts = append(cuts, record.Took)
		}
	}
	return epochs, cuts
}
