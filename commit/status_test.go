package commit

import (
	"context"
	"sync"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
	icetable "github.com/apache/iceberg-go/table"
)

// TestStatusOfRecovered checks that a pipeline that has not committed anything yet knows
// what its tables are made of.
func TestStatusOfRecovered(t *testing.T) {
	l := newLab(t, 12, "a", "b")
	l.churn(30)
	l.mustRun()
	l.churn(10)
	l.mustRun()
	p := l.opened()
	for _, s := range p.Status().Tables {
		rows := s.Content.Rows - s.Content.DeletedRows
		if want := len(l.rows(s.Source.Table, 0)); rows != int64(want) {
			t.Errorf("%s: %d rows, want %d", s.Source, rows, want)
		}
		// The fake source commits its n-th transaction n milliseconds into the epoch.
		if newest := time.UnixMilli(int64(len(l.server.log))); s.Committed.IsZero() || s.Committed.After(newest) {
			t.Errorf("%s: committed %v, the source's newest is %v", s.Source, s.Committed, newest)
		}
		if s.IndexKeys == 0 || s.IndexMemory+s.IndexDisk < int64(s.IndexKeys) {
			t.Errorf("%s: %d keys take %d bytes in memory and %d on disk", s.Source, s.IndexKeys, s.IndexMemory, s.IndexDisk)
		}
	}
	if err := p.closeTables(false); err != nil {
		t.Fatal(err)
	}
}

// meddler changes another branch of table a right before a commit.
type meddler struct {
	table.Catalog
	l  *lab
	at int // which commit of the table, from 1

	mu    sync.Mutex
	calls int
}

// CommitTable moves the table's numbers first, when its time has come.
func (m *meddler) CommitTable(ctx context.Context, ident icetable.Identifier, reqs []icetable.Requirement, ups []icetable.Update) (icetable.Metadata, string, error) {
	m.mu.Lock()
	if ident[len(ident)-1] == "a" {
		m.calls++
	}
	meddle := m.calls == m.at
	m.mu.Unlock()
	if meddle {
		cfg := m.l.cfg.Tables
		cfg.Catalog = m.l.cat
		h := m.l.head("a")
		a, err := table.PrepareFence(ctx, cfg, h, h.Fence)
		if err == nil {
			_, err = table.Swap(ctx, cfg, a)
		}
		if err != nil {
			return nil, "", err
		}
	}
	return m.Catalog.CommitTable(ctx, ident, reqs, ups)
}

func TestConflictsAreCounted(t *testing.T) {
	l := newLab(t, 13, "a")
	l.churn(5)
	l.mustRun()
	const fenceThenEpoch = 2
	l.cfg.Tables.Catalog = &meddler{Catalog: l.cat, l: l, at: fenceThenEpoch}
	l.churn(1)
	cfg, end := l.cfg, l.server.end()
	cfg.Members, cfg.Until = l.members(), &end
	p, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if c := p.Status().Tables[0].Changes; c.Conflicts != 1 || c.Commits != 1 {
		t.Errorf("%+v", c)
	}
	l.check()
}

func TestLag(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, c := range map[string]struct {
		status Status
		want   time.Duration
	}{
		"not connected yet":   {Status{}, 0},
		"idle":                {Status{Heard: now.Add(-capture.Heartbeat)}, 0},
		"collecting":          {Status{Heard: now, PendingSince: now.Add(-3 * time.Second), DeliveryDelay: time.Second}, 4 * time.Second},
		"the source is gone":  {Status{Heard: now.Add(-time.Minute)}, time.Minute},
		"gone and collecting": {Status{Heard: now.Add(-time.Minute), PendingSince: now.Add(-2 * time.Minute)}, 2 * time.Minute},
	} {
		c.status.At = now
		if got := c.status.Lag(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
