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
		from, err := newLakes(1, 2)
		if err != nil {
			t.Fatal(err)
		}
		c := newTally()
		most := min(*schedulesFlag, rewriteSchedules)
		for _, like := range []schedule{
			{tables: 1, seed: 1, begun: true, rewrites: true}, {tables: 1, seed: 1, rewrites: true}, {tables: 2, seed: 1, begun: true, rewrites: true},
		} {
			r, err := from.play(like)
			if err != nil || len(r.broken) > 0 {
				t.Fatalf("without faults: %v, %v", err, r.broken)
			}
			list := enumerate
			if like.tables > 1 {
				list = enumerateApart
			}
			for _, s := range spread(list(like, r.calls), most) {
				c.play(t, from, s)
			}
		}
		c.reportRewrites(t)
		if err := from.close(); err != nil {
			t.Error(err)
		}
	})
}

// reportRewrites fails where something broke, or too little happened.
func (c *tally) reportRewrites(t *testing.T) {
	t.Helper()
	for _, b := range c.Broken {
		t.Error(b)
	}
	t.Logf("%d schedules played, %d did not come to act", c.Played, c.Missed)
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
	if c.Missed > c.Played {
		t.Error("too few came to act")
	}
}
