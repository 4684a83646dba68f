package compaction

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"cdcd/table"
)

// Asked is a compaction that somebody asks for.
type Asked struct {
	Table table.Name
	Only  func(path string) bool // nil: all files
}

// Step is how far a compaction that somebody asked for has come.
type Step struct {
	Done, Groups  int   // groups of files
	Files, Left   int   // inputs, and outputs, of those that are done
	Read, Written int64 // bytes
	Rows, Dropped int64 // that were written, and deleted ones that are gone
}

// Compact rewrites all files of a table that are small or of which rows are deleted, as fast as it
// can. It gives how far it is before the first group of files and after each. What has landed
// stays, whatever happens after it; an error ends it.
func (c *Compactor) Compact(ctx context.Context, a Asked) iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		survey, err := c.cfg.Lake.Survey(ctx, a.Table)
		if err != nil {
			yield(Step{}, err)
			return
		}
		files := slices.Clone(survey.Files)
		if a.Only != nil {
			files = slices.DeleteFunc(files, func(f table.LiveFile) bool { return !a.Only(f.Path) })
		}
		groups := PlanAll(files, c.policy(survey))
		at := Step{Groups: len(groups)}
		for more := yield(at, nil); more && at.Done < len(groups); more = yield(at, err) && err == nil {
			err = c.take(ctx, survey, groups[at.Done], &at)
		}
	}
}

// take rewrites one group as fast as it can.
func (c *Compactor) take(ctx context.Context, s *table.Survey, g Group, at *Step) error {
	rw, err := c.rewrite(ctx, s, g, 1)
	switch {
	case errors.Is(err, table.ErrOutdated): // who was faster has rewritten them
		at.Done++
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	at.Done++
	at.Files += len(g.Files)
	at.Read += g.Read
	at.Written += writtenBytes(rw)
	at.Rows += rw.Rows
	at.Dropped += g.Deleted
	if rw.Output != nil {
		at.Left++
	}
	return nil
}
