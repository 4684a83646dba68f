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
		return inconclusive("compare", err)
	}
	defer lake.Close()
	names, err := v.tables(ctx, cfg, lake)
	if err != nil {
		return inconclusive("compare", err)
	}
	what := verify.Config{
		Source: captureSource(cfg), Lake: lake.tables(cfg.Pipeline),
		Tables: names, ZeroDateAsNull: typeOptions(cfg).ZeroDateAsNull, Reached: reachedAt(cfg.Control.Socket), Patience: v.Patience,
		Progress: func(line string) { fmt.Fprintln(c.err, line) },
	}
	results, exact, err := v.compare(ctx, what, exactDaemon{client{cfg.Control.Socket}})
	if err != nil {
		return inconclusive("compare", err)
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
	verdicts, tables := len(verify.Different), 0
	for _, r := range results {
		verdicts, tables = max(verdicts, len(r.Verdict)), max(tables, len(r.Table))
	}
	together := onePosition(results)
	for _, r := range results {
		line := fmt.Sprintf("%-*s  %-*s  %s", verdicts, r.Verdict, tables, r.Table, compared(r))
		if r.Position != together && r.Position != "" {
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
	_, err := fmt.Fprintln(w, summary(results, together))
	return err
}

// compared says what was compared of a table.
func compared(r verify.Result) string {
	if notCompared(r) {
		return "not compared"
	}
	line := fmt.Sprintf("%s rows in the source, %s in the lake", humanize.Comma(r.SourceRows), humanize.Comma(r.LakeRows))
	if r.NotLoaded > 0 {
		line += fmt.Sprintf(", %s not loaded", humanize.Comma(r.NotLoaded))
	}
	if r.Rounds > 1 {
		line += fmt.Sprintf(", %d rounds", r.Rounds)
	}
	return line
}

// notCompared reports a table of which no row was looked at: it is not replicated any more, or
// something stood in the way.
func notCompared(r verify.Result) bool {
	return r.Verdict == verify.Quarantined || r.Verdict == verify.Dropped || r.Verdict == verify.Unknown && r.SourceRows == 0 && r.LakeRows == 0
}

// onePosition is the position that all tables which were compared have; empty: there is none.
func onePosition(results []verify.Result) (at string) {
	for _, r := range results {
		switch {
		case notCompared(r):
		case at != "" && r.Position != at:
			return ""
		default:
			at = r.Position
		}
	}
	return at
}

func printKeys(w io.Writer, what string, keys []verify.Key, all int) {
	for _, k := range keys {
		fmt.Fprintf(w, "           %s: key %s: %s\n", what, k.Key, k.What)
	}
	if more := all - len(keys); more > 0 {
		fmt.Fprintf(w, "           %s: and %s more\n", what, humanize.Comma(int64(more)))
	}
}

// summary says it of all tables. together is the position that they were compared at; "": several.
func summary(results []verify.Result, together string) string {
	count := map[verify.Verdict]int{}
	for _, r := range results {
		count[r.Verdict]++
	}
	line, at := fmt.Sprintf("all %d tables are equal", len(results)), " at "
	if count[verify.Equal] < len(results) {
		line, at = fmt.Sprintf("%d tables: %d equal, %d different, %d moving, %d not compared", len(results),
			count[verify.Equal], count[verify.Different], count[verify.Moving], count[verify.Unknown]), "; compared at "
	}
	for _, v := range []verify.Verdict{verify.Quarantined, verify.Dropped} {
		if n := count[v]; n > 0 {
			line += fmt.Sprintf(", %d %s", n, v)
		}
	}
	if together != "" {
		line += at + together
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
