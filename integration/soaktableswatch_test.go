//go:build integration && bench

package integration

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
)

// sampleEvery is how often the daemon is looked at.
const sampleEvery = time.Second

// reading is what the daemon said of itself at one moment, by the columns of sampleColumns.
type reading map[string]float64

// sampleMetrics are the columns that are metrics. Those of which there are several are added up.
var sampleMetrics = map[string][]string{
	"epochs":                   {"cdcd_epochs_total"},
	"source_rows":              {"cdcd_source_rows_total"},
	"data_files":               {`cdcd_data_files{table="soak.orders"}`},
	"small_files":              {`cdcd_small_files{lake_table="soak.orders"}`},
	"delete_files":             {`cdcd_delete_files{table="soak.orders"}`},
	"data_manifests":           {`cdcd_manifests{content="data",table="soak.orders"}`},
	"delete_manifests":         {`cdcd_manifests{content="deletes",table="soak.orders"}`},
	"snapshots":                {`cdcd_snapshots{table="soak.orders"}`},
	"stored_rows":              {`cdcd_stored_rows{table="soak.orders"}`},
	"deleted_rows":             {`cdcd_deleted_rows{table="soak.orders"}`},
	"data_bytes":               {`cdcd_data_bytes{table="soak.orders"}`},
	"debt_bytes":               {`cdcd_debt_bytes{lake_table="soak.orders"}`},
	"reclaimable_bytes":        {`cdcd_reclaimable_bytes{lake_table="soak.orders"}`},
	"written_bytes":            {`cdcd_written_bytes_total{table="soak.orders"}`},
	"compaction_written_bytes": {"cdcd_compaction_written_bytes_total"},
	"compaction_rows":          {"cdcd_compaction_rows_total"},
	"compaction_busy_s":        {"cdcd_compaction_busy_seconds"},
	"compaction_cpu_s":         {"cdcd_compaction_cpu_seconds"},
	"compactions":              {`cdcd_compactions_total{result="landed"}`},
	"compactions_failed":       {`cdcd_compactions_total{result="failed"}`, `cdcd_compactions_total{result="outdated"}`},
	"index_runs":               {`cdcd_index_runs{table="soak.orders"}`},
	"index_disk_bytes":         {`cdcd_index_bytes{place="disk",table="soak.orders"}`},
	"index_memory_bytes":       {`cdcd_index_bytes{place="memory",table="soak.orders"}`},
	"rss_bytes":                {"process_resident_memory_bytes"},
	"heap_bytes":               {"go_memstats_heap_inuse_bytes"},
	"cpu_s":                    {"process_cpu_seconds_total"},
}

// sampleColumns are all columns, in the order of the file.
func sampleColumns() []string {
	out := []string{"at_s", "metadata_bytes"}
	for name := range sampleMetrics {
		out = append(out, name)
	}
	slices.Sort(out[2:])
	return out
}

// watchTables takes samples until the daemon has all that the source has.
func watchTables(t *testing.T, p *pipeline) []reading {
	t.Helper()
	want, began := p.server.executed(t), time.Now()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	var out []reading
	for time.Since(began) < tablesPatience {
		<-tick.C
		if !p.daemon.alive() {
			t.Fatalf("the daemon ended: %s", lastLines(daemonLog(p), 20))
		}
		reached := hasReached(p, want)
		if s, ok := takeSample(t, p, began); ok {
			out = append(out, s)
			if len(out)%30 == 0 {
				progress(t, "%.0f commits, %.0f files, debt %.0f MiB", s["epochs"], s["data_files"], s["debt_bytes"]/(1<<20))
			}
			if reached {
				return out
			}
		}
	}
	t.Fatalf("the daemon has not read the log within %v", tablesPatience)
	return nil
}

func daemonLog(p *pipeline) string {
	b, err := os.ReadFile(p.path("daemon.log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func hasReached(p *pipeline, want capture.Position) bool {
	s, err := p.status()
	return err == nil && covers(p.server, s, want) == nil
}

// takeSample gives a sample, where the daemon has recovered.
func takeSample(t *testing.T, p *pipeline, began time.Time) (reading, bool) {
	t.Helper()
	metrics := scrape(p)
	if _, ok := metrics["cdcd_epochs_total"]; !ok {
		return nil, false
	}
	s := reading{"at_s": time.Since(began).Seconds(), "metadata_bytes": metadataBytes(t, p)}
	for column, names := range sampleMetrics {
		for _, name := range names {
			v, ok := metrics[name]
			if !ok && !strings.Contains(name, "lake_table") { // which are there once compaction has looked
				t.Fatalf("no metric %s", name)
			}
			s[column] += v
		}
	}
	return s, true
}

// scrape gives all metrics of the daemon, none where it does not answer.
func scrape(p *pipeline) map[string]float64 {
	endpoint, _ := p.cfg["http"].(map[string]any)
	answer, err := http.Get(fmt.Sprintf("http://%v/metrics", endpoint["listen"]))
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil
	}
	out := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			out[name] = n
		}
	}
	return out
}

// metadataBytes is the size of the newest metadata file of the table.
func metadataBytes(t *testing.T, p *pipeline) float64 {
	t.Helper()
	files, err := filepath.Glob(p.path("warehouse/soak/orders/metadata/*.metadata.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no metadata file: %v", err)
	}
	slices.Sort(files) // their names begin with a number that grows
	slices.Reverse(files)
	for _, f := range files {
		if info, err := os.Stat(f); err == nil { // it may just have been removed
			return float64(info.Size())
		}
	}
	return 0
}

// writeSamples writes the samples to a file, for plots.
func writeSamples(t *testing.T, samples []reading) {
	t.Helper()
	columns := sampleColumns()
	rows := [][]string{columns}
	for _, s := range samples {
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = strconv.FormatFloat(s[c], 'f', -1, 64)
		}
		rows = append(rows, row)
	}
	writeCSV(t, "samples.csv", rows)
}

// writeCommits writes how long each commit took to a file.
func writeCommits(t *testing.T, commits []commitRecord) {
	t.Helper()
	rows := [][]string{{"commit", "at_s", "took_ms"}}
	for i, c := range commits {
		rows = append(rows, []string{strconv.Itoa(i + 1), fmt.Sprintf("%.3f", c.Time.Sub(commits[0].Time).Seconds()), fmt.Sprintf("%.3f", c.Took)})
	}
	writeCSV(t, "commits.csv", rows)
}

func writeCSV(t *testing.T, name string, rows [][]string) {
	t.Helper()
	if err := os.MkdirAll(tablesDir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(tablesDir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := csv.NewWriter(f).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
}
