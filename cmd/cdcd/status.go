package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
)

// statusCmd is cdcd status.
type statusCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run asks the running daemon.
func (s *statusCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadLakeConfig(flags.Config, c)
	if err != nil {
		return err
	}
	var report statusReport
	if err := askDaemon(ctx, cfg.Control.Socket, "/status", &report); err != nil {
		return err
	}
	if s.JSON {
		return printJSON(c.out, report)
	}
	return printStatus(c.out, report)
}

var errNoDaemon = errors.New("no daemon answers on the control socket")

const controlTimeout = 5 * time.Second

// askDaemon asks the daemon that owns the control socket.
func askDaemon(ctx context.Context, socket, path string, to any) error {
	return client{socket}.do(ctx, controlTimeout, http.MethodGet, path, nil, to)
}

func printStatus(out io.Writer, r statusReport) error {
	fmt.Fprintf(out, "pipeline %s is %s, lag %v\n", r.Pipeline, r.State, time.Duration(r.LagMS)*time.Millisecond)
	if r.Committed != "" {
		fmt.Fprintf(out, "position %s\n", r.Committed)
	}
	if r.Prepared != "" {
		fmt.Fprintf(out, "prepared %s, by XA and not completed: the source has to keep its log from there on\n", r.Prepared)
	}
	if l := r.Load; l != nil {
		fmt.Fprintf(out, "loading  %s of about %s rows, %d %%, %s rows/s", humanize.Comma(l.Rows), humanize.Comma(l.Estimate), l.Percent, humanize.Comma(l.PerSecond))
		if l.Left != "" {
			fmt.Fprintf(out, ", %s left", l.Left)
		}
		fmt.Fprintln(out)
		if l.Waiting != "" {
			fmt.Fprintf(out, "waiting  %s\n", l.Waiting)
		}
	}
	if c := r.Compaction; c != nil {
		fmt.Fprintf(out, "rewriting %s of %s for %s, %d %%\n", count(c.Files, "file"), c.Table, c.Reason, c.Percent)
	}
	return printTables(out, r)
}

// printTables prints a line a table, and below it what is to be said of the table.
func printTables(out io.Writer, r statusReport) error {
	var lines bytes.Buffer
	w := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TABLE\tSTATE\tROWS\tINSERTED\tUPDATED\tDELETED\tCOMMITS\tFILES\tSMALL\tVECTORS\tDEAD ROWS\tDEBT\tSIZE")
	for _, t := range r.Tables {
		state := t.State
		if state == stateLoading {
			state = fmt.Sprintf("loading %.0f %%", 100*t.LoadProgress)
			if t.Anew {
				state = "anew, " + state
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d %%\t%s\t%s\n", t.Table, state, humanize.Comma(t.Rows), humanize.Comma(t.Inserted),
			humanize.Comma(t.Updated), humanize.Comma(t.Deleted), t.Commits, t.DataFiles, t.SmallFiles, t.DeleteFiles, t.DeletedPercent(),
			humanize.IBytes(uint64(t.DebtBytes)), humanize.IBytes(uint64(t.Bytes)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	header, _ := lines.ReadString('\n')
	fmt.Fprint(out, header)
	for _, t := range r.Tables { // a line without columns would end the alignment
		line, _ := lines.ReadString('\n')
		fmt.Fprint(out, line)
		if t.Quarantine != nil {
			fmt.Fprintf(out, "    %s\n", t.Quarantine)
		}
		if t.DebtGrowing {
			fmt.Fprintln(out, "    its debt grows: more files are to be rewritten than are")
		}
	}
	for _, x := range r.Refused {
		fmt.Fprintf(out, "%s is not replicated: %s; the next start refuses it: change it, or exclude it (tables[].exclude)\n", x.Table, x.Reason)
	}
	return nil
}
