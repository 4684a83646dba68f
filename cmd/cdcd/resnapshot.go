package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cdcd/cmd/cdcd/config"
	"cdcd/commit"
)

// resnapshotCmd is cdcd resnapshot.
type resnapshotCmd struct {
	Table string `arg:"" optional:"" help:"Lake table, as namespace.table."`
	All   bool   `help:"All tables. Where no daemon runs, for the source's log does not lead on, the next one begins where the source is then, and loads them."`
	Wait  bool   `help:"Wait until readers see the new rows."`
}

// resnapshotRequest asks that a table is loaded anew.
type resnapshotRequest struct {
	Table string `json:"table"`
}

// Run has the running daemon load tables anew.
func (x *resnapshotCmd) Run(ctx context.Context, c console, flags *cli) error {
	if x.All == (x.Table != "") {
		return coded{exitUsage, errors.New("name one table, as namespace.table, or say --all")}
	}
	if x.All {
		return x.all(ctx, c, flags)
	}
	cfg, err := loadLakeConfig(flags.Config, c)
	if err != nil {
		return err
	}
	if _, err := parseName(x.Table); err != nil {
		return err
	}
	daemon := client{cfg.Control.Socket}
	err = begin(ctx, daemon, x.Table)
	if errors.Is(err, errNoDaemon) {
		err = fmt.Errorf("%w (it is the daemon that loads tables: start it and repeat the command)", err)
	}
	if err != nil {
		return err
	}
	return x.begun(ctx, c, daemon, []string{x.Table})
}

// begin has the daemon begin to load a table anew.
func begin(ctx context.Context, daemon client, name string) error {
	var none struct{}
	return daemon.post(ctx, "/resnapshot", resnapshotRequest{name}, &none)
}

// begun says that the tables are loaded anew, or waits until they are.
func (x *resnapshotCmd) begun(ctx context.Context, c console, daemon client, names []string) error {
	for _, name := range names {
		if x.Wait {
			if err := wait(ctx, c, daemon, name); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(c.out, "%s is loaded anew; until all of it is there readers see the rows of before\n", name); err != nil {
			return err
		}
	}
	return nil
}

// all loads all tables anew. Where no daemon runs they leave, and wait for the next one.
func (x *resnapshotCmd) all(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadConfig(flags.Config, c)
	if err != nil {
		return err
	}
	daemon := client{cfg.Control.Socket}
	var report statusReport
	switch err := askDaemon(ctx, daemon.socket, "/status", &report); {
	case errors.Is(err, errNoDaemon) && x.Wait:
		return fmt.Errorf("%w (without one no table is loaded: leave --wait out)", err)
	case errors.Is(err, errNoDaemon):
		return startOver(ctx, cfg, c)
	case err != nil:
		return err
	case report.State == stateRecovering: // it does not know its tables yet
		return coded{exitLater, fmt.Errorf("%w: repeat the command", errRecovering)}
	}
	var names []string
	var refused []error
	for _, t := range report.Tables {
		var err error
		if t.State == stateDropped {
			continue
		}
		if t.State == stateLoading && !t.Anew {
			fmt.Fprintf(c.out, "%s is being loaded for the first time\n", t.Table)
			continue
		}
		if t.State != stateLoading { // else by a request of before
			err = begin(ctx, daemon, t.Table)
		}
		if err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", t.Table, err))
			continue
		}
		names = append(names, t.Table)
	}
	return errors.Join(x.begun(ctx, c, daemon, names), errors.Join(refused...))
}

// startOver has all tables leave in the place of a daemon.
func startOver(ctx context.Context, cfg config.Config, c console) error {
	const why = "the source's log did not lead on from its position (cdcd resnapshot --all)"
	return repair(ctx, cfg, c, func(x *repairing) error {
		close, err := x.openSource(cfg)
		if err != nil {
			return err
		}
		defer close()
		names, err := commit.StartOver(ctx, x.config, why)
		for _, n := range names {
			fmt.Fprintf(c.out, "%s waits to be loaded anew; until then readers see the rows of before\n", n)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "%s; cdcd run begins where the source is then, and loads what waits\n", count(len(names), "table"))
		return err
	})
}

const (
	// loadPoll is how often it is asked how far a load is.
	loadPoll = 500 * time.Millisecond
	// recoveryPatience is how long a daemon may recover meanwhile. One that stands by says no more.
	recoveryPatience = 5 * time.Minute
)

// wait shows how far the load is, until it is published.
func wait(ctx context.Context, c console, daemon client, name string) error {
	bar := newProgressBar(c.err)
	defer bar.finish()
	for known := time.Now(); ; {
		var report statusReport
		if err := askDaemon(ctx, daemon.socket, "/status", &report); err != nil {
			return fmt.Errorf("%w; the load goes on when the daemon runs again", err)
		}
		if report.State != stateRecovering {
			known = time.Now()
		}
		t := report.table(name)
		switch {
		case report.State == stateRecovering && time.Since(known) < recoveryPatience:
		case report.State == stateRecovering:
			return coded{exitLater, fmt.Errorf("%w; the load goes on when it has, or in the daemon that it stands by for", errRecovering)}
		case t == nil:
			return coded{exitLater, fmt.Errorf("%s is no table of this pipeline any more", name)}
		case t.Quarantine != nil:
			return coded{exitHuman, fmt.Errorf("%s is %s", name, t.Quarantine)}
		case t.State == stateStreaming:
			bar.finish()
			_, err := fmt.Fprintf(c.out, "%s: readers see the new rows\n", name)
			return err
		}
		if t != nil {
			bar.draw("loading "+name+" anew", int(100*t.LoadProgress))
		}
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
