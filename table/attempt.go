package table

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"cdcd/table/manifest"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/apache/iceberg-go/table/dv"
	"github.com/google/uuid"
)

// Attempt is one try to put a Delta on top of a Head. Every object of it is uploaded; what
// is left is one call to the catalog, which may be made again as it is while its outcome is
// open.
type Attempt struct {
	Head     *Head
	Snapshot int64 // the id of the new snapshot; 0 where there is none
	// Unnoted tells why there is no intent where one was to be. The attempt is as good
	// without it; only its uploads will not be found again.
	Unnoted error

	requirements []icetable.Requirement
	updates      []icetable.Update
	tags         *tagging          // nil but where only tags change
	storage      *restorage        // nil but where only spec and properties change
	evolves      *evolution        // nil but where the schema changes
	publishes    bool              // main becomes what was loaded anew
	list         []byte            // the manifest list
	written      map[string][]byte // the manifests of this attempt, by path
	bits         map[string]*bitmap
	removed      map[string]bool // data files
}

// assembly is an attempt in the making.
type assembly struct {
	head    *Head
	parent  *icetable.Snapshot // whose content it builds on; nil: none
	content *content
	delta   *Delta
	mark    Mark
	names   *namer
	id      int64
	objects []object
	version int                         // of the format, after it
	vectors map[string]iceberg.DataFile // new delete files, by data file
	bits    map[string]*bitmap          // their positions
	removed map[string]bool             // data files that go
	plan    *manifestPlan
	written map[string][]byte
	listing []IntentManifest // the manifests of the Delta's data files
	tally   tally
}

// tally counts what a commit adds and removes, for the summary.
type tally struct {
	addedFiles, addedRows, addedBytes int64
	added, gone                       deleteCount
	goneFiles, goneRows, goneBytes    int64
}

// newSnapshotID makes an id that nobody else will: 63 random bits.
func newSnapshotID() int64 {
	u := uuid.New()
	var v uint64
	for _, b := range [][]byte{u[:8], u[8:]} {
		for i, x := range b {
			v ^= uint64(x) << (8 * i)
		}
	}
	return int64(v &^ (1 << 63))
}

// assemble builds the objects of a commit in memory, for a table that is of the given format
// version then.
func assemble(h *Head, c *content, d *Delta, m Mark, version int) (*assembly, error) {
	a := &assembly{
		head: h, parent: h.tip(), content: c, delta: d, mark: m, names: newNamer(h.meta.Location(), m.Fence, m.Epoch), id: newSnapshotID(), version: version,
		vectors: map[string]iceberg.DataFile{}, bits: map[string]*bitmap{}, written: map[string][]byte{},
	}
	added := map[string]int32{}
	for _, f := range d.files {
		if c.files[f.FilePath()] != nil {
			return nil, fmt.Errorf("%w: data file %s is there already", ErrCorrupt, f.FilePath())
		}
		added[f.FilePath()] = f.SpecID()
		a.tally.addedFiles++
		a.tally.addedRows += f.Count()
		a.tally.addedBytes += f.FileSizeBytes()
	}
	if d.replaces != nil {
		a.removed = d.replaces.removed
	}
	for path := range a.removed {
		f := c.files[path]
		if f == nil {
			return nil, fmt.Errorf("%w: data file %s is to go, and is not there", ErrCorrupt, path)
		}
		a.tally.goneFiles++
		a.tally.goneRows += f.rows
		a.tally.goneBytes += f.bytes
	}
	touched := a.touched()
	for _, path := range touched {
		if err := a.buildVector(path); err != nil {
			return nil, err
		}
	}
	a.plan = planManifests(c, added, touched, a.removed)
	return a, nil
}

// touched gives the data files that get a delete file, in order.
func (a *assembly) touched() []string {
	out := slices.AppendSeq(a.content.loose(), maps.Keys(a.delta.deletes))
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(path string) bool { return a.removed[path] })
}

