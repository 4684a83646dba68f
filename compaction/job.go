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

	computed time.Duration // once it is written
}

// Rest notes rows that were read, and rests as the pace says.
func (j *job) Rest(ctx context.Context, rows int64) error {
	j.rows.Add(rows)
	before := j.pace.clock.Now()
	err := j.pace.Rest(ctx)
	j.rested.Add(int64(j.pace.clock.Now().Sub(before)))
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
