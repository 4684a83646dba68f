package table

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"
	"time"

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

// TestCreateBesideCommits creates a table while another process is in the middle of a change
// of the catalog: it waits for its end.
func TestCreateBesideCommits(t *testing.T) {
	dir := fastDir(t)
	defer os.RemoveAll(dir)
	l := newLab(t, dir, testSource(false), memory.DefaultAllocator)
	defer l.cat.Close()
	ctx := context.Background()
	other, err := OpenEmbedded(string(l.cat.warehouse), false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = tx.ExecContext(ctx, "UPDATE iceberg_tables SET table_name = table_name"); err != nil {
		t.Fatal(err)
	}
	const busy = 300 * time.Millisecond // the library alone tries for 30 ms
	ended := make(chan error, 1)
	time.AfterFunc(busy, func() { ended <- tx.Commit() })
	n := Name{"shop", "other"}
	if _, err := Create(ctx, l.cfg, n, l.source, Storage{}, l.cat.Location(n)); err != nil {
		t.Errorf("create %s: %v", n, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestMetadataGone reads a table whose metadata file is replaced and removed in between.
func TestMetadataGone(t *testing.T) {
	for gone, found := range map[int]bool{0: true, 2: true, 3: false} {
		calls := 0
		_, err := present(func() (int, error) {
			if calls++; calls <= gone {
				return 0, fs.ErrNotExist
			}
			return 1, nil
		})
		if (err == nil) != found {
			t.Errorf("gone %d times: %v", gone, err)
		}
	}
}
