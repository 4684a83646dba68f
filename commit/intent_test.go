package commit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"cdcd/table"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"
)

// dyingCatalog ends the daemon when it is asked for a commit: everything is uploaded and
// nothing has landed.
type dyingCatalog struct {
	table.Catalog
	commits atomic.Int64 // that are left; tables commit in parallel
	die     func()
}

func (c *dyingCatalog) CommitTable(ctx context.Context, ident icetable.Identifier, reqs []icetable.Requirement, ups []icetable.Update) (icetable.Metadata, string, error) {
	if ident[0] == "shop" && !fences(ups) {
		if c.commits.Add(-1) < 0 {
			c.die()
			return nil, "", context.Canceled
		}
	}
	return c.Catalog.CommitTable(ctx, ident, reqs, ups)
}

func (c *dyingCatalog) CreateTable(ctx context.Context, ident icetable.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (*icetable.Table, error) {
	return c.Catalog.CreateTable(ctx, ident, schema, opts...)
}

// fences reports whether a commit moves the fence.
func fences(ups []icetable.Update) bool {
	for _, u := range ups {
		if strings.Contains(fmt.Sprintf("%+v", u), "cdcd_fence") {
			return true
		}
	}
	return false
}

// TestPreparedEpochIsTakenUp ends the daemon between the upload and the swap of an epoch. The
// next one, whose stream is cut elsewhere, ends an epoch where that one would have ended and
// uploads nothing of it again.
func TestPreparedEpochIsTakenUp(t *testing.T) {
	for seed := range uint64(8) {
		l := newLab(t, seed, "a", "b")
		l.churn(10)
		l.mustRun()
		for i := range 7 {
			l.server.add(change{"a", int64(i), value("a%d", i)}, change{"b", int64(i), value("b%d", i)})
		}
		ctx, die := context.WithCancel(context.Background())
		dying := &dyingCatalog{Catalog: l.cat, die: die}
		dying.commits.Store(int64(seed % 2))
		l.cfg.Tables.Catalog = dying
		if err := l.run(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("seed %d: the run ended with %v", seed, err)
		}
		l.cfg.Tables.Catalog = l.cat
		l.server.add(change{"a", 100, value("later")})
		l.server.random(int(seed) + 2) // the segments are others
		var log bytes.Buffer
		l.cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		l.mustRun()
		l.check()
		l.checkHistory()
		l.checkCuts()
		if !strings.Contains(log.String(), "reused_files=1") {
			t.Errorf("seed %d: nothing was used again:\n%s", seed, log.String())
		}
		l.mem.AssertSize(t, 0)
	}
}
