package table

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestOddNames checks that what is listed can be found, whatever the source calls its
// schemas and tables.
func TestOddNames(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, testSource(false), memory.DefaultAllocator)
	defer l.cat.Close()
	ctx := context.Background()
	for _, n := range []Name{{"my.shop", "orders"}, {"my.shop", "or.ders"}, {"Größe", "naïve 'table'"}, {"a%2Fb", "c d"}} {
		h, err := Create(ctx, l.cfg, n, l.source, Storage{}, l.cat.Location(n))
		if err != nil {
			t.Errorf("create %s: %v", n, err)
			continue
		}
		all, err := l.cat.AllTables(ctx)
		if err != nil || !slices.Contains(all, n) {
			t.Errorf("%s is not among %v, %v", n, all, err)
		}
		location, _, ok, err := l.cat.Metadata(ctx, n)
		if err != nil || !ok || location != h.location {
			t.Errorf("%s: metadata %q (there: %v), %v, want %s", n, location, ok, err, h.location)
		}
	}
	if _, _, ok, err := l.cat.Metadata(ctx, Name{"my", "shop.orders"}); ok || err != nil {
		t.Errorf("a table that is not there: %v, %v", ok, err)
	}
	if _, err := OpenEmbedded("file://"+dir+"/none", false); !errors.Is(err, ErrNoCatalog) {
		t.Errorf("no warehouse: %v", err)
	}
}
