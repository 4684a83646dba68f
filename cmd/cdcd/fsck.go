package main

import (
	"context"
	"fmt"
	"io"

	"cdcd/cmd/cdcd/config"
	"cdcd/commit"
	"cdcd/fsck"
	"cdcd/table"
	"github.com/dustin/go-humanize"
)

// fsckCmd is cdcd fsck.
type fsckCmd struct {
	Tables []string `arg:"" optional:"" help:"Lake tables, as namespace.table. All, if none is given."`
	Keys   bool     `help:"Also read all keys, and check that none is live twice."`
	JSON   bool     `name:"json" help:"Print JSON."`
}

// fsckReport is what cdcd fsck --json prints.
type fsckReport struct {
	Clean bool `json:"clean"`
	*fsck.Report
}

// Run checks, and writes nothing to the lake.
func (f *fsckCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadLakeConfig(flags.Config, c)
	if err != nil {
		return err
	}
	lake, err := openLake(ctx, cfg, false)
	if err != nil {
		return inconclusive("check", err)
	}
	defer lake.Close()
	names, err := f.tables(ctx, cfg, lake)
	if err != nil {
		return inconclusive("check", err)
	}
	report, err := fsck.Tables(ctx, fsck.Config{
		Lake: lake, Store: lake.store, Tables: names, Keys: f.Keys,
		Cuts:     func(ctx context.Context) ([]fsck.Cut, error) { return publishedCuts(ctx, cfg, lake) },
		Progress: func(line string) { fmt.Fprintln(c.err, line) },
	})
	if err != nil {
		return inconclusive("check", err)
	}
	if f.JSON {
		err = printJSON(c.out, fsckReport{fscked(report) == nil, report})
	} else {
		err = printFsck(c.out, report)
	}
	if err != nil {
		return err
	}
	return fscked(report)
}

// tables gives the tables to check: those asked for, or all of the pipeline, with its
// control table.
func (f *fsckCmd) tables(ctx context.Context, cfg config.Config, lake *lakehouse) ([]table.Name, error) {
	if len(f.Tables) > 0 {
		out := make([]table.Name, 0, len(f.Tables))
		for _, name := range f.Tables {
			n, err := parseName(name)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
		return out, nil
	}
	return commit.TablesOf(ctx, lake.tables(cfg.Pipeline), lake)
}

// publishedCuts reads the cuts from the control table.
func publishedCuts(ctx context.Context, cfg config.Config, lake *lakehouse) ([]fsck.Cut, error) {
	cuts, err := commit.ReadCuts(ctx, lake.tables(cfg.Pipeline), controlName(cfg))
	out := make([]fsck.Cut, len(cuts))
	for i, c := range cuts {
		out[i].Number = c.Number
		for _, m := range c.Members {
			out[i].Members = append(out[i].Members, fsck.CutMember{Table: m.Table, Snapshot: m.Snapshot, Position: m.Position})
		}
	}
	return out, err
}

// findingsPrinted is how many findings of a table are printed for people.
const findingsPrinted = 50

func printFsck(out io.Writer, r *fsck.Report) error {
	broken, debris := len(r.Broken), int64(0)
	for _, t := range r.Tables {
		state := "clean"
		switch {
		case len(t.Findings) > 0:
			state = "broken"
		case t.Error != "":
			state = "unknown"
		}
		broken += len(t.Findings)
		debris += int64(t.Debris.Files)
		line := fmt.Sprintf("%-8s %s: %s, %s, %s, %s", state, t.Table, count(t.Snapshots, "snapshot"), count(t.DataFiles, "data file"),
			count(t.Vectors, "deletion vector"), humanize.IBytes(uint64(t.Bytes)))
		if t.Keys != nil {
			line += fmt.Sprintf(", %s keys", humanize.Comma(*t.Keys))
		}
		fmt.Fprintln(out, line)
		printDebris(out, t.Debris)
		if t.Error != "" {
			fmt.Fprintln(out, "         not checked:", t.Error)
		}
		printFindings(out, t.Findings)
	}
	printFindings(out, r.Broken)
	if r.Error != "" {
		fmt.Fprintln(out, "cuts are not checked:", r.Error)
	}
	_, err := fmt.Fprintf(out, "%s, %s, %s of debris: %s broken\n", count(len(r.Tables), "table"), count(r.Cuts, "cut"), count(int(debris), "file"), count(broken, "rule"))
	return err
}

func printDebris(out io.Writer, d fsck.Debris) {
	if d.Files > 0 {
		fmt.Fprintf(out, "         debris: %s of %s that nothing names", count(d.Files, "file"), humanize.IBytes(uint64(d.Bytes)))
		if d.Fresh > 0 {
			fmt.Fprintf(out, "; %d are under the fence in force, and a daemon may need them", d.Fresh)
		}
		fmt.Fprintln(out)
	}
	if d.Foreign > 0 {
		fmt.Fprintf(out, "         and %s that cdcd did not write\n", count(d.Foreign, "file"))
	}
}

func printFindings(out io.Writer, found []fsck.Finding) {
	for i, f := range found {
		if i == findingsPrinted {
			fmt.Fprintf(out, "         and %d more: see --json\n", len(found)-i)
			return
		}
		fmt.Fprintln(out, "        ", f)
	}
}

// fscked is the exit code: what is broken weighs more than what could not be checked.
func fscked(r *fsck.Report) error {
	code := exitOK
	if r.Error != "" {
		code = exitLater
	}
	for _, t := range r.Tables {
		if t.Error != "" {
			code = exitLater
		}
	}
	for _, t := range r.Tables {
		if len(t.Findings)+len(r.Broken) > 0 {
			code = exitFailure
		}
	}
	if code == exitOK {
		return nil
	}
	return coded{code, errReported}
}
