package commit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cdcd/capture"
	"cdcd/table"
	"cdcd/table/datafile"
	"cdcd/table/tabletest"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// reader judges what snapshots show.
type reader struct {
	*tabletest.Snapshots
	w     *world
	right map[int64]bool // snapshots that were compared, and written by no one else since
}

func newReader(w *world) *reader {
	return &reader{tabletest.NewSnapshots(w.store), w, map[int64]bool{}}
}

// of gives a reader of another world that has the same objects and more.
func (r *reader) of(w *world) *reader {
	return &reader{r.Of(w.store), w, maps.Clone(r.right)}
}

// violationOf names the invariant that an error of reading shows to be broken.
func violationOf(err error) error {
	switch {
	case errors.Is(err, tabletest.ErrListing):
		return violation{"I13", err.Error()}
	case errors.Is(err, tabletest.ErrAbsent):
		return violation{"I9", err.Error()}
	}
	return err
}

// rows gives the rows of a member's snapshot.
func (r *reader) rows(s *icetable.Snapshot) (map[int64]string, error) {
	rows, err := r.Rows(s)
	if err != nil {
		return nil, violationOf(err)
	}
	out, ids := map[int64]string{}, map[int64]bool{}
	for _, row := range rows {
		if _, twice := out[row.Key]; twice {
			return nil, violation{"I12", fmt.Sprintf("key %d is live twice", row.Key)}
		}
		if row.ID >= 0 && ids[row.ID] { // rows of version 2 have none
			return nil, violation{"lineage", fmt.Sprintf("two rows have the row id %d", row.ID)}
		}
		out[row.Key], ids[row.ID] = row.Val, true
	}
	return out, nil
}

// visit reads the first columns of a data file.
func (r *reader) visit(d iceberg.DataFile, columns int, visit func(rec arrow.RecordBatch)) error {
	fields := make([]int, columns)
	for i := range fields {
		fields[i] = i + 1
	}
	rows := int64(0)
	err := datafile.ReadKeys(context.Background(), r.w.store.IO(context.Background()), d.FilePath(), fields, memory.DefaultAllocator,
		func(rec arrow.RecordBatch, _ int64, _ *array.Int64) error {
			rows += rec.NumRows()
			visit(rec)
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
	l, err := r.List(s)
	if err != nil {
		return nil, violationOf(err)
	}
	var out []record
	for _, e := range l.Files {
		d := e.DataFile()
		gone, err := r.Vector(l.Vectors[d.FilePath()])
		if err != nil {
			return nil, violationOf(err)
		}
		var all []record
		if err := r.visit(d, columnOwner+1, func(rec arrow.RecordBatch) { all = appendRecords(all, rec) }); err != nil {
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
		if s.Summary.Operation != icetable.OpReplace && (p["added-records"] != "" || p["added-dvs"] != "") {
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
		if !slices.ContainsFunc(done, func(done capture.Range) bool { return r.w.server.inRange(id, done, n) }) {
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
	if n := r.w.brokenAt(name); n > 0 && (!r.w.plan.renews || r.w.isFrozen(name)) { // where others changed it, it is not loaded anew
		return r.asItWas(h, n)
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
		if most, least := r.w.membersAt(positions[number]); n > most || n < least {
			return violation{"I11", fmt.Sprintf("cut %d has %d tables of %d", number, n, len(r.w.names))}
		}
	}
	return nil
}
