package main

import (
	"sync/atomic"
	"time"

	"cdcd/commit"
	"cdcd/compaction"
	"cdcd/table"
)

// view is what the daemon shows of itself.
type view struct {
	pipeline  atomic.Pointer[commit.Pipeline]
	load      atomic.Pointer[loadProgress]  // nil: nothing is being loaded
	garbage   atomic.Pointer[garbageTotals] // nil: not looked for yet
	compactor atomic.Pointer[compaction.Compactor]
}

func (v *view) set(p *commit.Pipeline) { v.pipeline.Store(p) }

// status gives the pipeline's status; ok is false while it recovers.
func (v *view) status() (s commit.Status, ok bool) {
	p := v.pipeline.Load()
	if p == nil {
		return commit.Status{}, false
	}
	return p.Status(), true
}

// statusReport is what cdcd status --json prints, and the control socket answers.
type statusReport struct {
	Pipeline  string    `json:"pipeline"`
	State     string    `json:"state"` // recovering | loading | streaming
	At        time.Time `json:"at"`
	Delivered string    `json:"delivered,omitempty"` // position
	Committed string    `json:"committed,omitempty"` // position
	// Reached is Committed with the XA transactions that are prepared and not completed: all that
	// can be seen where it is executed is in the lake.
	Reached string `json:"reached,omitempty"`
	// Prepared are the GTIDs of those.
	Prepared string `json:"prepared,omitempty"`
	// CommittedTime is when the source committed the newest change that this process brought
	// into the lake.
	CommittedTime time.Time      `json:"committed_time,omitzero"`
	Cut           int64          `json:"cut,omitempty"` // number of the newest cut that this process has published
	Epoch         int64          `json:"epoch"`
	Fence         int64          `json:"fence"`
	LagMS         int64          `json:"lag_ms"` // of the lake behind the newest delivered transaction
	Collected     collected      `json:"collected"`
	Load          *loadReport    `json:"load,omitempty"`
	Compaction    *compacting    `json:"compaction,omitempty"`
	Tables        []tableReport  `json:"tables"`
	Refused       []refusal      `json:"refused,omitempty"`
	Counters      counterReport  `json:"counters"`
	Commits       durationReport `json:"commit_duration"`
}

type collected struct {
	Rows  int   `json:"rows"`
	Bytes int64 `json:"bytes"`
}

// loadReport is all initial loads together.
type loadReport struct {
	Rows      int64  `json:"rows"`
	Estimate  int64  `json:"rows_estimate"`
	Percent   int    `json:"percent"`
	PerSecond int64  `json:"rows_per_second"`
	Left      string `json:"left,omitempty"`
	Waiting   string `json:"waiting,omitempty"` // for what
}

func (p loadProgress) report() *loadReport {
	r := &loadReport{Rows: p.Rows, Estimate: p.Estimate, Percent: p.percent(), PerSecond: int64(p.PerSecond), Waiting: p.Waiting}
	if d, ok := p.left(); ok {
		r.Left = d.String()
	}
	return r
}

// compacting is the rewrite of files under way.
type compacting struct {
	Table   string `json:"table"`
	Reason  string `json:"reason"`
	Files   int    `json:"files"`
	Rows    int64  `json:"rows"`
	Percent int    `json:"percent"`
}

type tableReport struct {
	Source       string  `json:"source"`
	Table        string  `json:"table"`
	State        string  `json:"state"` // loading | streaming | quarantined | dropped
	Position     string  `json:"position"`
	LoadedRows   int64   `json:"loaded_rows,omitempty"`
	LoadRows     int64   `json:"load_rows_estimate,omitempty"`
	LoadProgress float64 `json:"load_progress"` // 0 to 1
	Inserted     int64   `json:"inserted"`
	Updated      int64   `json:"updated"`
	Deleted      int64   `json:"deleted"`
	Commits      int64   `json:"commits"`
	DataFiles    int     `json:"data_files"`
	DeleteFiles  int     `json:"delete_files"`
	Rows         int64   `json:"rows"`
	DeletedRows  int64   `json:"deleted_rows"`
	Bytes        int64   `json:"bytes"`
	IndexEntries int     `json:"index_entries"`
	IndexBytes   int64   `json:"index_bytes"`
	IndexRuns    int     `json:"index_runs"`
	Manifests    int     `json:"manifests"`
	Snapshots    int     `json:"snapshots"`
	SmallFiles   int     `json:"small_files"`
	// DebtBytes is the size of files that are to be rewritten, ReclaimableBytes about that of
	// deleted rows.
	DebtBytes        int64 `json:"debt_bytes"`
	ReclaimableBytes int64 `json:"reclaimable_bytes"`
	DebtGrowing      bool  `json:"debt_growing,omitempty"`

	Anew       bool              `json:"loaded_anew,omitempty"` // readers see the rows of before
	Quarantine *quarantineReport `json:"quarantine,omitempty"`
}

type refusal struct {
	Table  string `json:"table"`
	Reason string `json:"reason"`
}

