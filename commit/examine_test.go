package commit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cdcd/capture"
	"cdcd/table"
	"cdcd/table/datafile"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/apache/iceberg-go/table/dv"
)

// reader reads snapshots without anything of what writes them but the codecs. It keeps
// what it has read: the objects of a store never change.
type reader struct {
	w         *world
	lists     map[string][]iceberg.ManifestFile
	manifests map[string][]iceberg.ManifestEntry
	vectors   map[string]*dv.RoaringPositionBitmap
	files     map[string][]stored
	right     map[int64]bool // snapshots that were compared, and written by no one else since
}

// stored is a row of a data file.
type stored struct {
	id    int64
	val   string
	rowID int64 // negative: by its place
}

func newReader(w *world) *reader {
	return &reader{w, map[string][]iceberg.ManifestFile{}, map[string][]iceberg.ManifestEntry{}, map[string]*dv.RoaringPositionBitmap{}, map[string][]stored{}, map[int64]bool{}}
}

// of gives a reader of another world that has the same objects and more.
func (r *reader) of(w *world) *reader {
	return &reader{w, maps.Clone(r.lists), maps.Clone(r.manifests), maps.Clone(r.vectors), maps.Clone(r.files), maps.Clone(r.right)}
}

// entries gives the live data files and deletion vectors of a snapshot.
func (r *reader) entries(s *icetable.Snapshot) (data []iceberg.DataFile, vectors map[string]iceberg.DataFile, err error) {
	io := r.w.store.IO(context.Background())
	manifests, err := r.list(s)
	if err != nil {
		return nil, nil, violation{"I9", err.Error()}
	}
	vectors = map[string]iceberg.DataFile{}
	live := map[string]bool{}
	for _, m := range manifests {
		if r.manifests[m.FilePath()] == nil {
			list := []iceberg.ManifestEntry{}
			for e, err := range m.Entries(io, true) {
				if err != nil {
					return nil, nil, violation{"I9", err.Error()}
				}
				list = append(list, e)
			}
			r.manifests[m.FilePath()] = list
		}
		for _, e := range r.manifests[m.FilePath()] {
			d := e.DataFile()
			if m.ManifestContent() == iceberg.ManifestContentData {
				if live[d.FilePath()] {
					return nil, nil, violation{"I13", "a data file is listed twice"}
				}
				live[d.FilePath()] = true
				data = append(data, d)
				continue
			}
			of := *d.ReferencedDataFile()
			if vectors[of] != nil {
				return nil, nil, violation{"I13", "a data file has two deletion vectors"}
			}
			vectors[of] = d
		}
	}
	for of := range vectors {
		if !live[of] {
			return nil, nil, violation{"I13", "a deletion vector names a file that is not live"}
		}
	}
	return data, vectors, nil
}

// list gives the manifests of a snapshot, whose list must be there, read before or not.
func (r *reader) list(s *icetable.Snapshot) ([]iceberg.ManifestFile, error) {
	io := r.w.store.IO(context.Background())
	if r.lists[s.ManifestList] == nil {
		manifests, err := s.Manifests(io)
		r.lists[s.ManifestList] = manifests
		return manifests, err
	}
	f, err := io.Open(s.ManifestList)
	if err != nil {
		return nil, err
	}
	return r.lists[s.ManifestList], f.Close()
}

// vector gives the deleted positions of a data file.
func (r *reader) vector(d iceberg.DataFile) (*dv.RoaringPositionBitmap, error) {
	if d == nil {
		return nil, nil
	}
	bits := r.vectors[d.FilePath()]
	if bits == nil {
		var err error
		if bits, err = dv.ReadDV(r.w.store.IO(context.Background()), d); err != nil {
			return nil, violation{"I9", err.Error()}
		}
		r.vectors[d.FilePath()] = bits
	}
	return bits, nil
}

