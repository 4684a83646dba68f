package commit

import (
	"context"
	"sync"
	"testing"

	"cdcd/table"
	icetable "github.com/apache/iceberg-go/table"
)

// cachedCatalog loses the answer to every commit of a data table, and then answers the first
// question with what the table was some commits ago.
type cachedCatalog struct {
	table.Catalog
	mu       sync.Mutex
	history  map[string][]*icetable.Table // what was loaded, oldest first
	lost     map[string]bool
	outdated int // answers that were older than what the daemon knew
}

// behind is how many commits ago the outdated answers were true.
const behind = 2

func (c *cachedCatalog) CommitTable(ctx context.Context, ident icetable.Identifier, reqs []icetable.Requirement, updates []icetable.Update) (icetable.Metadata, string, error) {
	meta, location, err := c.Catalog.CommitTable(ctx, ident, reqs, updates)
	if err != nil || ident[0] != "shop" {
		return meta, location, err
	}
	t, err := c.Catalog.LoadTable(ctx, ident)
	if err != nil {
		return nil, "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history[ident[1]] = append(c.history[ident[1]], t)
	c.lost[ident[1]] = true
	return nil, "", errInjected
}

func (c *cachedCatalog) LoadTable(ctx context.Context, ident icetable.Identifier) (*icetable.Table, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if all := c.history[ident[len(ident)-1]]; c.lost[ident[len(ident)-1]] && len(all) > behind {
		c.lost[ident[len(ident)-1]] = false
		c.outdated++
		return all[len(all)-1-behind], nil
	}
	return c.Catalog.LoadTable(ctx, ident)
}

// TestOutdatedAnswers lets a cache before the catalog answer where the outcome of a commit is
// open: what it says is no truth, and no reason to stop.
func TestOutdatedAnswers(t *testing.T) {
	l := newLab(t, 1, "a", "b")
	cache := &cachedCatalog{Catalog: l.cat, history: map[string][]*icetable.Table{}, lost: map[string]bool{}}
	l.cfg.Tables.Catalog = cache
	l.cfg.MaxRows = 5
	l.mustRun()
	l.churn(15)
	l.mustRun()
	l.check()
	if cache.outdated < 3 {
		t.Errorf("only %d outdated answers", cache.outdated)
	}
}
