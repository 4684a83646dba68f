package main

import (
	"context"
	"errors"
	"time"

	"cdcd/commit"
	"cdcd/compaction"
	"cdcd/table"
)

// garbageTotals is what the collector of garbage has come to.
type garbageTotals struct {
	Removed, RemovedBytes int64 // by this process
	Waiting, WaitingBytes int64 // found in the last round, and there still
}

// collector makes the collector of a recovered pipeline: no intent of a former owner is open.
func (d *daemon) collector(lake *lakehouse, p *commit.Pipeline, c *compaction.Compactor) (*compaction.Collector, error) {
	tables := lake.tables(d.cfg.Pipeline)
	tables.Now, tables.Intents = clock, commit.IntentsIn(lake.beside(d.cfg), d.cfg.Pipeline)
	return compaction.NewCollector(compaction.CollectorConfig{
		Tables: tables, Dir: d.state.garbageDir(), Fence: p.Status().Fence, Grace: time.Duration(d.cfg.Garbage.Grace),
		Interval: time.Duration(d.cfg.Garbage.Interval), DryRun: d.cfg.Garbage.DryRun, InFlight: c.InFlight, Now: clock, Logger: d.logger,
	})
}

// collectGarbage deletes what no snapshot names any more, until ctx ends or somebody else owns
// the pipeline. Trouble with it stops nothing else.
func (d *daemon) collectGarbage(ctx context.Context, lake *lakehouse, p *commit.Pipeline, rewriting *compaction.Compactor) {
	c, err := d.collector(lake, p, rewriting)
	if err != nil {
		d.logger.Warn("garbage is not collected", "err", err)
		return
	}
	ticker := time.NewTicker(time.Duration(d.cfg.Garbage.Interval))
	defer ticker.Stop()
	totals := garbageTotals{}
	for {
		r, err := c.Collect(ctx, d.written(p))
		if ctx.Err() != nil {
			return
		}
		totals = totals.after(r)
		shown := totals
		d.view.garbage.Store(&shown)
		d.logGarbage(r, err)
		if errors.Is(err, compaction.ErrNotOwner) {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// after gives what the totals are after one more round.
func (t garbageTotals) after(r compaction.GarbageReport) garbageTotals {
	return garbageTotals{t.Removed + int64(r.Removed), t.RemovedBytes + r.RemovedBytes, int64(r.Waiting), r.WaitingBytes}
}

func (d *daemon) logGarbage(r compaction.GarbageReport, err error) {
	if err != nil {
		d.logger.Warn("garbage stays", "err", err)
	}
	if r.Removed > 0 || d.cfg.Garbage.DryRun && r.Waiting > 0 {
		d.logger.Info("garbage", "removed", r.Removed, "removed_bytes", r.RemovedBytes, "left", r.Waiting, "left_bytes", r.WaitingBytes, "dry_run", d.cfg.Garbage.DryRun)
	}
}

// written names the tables that a pipeline writes, by now.
func (d *daemon) written(p *commit.Pipeline) []table.Name {
	out := []table.Name{controlName(d.cfg)}
	for _, t := range p.Status().Tables {
		out = append(out, t.Lake)
	}
	return out
}