// buildVector makes the new delete file of one data file: the positions it had and the new ones.
func (a *assembly) buildVector(path string) error {
	all := dv.NewRoaringPositionBitmap()
	rows, spec := int64(0), int32(0)
	var partition map[int]any
	if f := a.content.files[path]; f != nil {
		rows, spec, partition = f.rows, f.spec, f.partition
		old, err := a.content.bits(f)
		if err != nil {
			return err
		}
		if old != nil {
			all.Or(old)
		}
	} else if f := a.delta.file(path); f != nil {
		rows, spec, partition = f.Count(), f.SpecID(), f.Partition()
	} else {
		return fmt.Errorf("%w: positions deleted in %s, which is not live", ErrCorrupt, path)
	}
	if more := a.delta.deletes[path]; more != nil {
		all.Or(more)
	}
	if all.Cardinality() > rows {
		return fmt.Errorf("%w: %d positions deleted of %d rows in %s", ErrCorrupt, all.Cardinality(), rows, path)
	}
	file, err := a.deleteFile(path, all, spec, partition)
	if err != nil {
		return err
	}
	a.vectors[path], a.bits[path] = file, all
	a.tally.added.add(file)
	return nil
}

func (a *assembly) specByID(id int32) *iceberg.PartitionSpec {
	return a.head.meta.PartitionSpecByID(int(id))
}

// The library writes vectors through a file system; the assembly is one that keeps them.
var _ iceio.WriteFileIO = (*assembly)(nil)

// WriteFile keeps an object for the upload.
func (a *assembly) WriteFile(path string, content []byte) error {
	a.objects = append(a.objects, object{path, content})
	return nil
}

// Create is not used by what writes into an assembly.
func (a *assembly) Create(string) (iceio.FileWriter, error) { return nil, errors.ErrUnsupported }

// Open is not used by what writes into an assembly.
func (a *assembly) Open(string) (iceio.File, error) { return nil, errors.ErrUnsupported }

// Remove is not used by what writes into an assembly.
func (a *assembly) Remove(string) error { return errors.ErrUnsupported }

// manifest writes one manifest.
func (a *assembly) manifest(spec int32, kind iceberg.ManifestContent, fill func(w *manifest.Writer) error) (iceberg.ManifestFile, error) {
	var buf bytes.Buffer
	w, err := manifest.NewWriter(&buf, a.version, *a.specByID(spec), a.head.schema(), a.id, kind)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(fill(w), w.Close()); err != nil {
		return nil, err
	}
	path := a.names.manifest()
	a.written[path] = buf.Bytes()
	a.objects = append(a.objects, object{path, buf.Bytes()})
	return w.File(path, int64(buf.Len()))
}

// manifests writes all manifests of the plan and gives the list's content: what is new
// first, as other writers do.
func (a *assembly) manifests() ([]iceberg.ManifestFile, error) {
	var out []iceberg.ManifestFile
	add := func(m iceberg.ManifestFile, err error) error {
		out = append(out, m)
		return err
	}
	for _, spec := range a.plan.added {
		m, err := a.manifest(spec, iceberg.ManifestContentData, func(w *manifest.Writer) error { return a.addFiles(w, spec) })
		if err := add(m, err); err != nil {
			return nil, err
		}
		a.listing = append(a.listing, IntentManifest{m.FilePath(), m.Length(), spec})
	}
	for _, g := range a.plan.merged {
		if err := add(a.manifest(g.spec, iceberg.ManifestContentData, func(w *manifest.Writer) error { return a.mergeData(w, g.from) })); err != nil {
			return nil, err
		}
	}
	for _, g := range a.plan.deletes {
		if err := add(a.manifest(g.spec, iceberg.ManifestContentDeletes, func(w *manifest.Writer) error { return a.fillDeletes(w, g) })); err != nil {
			return nil, err
		}
	}
	return append(append(out, a.plan.keepData...), a.plan.keepDels...), nil
}

func (a *assembly) addFiles(w *manifest.Writer, spec int32) error {
	for _, f := range a.delta.files {
		if f.SpecID() != spec {
			continue
		}
		if err := w.Add(f); err != nil {
			return err
		}
	}
	return nil
}

