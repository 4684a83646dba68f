package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cdcd/capture"
	"cdcd/cmd/cdcd/config"
	"cdcd/table"
	"cdcd/verify"
	"github.com/dustin/go-humanize"
)

// verifyCmd is cdcd verify.
type verifyCmd struct {
	Tables   []string      `arg:"" optional:"" help:"Lake tables, as namespace.table. All, if none is given."`
	JSON     bool          `name:"json" help:"Print JSON."`
	Exact    bool          `help:"Compare all tables at one position, at a cut that the running daemon makes for it."`
	Patience time.Duration `default:"1m" help:"How long to wait for the lake to reach the source. Not with --exact."`
}

// verifyReport is what cdcd verify --json prints.
type verifyReport struct {
	Equal        bool            `json:"equal"`
	*exactReport                 // with --exact
	Tables       []verify.Result `json:"tables"`
}

// Run compares.
func (v *verifyCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadConfig(flags.Config, c)
	if err != nil {
		return err
	}
	lake, err := openLake(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer lake.Close()
	names, err := v.tables(ctx, cfg, lake)
	if err != nil {
		return err
	}
	what := verify.Config{
		Source: captureSource(cfg), Lake: lake.tables(cfg.Pipeline),
		Tables: names, ZeroDateAsNull: typeOptions(cfg).ZeroDateAsNull, Reached: reachedAt(cfg.Control.Socket), Patience: v.Patience,
		Progress: func(line string) { fmt.Fprintln(c.err, line) },
	}
	results, exact, err := v.compare(ctx, what, exactDaemon{client{cfg.Control.Socket}})
	if err != nil {
		return coded{exitLater, fmt.Errorf("could not compare: %w", err)}
	}
	if err := v.print(c.out, results, exact); err != nil {
		return err
	}
	return verdict(results)
}

// compare compares as it was asked for. Without a daemon nothing says that the tables stand
// together, so an exact comparison needs one.
func (v *verifyCmd) compare(ctx context.Context, what verify.Config, d verify.Daemon) ([]verify.Result, *exactReport, error) {
	if !v.Exact {
		results, err := verify.Tables(ctx, what)
		return results, nil, err
	}
	r, err := verify.Exactly(ctx, what, d)
	return r.Results, newExactReport(r), err
}

// tables gives the lake tables to compare: those asked for, or all of the pipeline whose
// source the configuration wants.
func (v *verifyCmd) tables(ctx context.Context, cfg config.Config, lake *lakehouse) ([]table.Name, error) {
	var out []table.Name
	for _, n := range v.Tables {
		h, err := lakeHead(ctx, lake, cfg.Pipeline, n)
		if err != nil {
			return nil, err
		}
		out = append(out, h.Name)
	}
	if len(out) > 0 {
		return out, nil
	}
	heads, err := lakeTables(ctx, lake, cfg.Pipeline)
	if err != nil {
		return nil, err
	}
	for _, h := range heads {
		if wanted(cfg)(h.Source.Table.Name) {
			out = append(out, h.Name)
		}
	}
	if len(out) == 0 {
		return nil, coded{exitLater, errors.New("the lake holds no table of this pipeline")}
	}
	return out, nil
}

// reachedAt asks the daemon behind a control socket whether everything up to a position is
// in the lake. Without a daemon only the tables themselves tell.
func reachedAt(socket string) func(context.Context, capture.Position) bool {
	return func(ctx context.Context, p capture.Position) bool {
		var report statusReport
		if askDaemon(ctx, socket, "/status", &report) != nil || report.Reached == "" {
			return false
		}
		reached, err := capture.ParsePosition(p.Flavor(), report.Reached)
		return err == nil && reached.Covers(p)
	}
}

func (v *verifyCmd) print(w io.Writer, results []verify.Result, exact *exactReport) error {
	if v.JSON {
		return printJSON(w, verifyReport{verdict(results) == nil, exact, results})
	}
	width := 0
	for _, r := range results {
		width = max(width, len(r.Table))
	}
	together := onePosition(results)
	for _, r := range results {
		line := fmt.Sprintf("%-9s  %-*s  %s rows in the source, %s in the lake", r.Verdict, width, r.Table, humanize.Comma(r.SourceRows), humanize.Comma(r.LakeRows))
		if notCompared(r) {
			line = fmt.Sprintf("%-9s  %-*s  not compared", r.Verdict, width, r.Table)
		}
		if r.Rounds > 1 {
			line += fmt.Sprintf(", %d rounds", r.Rounds)
		}
		if together == "" && r.Position != "" {
			line += ", at " + r.Position
		}
		fmt.Fprintln(w, line)
		if r.Reason != "" {
			fmt.Fprintf(w, "           %s\n", r.Reason)
		}
		printKeys(w, "differs", r.Different, r.Differs)
		printKeys(w, "moving", r.Moving, r.Moves)
	}
	if exact != nil {
		fmt.Fprintln(w, exact)
	}
	last := summary(results)
	if together != "" {
		last += " at " + together
	}
	_, err := fmt.Fprintln(w, last)
	return err
}

// notCompared reports a table that is not replicated any more.
func notCompared(r verify.Result) bool {
	return r.Verdict == verify.Quarantined || r.Verdict == verify.Dropped
}

// onePosition is the position that all tables were compared at; empty: there is none.
func onePosition(results []verify.Result) string {
	for _, r := range results {
		if r.Position != results[0].Position {
			return ""
		}
	}
	return results[0].Position
}

func printKeys(w io.Writer, what string, keys []verify.Key, all int) {
	for _, k := range keys {
		fmt.Fprintf(w, "           %s: key %s: %s\n", what, k.Key, k.What)
	}
	if more := all - len(keys); more > 0 {
		fmt.Fprintf(w, "           %s: and %s more\n", what, humanize.Comma(int64(more)))
	}
}

func summary(results []verify.Result) string {
	count := map[verify.Verdict]int{}
	for _, r := range results {
		count[r.Verdict]++
	}
	if count[verify.Equal] == len(results) {
		return fmt.Sprintf("all %d tables are equal", len(results))
	}
	line := fmt.Sprintf("%d tables: %d equal, %d different, %d moving, %d not compared", len(results),
		count[verify.Equal], count[verify.Different], count[verify.Moving], count[verify.Unknown])
	for _, v := range []verify.Verdict{verify.Quarantined, verify.Dropped} {
		if n := count[v]; n > 0 {
			line += fmt.Sprintf(", %d %s", n, v)
		}
	}
	return line
}

// verdict is the outcome of all tables: a difference, or a table that is quarantined, weighs more
// than what could not be compared. One that is dropped is as it should be.
func verdict(results []verify.Result) error {
	code := exitOK
	for _, r := range results {
		switch {
		case r.Verdict == verify.Different, r.Verdict == verify.Quarantined:
			code = exitFailure
		case r.Verdict != verify.Equal && r.Verdict != verify.Dropped && code == exitOK:
			code = exitLater
		}
	}
	if code == exitOK {
		return nil
	}
	return coded{code, errReported}
}
