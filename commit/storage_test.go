package commit

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cdcd/table"
)

// divided divides a table of the lab by its values, and keeps no lineage.
func divided() table.Storage {
	return table.Storage{
		Partition:  []table.PartitionField{{Transform: "bucket", Width: 3, Column: "id"}, {Transform: "truncate", Width: 2, Column: "val"}},
		Properties: map[string]string{"a": "b"}, NoLineage: true, TargetFileSize: 500, Place: "tables[0]",
	}
}

// TestStorageChanges keeps tables in another way with every start, and fails each commit in
// turn, before and after it took effect.
func TestStorageChanges(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for at := 1; ; at++ {
			l := newLab(t, 5, "a", "b")
			l.churn(10)
			l.mustRun()
			l.storage = divided()
			l.churn(8)
			l.faults.calls, l.faults.operation, l.faults.at, l.faults.applied = nil, "commit", at, applied
			ctx, cancel := context.WithTimeout(context.Background(), endless)
			if err := l.run(ctx); err != nil && !errors.Is(err, errInjected) {
				t.Fatalf("commit %d: %v", at, err)
			}
			cancel()
			l.finish()
			l.check()
			l.checkHistory()
			h := l.head("a")
			if got := strings.Join(h.Partitioning(), " "); got != "bucket(3, id) truncate(2, val)" || h.Lineage() || h.TargetFileSize() != 500 {
				t.Fatalf("%s, lineage %v, files of %d", got, h.Lineage(), h.TargetFileSize())
			}
			fired := l.faults.fired
			l.storage = table.Storage{}
			l.churn(8)
			l.mustRun()
			l.check()
			if h := l.head("b"); len(h.Partitioning()) > 0 || !h.Lineage() || h.TargetFileSize() != table.DefaultTargetFileSize {
				t.Fatalf("%v, lineage %v, files of %d", h.Partitioning(), h.Lineage(), h.TargetFileSize())
			}
			if !fired {
				if at < 10 {
					t.Errorf("only %d commits failed", at-1)
				}
				break
			}
		}
	}
}

// TestForeignSpecStops changes the spec under a pipeline that runs.
func TestForeignSpecStops(t *testing.T) {
	l := newLab(t, 5, "a")
	l.churn(5)
	l.mustRun()
	l.churn(5)
	cfg, end := l.cfg, l.server.end()
	cfg.Members, cfg.Until = l.members(), &end
	p, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	a, err := table.PrepareStorage(l.head("a"), divided())
	if err == nil {
		_, err = table.Swap(t.Context(), cfg.Tables, a)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context(), nil); !errors.Is(err, table.ErrForeignShape) {
		t.Errorf("got %v", err)
	}
	l.mustRun() // a start makes it again what the configuration says
	l.check()
	if h := l.head("a"); len(h.Partitioning()) > 0 {
		t.Error(h.Partitioning())
	}
}
