package main

import (
	"context"
	"slices"
	"time"

	"cdcd/capture"
	"cdcd/cmd/cdcd/config"
	"cdcd/table"
)

// quarantineReport is why a table is not replicated any more.
type quarantineReport struct {
	Kind   string    `json:"kind"`
	Reason string    `json:"reason"`
	GTID   string    `json:"gtid,omitempty"`
	Since  time.Time `json:"since"`
	Repair string    `json:"repair,omitempty"` // "" where nothing is wrong
}

func newQuarantineReport(n table.Name, q *table.Quarantine) *quarantineReport {
	if q == nil {
		return nil
	}
	r := &quarantineReport{q.Kind, q.Reason, q.GTID, q.Since, repairOf(n)}
	if q.Dropped() {
		r.Repair = ""
	}
	return r
}

// repairOf is the command that brings a quarantined table back.
func repairOf(n table.Name) string { return "cdcd resnapshot " + n.String() }

// String says it to people.
func (q quarantineReport) String() string {
	at := ""
	if q.GTID != "" {
		at = " before " + q.GTID
	}
	if q.Repair == "" {
		return stateDropped + at + ": " + q.Reason + "; its rows stay"
	}
	return stateQuarantined + at + ": " + q.Reason + "; repair: " + q.Repair
}

// The states of tables that are not replicated any more.
const (
	stateQuarantined = "quarantined"
	stateDropped     = "dropped"
)

// stateOf is the state of a table that is not replicated any more.
func stateOf(q *table.Quarantine) string {
	if q.Dropped() {
		return stateDropped
	}
	return stateQuarantined
}

// passOver takes those problems out of a report that are no reason not to start: those of
// quarantined tables, and how tables look now that the lake has already, which the log tells.
func (d *daemon) passOver(ctx context.Context, lake *lakehouse, report *capture.Report) error {
	if len(report.Problems) == 0 {
		return nil
	}
	heads, err := lakeTables(ctx, lake, d.cfg.Pipeline)
	if err != nil {
		return err
	}
	known, isAside := map[string]bool{"": len(heads) > 0}, map[string]bool{"": len(heads) > 0}
	for _, h := range heads {
		n := h.Source.Table.Name.String()
		known[n], isAside[n] = h.Begun(), h.Quarantine != nil
		isAside[""] = isAside[""] && h.Quarantine != nil
	}
	report.Problems = slices.DeleteFunc(report.Problems, func(p capture.Problem) bool {
		aside := isAside[p.Table] && (p.Table != "" || p.Shape)
		keeps := d.cfg.OnTableError == config.OnTableErrorQuarantine || p.Table == "" && d.cfg.OnTableDropped == config.OnTableDroppedKeep
		over := aside || p.Shape && known[p.Table] && keeps
		if over {
			d.logger.Warn("source", "table", p.Table, "problem", p.What)
		}
		return over
	})
	return nil
}
