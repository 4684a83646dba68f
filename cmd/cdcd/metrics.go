package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"cdcd/commit"
	"cdcd/compaction"
	"cdcd/table"
	"github.com/prometheus/client_golang/prometheus"
)

// maxTableLabels bounds the tables that metrics are labelled with.
const maxTableLabels = 500

// metrics renders the pipeline's status for Prometheus.
type metrics struct {
	view   *view
	errors *errorCounter
}

// Describe sends nothing: what is collected depends on the tables.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect sends the status of now. While the daemon recovers there is none.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	k := sink{out}
	k.gauge("cdcd_build_info", "The running version.", 1, "version", version())
	for component, n := range m.errors.all() {
		k.counter("cdcd_errors_total", "Errors logged, survived or not.", n, "component", component)
	}
	if g := m.view.garbage.Load(); g != nil {
		k.gauge("cdcd_garbage_files", "Files that no snapshot names, and that are there still.", float64(g.Waiting))
		k.gauge("cdcd_garbage_bytes", "Size of those files.", float64(g.WaitingBytes))
		k.counter("cdcd_garbage_removed_files_total", "Files deleted that no snapshot names.", g.Removed)
		k.counter("cdcd_garbage_removed_bytes_total", "Size of the files deleted.", g.RemovedBytes)
	}
	if p := m.view.load.Load(); p != nil {
		if left, ok := p.left(); ok {
			k.gauge("cdcd_load_left_seconds", "Time that the rest of the initial loads takes at the rate of now.", left.Seconds())
		}
	}
	if c := m.view.compactor.Load(); c != nil {
		k.compaction(c.Status())
	}
	if s, ok := m.view.status(); ok {
		k.status(s)
	}
}

// sink is where metrics go.
type sink struct{ out chan<- prometheus.Metric }

func (k sink) send(name, help string, kind prometheus.ValueType, v float64, labels []string) {
	names, values := make([]string, 0, len(labels)/2), make([]string, 0, len(labels)/2)
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	k.out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, v, values...)
}

// gauge sends a value; labels are names and values in turn.
func (k sink) gauge(name, help string, v float64, labels ...string) {
	k.send(name, help, prometheus.GaugeValue, v, labels)
}

// flag sends 1 for what is the case, else 0.
func (k sink) flag(name, help string, is bool, labels ...string) {
	v := 0.0
	if is {
		v = 1
	}
	k.gauge(name, help, v, labels...)
}

// counter sends a value that only grows while the daemon runs.
func (k sink) counter(name, help string, n int64, labels ...string) {
	k.send(name, help, prometheus.CounterValue, float64(n), labels)
}

// moment sends a time, unless it is not known.
func (k sink) moment(name, help string, t time.Time, labels ...string) {
	if !t.IsZero() {
		k.gauge(name, help, float64(t.UnixMilli())/1000, labels...)
	}
}

func (k sink) status(s commit.Status) {
	c := s.Counters
	k.gauge("cdcd_source_lag_seconds", "How far the lake is behind the source.", s.Lag().Seconds())
	k.gauge("cdcd_source_delivery_delay_seconds", "Age of the newest source transaction when it was delivered.", s.DeliveryDelay.Seconds())
	k.moment("cdcd_source_last_event_timestamp_seconds", "Commit time of the newest source transaction delivered.", s.SourceTime)
	k.counter("cdcd_binlog_bytes_total", "Bytes read of the source's log.", c.LogBytes)
	k.counter("cdcd_events_total", "Events read of the source's log.", c.LogEvents)
	k.counter("cdcd_transactions_total", "Source transactions delivered.", c.Transactions)
	k.counter("cdcd_source_rows_total", "Captured source row changes delivered.", c.Rows)
	k.counter("cdcd_snapshot_rows_total", "Rows read by the initial load.", c.LoadedRows)
	k.flag("cdcd_load_waiting", "1 where the initial load waits for a busy source.", s.Throttle.Waits())
	k.counter("cdcd_null_dates_total", "Source values that are no date and became NULL.", c.NoDates)
	k.counter("cdcd_unlogged_statements_total", "Statements on other tables that were logged without rows.", c.Unlogged)
	k.counter("cdcd_epochs_total", "Epochs committed.", c.Epochs)
	k.gauge("cdcd_buffer_bytes", "Memory of changes of the epoch that is collected.", float64(s.CollectedBytes))
	k.gauge("cdcd_fence", "The fence number of this daemon.", float64(s.Fence))
	k.flag("cdcd_prepared_waiting", "1 where an XA transaction is prepared and not completed.", s.Finished.Prepared() != "")
	k.gauge("cdcd_refused_tables", "Tables that came into being and cannot be replicated.", float64(len(s.Refused)))
	k.gauge("cdcd_quarantined_tables", "Tables that are not replicated any more and are not dropped.", float64(len(s.Quarantined())))
	k.histogram("cdcd_commit_duration_seconds", "Time to commit an epoch.", c.CommitDuration)
	for i, t := range s.Tables {
		if i < maxTableLabels {
			k.table(t)
		}
	}
}

