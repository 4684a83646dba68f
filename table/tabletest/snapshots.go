package tabletest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"cdcd/table/datafile"
	"cdcd/table/fileio"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/apache/iceberg-go/table/dv"
)

var (
	// ErrAbsent reports a snapshot that names something that is not there, or not what it says.
	ErrAbsent = errors.New("what a snapshot names cannot be read")
	// ErrListing reports a file that is listed twice, a second deletion vector of a file, or one of
	// a file that is not live.
	ErrListing = errors.New("manifests list what they may not")
)

// Snapshots reads snapshots with nothing of what writes them but the codecs. It keeps what it
// has read: objects never change. What a snapshot names has to be there nonetheless.
type Snapshots struct {
	store     fileio.Store
	lists     map[string][]iceberg.ManifestFile
	manifests map[string][]iceberg.ManifestEntry
	vectors   map[string]*dv.RoaringPositionBitmap
	rows      map[string][]Row
}

// Row is a row of a table whose columns are a number, which is its key, and a text.
type Row struct {
	Key     int64
	Val     string
	ID      int64 // _row_id; negative in a table of version 2
	Written int64 // _last_updated_sequence_number
}

// inherited is what a row's lineage is in a file that does not say it.
const inherited = -1

// NewSnapshots makes a reader of a store.
func NewSnapshots(store fileio.Store) *Snapshots {
	return &Snapshots{store, map[string][]iceberg.ManifestFile{}, map[string][]iceberg.ManifestEntry{}, map[string]*dv.RoaringPositionBitmap{}, map[string][]Row{}}
}

// Of gives a reader of another store that has the same objects and more.
func (r *Snapshots) Of(store fileio.Store) *Snapshots {
	return &Snapshots{store, maps.Clone(r.lists), maps.Clone(r.manifests), maps.Clone(r.vectors), maps.Clone(r.rows)}
}

// Listing is what a snapshot is made of.
type Listing struct {
	Files   []iceberg.ManifestEntry
	Vectors map[string]iceberg.DataFile // by data file
}

// List gives the live data files and deletion vectors of a snapshot.
func (r *Snapshots) List(s *icetable.Snapshot) (Listing, error) {
	out, live := Listing{Vectors: map[string]iceberg.DataFile{}}, map[string]bool{}
	manifests, err := r.list(s)
	if err != nil {
		return out, err
	}
	for _, m := range manifests {
		entries, err := r.entries(m)
		if err != nil {
			return out, err
		}
		for _, e := range entries {
			path := e.DataFile().FilePath()
			if err := r.there(path); err != nil {
				return out, err
			}
			if m.ManifestContent() == iceberg.ManifestContentData {
				if live[path] {
					return out, fmt.Errorf("%w: %s twice", ErrListing, path)
				}
				live[path], out.Files = true, append(out.Files, e)
				continue
			}
			of := datafile.Referenced(e.DataFile())
			if out.Vectors[of] != nil {
				return out, fmt.Errorf("%w: two deletion vectors of %s", ErrListing, of)
			}
			out.Vectors[of] = e.DataFile()
		}
	}
	for of := range out.Vectors {
		if !live[of] {
			return out, fmt.Errorf("%w: a deletion vector of %s, which is not live", ErrListing, of)
		}
	}
	return out, nil
}

// there makes sure that an object is there.
func (r *Snapshots) there(path string) error {
	f, err := r.store.IO(context.Background()).Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	return f.Close()
}

// list gives the manifests of a snapshot.
func (r *Snapshots) list(s *icetable.Snapshot) ([]iceberg.ManifestFile, error) {
	if manifests := r.lists[s.ManifestList]; manifests != nil {
		return manifests, r.there(s.ManifestList)
	}
	manifests, err := s.Manifests(r.store.IO(context.Background()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	r.lists[s.ManifestList] = manifests
	return manifests, nil
}

// entries gives the live entries of a manifest.
func (r *Snapshots) entries(m iceberg.ManifestFile) ([]iceberg.ManifestEntry, error) {
	if list := r.manifests[m.FilePath()]; list != nil {
		return list, r.there(m.FilePath())
	}
	list := []iceberg.ManifestEntry{}
	for e, err := range m.Entries(r.store.IO(context.Background()), true) {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
		}
		list = append(list, e)
	}
	r.manifests[m.FilePath()] = list
	return list, nil
}

// Vector gives the deleted positions of a data file. It takes nil for none.
func (r *Snapshots) Vector(d iceberg.DataFile) (*dv.RoaringPositionBitmap, error) {
	if d == nil {
		return nil, nil
	}
	bits := r.vectors[d.FilePath()]
	if bits == nil {
		of := datafile.Referenced(d)
		by, err := deleted(r.store.IO(context.Background()), d)
		if bits = by[of]; err != nil || bits == nil {
			return nil, fmt.Errorf("%w: positions of %s: %v", ErrAbsent, of, err)
		}
		r.vectors[d.FilePath()] = bits
	}
	return bits, nil
}

// Rows gives the live rows of a snapshot, with their lineage.
func (r *Snapshots) Rows(s *icetable.Snapshot) ([]Row, error) {
	l, err := r.List(s)
	if err != nil {
		return nil, err
	}
	var out []Row
	for _, e := range l.Files {
		rows, err := r.file(e.DataFile())
		if err != nil {
			return nil, err
		}
		gone, err := r.Vector(l.Vectors[e.DataFile().FilePath()])
		if err != nil {
			return nil, err
		}
		for i, row := range rows {
			if gone != nil && gone.Contains(uint64(i)) {
				continue
			}
			if row.ID == inherited && e.DataFile().FirstRowID() != nil {
				row.ID = *e.DataFile().FirstRowID() + int64(i)
			}
			if row.Written == inherited {
				row.Written = e.SequenceNum()
			}
			out = append(out, row)
		}
	}
	return out, nil
}

// file reads a data file.
func (r *Snapshots) file(d iceberg.DataFile) ([]Row, error) {
	if rows, ok := r.rows[d.FilePath()]; ok {
		return rows, nil
	}
	var out []Row
	err := datafile.Read(context.Background(), r.store.IO(context.Background()), d.FilePath(), []int{1, 2}, memory.DefaultAllocator, func(rows *datafile.Rows) error {
		out = appendRows(out, rows)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	if int64(len(out)) != d.Count() {
		return nil, fmt.Errorf("%w: %d rows of %d in %s", ErrAbsent, len(out), d.Count(), d.FilePath())
	}
	r.rows[d.FilePath()] = out
	return out, nil
}

func appendRows(out []Row, rows *datafile.Rows) []Row {
	keys, vals := rows.Record.Column(0).(*array.Int64), rows.Record.Column(1).(*array.String)
	for i := range keys.Len() {
		row := Row{keys.Value(i), strings.Clone(vals.Value(i)), inherited, inherited}
		if rows.RowIDs != nil && rows.RowIDs.IsValid(i) {
			row.ID = rows.RowIDs.Value(i)
		}
		if rows.Sequences != nil && rows.Sequences.IsValid(i) {
			row.Written = rows.Sequences.Value(i)
		}
		out = append(out, row)
	}
	return out
}
