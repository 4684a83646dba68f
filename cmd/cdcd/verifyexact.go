package main

import (
	"context"
	"fmt"
	"time"

	"cdcd/capture"
	"cdcd/verify"
)

// exactDaemon is the running daemon, as an exact comparison needs it.
type exactDaemon struct{ client client }

// Hold implements verify.Daemon.
func (d exactDaemon) Hold(ctx context.Context) (verify.Held, error) {
	var r heldReport
	if err := d.client.post(ctx, "/hold", struct{}{}, &r); err != nil {
		return verify.Held{}, err
	}
	flavor := capture.MySQL
	if r.Flavor == capture.MariaDB.String() {
		flavor = capture.MariaDB
	}
	at, err := capture.ParsePosition(flavor, r.Position)
	return verify.Held{Token: r.Token, Position: at, Server: r.Server}, err
}

// CutAt implements verify.Daemon.
func (d exactDaemon) CutAt(ctx context.Context, token int64, at capture.Position) (verify.Cut, error) {
	var r cutReport
	if err := d.client.post(ctx, "/cut", cutRequest{token, at.String()}, &r); err != nil {
		return verify.Cut{}, err
	}
	return verify.Cut{Number: r.Number, Snapshots: r.Snapshots, Stood: time.Duration(r.StoodMS * float64(time.Millisecond))}, nil
}

// Release implements verify.Daemon.
func (d exactDaemon) Release(ctx context.Context, token int64) error {
	var none struct{}
	return d.client.post(ctx, "/release", cutRequest{Token: token}, &none)
}

// exactReport is what cdcd verify --exact --json prints beside the tables.
type exactReport struct {
	Cut      int64   `json:"cut"`
	Position string  `json:"position"`
	LockedMS float64 `json:"source_locked_ms"`
	Unlocked string  `json:"source_not_locked,omitempty"` // why
	StoodMS  float64 `json:"stream_held_ms"`
	Passed   int     `json:"moved_keys"`
}

func newExactReport(r verify.Report) *exactReport {
	return &exactReport{r.Cut, r.Position, milliseconds(r.Locked), r.Unlocked, milliseconds(r.Stood), r.Passed}
}

// String says it to people.
func (r exactReport) String() string {
	line := fmt.Sprintf("cut %d; stream held for %s", r.Cut, shortly(r.StoodMS))
	switch {
	case r.Unlocked != "":
		line += ", source not locked (" + r.Unlocked + ")"
		line += fmt.Sprintf(", %s moved meanwhile", count(r.Passed, "key"))
	case r.LockedMS > 0:
		line += ", source locked for " + shortly(r.LockedMS)
	default:
		line += ", source not locked"
	}
	return line
}

func shortly(ms float64) string { return fmt.Sprintf("%.3g ms", ms) }
