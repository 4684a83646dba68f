package main

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/commit"
	"cdcd/compaction"
	"cdcd/table"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// collectStatus sends what a daemon with a given status sends.
type collectStatus struct {
	metrics
	status commit.Status
}

// Collect sends the metrics of a daemon that has recovered.
func (c *collectStatus) Collect(out chan<- prometheus.Metric) {
	c.metrics.Collect(out)
	sink{out}.status(c.status)
	sink{out}.compaction(compaction.Status{Debts: map[table.Name]compaction.Debt{{Namespace: "shop", Table: "orders"}: {Pending: 5}}})
}

func testStatus() commit.Status {
	at := time.Unix(1_700_000_000, 500_000_000)
	return commit.Status{
		At: at, SourceTime: at, Fence: 7, Throttle: commit.Throttle{Since: at, Running: 31, Limit: 30}, Refused: []commit.Refusal{{}},
		Counters: commit.Counters{
			LogBytes: 1000, LogEvents: 10,
			CommitDuration: commit.Histogram{Bounds: []float64{1, 2}, Counts: []uint64{1, 2, 3}, Sum: 20, Count: 6},
		},
		Tables: []commit.TableStatus{{
			Source: capture.Name{Schema: "shop", Table: "orders"}, Committed: at, IndexMemory: 64, IndexDisk: 128,
			Changes: commit.Changes{Inserted: 1, Updated: 2, Deleted: 3, Commits: 4, Conflicts: 5},
		}},
	}
}

func testView() *view {
	v := &view{}
	v.load.Store(&loadProgress{Rows: 1_000, Estimate: 4_000, PerSecond: 100})
	v.garbage.Store(&garbageTotals{Removed: 1, RemovedBytes: 200, Waiting: 3, WaitingBytes: 400})
	return v
}

// TestMetricsDoc compares docs/metrics.md with what is sent: names, types, labels, and that
// each meaning begins with the help text.
func TestMetricsDoc(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&collectStatus{metrics{view: testView(), errors: newErrorCounter()}, testStatus()})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	type metric struct{ Type, Labels, Meaning string }
	sent, listed := map[string]metric{}, map[string]metric{}
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		sent[f.GetName()] = metric{strings.ToLower(f.GetType().String()), sortedWords(labels), f.GetHelp()}
	}
	for _, row := range docTable(t, "../../docs/metrics.md", "metric") {
		m := metric{row[1], sortedWords(strings.Split(row[2], ", ")), row[3]}
		if help := sent[row[0]].Meaning; strings.HasPrefix(m.Meaning, help) {
			m.Meaning = help
		}
		listed[row[0]] = m
	}
	if diff := cmp.Diff(sent, listed); diff != "" {
		t.Errorf("docs/metrics.md against what is sent (-sent +listed):\n%s", diff)
	}
}

// sortedWords joins words, whose order does not matter.
func sortedWords(words []string) string {
	return strings.Join(found(strings.Join(words, " "), `(\w+)`), " ")
}

// TestMetricValues checks values that are not handed through as they are.
func TestMetricValues(t *testing.T) {
	c := &collectStatus{metrics{view: testView(), errors: newErrorCounter()}, testStatus()}
	c.errors.add(componentSource)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	response := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text := response.Body.String()
	for _, line := range []string{
		`cdcd_commit_duration_seconds_bucket{le="1"} 1`,
		`cdcd_commit_duration_seconds_bucket{le="2"} 3`,
		`cdcd_commit_duration_seconds_bucket{le="+Inf"} 6`,
		`cdcd_commit_duration_seconds_sum 20`,
		`cdcd_committed_timestamp_seconds{table="shop.orders"} 1.7000000005e+09`,
		`cdcd_errors_total{component="commit"} 0`,
		`cdcd_errors_total{component="source"} 1`,
		`cdcd_index_bytes{place="disk",table="shop.orders"} 128`,
		`cdcd_index_bytes{place="memory",table="shop.orders"} 64`,
		`cdcd_commit_conflicts_total{table="shop.orders"} 5`,
		`cdcd_refused_tables 1`,
		`cdcd_garbage_files 3`,
		`cdcd_load_left_seconds 30`,
		`cdcd_load_waiting 1`,
		`cdcd_debt_bytes{lake_table="shop.orders"} 5`,
		`cdcd_garbage_removed_bytes_total 200`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s in:\n%s", line, text)
		}
	}
}

// TestErrorsAreCounted logs with and without errors, at levels that are shown or not.
func TestErrorsAreCounted(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelError, slog.LevelError + 4} {
		var shown strings.Builder
		c := newErrorCounter()
		l := c.watch(slog.New(slog.NewTextHandler(&shown, &slog.HandlerOptions{Level: level})))
		err := errors.New("x")
		l.Warn("a", "err", err)
		l.Warn("no error")
		l.Info("b", "err", err) // expected: nothing is wrong
		source := l.With("component", componentSource).With("more", 1)
		source.Error("c", "n", 1, "err", err)
		source.WithGroup("g").Warn("d", "err", err)
		want := map[string]int64{componentSource: 2, componentCommit: 0, componentCatalog: 0, componentCompaction: 0, componentDaemon: 1}
		if diff := cmp.Diff(want, c.all()); diff != "" {
			t.Error(diff)
		}
		if lines, want := strings.Count(shown.String(), "\n"), map[slog.Level]int{slog.LevelDebug: 5, slog.LevelError: 1}[level]; lines != want {
			t.Errorf("level %v shows %d lines, want %d", level, lines, want)
		}
	}
}
