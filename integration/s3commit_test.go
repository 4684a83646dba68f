//go:build integration

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/commit"
	"cdcd/table"
	"cdcd/table/fileio"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// s3Lab is a table in S3, behind a proxy that counts. Its catalog is in a local file: what
// that reads and writes beside the catalog is the same with any other that has no server of
// its own.
type s3Lab struct {
	*testing.T
	proxy  *s3Proxy
	cfg    table.Config
	source table.Source
	name   table.Name
	base   string
	table  *table.Table
	epoch  int64
}

func newS3Lab(t *testing.T) *s3Lab {
	t.Helper()
	proxy, endpoint := newS3Proxy(t)
	store := openS3(t, endpoint)
	lake, err := table.OpenEmbedded("file://"+t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lake.Close(); err != nil {
			t.Error(err)
		}
	})
	fileio.Register("s3", store)
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	t.Cleanup(func() { mem.AssertSize(t, 0) })
	l := &s3Lab{
		T: t, proxy: proxy, name: table.Name{Namespace: "shop", Table: "orders"}, base: s3Base(t),
		cfg: table.Config{Catalog: lake, Store: store, Pipeline: "p", IndexDir: t.TempDir(), Memory: mem, Now: time.Now},
		source: table.Source{Table: capture.Table{
			Name: capture.Name{Schema: "shop", Table: "orders"}, Key: []int{0},
			Columns: []capture.Column{{Name: "id", Type: capture.TypeBigInt}, {Name: "val", Type: capture.TypeVarchar, Size: 400, Charset: "utf8mb4", Nullable: true}},
		}},
	}
	l.cfg.Intents = commit.IntentsIn(strings.TrimSuffix(l.base, "/"), "p")
	h, err := table.Create(t.Context(), l.cfg, l.name, l.source, table.Storage{}, l.base+"shop/orders")
	l.must(err)
	a, err := table.PrepareFence(t.Context(), l.cfg, h, 1)
	l.must(err)
	_, err = table.Swap(t.Context(), l.cfg, a)
	l.must(err)
	l.open()
	return l
}

func (l *s3Lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *s3Lab) open() {
	l.Helper()
	h, err := table.LoadHead(l.Context(), l.cfg, l.name)
	l.must(err)
	l.table, err = table.Open(l.Context(), l.cfg, h)
	l.must(err)
}

// s3Row is a change of a row.
type s3Row struct {
	id  int64
	val string
	op  capture.Op
}

// commit gives rows a value, in one snapshot.
func (l *s3Lab) commit(ctx context.Context, val string, op capture.Op, ids ...int64) {
	l.Helper()
	var rows []s3Row
	for _, id := range ids {
		rows = append(rows, s3Row{id, val, op})
	}
	l.apply(ctx, rows...)
}

// apply changes rows, in one snapshot.
func (l *s3Lab) apply(ctx context.Context, rows ...s3Row) {
	l.Helper()
	schema, err := capture.ArrowSchema(&l.source.Table, capture.TypeOptions{}, false)
	l.must(err)
	b := array.NewRecordBuilder(l.cfg.Memory, schema)
	defer b.Release()
	batch := &capture.Batch{Table: &l.source.Table}
	for _, r := range rows {
		b.Field(0).(*array.Int64Builder).Append(r.id)
		b.Field(1).(*array.StringBuilder).Append(r.val)
		batch.Ops = append(batch.Ops, r.op)
	}
	batch.Record = b.NewRecordBatch()
	defer batch.Record.Release()
	l.epoch++
	builder := l.table.Build(1, l.epoch)
	if len(rows) > 0 {
		l.must(builder.Add(ctx, []*capture.Batch{batch}))
	}
	p, err := capture.ParsePosition(capture.MySQL, fmt.Sprintf("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-%d", l.epoch))
	l.must(err)
	d := builder.Delta()
	a, err := l.table.Prepare(ctx, d, table.Mark{Pipeline: "p", Timeline: 1, Fence: 1, Epoch: l.epoch, Position: p, Load: table.Load{Complete: true}})
	l.must(err)
	h, err := table.Swap(ctx, l.cfg, a)
	l.must(err)
	l.must(l.table.Advance(ctx, a, d, h))
}