func (a *assembly) mergeData(w *manifest.Writer, from []iceberg.ManifestFile) error {
	for _, m := range from {
		for e, err := range m.Entries(a.content.fs, true) { // with the row ids that files inherit
			if err != nil {
				return fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
			}
			list := w.Existing
			if a.removed[e.DataFile().FilePath()] {
				list = w.Delete
			}
			if err := list(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// fillDeletes writes a group of delete files: replaced ones as deleted and added, those of files that
// go and strays as deleted, others as they were, and those of files that had none.
func (a *assembly) fillDeletes(w *manifest.Writer, g *deleteGroup) error {
	add := func(path string) error {
		return w.Add(a.vectors[path])
	}
	for _, m := range g.from {
		for _, path := range slices.Sorted(maps.Keys(m.live)) {
			old := a.content.files[path].deleted.entry
			if err := a.listVector(w, path, old, add); err != nil {
				return err
			}
		}
		for _, e := range m.strays {
			a.tally.gone.add(e.DataFile())
			if err := w.Delete(e); err != nil {
				return err
			}
		}
	}
	for _, path := range g.fresh {
		if err := add(path); err != nil {
			return err
		}
	}
	return nil
}

// listVector writes one vector that was there before, and what replaces it.
func (a *assembly) listVector(w *manifest.Writer, path string, old iceberg.ManifestEntry, add func(string) error) error {
	gone := a.removed[path] && !mutated("keepdead")
	switch {
	case a.vectors[path] == nil && !gone:
		return w.Existing(old)
	case mutated("twodvs") && !gone:
		return errors.Join(w.Existing(old), add(path))
	}
	a.tally.gone.add(old.DataFile())
	if gone {
		return w.Delete(old)
	}
	return errors.Join(w.Delete(old), add(path))
}

// writeList builds a manifest list and gives the row ids that the snapshot takes, nil in a
// version without.
func writeList(version int, path string, id, sequence, firstRow int64, parent *int64, manifests []iceberg.ManifestFile) (object, *int64, error) {
	var buf bytes.Buffer
	var w *iceberg.ManifestListWriter
	var err error
	if version >= versionVectors {
		w, err = iceberg.NewManifestListWriterV3(&buf, id, sequence, firstRow, parent)
	} else {
		w, err = iceberg.NewManifestListWriterV2(&buf, id, sequence, parent)
	}
	if err != nil {
		return object{}, nil, err
	}
	if err := errors.Join(w.AddManifests(manifests), w.Close()); err != nil {
		return object{}, nil, err
	}
	if w.NextRowID() == nil {
		return object{path, buf.Bytes()}, nil, nil
	}
	rows := *w.NextRowID() - firstRow
	return object{path, buf.Bytes()}, &rows, nil
}

// summary renders the snapshot's summary: Iceberg's counters and the Mark.
func (a *assembly) summary(previous iceberg.Properties) (iceberg.Properties, error) {
	p, err := a.mark.properties()
	if err != nil {
		return nil, err
	}
	t := a.tally
	for key, n := range map[string]int64{
		"added-data-files": t.addedFiles, "added-records": t.addedRows, "added-delete-files": t.added.all(), "added-dvs": t.added.vectors,
		"added-position-delete-files": t.added.files, "added-position-deletes": t.added.positions, "added-files-size": t.addedBytes + t.added.bytes,
		"removed-delete-files": t.gone.all(), "removed-dvs": t.gone.vectors, "removed-position-delete-files": t.gone.files,
		"removed-position-deletes": t.gone.positions, "removed-files-size": t.goneBytes + t.gone.bytes,
		"deleted-data-files": t.goneFiles, "deleted-records": t.goneRows,
	} {
		if n != 0 {
			p[key] = strconv.FormatInt(n, 10)
		}
	}
	for key, change := range map[string]int64{
		"total-records": t.addedRows - t.goneRows, "total-data-files": t.addedFiles - t.goneFiles, "total-delete-files": t.added.all() - t.gone.all(),
		"total-files-size":       t.addedBytes + t.added.bytes - t.goneBytes - t.gone.bytes,
		"total-position-deletes": t.added.positions - t.gone.positions, "total-equality-deletes": 0,
	} {
		p[key] = strconv.FormatInt(counter(previous, key)+change, 10)
	}
	return p, nil
}

// operation names what the snapshot does, in the specification's words.
func (a *assembly) operation() icetable.Operation {
	switch {
	case a.delta.truncates():
		return icetable.OpDelete
	case a.delta.replaces != nil, a.delta.keepsRows() && len(a.vectors) > 0:
		return icetable.OpReplace
	case len(a.vectors) == 0:
		return icetable.OpAppend
	case len(a.delta.files) == 0:
		return icetable.OpDelete
	}
	return icetable.OpOverwrite
}