// rows gives the rows of a member's snapshot.
func (r *reader) rows(s *icetable.Snapshot) (map[int64]string, error) {
	data, vectors, err := r.entries(s)
	if err != nil {
		return nil, err
	}
	out, ids := map[int64]string{}, map[int64]bool{}
	for _, d := range data {
		rows, err := r.file(d)
		if err != nil {
			return nil, err
		}
		gone, err := r.vector(vectors[d.FilePath()])
		if err != nil {
			return nil, err
		}
		for i, row := range rows {
			if gone != nil && gone.Contains(uint64(i)) {
				continue
			}
			id := row.rowID
			if id < 0 {
				id = *d.FirstRowID() + int64(i)
			}
			if _, twice := out[row.id]; twice {
				return nil, violation{"I12", fmt.Sprintf("key %d is live twice", row.id)}
			}
			if ids[id] {
				return nil, violation{"lineage", fmt.Sprintf("two rows have the row id %d", id)}
			}
			out[row.id], ids[id] = row.val, true
		}
	}
	return out, nil
}

// file reads a member's data file.
func (r *reader) file(d iceberg.DataFile) ([]stored, error) {
	if rows := r.files[d.FilePath()]; rows != nil {
		return rows, nil
	}
	rows := []stored{}
	err := r.visit(d, 2, func(rec arrow.RecordBatch, ids *array.Int64) {
		keys, vals := rec.Column(0).(*array.Int64), rec.Column(1).(*array.String)
		for i := range keys.Len() {
			row := stored{id: keys.Value(i), val: strings.Clone(vals.Value(i)), rowID: -1}
			if ids != nil && ids.IsValid(i) {
				row.rowID = ids.Value(i)
			}
			rows = append(rows, row)
		}
	})
	r.files[d.FilePath()] = rows
	return rows, err
}

// visit reads the first columns of a data file.
func (r *reader) visit(d iceberg.DataFile, columns int, visit func(rec arrow.RecordBatch, ids *array.Int64)) error {
	fields := make([]int, columns)
	for i := range fields {
		fields[i] = i + 1
	}
	rows := int64(0)
	err := datafile.ReadKeys(context.Background(), r.w.store.IO(context.Background()), d.FilePath(), fields, memory.DefaultAllocator,
		func(rec arrow.RecordBatch, _ int64, ids *array.Int64) error {
			rows += rec.NumRows()
			visit(rec, ids)
			return nil
		})
	if err == nil && rows != d.Count() {
		err = fmt.Errorf("%d rows of %d", rows, d.Count())
	}
	if err != nil {
		return violation{"I9", err.Error()}
	}
	return nil
}

// records reads the control table.
func (r *reader) records(s *icetable.Snapshot) ([]record, error) {
	data, vectors, err := r.entries(s)
	if err != nil {
		return nil, err
	}
	var out []record
	for _, d := range data {
		gone, err := r.vector(vectors[d.FilePath()])
		if err != nil {
			return nil, err
		}
		var all []record
		if err := r.visit(d, columnOwner+1, func(rec arrow.RecordBatch, _ *array.Int64) { all = appendRecords(all, rec) }); err != nil {
			return nil, err
		}
		for i, rec := range all {
			if gone == nil || !gone.Contains(uint64(i)) {
				out = append(out, rec)
			}
		}
	}
	return out, nil
}

// examine checks everything that the lake shows in the end. Where daemons are stopped for a
// person, the tables need not show all of the log.
func (w *world) examine(stopped bool) {
	r := w.reader
	metas := map[string]icetable.Metadata{}
	for _, ident := range w.idents() {
		t, err := w.cat.LoadTable(context.Background(), ident)
		if err != nil {
			if !stopped {
				w.violated("end", "%v", err)
			}
			return
		}
		metas[tableOf(ident)] = t.Metadata()
	}
	for _, name := range w.names {
		w.report(name, r.history(name, metas[name]))
		if !stopped {
			w.report(name, r.newest(name))
		}
	}
	w.report("control", r.cuts(metas))
}

func (w *world) report(name string, err error) {
	if err == nil {
		return
	}
	v, ok := err.(violation) //nolint:errorlint // it is never wrapped
	if !ok {
		v = violation{"harness", err.Error()}
	}
	w.violated(v.name, "%s: %s", name, v.detail)
}

