package tabletest

import (
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// upgrade makes a table of version 2, and moves it to version 3 with a snapshot, in one commit.
func (b *bench) upgrade() {
	cfg := table.Config{Catalog: b.catalog, Pipeline: "conformance", Now: time.Now, IndexDir: b.TempDir(), Memory: memory.DefaultAllocator, FormatVersion: 2}
	name, created := b.ours(cfg)
	takeFence(b.T, cfg, created, 1)
	if h := commitMark(b.T, cfg, name, 1); h.Version != 2 {
		b.Errorf("version %d, want 2", h.Version)
	}
	cfg.FormatVersion = 3
	if h := commitMark(b.T, cfg, name, 2); h.Version != 3 || h.Mark.Epoch != 2 {
		b.Errorf("version %d with the Mark of epoch %d, want 3 and 2", h.Version, h.Mark.Epoch)
	}
	if h := commitMark(b.T, cfg, name, 3); h.Version != 3 || h.Mark.Epoch != 3 {
		b.Errorf("version %d with the Mark of epoch %d, want 3 and 3", h.Version, h.Mark.Epoch)
	}
}

// commitMark commits a Mark without rows.
func commitMark(t *testing.T, cfg table.Config, n table.Name, epoch int64) *table.Head {
	t.Helper()
	opened, err := table.Open(t.Context(), cfg, loadHead(t, cfg, n))
	if err != nil {
		t.Fatal(err)
	}
	position, err := capture.ParsePosition(capture.MySQL, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5")
	if err != nil {
		t.Fatal(err)
	}
	a, err := opened.Prepare(t.Context(), nil, table.Mark{Pipeline: cfg.Pipeline, Timeline: 1, Fence: 1, Epoch: epoch, Position: position})
	if err != nil {
		t.Fatal(err)
	}
	h, err := table.Swap(t.Context(), cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Advance(t.Context(), a, nil, h); err != nil {
		t.Error(err)
	}
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
	return loadHead(t, cfg, n)
}
