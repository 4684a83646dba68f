package fsck

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"cdcd/table/fileio"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/avro/ocf"
)

// lab is a lake with one table: three epochs of rows, updates and deletes.
type lab struct {
	t     *testing.T
	dir   string
	cat   *table.Embedded
	cfg   table.Config
	name  table.Name
	table *table.Table
	epoch int64
	cuts  []Cut
}

func newLab(t *testing.T) *lab {
	t.Helper()
	return newLabOf(t, 0)
}

// newLabOf is newLab for a table of some format version.
func newLabOf(t *testing.T, version int) *lab {
	t.Helper()
	parent := "/dev/shm" // the writes are synced
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "cdcd-fsck-")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := table.OpenEmbedded("file://"+filepath.Join(dir, "warehouse"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cat.Close(), os.RemoveAll(dir) })
	l := &lab{t: t, dir: dir, cat: cat, name: table.Name{Namespace: "shop", Table: "orders"}, cfg: table.Config{
		Catalog: cat, Pipeline: "p", IndexDir: filepath.Join(dir, "index"), Memory: memory.DefaultAllocator, Now: time.Now,
		FormatVersion: version,
	}}
	ctx := context.Background()
	h, err := table.Create(ctx, l.cfg, l.name, testSource(), table.Storage{}, cat.Location(l.name))
	l.must(err)
	l.fence(h, 1)
	h, err = table.LoadHead(ctx, l.cfg, l.name)
	l.must(err)
	l.table, err = table.Open(ctx, l.cfg, h)
	l.must(err)
	l.commit()
	l.commit(change{0, capture.OpInsert})
	l.commit(change{1, capture.OpInsert})
	var rows []change
	for i := 2; i < 20; i++ {
		rows = append(rows, change{i, capture.OpInsert})
	}
	l.commit(rows...)
	l.commit(change{3, capture.OpUpdate}, change{4, capture.OpUpdate}, change{5, capture.OpDelete})
	l.commit(change{6, capture.OpDelete}, change{21, capture.OpInsert})
	return l
}

func testSource() table.Source {
	return table.Source{Table: capture.Table{
		Name: capture.Name{Schema: "shop", Table: "orders"}, Key: []int{0},
		Columns: []capture.Column{
			{Name: "id", Type: capture.TypeBigInt},
			{Name: "val", Type: capture.TypeVarchar, Size: 40, Charset: "utf8mb4", Nullable: true},
		},
	}}
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) fence(h *table.Head, number int64) {
	l.t.Helper()
	a, err := table.PrepareFence(context.Background(), l.cfg, h, number)
	l.must(err)
	_, err = table.Swap(context.Background(), l.cfg, a)
	l.must(err)
}

// change is a change of a row.
type change struct {
	id int
	op capture.Op
}

func position(t *testing.T, end int64) capture.Position {
	t.Helper()
	p, err := capture.ParsePosition(capture.MySQL, fmt.Sprintf("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-%d", end))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// commit commits changes, and a cut over the table.
func (l *lab) commit(changes ...change) {
	l.t.Helper()
	ctx := context.Background()
	l.epoch++
	build := l.table.Build(1, l.epoch)
	if len(changes) > 0 {
		b := l.batch(changes)
		defer b.Release()
		l.must(build.Add(ctx, []*capture.Batch{b}))
	}
	m := table.Mark{Pipeline: "p", Timeline: 1, Fence: 1, Epoch: l.epoch, Position: position(l.t, l.epoch), Load: table.Load{Complete: true}}
	a, err := l.table.Prepare(ctx, build.Delta(), m)
	l.must(err)
	h, err := table.Swap(ctx, l.cfg, a)
	l.must(err)
	l.must(l.table.Advance(ctx, a, build.Delta(), h))
	l.cuts = append(l.cuts, Cut{l.epoch, []CutMember{{l.name.String(), h.Snapshot, m.Position.String()}}})
}

func (l *lab) batch(changes []change) *capture.Batch {
	l.t.Helper()
	source := testSource()
	schema, err := capture.ArrowSchema(&source.Table, capture.TypeOptions{}, false)
	l.must(err)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	out := &capture.Batch{Table: &source.Table}
	for _, c := range changes {
		b.Field(0).(*array.Int64Builder).Append(int64(c.id))
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprint("row ", c.id))
		out.Ops = append(out.Ops, c.op)
	}
	out.Record = b.NewRecordBatch()
	return out
}

