package fsck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"cdcd/capture"
	"cdcd/table"
	"cdcd/table/datafile"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go/table/dv"
)

// namedKeys is how many keys that are live twice are named in a table.
const namedKeys = 20

// keyCheck reads the keys of all live rows of main's head.
type keyCheck struct {
	r      *reader
	live   live
	gone   map[string]*dv.RoaringPositionBitmap // what strays delete, once they are read
	fields []int                                // ids of the key's columns
	keys   *rowset.Encoder
	sorter *sorter
	paths  []string // of the files, by number
	rows   int64
	found  []Finding
}

// checkKeys finds keys that are live twice. A table whose manifests cannot be read is passed
// over: that is a finding already.
func (c *checked) checkKeys(ctx context.Context, cfg Config, r *reader) (err error) {
	if !cfg.Keys || len(c.meta.main) == 0 {
		return nil
	}
	head := c.meta.main[0]
	shown, whole := r.shows(head)
	if !whole {
		return nil
	}
	k := &keyCheck{r: r, live: shown}
	if err := k.takeKey(c.meta); err != nil || k.keys == nil {
		return err
	}
	expected := int64(0)
	for _, e := range shown.data {
		expected += e.rows
	}
	dir, err := os.MkdirTemp(cfg.Scratch, "fsck-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if k.sorter, err = newSorter(dir, expected); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.sorter.close()) }()
	for i, path := range slices.Sorted(maps.Keys(shown.data)) {
		if i%keysReportEvery == 0 {
			cfg.Progress(fmt.Sprintf("%s: keys of file %d of %d", c.name, i+1, len(shown.data)))
		}
		if err := k.read(ctx, shown.data[path]); err != nil {
			return err
		}
	}
	if err := k.compare(); err != nil {
		return err
	}
	for i := range k.found {
		k.found[i].Snapshot = head.ID
	}
	c.add(k.found...)
	c.result.Keys = &k.rows
	return nil
}

// keysReportEvery is after how many files progress is told.
const keysReportEvery = 100

// takeKey finds the key's columns in the current schema.
func (k *keyCheck) takeKey(m *metadata) error {
	source, err := table.ParseSource(m.Properties[keySource])
	if err != nil {
		return err
	}
	ids := map[string]int{}
	for _, s := range m.Schemas {
		if s.ID != m.Schema {
			continue
		}
		for _, f := range s.Fields {
			ids[f.Name] = f.ID
		}
	}
	for _, name := range identifying(&source.Table) {
		id, ok := ids[name]
		if !ok {
			return fmt.Errorf("the schema has no key column %q", name)
		}
		k.fields = append(k.fields, id)
	}
	if len(k.fields) == 0 {
		return nil // nothing tells its rows apart
	}
	k.keys = rowset.NewColumnEncoder(&source.Table, rowset.Secret{}) // nobody can aim at one that lives for a minute
	return nil
}

// identifying names the columns that tell rows apart in the lake: the key or, without one, all of
// the source's columns and the number among equal rows.
func identifying(t *capture.Table) []string {
	columns := t.KeyColumns()
	if t.Identity == capture.ByRow {
		columns = append(slices.Clone(t.Columns), capture.Column{Name: columnCopy})
	}
	var out []string
	for _, c := range columns {
		out = append(out, c.Name)
	}
	return out
}

// read takes the keys of one data file's live rows in.
func (k *keyCheck) read(ctx context.Context, e *entry) error {
	number := uint32(len(k.paths))
	k.paths = append(k.paths, e.path)
	gone, err := k.deleted(ctx, e)
	if err != nil {
		return err
	}
	read := int64(0)
	err = datafile.ReadKeys(ctx, k.r.store.IO(ctx), e.path, k.fields, memory.DefaultAllocator, func(rec arrow.RecordBatch, base int64, _ *array.Int64) error {
		read += rec.NumRows()
		keys, err := k.keys.Append(nil, rec)
		if err != nil {
			return err
		}
		for i, key := range keys {
			pos := base + int64(i)
			if gone != nil && gone.Contains(uint64(pos)) {
				continue
			}
			k.rows++
			if err := k.sorter.add(place{key, number, uint32(pos)}); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		k.found = append(k.found, Finding{Rule: ruleUnreadable, Object: e.path, What: "its keys cannot be read: " + err.Error()})
	case read != e.rows:
		k.found = append(k.found, Finding{Rule: ruleCounts, Object: e.path, What: fmt.Sprintf("it has %d rows, and its entry says %d", read, e.rows)})
	}
	return nil
}

// deleted gives the deleted positions of a data file, nil where there are none. Vectors that
// cannot be read are found elsewhere.
func (k *keyCheck) deleted(ctx context.Context, e *entry) (*dv.RoaringPositionBitmap, error) {
	v := k.live.vectors[e.path]
	if v == nil {
		return k.strays(ctx, e.path)
	}
	if !isVector(v.data) {
		bits, err := k.r.decodePositions(ctx, v.path, v.data)
		if err != nil {
			return nil, fmt.Errorf("the keys cannot be checked without the delete file %s: %w", v.path, err)
		}
		return bits, nil
	}
	content, _, err := k.r.store.Read(ctx, v.path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", v.path, err)
	}
	bits, err := decodeVector(content, v.data)
	if err != nil {
		return nil, fmt.Errorf("the keys cannot be checked without the deletion vector %s: %w", v.path, err)
	}
	return bits, nil
}

// compare finds equal keys. What they are is not told: they are rows.
func (k *keyCheck) compare() error {
	twice := 0
	err := k.sorter.equal(func(a, b place) {
		if twice++; twice <= namedKeys {
			k.found = append(k.found, Finding{
				Rule: ruleKey, Object: k.paths[b.file],
				What: fmt.Sprintf("row %d has the key of row %d of %s, and both are live", b.pos, a.pos, k.paths[a.file]),
			})
		}
	})
	if more := twice - namedKeys; more > 0 {
		k.found = append(k.found, Finding{Rule: ruleKey, What: fmt.Sprintf("and %d more rows whose key is live twice", more)})
	}
	return err
}
