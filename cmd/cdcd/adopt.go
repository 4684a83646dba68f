package main

import (
	"context"
	"fmt"
	"io"

	"cdcd/commit"
)

// adoptCmd is cdcd adopt.
type adoptCmd struct {
	Table  string `arg:"" help:"Lake table, as namespace.table."`
	DryRun bool   `name:"dry-run" help:"Say what would be done, and change nothing."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run takes a table over as somebody has left it.
func (a *adoptCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadLakeConfig(flags.Config, c)
	if err != nil {
		return err
	}
	n, err := parseName(a.Table)
	if err != nil {
		return err
	}
	return repair(ctx, cfg, c, func(x *repairing) error {
		done, err := commit.Adopt(ctx, x.config, n, a.DryRun)
		if err != nil {
			return err
		}
		if a.JSON {
			return printJSON(c.out, done)
		}
		return printAdopted(c.out, done)
	})
}

// printAdopted prints for people.
func printAdopted(w io.Writer, a *commit.Adopted) error {
	if a.Trouble != "" {
		fmt.Fprintln(w, "found   ", a.Trouble)
	}
	how := "main's history shows it"
	if a.Compared {
		how = fmt.Sprintf("main's %d rows are, value by value, those of that snapshot", a.Rows)
	}
	fmt.Fprintf(w, "table    %s, snapshot %d\nposition %s\n         of snapshot %d: %s\n%s withdrawn\n", a.Table, a.Snapshot, a.Position, a.Mark, how, count(len(a.Withdrawn), "cut"))
	end := "nothing was changed"
	if a.Done {
		end = "done: cdcd run goes on from there"
	}
	_, err := fmt.Fprintln(w, end)
	return err
}
