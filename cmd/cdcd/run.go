package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os/signal"
	"runtime/debug"
	"strings"
	"time"

	"cdcd/capture"
	"cdcd/cmd/cdcd/config"
	"cdcd/commit"
	"cdcd/table"
	"golang.org/x/sync/errgroup"
)

// runCmd is cdcd run.
type runCmd struct {
	TakeOver bool `name:"take-over" help:"Take the pipeline over from a daemon that is alive." xor:"owner"`
	Standby  bool `help:"Wait until the daemon that owns the pipeline is gone, then take over." xor:"owner"`

	Until string `placeholder:"now|GTID" help:"End once everything up to this position, and all loads, are committed."`
}

// Run replicates until it is stopped.
func (r *runCmd) Run(ctx context.Context, c console, flags *cli) (err error) {
	cfg, err := loadConfig(flags.Config, c)
	if err != nil {
		return err
	}
	bar := newProgressBar(c.err)
	counter := newErrorCounter()
	logger := counter.watch(newLogger(cfg.Log, c.err, bar))
	defer func() {
		if err != nil {
			logger.Error("stopped", "err", err.Error(), "exit", exitCode(err))
			err = errors.Join(err, errReported)
		}
	}()
	limitMemory(cfg)
	state, err := openState(cfg.State)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.close()) }()
	d := &daemon{cfg: cfg, logger: logger, errors: counter, state: state, console: c, bar: bar, mem: capture.NewPool(), flags: r, touched: make(chan table.Name, toldTouches)}
	return d.run(ctx)
}

// limitMemory keeps the heap so far below the limit that all else of the process fits in.
func limitMemory(c config.Config) {
	const heapShare = 70 // percent: the key index is mapped, and the runtime has some of its own
	debug.SetMemoryLimit(int64(c.Memory.Limit) / 100 * heapShare)
}

// loadConfig loads the configuration and prints its warnings.
func loadConfig(path string, c console) (config.Config, error) {
	return loadConfigFrom(path, config.OS{}, c)
}

// loadLakeConfig is loadConfig for commands that do not talk to the source: they work
// without its secrets.
func loadLakeConfig(path string, c console) (config.Config, error) {
	return loadConfigFrom(path, lakeEnv{}, c)
}

// lakeEnv is the environment with every missing reference empty.
type lakeEnv struct{ config.OS }

// LookupEnv gives an empty value for a variable that is not set.
func (e lakeEnv) LookupEnv(name string) (string, bool) {
	v, _ := e.OS.LookupEnv(name)
	return v, true
}

// ReadFile gives nothing for a file outside of the configuration that cannot be read.
func (e lakeEnv) ReadFile(path string) ([]byte, error) {
	b, err := e.OS.ReadFile(path)
	if err != nil && !isYAML(path) {
		return nil, nil
	}
	return b, err
}

func isYAML(path string) bool {
	return strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".yml")
}

func loadConfigFrom(path string, env config.Env, c console) (config.Config, error) {
	cfg, warnings, err := config.Load(path, env)
	for _, w := range warnings {
		fmt.Fprintln(c.err, "warning:", w)
	}
	if err != nil {
		return cfg, coded{exitHuman, fmt.Errorf("configuration:\n%w", err)}
	}
	return cfg, nil
}

// daemon is cdcd run under way.
type daemon struct {
	flags   *runCmd
	cfg     config.Config
	logger  *slog.Logger
	errors  *errorCounter
	state   *stateDir
	console console
	bar     *progressBar
	mem     *capture.Pool
	view    view
	tables  table.Config // of the lake, for looking
	// touched goes from the catalog endpoint to the pipeline.
	touched chan table.Name
}

// toldTouches bounds the changes by others that the pipeline has not heard of yet.
const toldTouches = 64

func (d *daemon) run(ctx context.Context) error {
	lake, err := openLake(ctx, d.cfg, true)
	if err != nil {
		return err
	}
	defer lake.Close()
	d.tables = lake.tables(d.cfg.Pipeline)
	listeners, err := d.listen(lake)
	if err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	g, gctx := errgroup.WithContext(background)
	listeners.serve(gctx, g)
	g.Go(func() error { return d.notify(gctx) })
	g.Go(func() error {
		defer cancel()
		return d.replicate(ctx, gctx, lake)
	})
	return g.Wait()
}

// replicate recovers the pipeline and runs it. stop ends when the process is asked to stop:
// what is collected is still committed then. ctx ends when something else has failed. The
// source is examined before the lease, which is the first thing that is written.
func (d *daemon) replicate(stop, ctx context.Context, lake *lakehouse) error {
	opening, cancel := context.WithCancel(stop)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	report, err := d.examine(opening, lake)
	if err != nil {
		return err
	}
	return d.leased(opening, lake, func() error {
		if d.flags.Standby { // what was found may be days old
			if report, err = d.examine(opening, lake); err != nil {
				return err
			}
		}
		p, err := d.open(opening, lake, report)
		if lost := (*fs.PathError)(nil); errors.As(err, &lost) && errors.Is(lost, fs.ErrNotExist) {
			return coded{exitHuman, fmt.Errorf("the lake lacks a file that its tables name: %w", err)} // nobody else removes any now
		}
		if err != nil {
			return err
		}
		return d.drive(stop, ctx, lake, p)
	})
}