// check runs the check as it is configured by default, with keys.
func (l *lab) check() *Report {
	l.t.Helper()
	r, err := Tables(context.Background(), l.config())
	l.must(err)
	return r
}

func (l *lab) config() Config {
	return Config{
		Lake: l.cat, Store: fileio.Disk{}, Tables: []table.Name{l.name}, Keys: true, Scratch: l.dir, Progress: func(string) {},
		Cuts: func(context.Context) ([]Cut, error) { return l.cuts, nil },
	}
}

func path(location string) string { return strings.TrimPrefix(location, "file://") }

// meta reads the table's metadata file.
func (l *lab) meta() (string, *metadata) {
	l.t.Helper()
	location, content, ok, err := l.cat.Metadata(context.Background(), l.name)
	if err != nil || !ok {
		l.t.Fatal(ok, err)
	}
	m, err := parseMetadata(content)
	l.must(err)
	return path(location), m
}

// editMeta changes the metadata file where it lies.
func (l *lab) editMeta(edit func(m map[string]any)) {
	l.t.Helper()
	file, _ := l.meta()
	content, err := os.ReadFile(file)
	l.must(err)
	m := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	l.must(d.Decode(&m))
	edit(m)
	content, err = json.Marshal(m)
	l.must(err)
	l.must(os.WriteFile(file, content, 0o600))
}

// editSnapshot changes main's n-th newest snapshot.
func (l *lab) editSnapshot(n int, edit func(s map[string]any)) {
	l.t.Helper()
	_, m := l.meta()
	id := fmt.Sprint(m.main[n].ID)
	l.editMeta(func(m map[string]any) {
		for _, s := range m["snapshots"].([]any) {
			if s := s.(map[string]any); fmt.Sprint(s["snapshot-id"]) == id {
				edit(s)
			}
		}
	})
}

// editAvro changes the records of a file.
func (l *lab) editAvro(file string, edit func(records []map[string]any) []map[string]any) {
	l.t.Helper()
	content, err := os.ReadFile(file)
	l.must(err)
	r, err := ocf.NewReader(bytes.NewReader(content))
	l.must(err)
	var records []map[string]any
	for {
		record := map[string]any{}
		if err := r.Decode(&record); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			l.t.Fatal(err)
		}
		records = append(records, record)
	}
	meta := map[string][]byte{}
	for k, v := range r.Metadata() {
		if !strings.HasPrefix(k, "avro.") {
			meta[k] = v
		}
	}
	var out bytes.Buffer
	w, err := ocf.NewWriter(&out, r.Schema(), ocf.WithMetadata(meta))
	l.must(err)
	for _, record := range edit(records) {
		l.must(w.Encode(record))
	}
	l.must(w.Close())
	l.must(os.WriteFile(file, out.Bytes(), 0o600))
}

// editList changes the manifest list of main's n-th newest snapshot.
func (l *lab) editList(n int, edit func(records []map[string]any) []map[string]any) {
	l.t.Helper()
	_, m := l.meta()
	l.editAvro(path(m.main[n].List), edit)
}

// editManifest changes the newest manifest of a kind, and corrects its length in all lists.
// It gives the manifest's path.
func (l *lab) editManifest(content int, edit func(records []map[string]any) []map[string]any) {
	l.t.Helper()
	_, m := l.meta()
	var file string
	l.editList(0, func(records []map[string]any) []map[string]any {
		for _, r := range records {
			if fmt.Sprint(r["content"]) == fmt.Sprint(content) && file == "" {
				file = fmt.Sprint(r["manifest_path"])
			}
		}
		return records
	})
	l.editAvro(path(file), edit)
	info, err := os.Stat(path(file))
	l.must(err)
	for _, s := range m.Snapshots {
		l.editAvro(path(s.List), func(records []map[string]any) []map[string]any {
			for _, r := range records {
				if fmt.Sprint(r["manifest_path"]) == file {
					r["manifest_length"] = info.Size()
				}
			}
			return records
		})
	}
}

// files gives the table's files whose names end in a suffix.
func (l *lab) files(suffix string) []string {
	l.t.Helper()
	var out []string
	_, m := l.meta()
	l.must(filepath.WalkDir(path(m.Location), func(p string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, suffix) {
			out = append(out, p)
		}
		return err
	}))
	return out
}
