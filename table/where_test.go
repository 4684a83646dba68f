package table

import (
	"context"
	"errors"
	"testing"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestFilesWhere asks for files by bounds: five of ten rows each, of ascending keys.
func TestFilesWhere(t *testing.T) {
	l := newRewriteLab(t, memory.DefaultAllocator)
	l.fileOf(t, 1000)
	l.fileOf(t, 2000)
	h := l.load()
	all := len(l.table.content.files)
	for _, c := range []struct {
		where string
		files int
	}{
		{"id >= 1000", 2},
		{"id>1009", 1},
		{"`id` >= 1000 AND id < 1010", 1},
		{"id = 2005", 1},
		{"id = 5000", 0},
		{"id <> 5000", all},
		{"val = 'zz''s'", 0},
		{"val = 'high' and price > 1000.00", 2},
		{"\"price\" < '1000.00' and id < 999", all - 2},
	} {
		files, err := h.FilesWhere(context.Background(), c.where)
		if err != nil || len(files) != c.files {
			t.Errorf("%s: %d files, want %d: %v", c.where, len(files), c.files, err)
		}
	}
	for _, bad := range []string{"", " ", "id", "id = ", "id = 1 or id = 2", "id = 1 and", "none = 1", "id = 'x'", "id like 1", "id = 1; drop", "'id' = 1"} {
		if _, err := h.FilesWhere(context.Background(), bad); !errors.Is(err, ErrCondition) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// fileOf commits a file of ten rows from a key on.
func (l *lab) fileOf(t *testing.T, from int) {
	t.Helper()
	var rows []row
	for i := range 10 {
		rows = append(rows, row{id: from + i, val: "high"})
	}
	b := l.batch(memory.DefaultAllocator, rows)
	l.commit([]*capture.Batch{b})
	b.Release()
}
