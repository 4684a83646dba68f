package compaction

import (
	"context"
	"slices"

	"cdcd/table"
)

// giveWay merges small files while a larger rewrite is under way, at most one group of each table.
// The small ones come with every commit, and would wait for as long as the large one takes. What
// it reads and writes counts as its own work, at the pace of the large one. Trouble with a table
// leaves it alone for a while.
func (c *Compactor) giveWay(ctx context.Context, j *job) error {
	for _, t := range c.cfg.Targets() {
		st := c.state(t.Name)
		if t.Snapshot != 0 && t.Snapshot == j.quiet[t.Name] || c.settled(t, st) {
			continue
		}
		survey, err := c.cfg.Lake.Survey(ctx, t.Name)
		if err != nil {
			continue // Run asks for it again, and says so
		}
		g, ok := c.beside(survey, j)
		if !ok {
			j.quiet[t.Name] = survey.Snapshot
			continue
		}
		pace, err := NewPacer(j.pace.share, c.cfg.Clock)
		if err != nil {
			return err
		}
		_, err = c.carryOut(ctx, survey, &job{name: t.Name, group: g, pace: pace, within: j})
		if err = c.block(st, err); ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.cfg.Logger.Warn("files are not rewritten", "table", t.Name.String(), "err", err, "again_after", retryAfter)
		}
	}
	return ctx.Err()
}

// beside chooses the most urgent group of small files of a table that may be rewritten beside a job.
func (c *Compactor) beside(s *table.Survey, j *job) (Group, bool) {
	p := c.policy(s)
	p.TargetBytes /= besideShare
	files := s.Files
	if s.Name == j.name {
		taken := map[string]bool{}
		for _, f := range j.group.Files {
			taken[f.Path] = true
		}
		files = slices.DeleteFunc(slices.Clone(files), func(f table.LiveFile) bool { return taken[f.Path] })
	}
	return planBeside(files, p)
}