// rows reads the table.
func (l *s3Lab) rows() map[int64]string {
	l.Helper()
	h, err := table.LoadHead(l.Context(), l.cfg, l.name)
	l.must(err)
	records, err := h.Scan(l.Context(), table.ScanOptions{})
	l.must(err)
	out := map[int64]string{}
	for rec, err := range records {
		l.must(err)
		for i := range int(rec.NumRows()) {
			out[rec.Column(0).(*array.Int64).Value(i)] = rec.Column(1).(*array.String).Value(i)
		}
		rec.Release()
	}
	return out
}

// requests checks what was asked of the store since the last time.
func (l *s3Lab) requests(what string, want map[string]int) {
	l.Helper()
	have := l.proxy.counts()
	l.Logf("%s: %v", what, have)
	if fmt.Sprint(have) != fmt.Sprint(want) {
		l.Errorf("%s: requests %v, want %v", what, have, want)
	}
}

// TestS3Commit counts what commits ask of a store. A commit writes its data file, its
// deletion vectors, one or two manifests, the list of them, the intent and the metadata. It reads
// nothing: the metadata that it starts from are those that the one before has written.
func TestS3Commit(t *testing.T) {
	l := newS3Lab(t)
	ctx := t.Context()
	l.commit(ctx, "", 0)
	l.proxy.counts()
	l.commit(ctx, "a", capture.OpInsert, 1, 2, 3, 4)
	l.requests("insert", map[string]int{"PUT": 5, "DELETE": 1}) // file, manifest, list, intent, metadata
	l.commit(ctx, "b", capture.OpUpdate, 2, 3)
	l.requests("update", map[string]int{"PUT": 7, "DELETE": 1}) // and vector, delete manifest
	l.commit(ctx, "", capture.OpDelete, 4)
	l.requests("delete", map[string]int{"PUT": 4}) // no file and no manifest of files
	l.commit(ctx, "", 0)
	l.requests("nothing", map[string]int{"PUT": 2}) // list and metadata
	if have, want := fmt.Sprint(l.rows()), fmt.Sprint(map[int64]string{1: "a", 2: "b", 3: "b"}); have != want {
		t.Errorf("rows %s, want %s", have, want)
	}
	l.must(l.table.Close())
	l.proxy.counts()
	l.open()
	l.requests("open", map[string]int{"GET": 5}) // metadata, list, manifests
	l.must(l.table.Abandon())
}

// TestS3Cut counts what a cut asks of a store: one row comes and an old one goes, in a table
// that writes no intents. With the update of one table before it, an epoch takes eleven PUTs,
// one more for each file in which a row is replaced, and no GET.
func TestS3Cut(t *testing.T) {
	l := newS3Lab(t)
	l.must(l.table.Close())
	l.cfg.Intents = ""
	l.open()
	ctx := t.Context()
	l.apply(ctx, s3Row{1, "cut 1", capture.OpUpdate})
	l.proxy.counts()
	l.apply(ctx, s3Row{2, "cut 2", capture.OpUpdate})
	l.requests("cut", map[string]int{"PUT": 4}) // file, manifest, list, metadata
	l.apply(ctx, s3Row{1, "", capture.OpDelete}, s3Row{3, "cut 3", capture.OpUpdate})
	l.requests("cut, another withdrawn", map[string]int{"PUT": 6}) // and vector, delete manifest
	l.must(l.table.Abandon())
}

// TestS3CommitAfterOpening ends the context that a table was opened with: what it reads for
// a commit later is read nevertheless.
func TestS3CommitAfterOpening(t *testing.T) {
	l := newS3Lab(t)
	l.commit(t.Context(), "a", capture.OpInsert, 1, 2, 3, 4)
	l.commit(t.Context(), "", capture.OpDelete, 1)
	l.must(l.table.Close())
	ctx, cancel := context.WithCancel(t.Context())
	h, err := table.LoadHead(ctx, l.cfg, l.name)
	l.must(err)
	l.table, err = table.Open(ctx, l.cfg, h)
	l.must(err)
	cancel()
	l.commit(t.Context(), "b", capture.OpUpdate, 2)
	if have, want := fmt.Sprint(l.rows()), fmt.Sprint(map[int64]string{2: "b", 3: "a", 4: "a"}); have != want {
		t.Errorf("rows %s, want %s", have, want)
	}
	l.must(l.table.Abandon())
}
