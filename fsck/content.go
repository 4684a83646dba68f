package fsck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"cdcd/table/fileio"
	"github.com/apache/iceberg-go"
	"golang.org/x/sync/errgroup"
)

// entry is a file in a manifest.
type entry struct {
	status   iceberg.ManifestEntryStatus
	path     string
	bytes    int64
	rows     int64
	firstRow int64 // -1: none
	sequence int64
	spec     int32
	data     iceberg.DataFile // of a delete file, or of one with a partition; else nil
}

// manifest is a decoded manifest.
type manifest struct {
	as      iceberg.ManifestFile // as the list of the newest snapshot that names it says
	length  int64
	entries []entry
}

// reader reads what a table's snapshots are made of, each object once.
type reader struct {
	store     fileio.Store
	lists     map[int64][]iceberg.ManifestFile // by snapshot; none where it could not be read
	manifests map[string]*manifest             // by path; none where it could not be read
	newest    map[string]int64                 // the newest snapshot that names a manifest
	findings  []Finding
	mu        sync.Mutex
}

func newReader(store fileio.Store) *reader {
	return &reader{store: store, lists: map[int64][]iceberg.ManifestFile{}, manifests: map[string]*manifest{}, newest: map[string]int64{}}
}

// readAll reads the lists of all snapshots, and the manifests that they name. What is not
// there or cannot be decoded is a finding; an error leaves open what is there.
func (r *reader) readAll(ctx context.Context, m *metadata) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range m.Snapshots {
		s := &m.Snapshots[i]
		if s.List == "" {
			r.find(Finding{Rule: ruleMissing, Snapshot: s.ID, What: "it names no manifest list"})
			continue
		}
		g.Go(func() error { return r.readList(gctx, s) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	named := map[string]iceberg.ManifestFile{}
	for i := range m.Snapshots {
		s := &m.Snapshots[i]
		for _, f := range r.lists[s.ID] {
			if at := m.byID[r.newest[f.FilePath()]]; at == nil || at.Sequence < s.Sequence {
				r.newest[f.FilePath()], named[f.FilePath()] = s.ID, f
			}
		}
	}
	g, gctx = errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for path, f := range named {
		g.Go(func() error { return r.readManifest(gctx, path, f) })
	}
	return g.Wait()
}

func (r *reader) find(f Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.findings = append(r.findings, f)
}

// object reads an object. Nil without an error: it is not there, which is found.
func (r *reader) object(ctx context.Context, name, what string, snapshot int64) ([]byte, error) {
	content, _, err := r.store.Read(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		r.find(Finding{Rule: ruleMissing, Snapshot: snapshot, Object: name, What: "the " + what + " is not there"})
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return content, nil
}

func (r *reader) readList(ctx context.Context, s *snapshot) error {
	content, err := r.object(ctx, s.List, "manifest list", s.ID)
	if err != nil || content == nil {
		return err
	}
	list, err := iceberg.ReadManifestList(bytes.NewReader(content))
	if err != nil {
		r.find(Finding{Rule: ruleUnreadable, Snapshot: s.ID, Object: s.List, What: "the manifest list cannot be decoded: " + err.Error()})
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lists[s.ID] = list
	return nil
}

func (r *reader) readManifest(ctx context.Context, path string, as iceberg.ManifestFile) error {
	content, err := r.object(ctx, path, "manifest", r.newest[path])
	if err != nil || content == nil {
		return err
	}
	entries, err := iceberg.ReadManifest(as, bytes.NewReader(content), false)
	if err != nil {
		r.find(Finding{Rule: ruleUnreadable, Snapshot: r.newest[path], Object: path, What: "the manifest cannot be decoded: " + err.Error()})
		return nil
	}
	out := &manifest{as: as, length: int64(len(content))}
	for _, e := range entries {
		out.entries = append(out.entries, newEntry(e))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifests[path] = out
	return nil
}

func newEntry(e iceberg.ManifestEntry) entry {
	d := e.DataFile()
	out := entry{
		status: e.Status(), path: d.FilePath(), bytes: d.FileSizeBytes(), rows: d.Count(), firstRow: -1,
		sequence: e.SequenceNum(), spec: d.SpecID(),
	}
	if first := d.FirstRowID(); first != nil {
		out.firstRow = *first
	}
	if d.ContentType() != iceberg.EntryContentData || len(d.Partition()) > 0 {
		out.data = d
	}
	return out
}

// live are the entries that a snapshot shows.
type live struct {
	data    map[string]*entry
	vectors map[string]*entry // the delete files, by the data file that they name
	strays  []*entry          // files of positions of any data files
}

// shows gives what a snapshot shows. whole is false where a manifest could not be read.
func (r *reader) shows(s *snapshot) (out live, whole bool) {
	out = live{data: map[string]*entry{}, vectors: map[string]*entry{}}
	list, ok := r.lists[s.ID]
	for _, f := range list {
		mf := r.manifests[f.FilePath()]
		if mf == nil {
			return out, false
		}
		for i := range mf.entries {
			e := &mf.entries[i]
			switch {
			case e.status == iceberg.EntryStatusDELETED:
			case f.ManifestContent() == iceberg.ManifestContentData:
				out.data[e.path] = e
			case s.loose(e):
				out.strays = append(out.strays, e)
			case referenced(e.data) != "":
				out.vectors[referenced(e.data)] = e
			}
		}
	}
	return out, ok
}

// usedFile is a data file or a vector that retained snapshots name.
type usedFile struct {
	bytes    int64
	snapshot int64            // the newest that names it
	vector   iceberg.DataFile // of a delete file
	rows     int64            // of the data file that a vector names; -1: it is not known
}

// files gathers the data files and vectors that retained snapshots show, by path.
func (r *reader) files(m *metadata) map[string]*usedFile {
	used, rows := map[string]*usedFile{}, map[string]int64{}
	for path, mf := range r.manifests {
		newest := r.newest[path]
		for i := range mf.entries {
			e := &mf.entries[i]
			if e.status == iceberg.EntryStatusDELETED {
				continue
			}
			if mf.as.ManifestContent() == iceberg.ManifestContentData {
				rows[e.path] = e.rows
			}
			f := used[e.path]
			if f == nil {
				f = &usedFile{bytes: e.bytes, rows: -1}
				used[e.path] = f
			}
			if at := m.byID[f.snapshot]; at == nil || at.Sequence < m.byID[newest].Sequence {
				f.snapshot = newest
			}
			if mf.as.ManifestContent() != iceberg.ManifestContentData {
				f.vector = e.data
			}
		}
	}
	for _, f := range used {
		if f.vector == nil {
			continue
		}
		if n, ok := rows[referenced(f.vector)]; ok {
			f.rows = n
		}
	}
	return used
}
