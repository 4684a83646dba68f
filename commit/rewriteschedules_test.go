package commit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cdcd/table"
	icetable "github.com/apache/iceberg-go/table"
)

// rewriteEvery is how long a daemon's compactor rests: in a run of a few milliseconds there are
// some rewrites of each table.
const rewriteEvery = 100 * time.Microsecond

// rewriteBeside rewrites all files of a pipeline's tables in turn, until it ends. What it gives
// waits for that.
func (w *world) rewriteBeside(ctx context.Context, p *Pipeline) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		names := []table.Name{controlName}
		for _, n := range w.names {
			names = append(names, table.Name{Namespace: "shop", Table: n})
		}
		for i := 0; ; i++ {
			if pause(ctx, rewriteEvery) != nil {
				return
			}
			err := w.rewriteOnce(ctx, p, names[i%len(names)])
			switch {
			case errors.Is(err, errNoChores), errors.Is(err, context.Canceled):
				return
			case errors.Is(err, table.ErrOutdated):
				w.note(event{object: "daemon", what: "rewrite: outdated"})
			case errors.Is(err, errInjected), errors.Is(err, icetable.ErrCommitFailed):
				w.note(event{object: "daemon", what: "rewrite: failed"})
			case err != nil:
				w.violated("rewrite", "%v", err)
			}
		}
	}()
	return func() { <-done }
}

// rewriteOnce rewrites a table's files into one. While it does, an epoch may land.
func (w *world) rewriteOnce(ctx context.Context, p *Pipeline, n table.Name) error {
	s, err := p.Survey(ctx, n)
	if err != nil {
		return err
	}
	var paths []string
	for _, f := range s.Files {
		if len(s.Files) > 1 || f.Deleted > 0 {
			paths = append(paths, f.Path)
		}
	}
	if len(paths) == 0 {
		return nil
	}
	rw, err := s.Rewrite(ctx, paths, table.RewriteOptions{Stem: table.NewStem(p.committer.fence, s.Epoch)})
	if err != nil {
		return err
	}
	if err := pause(ctx, rewriteEvery); err != nil {
		return err
	}
	return p.Replace(ctx, rw)
}

// rewriteSchedules is how many schedules of each kind TestRewriteSchedules plays, unless all are
// asked for.
const rewriteSchedules = 70

// TestRewriteSchedules plays schedules of one fault with daemons that rewrite their files all the
// time: faults come to the calls of rewrites as to those of epochs.
func TestRewriteSchedules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		list := func(like schedule, calls map[site]int) []schedule {
			if like.tables > 1 {
				return enumerateApart(like, calls)
			}
			return enumerate(like, calls)
		}
		playKinds(
			t, min(*schedulesFlag, rewriteSchedules), list,
			schedule{tables: 1, seed: 1, begun: true, rewrites: true}, schedule{tables: 1, seed: 1, rewrites: true}, schedule{tables: 2, seed: 1, begun: true, rewrites: true},
		).reportRewrites(t)
	})
}

// reportRewrites fails where too little happened to rewrites.
func (c *tally) reportRewrites(t *testing.T) {
	t.Helper()
	for step, n := range c.Paths {
		if strings.HasPrefix(step, "rewrite") {
			t.Logf("%6d  %s", n, step)
		}
	}
	for _, step := range []string{"rewrite: landed", "rewrite: failed"} {
		if c.Paths[step] == 0 && (*schedulesFlag == 0 || *schedulesFlag >= rewriteSchedules) {
			t.Errorf("no schedule took the path %q", step)
		}
	}
}
