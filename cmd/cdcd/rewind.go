package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"cdcd/capture"
	"cdcd/cmd/cdcd/config"
	"cdcd/commit"
	"cdcd/table"
)

// rewindCmd is cdcd rewind.
type rewindCmd struct {
	ToCut  int64 `name:"to-cut" required:"" placeholder:"NUMBER" help:"The cut to go back to; cdcd inspect lists them."`
	DryRun bool  `name:"dry-run" help:"Say what would be done, and change nothing."`
	JSON   bool  `name:"json" help:"Print JSON."`
}

// Run sets all tables back to a cut.
func (r *rewindCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadConfig(flags.Config, c)
	if err != nil {
		return err
	}
	return repair(ctx, cfg, c, func(x *repairing) error {
		close, err := x.openSource(cfg)
		if err != nil {
			return err
		}
		defer close()
		done, err := commit.Rewind(ctx, x.config, r.ToCut, r.DryRun)
		if err != nil {
			return err
		}
		if r.JSON {
			return printJSON(c.out, done)
		}
		return printRewound(c.out, done)
	})
}

// repairing is what a command that repairs works on.
type repairing struct {
	lake   *lakehouse
	mem    *capture.Pool
	logger *slog.Logger
	config commit.Config
}

// repair runs an action in the place of a daemon: with the state directory and the lease, also
// where nothing is to be changed. Beside a daemon nothing of what it found would last.
func repair(ctx context.Context, cfg config.Config, c console, action func(*repairing) error) (err error) {
	logger := newLogger(cfg.Log, c.err, c.err)
	state, err := openState(cfg.State)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.close()) }()
	lake, err := openLake(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer lake.Close()
	x := &repairing{lake: lake, mem: capture.NewPool(), logger: logger}
	tables := lake.tables(cfg.Pipeline)
	tables.IndexDir, tables.Memory, tables.Now = state.indexDir(), x.mem, time.Now
	x.config = commit.Config{
		Pipeline: cfg.Pipeline, Control: controlMember(cfg, lake), Tables: tables, Logger: logger.With(componentKey, componentCommit),
	}
	if x.config.Members, err = lakeMembers(ctx, lake, cfg.Pipeline); err != nil {
		return err
	}
	d := &daemon{cfg: cfg, logger: logger, flags: &runCmd{}, console: c}
	return d.leased(ctx, lake, func() error { return action(x) })
}

// openSource lets an action ask the source, until close.
func (x *repairing) openSource(cfg config.Config) (close func(), err error) {
	db, err := captureSource(cfg).Open(nil)
	if err != nil {
		return nil, err
	}
	x.config.Source = &source{cfg: cfg, from: captureSource(cfg), db: db, lake: x.lake, mem: x.mem, logger: x.logger.With(componentKey, componentSource)}
	return func() { _ = db.Close() }, nil
}

// lakeMembers names a pipeline's tables in the lake, whatever state they are in.
func lakeMembers(ctx context.Context, lake *lakehouse, pipeline string) ([]commit.Member, error) {
	names, err := lake.AllTables(ctx)
	if err != nil {
		return nil, err
	}
	cfg := lake.tables(pipeline)
	cfg.Repair = true
	var out []commit.Member
	for _, n := range names {
		if n.Namespace == config.ControlNamespace {
			continue
		}
		_, err := table.LoadHead(ctx, cfg, n)
		switch {
		case errors.Is(err, table.ErrNotOurs), errors.Is(err, table.ErrOtherPipeline), errors.Is(err, table.ErrCatalogAccess):
		case err != nil:
			return nil, err
		default:
			out = append(out, commit.Member{Lake: n})
		}
	}
	return out, nil
}

// printRewound prints for people.
func printRewound(w io.Writer, r *commit.Rewound) error {
	verb, end := "would be", "nothing was changed"
	if r.Done {
		verb, end = "is", "done: cdcd run applies what follows again"
	}
	if r.Resumed {
		fmt.Fprintf(w, "timeline %d was begun before\n", r.Timeline)
	}
	fmt.Fprintf(w, "cut      %d\ntimeline %d\nposition %s\n", r.Cut, r.Timeline, r.Position)
	for _, t := range r.Tables {
		what := map[string]string{
			commit.RewindBack: fmt.Sprintf("%s set back from snapshot %d to %d", verb, t.From, t.To),
			commit.RewindKeep: "is not in the cut, loaded later: it stays as it is",
			commit.RewindDone: "is on the timeline already", commit.RewindBegin: "has no rows yet",
		}[t.Action]
		fmt.Fprintf(w, "table    %s %s\n", t.Table, what)
	}
	_, err := fmt.Fprintf(w, "%s withdrawn, %s\n", count(len(r.Withdrawn), "later cut"), end)
	return err
}
