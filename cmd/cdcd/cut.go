package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cdcd/capture"
	"cdcd/commit"
)

// cutCmd is cdcd cut.
type cutCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// heldReport is how the control socket tells of a stream that stands still.
type heldReport struct {
	Token    int64  `json:"token"`
	Flavor   string `json:"flavor"`
	Position string `json:"position"`
	Server   string `json:"server"`
}

// cutRequest asks for a cut: at the position, for a stream that is held; without a token
// wherever the stream is.
type cutRequest struct {
	Token    int64  `json:"token,omitempty"`
	Position string `json:"position,omitempty"`
}

// cutReport is what cdcd cut --json prints.
type cutReport struct {
	Number    int64            `json:"number"`
	Position  string           `json:"position"`
	Snapshots map[string]int64 `json:"snapshots"` // by lake table
	StoodMS   float64          `json:"stream_held_ms"`
}

// Run has the running daemon publish a cut.
func (x *cutCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadLakeConfig(flags.Config, c)
	if err != nil {
		return err
	}
	var r cutReport
	if err := (client{cfg.Control.Socket}).post(ctx, "/cut", cutRequest{}, &r); err != nil {
		return err
	}
	if x.JSON {
		return printJSON(c.out, r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "cut %d at %s\n", r.Number, r.Position)
	for _, name := range slices.Sorted(maps.Keys(r.Snapshots)) {
		fmt.Fprintf(&b, "%s snapshot %d\n", name, r.Snapshots[name])
	}
	_, err = fmt.Fprint(c.out, b.String())
	return err
}

func newCutReport(c commit.DemandedCut) cutReport {
	r := cutReport{Number: c.Number, Position: c.Position.String(), Snapshots: map[string]int64{}, StoodMS: milliseconds(c.Stood)}
	for n, s := range c.Snapshots {
		r.Snapshots[n.String()] = s
	}
	return r
}

func milliseconds(d time.Duration) float64 {
	const precision = 10 * time.Microsecond
	return d.Round(precision).Seconds() * 1000
}

// hold brings the pipeline's stream to stand still for whoever asks.
func (d *daemon) hold(ctx context.Context, _ json.RawMessage) (any, error) {
	p, err := d.running()
	if err != nil {
		return nil, err
	}
	h, err := p.Hold(ctx)
	return heldReport{h.Token, h.Position.Flavor().String(), h.Position.String(), h.Server}, err
}

// cut publishes a cut where the request says.
func (d *daemon) cut(ctx context.Context, body json.RawMessage) (any, error) {
	var req cutRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, badRequest{err}
	}
	p, err := d.running()
	if err != nil {
		return nil, err
	}
	if req.Token == 0 {
		c, err := p.Cut(ctx)
		return newCutReport(c), err
	}
	at, err := capture.ParsePosition(p.Status().Finished.Flavor(), req.Position)
	if err != nil {
		return nil, badRequest{err}
	}
	c, err := p.CutAt(ctx, req.Token, at)
	return newCutReport(c), err
}

// release lets a stream that is held go on.
func (d *daemon) release(ctx context.Context, body json.RawMessage) (any, error) {
	var req cutRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, badRequest{err}
	}
	p, err := d.running()
	if err != nil {
		return nil, err
	}
	return struct{}{}, p.Release(ctx, req.Token)
}

// running gives the pipeline once it has recovered.
func (d *daemon) running() (*commit.Pipeline, error) {
	p := d.view.pipeline.Load()
	if p == nil {
		return nil, errRecovering
	}
	return p, nil
}

var errRecovering = errors.New("the daemon is recovering")