// drive runs a recovered pipeline.
func (d *daemon) drive(stop, ctx context.Context, lake *lakehouse, p *commit.Pipeline) error {
	d.view.set(p)
	d.notifyReady()
	go func() { // a second signal ends the process at once
		<-stop.Done()
		signal.Reset(stopSignals()...)
	}()
	maintaining, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(stop, cancel)()
	defer cancel()
	end, err := d.maintain(maintaining, lake, p)
	if err != nil {
		return err
	}
	err = p.Run(ctx, stop.Done())
	end()
	switch {
	case err == nil:
		d.logger.Info("ended", "position", p.Status().Finished.String())
	case errors.Is(err, table.ErrCatalogAccess): // it has let us in before
		return coded{exitLater, err}
	}
	return d.hinted(err)
}

// hinted adds what the configuration offers against an error that concerns one table alone.
func (d *daemon) hinted(err error) error {
	var stop *capture.Stop
	if !errors.As(err, &stop) || stop.Alone == (capture.Name{}) || d.cfg.OnTableError != config.OnTableErrorStop {
		return err
	}
	return fmt.Errorf("%w; or on_table_error: quarantine, with which this table alone stays behind until it is loaded anew (cdcd resnapshot)", err)
}

// examine checks the source and the catalog. It leaves nothing behind.
func (d *daemon) examine(ctx context.Context, lake *lakehouse) (*capture.Report, error) {
	report, err := preflight(ctx, d.cfg)
	if err != nil {
		return nil, err
	}
	for _, w := range report.Warnings {
		d.logger.Warn("source", "table", w.Table, "problem", w.What, "repair", w.Repair)
	}
	if err := d.passOver(ctx, lake, report); err != nil {
		return nil, err
	}
	if len(report.Problems) > 0 {
		printProblems(d.console.err, report.Problems)
		return nil, coded{exitHuman, fmt.Errorf("the source is not fit for replication: %s, see above", count(len(report.Problems), "problem"))}
	}
	return report, d.probe(ctx, lake)
}

// open recovers the pipeline from the lake.
func (d *daemon) open(ctx context.Context, lake *lakehouse, report *capture.Report) (*commit.Pipeline, error) {
	from := captureSource(d.cfg)
	db, err := from.Open(nil)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = db.Close() })
	src := &source{cfg: d.cfg, from: from, db: db, lake: lake, mem: d.mem, logger: d.logger.With(componentKey, componentSource)}
	end, err := parseUntil(d.flags.Until, report)
	if err != nil {
		return nil, err
	}
	members, err := src.members(ctx, report)
	if err != nil {
		return nil, err
	}
	tables := lake.tables(d.cfg.Pipeline)
	tables.IndexDir, tables.Memory, tables.Now = d.state.indexDir(), d.mem, clock
	tables.Intents = commit.IntentsIn(lake.beside(d.cfg), d.cfg.Pipeline)
	return commit.Open(ctx, commit.Config{
		Pipeline: d.cfg.Pipeline, Members: members, Control: controlMember(d.cfg, lake), CutSettle: time.Second, Source: src, Logger: d.logger.With(componentKey, componentCommit),
		Tables: tables, Interval: time.Duration(d.cfg.Commit.Interval), MaxRows: int(d.cfg.Commit.MaxRows), MaxBytes: int64(d.cfg.Commit.MaxBytes),
		Quarantine: d.cfg.OnTableError == config.OnTableErrorQuarantine, Renew: d.cfg.OnTableReplaced == config.OnTableReplacedResnapshot,
		LeaveDropped:    d.cfg.OnTableDropped != config.OnTableDroppedStop,
		LoadConnections: d.cfg.Load.Connections, ChunkRows: int(d.cfg.Load.ChunkRows), LoadMaxRunning: d.cfg.Load.MaxThreadsRunning, MaxLag: maxLag(report.Retention), Until: end,
		Touched: d.touched,
	})
}

// parseUntil reads --until.
func parseUntil(until string, report *capture.Report) (*capture.Position, error) {
	switch until {
	case "":
		return nil, nil
	case "now":
		return &report.Server.Executed, nil
	}
	p, err := capture.ParsePosition(report.Server.Flavor, until)
	if err != nil {
		return nil, coded{exitUsage, fmt.Errorf("--until: %w", err)}
	}
	return &p, nil
}

const (
	// longestLag bounds how long a table that nothing touches keeps its old position;
	// retentionShare is the part of the source's log retention that it may take.
	longestLag     = time.Hour
	retentionShare = 10
)

// maxLag is how long a table may keep its old position without endangering a restart.
func maxLag(retention time.Duration) time.Duration {
	if retention <= 0 {
		return longestLag
	}
	return min(longestLag, retention/retentionShare)
}
