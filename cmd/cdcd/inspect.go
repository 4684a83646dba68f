package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"cdcd/cmd/cdcd/config"
	"cdcd/commit"
	"cdcd/table"
)

// inspectCmd is cdcd inspect.
type inspectCmd struct {
	Tables []string `arg:"" optional:"" help:"Lake tables, as namespace.table. All, if none is given."`
	JSON   bool     `name:"json" help:"Print JSON."`
}

// Run looks, and writes nothing.
func (i *inspectCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadLakeConfig(flags.Config, c)
	if err != nil {
		return err
	}
	lake, err := openLake(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer lake.Close()
	names, err := namedTables(ctx, lake, i.Tables)
	if err != nil {
		return err
	}
	report := commit.Inspect(ctx, commit.Inspecting{
		Tables: lake.tables(cfg.Pipeline), Warehouse: lake.beside(cfg), Control: controlName(cfg),
		Names: names, Any: len(i.Tables) == 0, Now: time.Now(),
	})
	if i.JSON {
		err = printJSON(c.out, report)
	} else {
		err = printInspection(c.out, report)
	}
	if err != nil {
		return err
	}
	return inspected(report)
}

// controlName names the pipeline's control table.
func controlName(c config.Config) table.Name {
	return table.Name{Namespace: config.ControlNamespace, Table: c.Pipeline}
}

// namedTables gives the names of the tables asked for, or of all that the lake has, but for
// control tables.
func namedTables(ctx context.Context, lake *lakehouse, asked []string) ([]table.Name, error) {
	var out []table.Name
	for _, name := range asked {
		n, err := parseName(name)
		if err != nil {
			return nil, err
		}
		if n.Namespace != config.ControlNamespace { // the control table is looked at in any case
			out = append(out, n)
		}
	}
	if len(asked) > 0 {
		return out, nil
	}
	all, err := lake.AllTables(ctx)
	for _, n := range all {
		if n.Namespace != config.ControlNamespace {
			out = append(out, n)
		}
	}
	return out, err
}

// parseName reads a table's name.
func parseName(name string) (table.Name, error) {
	namespace, tableName, ok := strings.Cut(name, ".")
	if !ok {
		return table.Name{}, coded{exitUsage, fmt.Errorf("%q is not namespace.table", name)}
	}
	return table.Name{Namespace: namespace, Table: tableName}, nil
}

// inspected is the exit code: what needs a person weighs more than what could not be read.
func inspected(r *commit.Inspection) error {
	code := exitOK
	for _, p := range r.Problems {
		switch {
		case p.Human:
			code = exitHuman
		case code == exitOK:
			code = exitLater
		}
	}
	if code == exitOK {
		return nil
	}
	return coded{code, errReported}
}

// cutsPrinted is how many of the newest cuts are printed for people.
const cutsPrinted = 5

// printInspection prints for people: what is wrong comes last, where it is seen.
func printInspection(out io.Writer, r *commit.Inspection) error {
	fmt.Fprintf(out, "pipeline %s\nlease    %s\nfence    %s\n", r.Pipeline, leaseText(r.Lease), fenceText(r))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nTABLE\tFENCE\tSNAPSHOT\tTIMELINE\tEPOCH\tLAST CHANGE\tLOAD\tTAG, PROPERTY\tFOREIGN\tIN DOUBT")
	for _, t := range r.Tables {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%d\t%d\n", t.Table, t.Fence, t.Snapshot, markText(t.Mark), agreement(t), len(t.Foreign), t.InDoubt)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	printPositions(out, r.Tables)
	printCuts(out, r.Cuts)
	for _, x := range r.Records {
		fmt.Fprintf(out, "%-8s %d: %s%s\n", x.Kind, x.Number, recordText(x), x.Owner)
	}
	printIntents(out, r.Intents)
	for _, p := range r.Problems {
		line := p.What
		if p.Table != "" {
			line = p.Table + ": " + line
		}
		fmt.Fprintln(out, "problem ", line)
		if p.Repair != "" {
			fmt.Fprintln(out, "         repair:", p.Repair)
		}
	}
	if len(r.Problems) == 0 {
		fmt.Fprintln(out, "ok")
	}
	return nil
}

func leaseText(l *commit.LeaseState) string {
	if l == nil {
		return "none: no daemon has run"
	}
	age := time.Duration(l.Age * float64(time.Second)).Round(time.Second)
	switch {
	case l.Released:
		return fmt.Sprintf("released %v ago by %s: no daemon runs", age, l.Owner)
	case l.Fresh:
		return fmt.Sprintf("held by %s, renewed %v ago", l.Owner, age)
	}
	return fmt.Sprintf("run out: %s renewed it %v ago: that daemon ended without a word, or cannot reach the store", l.Owner, age)
}

func fenceText(r *commit.Inspection) string {
	if r.Fences.Agree {
		return fmt.Sprintf("%d, on the control table and on all others", r.Fences.Control)
	}
	text := fmt.Sprintf("%d on the control table, %d in its records", r.Fences.Control, r.Fences.Recorded)
	for _, t := range r.Tables {
		if t.Fence != r.Fences.Control {
			text += fmt.Sprintf(", %d on %s", t.Fence, t.Table)
		}
	}
	return text + ": a daemon is taking over, or ended while it did; the next start sets all"
}

func markText(m *commit.MarkState) string {
	if m == nil {
		return "-\t-\t-\t-"
	}
	at, load := "-", "done"
	if m.Commit != nil {
		at = m.Commit.UTC().Format(time.RFC3339)
	}
	if !m.Loaded {
		load = fmt.Sprintf("%d ranges", m.Ranges)
	}
	return fmt.Sprintf("%d\t%d\t%s\t%s", m.Timeline, m.Epoch, at, load)
}

// agreement says where tag and properties point.
func agreement(t commit.TableState) string {
	point := func(at int64) string {
		switch {
		case at == 0:
			return "missing"
		case t.Mark != nil && at == t.Mark.Snapshot:
			return "right"
		}
		return fmt.Sprintf("at %d", at)
	}
	if t.Agree {
		return "agree"
	}
	return "tag " + point(t.Tag) + ", property " + point(t.Property)
}

// printPositions prints the positions, each once.
func printPositions(out io.Writer, tables []commit.TableState) {
	at, order := map[string][]string{}, []string(nil)
	for _, t := range tables {
		if t.Mark == nil {
			continue
		}
		if at[t.Mark.Position] == nil {
			order = append(order, t.Mark.Position)
		}
		at[t.Mark.Position] = append(at[t.Mark.Position], t.Table)
	}
	fmt.Fprintln(out)
	for _, p := range order {
		fmt.Fprintf(out, "position %s\n         of %s\n", p, strings.Join(at[p], ", "))
	}
	for _, t := range tables {
		for _, f := range t.Foreign {
			fmt.Fprintf(out, "foreign  %s: snapshot %d (%s) at %s\n", t.Table, f.Snapshot, f.Operation, f.Time.UTC().Format(time.RFC3339))
		}
	}
}

func printCuts(out io.Writer, cuts []commit.CutState) {
	if more := len(cuts) - cutsPrinted; more > 0 {
		fmt.Fprintf(out, "cut      %s before these\n", count(more, "cut"))
		cuts = cuts[more:]
	}
	for _, c := range cuts {
		state := ""
		if !c.Retained {
			state = ", not all of its snapshots are retained"
		}
		if c.Tagged {
			state += ", tagged"
		}
		at := ""
		if c.Published != nil {
			at = " of " + c.Published.Format(time.RFC3339)
		}
		fmt.Fprintf(out, "cut      %d%s: %s at %s%s\n", c.Number, at, count(len(c.Members), "table"), c.Position, state)
	}
}

func recordText(x commit.RecordState) string {
	var parts []string
	if x.Table != "" {
		parts = append(parts, x.Table)
	}
	if x.Snapshot != 0 {
		parts = append(parts, fmt.Sprintf("snapshot %d", x.Snapshot))
	}
	parts = append(parts, fmt.Sprintf("timeline %d", x.Timeline))
	if x.Position != "" {
		parts = append(parts, "at "+x.Position)
	}
	if x.Recorded != nil {
		parts = append(parts, x.Recorded.Format(time.RFC3339))
	}
	return strings.Join(parts, ", ") + " "
}

// printIntents counts the Intents, and names those that are not settled.
func printIntents(out io.Writer, intents []commit.IntentState) {
	if len(intents) == 0 {
		return
	}
	states := map[string]int{}
	for _, x := range intents {
		states[x.State]++
	}
	var parts []string
	for _, s := range []string{commit.IntentInDoubt, commit.IntentLanded, commit.IntentDead, commit.IntentSettled, commit.IntentUnknown} {
		if states[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", states[s], s))
		}
	}
	fmt.Fprintf(out, "intents  %s\n", strings.Join(parts, ", "))
	for _, x := range intents {
		if x.State == commit.IntentInDoubt || x.State == commit.IntentUnknown {
			fmt.Fprintf(out, "         %s: %s, fence %d, epoch %d, attempt %s: %s\n", x.State, x.Table, x.Fence, x.Epoch, x.Attempt, x.Object)
		}
	}
}