func (k sink) histogram(name, help string, h commit.Histogram) {
	buckets, total := map[float64]uint64{}, uint64(0)
	for i, bound := range h.Bounds {
		total += h.Counts[i]
		buckets[bound] = total
	}
	k.out <- prometheus.MustNewConstHistogram(prometheus.NewDesc(name, help, nil, nil), h.Count, h.Sum, buckets)
}

func (k sink) table(t commit.TableStatus) {
	name := t.Source.String()
	for op, n := range map[string]int64{"insert": t.Changes.Inserted, "update": t.Changes.Updated, "delete": t.Changes.Deleted} {
		k.counter("cdcd_rows_total", "Rows changed in the lake.", n, "table", name, "op", op)
	}
	k.counter("cdcd_commits_total", "Commits of a table.", t.Changes.Commits, "table", name, "result", "landed")
	k.counter("cdcd_commit_conflicts_total", "Commits made anew because others had changed the table.", t.Changes.Conflicts, "table", name)
	k.moment("cdcd_committed_timestamp_seconds", "Commit time of the newest source transaction that the table's newest commit covers.", t.Committed, "table", name)
	done := 1.0
	if t.Loading {
		done = progress(t)
	}
	k.flag("cdcd_table_state", "1 for the state that a table is in.", t.Loading, "table", name, "state", stateLoading)
	k.flag("cdcd_table_state", "1 for the state that a table is in.", !t.Loading && t.Quarantine == nil, "table", name, "state", stateStreaming)
	for _, left := range []string{stateQuarantined, stateDropped} {
		k.flag("cdcd_table_state", "1 for the state that a table is in.", t.Quarantine != nil && stateOf(t.Quarantine) == left, "table", name, "state", left)
	}
	k.gauge("cdcd_snapshot_progress_ratio", "Share of the initial load that is done.", done, "table", name)
	k.gauge("cdcd_data_files", "Live data files.", float64(t.Content.Files), "table", name)
	k.gauge("cdcd_delete_files", "Live deletion vectors.", float64(t.Content.DeleteFiles), "table", name)
	k.gauge("cdcd_stored_rows", "Rows in data files, deleted ones included.", float64(t.Content.Rows), "table", name)
	k.gauge("cdcd_deleted_rows", "Of those, rows that are deleted.", float64(t.Content.DeletedRows), "table", name)
	k.gauge("cdcd_data_bytes", "Size of the live data files.", float64(t.Content.Bytes), "table", name)
	k.gauge("cdcd_manifests", "Manifests of the newest snapshot.", float64(t.Content.DataManifests), "table", name, "content", "data")
	k.gauge("cdcd_manifests", "Manifests of the newest snapshot.", float64(t.Content.DVManifest), "table", name, "content", "deletes")
	k.gauge("cdcd_snapshots", "Snapshots in the table's metadata.", float64(t.Content.Snapshots), "table", name)
	k.counter("cdcd_written_bytes_total", "Size of the data files that commits of changes added.", t.Changes.Written, "table", name)
	k.gauge("cdcd_index_runs", "Runs of the key index, which a look-up may have to read each of.", float64(t.IndexRuns), "table", name)
	k.gauge("cdcd_index_keys", "Entries in the key index.", float64(t.IndexKeys), "table", name)
	k.gauge("cdcd_index_bytes", "Size of the key index.", float64(t.IndexMemory), "table", name, "place", "memory")
	k.gauge("cdcd_index_bytes", "Size of the key index.", float64(t.IndexDisk), "table", name, "place", "disk")
}

// compaction sends what compaction has come to, and what is left for it to do.
func (k sink) compaction(s compaction.Status) {
	t := s.Totals
	for result, n := range map[string]int64{"landed": t.Rewrites, "outdated": t.Outdated, "failed": t.Failed} {
		k.counter("cdcd_compactions_total", "Rewrites of files into one.", n, "result", result)
	}
	k.counter("cdcd_compaction_files_total", "Files that were rewritten.", t.Files)
	k.counter("cdcd_compaction_rows_total", "Rows that were written again.", t.Rows)
	k.counter("cdcd_compaction_dropped_rows_total", "Deleted rows that are gone from the files.", t.Dropped)
	k.counter("cdcd_compaction_read_bytes_total", "Size of the files that were rewritten.", t.Read)
	k.counter("cdcd_compaction_written_bytes_total", "Size of the files that replaced them.", t.Written)
	k.gauge("cdcd_compaction_busy_seconds", "Time that rewrites have worked.", t.Worked.Seconds())
	k.gauge("cdcd_compaction_cpu_seconds", "Processor time of rewrites.", t.Computed.Seconds())
	for i, n := range slices.SortedFunc(maps.Keys(s.Debts), func(a, b table.Name) int { return strings.Compare(a.String(), b.String()) }) {
		if i == maxTableLabels {
			return
		}
		d, name := s.Debts[n], n.String()
		k.gauge("cdcd_debt_bytes", "Size of the files that are to be rewritten.", float64(d.Pending), "lake_table", name)
		k.flag("cdcd_debt_growing", "1 where that has become more for half an hour.", d.Growing, "lake_table", name)
		k.gauge("cdcd_small_files", "Data files that are far smaller than the target.", float64(d.Small), "lake_table", name)
		k.gauge("cdcd_reclaimable_bytes", "Size of deleted rows in data files, about.", float64(d.Reclaimable), "lake_table", name)
	}
}
