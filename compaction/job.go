package compaction

import (
	"context"
	"sync/atomic"
	"time"

	"cdcd/table"
)

// job is a rewrite under way. It paces its rewrite.
type job struct {
	name   table.Name
	group  Group
	pace   *Pacer
	began  time.Time
	rows   atomic.Int64 // of the inputs, read
	rested atomic.Int64 // nanoseconds

	within  *job                        // the one that gave way to it; nil: none
	giveWay func(context.Context) error // does small ones; nil: it is one
	looked  time.Time                   // for small ones
	quiet   map[table.Name]int64        // the snapshots at which there were none

	computed time.Duration // once it is written, without those within it
}

// Rest notes rows that were read, and rests as the pace says. Every now and then it does small
// rewrites meanwhile.
func (j *job) Rest(ctx context.Context, rows int64) error {
	j.rows.Add(rows)
	before := j.pace.clock.Now()
	err := j.aside(ctx)
	if err == nil {
		err = j.pace.Rest(ctx, j.aside)
	}
	j.rested.Add(int64(j.pace.clock.Now().Sub(before)))
	return err
}

// aside does small rewrites, if it is time to look for them. They take no time of this one's.
func (j *job) aside(ctx context.Context) error {
	before := j.pace.clock.Now()
	if j.giveWay == nil || before.Sub(j.looked) < lookEvery {
		return nil
	}
	err := j.giveWay(ctx)
	j.looked = j.pace.clock.Now()
	j.pace.Skip(j.looked.Sub(before))
	return err
}

// Status is what a Compactor is doing.
type Status struct {
	Totals Totals
	Job    *Job // nil: none is under way
	Debts  map[table.Name]Debt
}

// Job is a rewrite under way.
type Job struct {
	Table  table.Name
	Reason Reason
	Files  int
	Rows   int64 // of the inputs
	Read   int64 // of those
}

// Status gives what it is doing now. Debts are as of when a table was last looked at.
func (c *Compactor) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Totals: c.totals, Debts: map[table.Name]Debt{}}
	for n, t := range c.tables {
		s.Debts[n] = t.debt
	}
	if j := c.job; j != nil {
		s.Job = &Job{j.name, j.group.Reason, len(j.group.Files), j.group.Rows + j.group.Deleted, j.rows.Load()}
	}
	return s
}
