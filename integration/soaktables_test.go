//go:build integration && bench

package integration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	tablesDir = "../bench/soak-tables"
	// tablesPatience bounds how long the daemon may take for all commits.
	tablesPatience = 3 * time.Hour
	// scanTimes is how often each of two tables is scanned, in turn.
	scanTimes = 7
)

// tablesConfig is how much TestSoakTables does.
type tablesConfig struct{ commits, rows, changes int }

// tablesMost are marks that the figures of TestSoakTables may not exceed. They are ratios and
// bounds, which hold on any machine.
var tablesMost = figures{
	"commit_p50_ratio": 1.3, "scan_ratio": 1.3, "data_files_of_bound": 1, "metadata_json_kib": 300,
	"compaction_share_of_cpu": 0.3, "peak_rss_mib": 512, "compactions_failed": 0, "rows_that_differ": 0,
}

// TestSoakTables makes thousands of commits to one table while files are rewritten, and looks
// whether the last of them, and a reader, find it as it was after the load. The log is written
// first and read as fast as the daemon can, so that the source takes nothing from what is
// measured, and compaction has to keep up with all that the daemon can write.
func TestSoakTables(t *testing.T) {
	cfg := tablesConfig{number(t, "COMMITS", 5000), number(t, "ROWS", 5_000_000), number(t, "CHANGES", 2000)}
	s := ownServer(t, mysql97, "--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=2G", "--innodb-redo-log-capacity=2G")
	s.schema(t, "soak")
	w := newOrderWriters(t, s, cfg.rows)
	progress(t, "filling a table with %d rows", cfg.rows)
	w.fill(t)
	p := newPipeline(t, s, "soak.orders", nil)
	progress(t, "loading it")
	p.catchUp()
	progress(t, "%d transactions of %d changes each", cfg.commits, cfg.changes)
	w.churn(t, cfg.commits, cfg.changes)
	out := figures{"commits_asked": float64(cfg.commits), "rows_asked": float64(cfg.rows), "changes_asked": float64(cfg.changes)}
	p.set(settings{"commit.interval": "1s", "commit.max_rows": cfg.changes})
	replayTables(t, p, out)
	scanTables(t, p, out)
	missed := report(t, out, filepath.Join(tablesDir, "figures.json"), nil, tablesMost)
	if len(missed) > 0 {
		t.Errorf("missed: %s", strings.Join(missed, ", "))
	}
}

// number gives a number that make was given.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(name), strconv.Itoa(otherwise)))
	if err != nil || n < 1 {
		t.Fatalf("%s: %q is no number", name, os.Getenv(name))
	}
	return n
}

// replayTables lets the daemon read the log to its end, and notes what that took.
func replayTables(t *testing.T, p *pipeline, out figures) {
	t.Helper()
	progress(t, "the daemon reads the log")
	log := startLogged(t, p)
	memory := p.daemon.memory()
	samples := watchTables(t, p)
	p.stop()
	out["peak_rss_mib"] = <-memory
	commits := readCommits(t, log)
	writeCommits(t, commits)
	writeSamples(t, samples)
	judgeCommits(t, commits, out)
	judgeSamples(samples, out)
}

