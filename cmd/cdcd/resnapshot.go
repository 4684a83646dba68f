package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// resnapshotCmd is cdcd resnapshot.
type resnapshotCmd struct {
	Table string `arg:"" help:"Lake table, as namespace.table."`
	Wait  bool   `help:"Wait until readers see the new rows."`
}

// resnapshotRequest asks that a table is loaded anew.
type resnapshotRequest struct {
	Table string `json:"table"`
}

// Run has the running daemon load a table anew.
func (x *resnapshotCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadLakeConfig(flags.Config, c)
	if err != nil {
		return err
	}
	if _, err := parseName(x.Table); err != nil {
		return err
	}
	daemon := client{cfg.Control.Socket}
	var none struct{}
	err = daemon.post(ctx, "/resnapshot", resnapshotRequest{x.Table}, &none)
	if errors.Is(err, errNoDaemon) {
		err = fmt.Errorf("%w (it is the daemon that loads tables: start it and repeat the command)", err)
	}
	if err != nil {
		return err
	}
	if !x.Wait {
		_, err = fmt.Fprintf(c.out, "%s is loaded anew; until all of it is there readers see the rows of before\n", x.Table)
		return err
	}
	return x.wait(ctx, c, daemon)
}

// loadPoll is how often it is asked how far a load is.
const loadPoll = 500 * time.Millisecond

// wait shows how far the load is, until it is published.
func (x *resnapshotCmd) wait(ctx context.Context, c console, daemon client) error {
	bar := newProgressBar(c.err)
	defer bar.finish()
	for {
		var report statusReport
		if err := askDaemon(ctx, daemon.socket, "/status", &report); err != nil {
			return fmt.Errorf("%w; the load goes on when the daemon runs again", err)
		}
		t := report.table(x.Table)
		switch {
		case t == nil:
			return coded{exitLater, fmt.Errorf("%s is no table of this pipeline any more", x.Table)}
		case t.Quarantine != nil:
			return coded{exitHuman, fmt.Errorf("%s is %s", x.Table, t.Quarantine)}
		case t.State == "streaming":
			bar.finish()
			_, err := fmt.Fprintf(c.out, "%s: readers see the new rows\n", x.Table)
			return err
		}
		bar.draw("loading "+x.Table+" anew", int(100*t.LoadProgress))
		select {
		case <-time.After(loadPoll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// table gives the report of a lake table, nil where there is none.
func (r statusReport) table(name string) *tableReport {
	for i := range r.Tables {
		if r.Tables[i].Table == name {
			return &r.Tables[i]
		}
	}
	return nil
}

// resnapshot begins to load a table anew.
func (d *daemon) resnapshot(ctx context.Context, body json.RawMessage) (any, error) {
	var req resnapshotRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, badRequest{err}
	}
	n, err := parseName(req.Table)
	if err != nil {
		return nil, badRequest{err}
	}
	p, err := d.running()
	if err != nil {
		return nil, err
	}
	return struct{}{}, p.Resnapshot(ctx, n)
}