// history compares every snapshot of main that has a Mark with the source at its position,
// in the ranges that are loaded.
func (r *reader) history(name string, meta icetable.Metadata) error {
	written := map[string]bool{}
	for s := meta.CurrentSnapshot(); s != nil; s = parentIn(meta, s) {
		p := s.Summary.Properties
		text, marked := p[keyOfPosition]
		if !marked {
			continue
		}
		epoch := p[keyOfFence] + " " + p["cdcd.epoch"]
		if p["added-records"] != "" || p["added-dvs"] != "" {
			if written[epoch] {
				return violation{"I1", "an epoch was written twice"}
			}
			written[epoch] = true
		}
		if r.right[s.SnapshotID] {
			continue
		}
		if err := r.compare(name, s, text, p["cdcd.load"]); err != nil {
			return err
		}
		r.right[s.SnapshotID] = true
	}
	return nil
}

// compare compares a snapshot with the source at a position.
func (r *reader) compare(name string, s *icetable.Snapshot, position, loaded string) error {
	at, err := capture.ParsePosition(capture.MySQL, position)
	if err != nil {
		return violation{"I3", err.Error()}
	}
	n, ok := r.w.count(at)
	if !ok {
		return violation{"I3", "position " + position + " is no run of the log"}
	}
	done, err := parseLoad(loaded)
	if err != nil {
		return violation{"I17", err.Error()}
	}
	got, err := r.rows(s)
	if err != nil {
		return err
	}
	want := r.w.server.state(name, n)
	for id := range int64(20) {
		if !slices.ContainsFunc(done, func(r capture.Range) bool { return inRange(id, r) }) {
			continue
		}
		g, there := got[id]
		v, wanted := want[id]
		if there != wanted || g != v {
			return violation{"rows", fmt.Sprintf("at %s row %d is %q (there: %v), in the source %q (there: %v)", position, id, g, there, v, wanted)}
		}
	}
	return nil
}

// newest checks that a table has all of the log.
func (r *reader) newest(name string) error {
	cfg := table.Config{Catalog: r.w.cat, Store: r.w.store, Pipeline: "p"}
	h, err := table.LoadHead(context.Background(), cfg, table.Name{Namespace: "shop", Table: name})
	if err != nil {
		return violation{"end", err.Error()}
	}
	end := r.w.server.end()
	if !h.Mark.Position.Equal(end) || !h.Mark.Load.Complete {
		return violation{"I2", fmt.Sprintf("position %s, want %s; load %+v", h.Mark.Position, end, h.Mark.Load)}
	}
	t, err := r.w.cat.LoadTable(context.Background(), icetable.Identifier{"shop", name})
	if err != nil {
		return err
	}
	got, err := r.rows(t.Metadata().CurrentSnapshot())
	if err != nil {
		return err
	}
	if want := r.w.server.state(name, len(r.w.server.log)); !maps.Equal(got, want) {
		return violation{"rows", fmt.Sprintf("got %v, want %v", got, want)}
	}
	return nil
}

// cuts compares every cut that the control table holds with the source.
func (r *reader) cuts(metas map[string]icetable.Metadata) error {
	now := metas["control"].CurrentSnapshot()
	if now == nil {
		return nil
	}
	records, err := r.records(now)
	if err != nil {
		return err
	}
	positions := map[int64]string{}
	parts := map[int64]int{}
	for _, c := range records {
		if c.kind != kindCut {
			continue
		}
		parts[c.number]++
		if was, there := positions[c.number]; there && was != c.position {
			return violation{"I11", fmt.Sprintf("cut %d has two positions", c.number)}
		}
		positions[c.number] = c.position
		_, name, _ := strings.Cut(c.table, ".")
		s := metas[name].SnapshotByID(c.snapshot)
		if s == nil {
			if r.w.expired {
				continue // it is withdrawn with the next one
			}
			return violation{"I11", fmt.Sprintf("cut %d names a snapshot that is gone", c.number)}
		}
		if err := r.compare(name, s, c.position, `{"complete":true}`); err != nil {
			return violation{"I11", fmt.Sprintf("cut %d: %v", c.number, err)}
		}
	}
	for number, n := range parts {
		if n != len(r.w.names) {
			return violation{"I11", fmt.Sprintf("cut %d has %d tables of %d", number, n, len(r.w.names))}
		}
	}
	return nil
}