// startLogged starts the daemon with its log in a file, whose path it gives.
func startLogged(t *testing.T, p *pipeline) string {
	t.Helper()
	f, err := os.Create(p.path("daemon.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := p.command(nil, "run")
	cmd.Stdout, cmd.Stderr = f, f
	if p.daemon, err = startProcess(cmd); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// commitRecord is one epoch that was committed.
type commitRecord struct {
	Time time.Time
	Msg  string
	Took float64 `json:"took_ms"`
}

// readCommits gives the epochs of a daemon's log.
func readCommits(t *testing.T, path string) []commitRecord {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []commitRecord
	for line := range strings.Lines(string(b)) {
		var r commitRecord
		if json.Unmarshal([]byte(line), &r) == nil && r.Msg == "epoch committed" {
			out = append(out, r)
		}
	}
	return out
}

// judgeCommits compares the last tenth of the commits with the first.
func judgeCommits(t *testing.T, commits []commitRecord, out figures) {
	t.Helper()
	window := len(commits) / 10
	if window == 0 {
		t.Fatalf("%d commits only", len(commits))
	}
	first, last := tookOf(commits[:window]), tookOf(commits[len(commits)-window:])
	out["commits"] = float64(len(commits))
	out["commit_p50_ms_first"], out["commit_p50_ms_last"] = quantile(first, 0.5), quantile(last, 0.5)
	out["commit_p99_ms_first"], out["commit_p99_ms_last"] = quantile(first, 0.99), quantile(last, 0.99)
	out["commit_p50_ratio"] = out["commit_p50_ms_last"] / out["commit_p50_ms_first"]
}

func tookOf(commits []commitRecord) []float64 {
	var out []float64
	for _, c := range commits {
		out = append(out, c.Took)
	}
	slices.Sort(out)
	return out
}

// judgeSamples looks at what the daemon said of itself on the way.
func judgeSamples(samples []reading, out figures) {
	last := samples[len(samples)-1]
	out["seconds"], out["cpu_seconds"] = last["at_s"], last["cpu_s"]
	out["changes_per_cpu_s"] = last["source_rows"] / last["cpu_s"]
	out["compaction_share_of_cpu"] = last["compaction_cpu_s"] / last["cpu_s"]
	out["compaction_share_of_time"] = last["compaction_busy_s"] / last["at_s"]
	out["compactions"], out["compactions_failed"] = last["compactions"], last["compactions_failed"]
	out["write_amplification"] = (last["written_bytes"] + last["compaction_written_bytes"]) / last["written_bytes"]
	out["index_bytes_per_row"] = last["index_disk_bytes"] / (last["stored_rows"] - last["deleted_rows"])
	out["index_runs"], out["snapshots"] = last["index_runs"], last["snapshots"]
	out["data_files"], out["small_files"], out["delete_files"] = last["data_files"], last["small_files"], last["delete_files"]
	out["manifests"] = last["data_manifests"] + last["delete_manifests"]
	out["deleted_rows_percent"] = 100 * last["deleted_rows"] / last["stored_rows"]
	for _, s := range samples {
		out["data_files_of_bound"] = max(out["data_files_of_bound"], s["data_files"]/filesBound(s))
		out["data_files_most"] = max(out["data_files_most"], s["data_files"])
		out["metadata_json_kib"] = max(out["metadata_json_kib"], s["metadata_bytes"]/1024)
		out["debt_mib_most"] = max(out["debt_mib_most"], s["debt_bytes"]/(1<<20))
	}
}

// filesBound is how many data files a table of that size may have, however many commits have
// made it: of each power of eight in rows the seven that stay and as many that wait for their
// rewrite, and one for each half of the target size.
func filesBound(s reading) float64 {
	const fanout, target = 8, 256 << 20
	tiers := 1.0
	for rows := s["stored_rows"]; rows >= fanout; rows /= fanout {
		tiers++
	}
	return 2*(fanout-1)*tiers + 2*s["data_bytes"]/target + 1
}

// scanTables compares every row with the source, and how long DuckDB takes to read them all with
// how long it takes in a table that has just been loaded from the same source.
func scanTables(t *testing.T, p *pipeline, out figures) {
	t.Helper()
	progress(t, "loading the same rows into a fresh table")
	fresh := newPipeline(t, p.server, "soak.orders", nil)
	fresh.catchUp()
	const scan = "SELECT count(*), bit_xor(hash(id, customer, sku, quantity, price, state, note, changed)) FROM soak.orders"
	used, anew := startEngine(t, "duckdb", p.uri()), startEngine(t, "duckdb", fresh.uri())
	progress(t, "scanning both")
	var took, tookAnew []float64
	for range scanTimes {
		a, b := used.query(t, scan), anew.query(t, scan)
		if fmt.Sprint(a.Rows) != fmt.Sprint(b.Rows) {
			t.Errorf("the tables differ: %v, %v", a.Rows, b.Rows)
		}
		took, tookAnew = append(took, a.Seconds), append(tookAnew, b.Seconds)
	}
	slices.Sort(took)
	slices.Sort(tookAnew)
	out["scan_seconds"], out["scan_seconds_fresh"] = quantile(took, 0.5), quantile(tookAnew, 0.5)
	out["scan_ratio"] = out["scan_seconds"] / out["scan_seconds_fresh"]
	progress(t, "comparing every row with the source")
	f := p.run("verify", "soak.orders")
	if out["rows_that_differ"] = 0; f.code != 0 {
		out["rows_that_differ"] = 1
		t.Errorf("cdcd verify ended with %d:\n%s%s", f.code, lastLines(f.out, 20), lastLines(f.err, 20))
	}
}
