package main

import (
	"context"
	"sync"

	"cdcd/commit"
	"cdcd/compaction"
	"cdcd/table"
)

// compactor makes the compactor of a recovered pipeline.
func (d *daemon) compactor(p *commit.Pipeline) (*compaction.Compactor, error) {
	c := d.cfg.Compaction
	return compaction.NewCompactor(compaction.CompactorConfig{
		Lake: p, Fence: p.Status().Fence, Targets: targets(controlName(d.cfg), p), DeletedShare: float64(c.DeletedPercent) / 100,
		Share: float64(c.CPUPercent) / 100, Idle: !c.Enabled, Clock: compaction.Wall{}, Logger: d.logger.With(componentKey, componentCompaction),
	})
}

// targets gives the tables that may be compacted. One that is being loaded is left alone: its load
// is over sooner; so is one that is quarantined.
func targets(control table.Name, p *commit.Pipeline) func() []compaction.Target {
	return func() []compaction.Target {
		out := []compaction.Target{{Name: control}}
		for _, t := range p.Status().Tables {
			if !t.Loading && t.Quarantine == nil {
				out = append(out, compaction.Target{Name: t.Lake, Snapshot: t.Snapshot})
			}
		}
		return out
	}
}

// maintain keeps the tables of a running pipeline cheap to read and to commit to. end stops that.
func (d *daemon) maintain(ctx context.Context, lake *lakehouse, p *commit.Pipeline) (end func(), err error) {
	c, err := d.compactor(p)
	if err != nil {
		return nil, err
	}
	d.view.compactor.Store(c)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { d.collectGarbage(ctx, lake, p, c) })
	running.Go(func() { c.Run(ctx) })
	return func() { cancel(); running.Wait() }, nil
}
