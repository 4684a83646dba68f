package main

import (
	"context"
	"fmt"
	"io"

	"cdcd/capture"
	"github.com/dustin/go-humanize"
)

// checkCmd is cdcd check.
type checkCmd struct {
	Offline bool `help:"Check the configuration only."`
	JSON    bool `name:"json" help:"Print JSON."`
}

// checkReport is what cdcd check --json prints.
type checkReport struct {
	OK       bool          `json:"ok"`
	Server   string        `json:"server,omitempty"`
	Position string        `json:"position,omitempty"`
	Tables   []checkTable  `json:"tables"`
	Problems []problemJSON `json:"problems"`
	Warnings []problemJSON `json:"warnings"`
}

type checkTable struct {
	Source string `json:"source"`
	Table  string `json:"table"`
	Rows   int64  `json:"rows_estimate"`
}

type problemJSON struct {
	Table  string `json:"table,omitempty"`
	What   string `json:"what"`
	Repair string `json:"repair,omitempty"`
}

// Run checks everything that can be checked without writing, but for a scratch table in a
// catalog that is not ours.
func (k *checkCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadConfig(flags.Config, c)
	if err != nil {
		return err
	}
	if k.Offline {
		return k.print(c.out, checkReport{OK: true})
	}
	report, err := preflight(ctx, cfg)
	if err != nil {
		return err
	}
	lakeProblems, err := checkCatalog(ctx, cfg)
	if err != nil {
		return err
	}
	report.Problems = append(report.Problems, lakeProblems...)
	report.Warnings = append(report.Warnings, directoryWarnings(cfg)...)
	targets := targetsOf(cfg, report)
	out := checkReport{
		OK: len(report.Problems) == 0, Server: fmt.Sprintf("%v %s", report.Server.Flavor, report.Server.Version), Position: report.Server.Executed.String(),
		Problems: problemsJSON(report.Problems), Warnings: problemsJSON(report.Warnings),
	}
	for _, t := range report.Tables {
		target := targets[[2]string{t.Name.Schema, t.Name.Table}]
		out.Tables = append(out.Tables, checkTable{t.Name.String(), target.Namespace + "." + target.Table, t.Rows})
	}
	if err := k.print(c.out, out); err != nil {
		return err
	}
	if !out.OK {
		return coded{exitHuman, errReported}
	}
	return nil
}

func problemsJSON(ps []capture.Problem) []problemJSON {
	out := make([]problemJSON, 0, len(ps))
	for _, p := range ps {
		out = append(out, problemJSON{p.Table, p.What, p.Repair})
	}
	return out
}

func (k *checkCmd) print(w io.Writer, r checkReport) error {
	if k.JSON {
		return printJSON(w, r)
	}
	if r.Server != "" {
		fmt.Fprintf(w, "server   %s\nposition %s\n", r.Server, r.Position)
	}
	for _, t := range r.Tables {
		fmt.Fprintf(w, "table    %s -> %s, about %s rows\n", t.Source, t.Table, humanize.Comma(t.Rows))
	}
	printProblemList(w, "warning", r.Warnings)
	printProblemList(w, "problem", r.Problems)
	if r.OK {
		_, err := fmt.Fprintln(w, "ok")
		return err
	}
	_, err := fmt.Fprintf(w, "%s: nothing will be replicated until repaired\n", count(len(r.Problems), "problem"))
	return err
}

// count renders a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func printProblemList(w io.Writer, kind string, ps []problemJSON) {
	for _, p := range ps {
		fmt.Fprintf(w, "%s  %s\n", kind, capture.Problem{Table: p.Table, What: p.What, Repair: p.Repair})
	}
}

// printProblems prints what keeps the daemon from starting.
func printProblems(w io.Writer, ps []capture.Problem) {
	printProblemList(w, "problem", problemsJSON(ps))
}