type counterReport struct {
	Transactions int64 `json:"transactions"`
	Rows         int64 `json:"rows"`
	LoadedRows   int64 `json:"loaded_rows"`
	Epochs       int64 `json:"epochs"`
	NullDates    int64 `json:"null_dates"`
}

type durationReport struct {
	Count   uint64  `json:"count"`
	Seconds float64 `json:"seconds"`
	P50MS   float64 `json:"p50_ms"`
	P99MS   float64 `json:"p99_ms"`
}

// The states of a daemon, and of its tables but for those that are not replicated any more.
const (
	stateRecovering = "recovering"
	stateLoading    = "loading"
	stateStreaming  = "streaming"
)

// report renders the status.
func (v *view) report(pipeline string) statusReport {
	s, ok := v.status()
	r := statusReport{Pipeline: pipeline, State: stateRecovering, At: time.Now()}
	if !ok {
		return r
	}
	r.State, r.At = stateStreaming, s.At
	r.Delivered, r.Committed, r.Reached = s.Delivered.String(), s.Finished.String(), s.Finished.Passed().String()
	r.Prepared = s.Finished.Prepared()
	r.CommittedTime = s.CommittedTime
	r.Cut, r.Epoch, r.Fence, r.LagMS = s.Cut.Number, s.Epoch, s.Fence, s.Lag().Milliseconds()
	r.Collected = collected{s.CollectedRows, s.CollectedBytes}
	c := s.Counters
	r.Counters = counterReport{c.Transactions, c.Rows, c.LoadedRows, c.Epochs, c.NoDates}
	h := c.CommitDuration
	r.Commits = durationReport{h.Count, h.Sum, 1000 * h.Quantile(0.5), 1000 * h.Quantile(0.99)}
	debts := v.compaction(&r)
	for _, t := range s.Tables {
		tr := tableReport{
			Source: t.Source.String(), Table: t.Lake.String(), State: stateStreaming, Position: t.Position.String(), LoadProgress: 1,
			Inserted: t.Changes.Inserted, Updated: t.Changes.Updated, Deleted: t.Changes.Deleted, Commits: t.Changes.Commits,
			DataFiles: t.Content.Files, DeleteFiles: t.Content.DeleteFiles, Rows: t.Content.Rows - t.Content.DeletedRows,
			DeletedRows: t.Content.DeletedRows, Bytes: t.Content.Bytes, IndexEntries: t.IndexKeys, IndexBytes: t.IndexMemory + t.IndexDisk, IndexRuns: t.IndexRuns,
			Manifests: t.Content.DataManifests + t.Content.DVManifest, Snapshots: t.Content.Snapshots,
		}
		tr.owe(debts[t.Lake])
		if t.Loading {
			r.State, tr.State, tr.Anew = stateLoading, stateLoading, t.Anew
			tr.LoadedRows, tr.LoadRows, tr.LoadProgress = t.LoadedRows, t.LoadRows, progress(t)
		}
		if tr.Quarantine = newQuarantineReport(t.Lake, t.Quarantine); tr.Quarantine != nil {
			tr.State = stateOf(t.Quarantine)
		}
		r.Tables = append(r.Tables, tr)
	}
	if p := v.load.Load(); p != nil && r.State == stateLoading {
		r.Load = p.report()
	}
	for _, x := range s.Refused {
		r.Refused = append(r.Refused, refusal{x.Table.String(), x.Reason})
	}
	return r
}

// compaction reports the rewrite under way, and gives the debts of tables.
func (v *view) compaction(r *statusReport) map[table.Name]compaction.Debt {
	c := v.compactor.Load()
	if c == nil {
		return nil
	}
	s := c.Status()
	if j := s.Job; j != nil {
		r.Compaction = &compacting{j.Table.String(), string(j.Reason), j.Files, j.Rows, int(100 * j.Read / max(1, j.Rows))}
	}
	return s.Debts
}

func (t *tableReport) owe(d compaction.Debt) {
	t.SmallFiles, t.DebtBytes, t.ReclaimableBytes, t.DebtGrowing = d.Small, d.Pending, d.Reclaimable, d.Growing
}

// DeletedPercent is the share of the rows in files that is deleted.
func (t tableReport) DeletedPercent() int {
	return int(100 * t.DeletedRows / max(1, t.Rows+t.DeletedRows))
}

// TotalRows is how many rows the lake's tables hold.
func (r statusReport) TotalRows() (n int64) {
	for _, t := range r.Tables {
		n += t.Rows
	}
	return n
}

// TotalBytes is how large the lake's live data files are.
func (r statusReport) TotalBytes() (n int64) {
	for _, t := range r.Tables {
		n += t.Bytes
	}
	return n
}

// progress is the share of a table's load that is done, as far as the source's estimate of
// its rows tells.
func progress(t commit.TableStatus) float64 {
	const almost = 0.999 // the estimate may be short
	if t.LoadRows <= 0 {
		return 0
	}
	return min(almost, float64(t.LoadedRows)/float64(t.LoadRows))
}
