package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"cdcd/compaction"
	"cdcd/table"
	"github.com/dustin/go-humanize"
)

// compactCmd is cdcd compact.
type compactCmd struct {
	Table string `arg:"" help:"Lake table, as namespace.table."`
	Where string `placeholder:"CONDITION" help:"Only files that may hold such rows: comparisons of columns with literals, joined by and."`
	JSON  bool   `name:"json" help:"Print each step as a line of JSON."`
}

// compactRequest asks for a compaction.
type compactRequest struct {
	Table string `json:"table"`
	Where string `json:"where,omitempty"`
}

// compactReport is how far a compaction is. The last one has an error, or all groups done.
type compactReport struct {
	Done      int    `json:"groups_done"`
	Groups    int    `json:"groups"`
	Files     int    `json:"files_before"`
	Left      int    `json:"files_after"`
	Read      int64  `json:"bytes_before"`
	Written   int64  `json:"bytes_after"`
	Rows      int64  `json:"rows"`
	Dropped   int64  `json:"deleted_rows_dropped"`
	GroupRows int64  `json:"group_rows,omitempty"` // of the group under way
	GroupRead int64  `json:"group_rows_read,omitempty"`
	Error     string `json:"error,omitempty"`
}

func newCompactReport(s compaction.Step) compactReport {
	return compactReport{Done: s.Done, Groups: s.Groups, Files: s.Files, Left: s.Left, Read: s.Read, Written: s.Written, Rows: s.Rows, Dropped: s.Dropped}
}

// Run has the running daemon compact a table, and shows how far it is.
func (x *compactCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadLakeConfig(flags.Config, c)
	if err != nil {
		return err
	}
	if _, err := parseName(x.Table); err != nil {
		return err
	}
	body, err := json.Marshal(compactRequest{x.Table, x.Where})
	if err != nil {
		return err
	}
	bar := newProgressBar(c.err)
	defer bar.finish()
	last := compactReport{Error: daemonEnded}
	for line, err := range (client{cfg.Control.Socket}).stream(ctx, "/compact", body) {
		if err != nil {
			return err
		}
		last = compactReport{}
		if err := json.Unmarshal(line, &last); err != nil {
			return err
		}
		if x.JSON {
			fmt.Fprintf(c.out, "%s\n", line)
		}
		bar.draw(last.progress(x.Table), last.percent())
	}
	bar.finish()
	if last.Error == "" && last.Done < last.Groups {
		last.Error = daemonEnded
	}
	switch {
	case last.Error != "":
		return coded{exitLater, fmt.Errorf("after %d of %d rewrites, which stay: %s", last.Done, last.Groups, last.Error)}
	case x.JSON:
		return nil
	}
	return last.print(c.out, x.Table)
}

// daemonEnded is why an answer is not whole.
const daemonEnded = "the daemon has ended"

// percent is the share of the rewrites that is done, that of the one under way included.
func (r compactReport) percent() int {
	part := float64(r.Done)
	if r.GroupRows > 0 {
		part += float64(r.GroupRead) / float64(r.GroupRows)
	}
	return int(100 * part / float64(max(1, r.Groups)))
}

func (r compactReport) progress(name string) string {
	return fmt.Sprintf("compacting %s  %d/%d rewrites", name, r.Done, r.Groups)
}

func (r compactReport) print(out io.Writer, name string) error {
	if r.Groups == 0 {
		_, err := fmt.Fprintf(out, "%s: there is nothing to rewrite\n", name)
		return err
	}
	_, err := fmt.Fprintf(out, "%s: %s of %s became %s of %s with %s rows, without %s deleted ones\n", name, count(r.Files, "file"), humanize.IBytes(uint64(r.Read)),
		count(r.Left, "file"), humanize.IBytes(uint64(r.Written)), humanize.Comma(r.Rows), humanize.Comma(r.Dropped))
	return err
}

// reportEvery is how often the daemon says how far a compaction is.
const reportEvery = 300 * time.Millisecond

// compact rewrites a table as a request says, and tells how far it is, a line of JSON at a time,
// until it is done or whoever asked is gone.
func (d *daemon) compact(w http.ResponseWriter, r *http.Request) {
	c := d.view.compactor.Load()
	asked, err := d.asked(r)
	if err == nil && c == nil {
		err = errRecovering
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	tell := func(x compactReport) {
		_ = lines.Encode(x) // the client may be gone
		_ = http.NewResponseController(w).Flush()
	}
	steps := make(chan compactReport)
	go func() {
		defer close(steps)
		for s, err := range c.Compact(r.Context(), asked) {
			x := newCompactReport(s)
			if err != nil {
				x.Error = err.Error()
			}
			steps <- x
		}
	}()
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	var last compactReport
	for {
		select {
		case x, more := <-steps:
			if !more {
				return
			}
			last = x
		case <-ticker.C:
		}
		last.GroupRows, last.GroupRead = 0, 0
		if j := c.Status().Job; j != nil && j.Table == asked.Table && last.Done < last.Groups {
			last.GroupRows, last.GroupRead = j.Rows, j.Read
		}
		tell(last)
	}
}

// asked reads a request for a compaction.
func (d *daemon) asked(r *http.Request) (compaction.Asked, error) {
	var req compactRequest
	if err := json.NewDecoder(io.LimitReader(r.Body, maxCommand)).Decode(&req); err != nil {
		return compaction.Asked{}, badRequest{err}
	}
	n, err := parseName(req.Table)
	if err != nil {
		return compaction.Asked{}, badRequest{err}
	}
	p, err := d.running()
	if err != nil {
		return compaction.Asked{}, err
	}
	if !slices.Contains(d.written(p), n) {
		return compaction.Asked{}, badRequest{fmt.Errorf("%s is no table of this pipeline", n)}
	}
	asked := compaction.Asked{Table: n}
	if req.Where == "" {
		return asked, nil
	}
	h, err := table.LoadHead(r.Context(), d.tables, n)
	if err != nil || h == nil {
		return asked, cmp.Or(err, fmt.Errorf("%s is gone", n))
	}
	files, err := h.FilesWhere(r.Context(), req.Where)
	if errors.Is(err, table.ErrCondition) {
		return asked, badRequest{err}
	}
	asked.Only = func(path string) bool { return files[path] }
	return asked, err
}
