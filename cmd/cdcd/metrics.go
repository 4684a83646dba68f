package main

import (
	"cdcd/commit"
	"github.com/prometheus/client_golang/prometheus"
)

// maxTableLabels bounds the tables that metrics are labelled with.
const maxTableLabels = 500

// metrics renders the pipeline's status for Prometheus.
type metrics struct{ view *view }

// Describe sends nothing: what is collected depends on the tables.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect sends the status of now.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	send := func(name, help string, kind prometheus.ValueType, v float64, labels ...string) {
		names, values := make([]string, 0, len(labels)/2), make([]string, 0, len(labels)/2)
		for i := 0; i < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, v, values...)
	}
	send("cdcd_build_info", "The running version.", prometheus.GaugeValue, 1, "version", version())
	s, ok := m.view.status()
	if !ok {
		return
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	c := s.Counters
	send("cdcd_source_lag_seconds", "How far the lake is behind the source.", gauge, s.Lag().Seconds())
	send("cdcd_source_delivery_delay_seconds", "Age of the newest source transaction when it was delivered.", gauge, s.DeliveryDelay.Seconds())
	if !s.SourceTime.IsZero() {
		send("cdcd_source_last_event_timestamp_seconds", "Commit time of the newest source transaction delivered.", gauge, float64(s.SourceTime.UnixMilli())/1000)
	}
	send("cdcd_transactions_total", "Source transactions delivered.", counter, float64(c.Transactions))
	send("cdcd_source_rows_total", "Captured source row changes delivered.", counter, float64(c.Rows))
	send("cdcd_snapshot_rows_total", "Rows read by the initial load.", counter, float64(c.LoadedRows))
	send("cdcd_null_dates_total", "Source values that are no date and became NULL.", counter, float64(c.NoDates))
	send("cdcd_unlogged_statements_total", "Statements on other tables that were logged without rows.", counter, float64(c.Unlogged))
	send("cdcd_epochs_total", "Epochs committed.", counter, float64(c.Epochs))
	send("cdcd_buffer_bytes", "Memory of changes that are not committed yet.", gauge, float64(s.CollectedBytes))
	send("cdcd_fence", "The fence number of this daemon.", gauge, float64(s.Fence))
	sendHistogram(out, c.CommitDuration)
	for i, t := range s.Tables {
		if i < maxTableLabels {
			sendTable(send, t)
		}
	}
}

func sendHistogram(out chan<- prometheus.Metric, h commit.Histogram) {
	buckets, total := map[float64]uint64{}, uint64(0)
	for i, bound := range h.Bounds {
		total += h.Counts[i]
		buckets[bound] = total
	}
	desc := prometheus.NewDesc("cdcd_commit_duration_seconds", "Time to commit an epoch.", nil, nil)
	out <- prometheus.MustNewConstHistogram(desc, h.Count, h.Sum, buckets)
}

func sendTable(send func(name, help string, kind prometheus.ValueType, v float64, labels ...string), t commit.TableStatus) {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	name := t.Source.String()
	for op, n := range map[string]int64{"insert": t.Changes.Inserted, "update": t.Changes.Updated, "delete": t.Changes.Deleted} {
		send("cdcd_rows_total", "Rows changed in the lake.", counter, float64(n), "table", name, "op", op)
	}
	send("cdcd_commits_total", "Commits of a table.", counter, float64(t.Changes.Commits), "table", name, "result", "landed")
	loading, done := 0.0, 1.0
	if t.Loading {
		loading, done = 1, progress(t)
	}
	send("cdcd_table_state", "1 for the state that a table is in.", gauge, loading, "table", name, "state", "loading")
	send("cdcd_table_state", "1 for the state that a table is in.", gauge, 1-loading, "table", name, "state", "streaming")
	send("cdcd_snapshot_progress_ratio", "Share of the initial load that is done.", gauge, done, "table", name)
	send("cdcd_data_files", "Live data files.", gauge, float64(t.Content.Files), "table", name)
	send("cdcd_delete_files", "Live deletion vectors.", gauge, float64(t.Content.DeleteFiles), "table", name)
	send("cdcd_index_keys", "Entries in the key index.", gauge, float64(t.IndexKeys), "table", name)
}
