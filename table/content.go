package table

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cdcd/table/datafile"
	"cdcd/table/manifest"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/apache/iceberg-go/table/dv"
)

// bitmap is a set of row positions.
type bitmap = dv.RoaringPositionBitmap

// dataFile is a live data file.
type dataFile struct {
	path       string
	spec       int32
	rows       int64
	bytes      int64
	firstRowID int64       // firstRowUnknown where it has none
	sequence   int64       // of its rows that have none of their own
	partition  map[int]any // by the spec's field ids
	manifest   string      // that lists it
	deleted    *deletion   // nil: no row is
}

// deletion is what is deleted of a data file: its one delete file, or what strays delete.
type deletion struct {
	entry    iceberg.ManifestEntry // with explicit sequence numbers; nil: the positions are to be written
	manifest string                // that lists it
	rows     int64
	bits     *bitmap // all deleted positions; nil until needed
}

func (d *deletion) isVector() bool { return d.entry != nil && isVector(d.entry.DataFile()) }

// deleteManifest is a manifest of delete files.
type deleteManifest struct {
	file   iceberg.ManifestFile
	live   map[string]bool         // the data files whose delete files it lists
	strays []iceberg.ManifestEntry // that it lists beside those
}

// content is what a table's current snapshot is made of. It belongs to exactly one
// snapshot; a commit makes a new one out of it.
type content struct {
	fs      iceio.IO
	files   map[string]*dataFile
	data    []iceberg.ManifestFile     // in the order of the manifest list
	deletes map[string]*deleteManifest // by path
	noRows  bool                       // a data file has no row ids
	sums    Stats                      // of the files, kept up with them: a commit may not cost their number
}

// loadContent reads all manifests of a head. What is read of the content later is read
// whether or not ctx has ended by then: a commit may follow. Stores bound how long that takes.
func loadContent(ctx context.Context, h *Head) (*content, error) {
	return loadContentOf(ctx, h, h.tip())
}

// loadChecked is loadContent for a head that is built on. Where others rewrote the table since
// its Mark, as many rows have to be live as then: who says that a snapshot only rewrites may be
// wrong.
func loadChecked(ctx context.Context, h *Head) (*content, error) {
	c, err := loadContent(ctx, h)
	if err != nil || h.Snapshot == 0 || h.Marked() {
		return c, err
	}
	marked := h.meta.SnapshotByName(refPosition)
	if h.OnBranch() {
		marked = h.newestMarked()
	}
	before, err := loadContentOf(ctx, h, marked)
	if err != nil {
		return nil, err
	}
	was, is := before.live(), c.live()
	if was != is && h.OnBranch() {
		return nil, h.foreignLoad(fmt.Errorf("%w: a rewrite of %d rows left %d", ErrForeignRows, was, is))
	}
	if was != is {
		return nil, fmt.Errorf("%s: %w: a rewrite of %d rows left %d; to have it looked at and repaired: cdcd adopt %s", h.Name, ErrForeignRows, was, is, h.Name)
	}
	return c, nil
}

// live is the number of rows that are there.
func (c *content) live() int64 { return c.sums.Rows - c.sums.DeletedRows }

// loadContentOf reads all manifests of one of a head's snapshots.
func loadContentOf(ctx context.Context, h *Head, s *icetable.Snapshot) (*content, error) {
	fs := h.store.IO(ctx)
	c := &content{fs: h.store.IO(context.WithoutCancel(ctx)), files: map[string]*dataFile{}, deletes: map[string]*deleteManifest{}}
	if s == nil {
		return c, nil
	}
	manifests, err := readList(fs, s)
	if err != nil {
		return nil, fmt.Errorf("%s: read manifest list: %w", h.Name, err)
	}
	var deletes []iceberg.ManifestFile
	for _, m := range manifests {
		if m.ManifestContent() != iceberg.ManifestContentData {
			deletes = append(deletes, m)
			continue
		}
		c.data = append(c.data, m)
		if err := eachEntry(fs, m, c.addFile); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	for _, m := range deletes { // after the data files that they name
		if err := eachEntry(fs, m, c.takeDeletes); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	if err := c.readStrays(); err != nil {
		return nil, fmt.Errorf("%s: %w", h.Name, err)
	}
	return c, nil
}

// readList reads the manifest list of a snapshot.
func readList(fs iceio.IO, s *icetable.Snapshot) ([]iceberg.ManifestFile, error) {
	raw, err := readObject(fs, s.ManifestList)
	if err != nil {
		return nil, err
	}
	return manifest.ReadList(raw)
}

func readObject(fs iceio.IO, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(f)
	return raw, errors.Join(err, f.Close())
}

// eachEntry walks the live entries of a stored manifest.
func eachEntry(fs iceio.IO, m iceberg.ManifestFile, visit func(iceberg.ManifestFile, manifest.Entry) error) error {
	raw, err := readObject(fs, m.FilePath())
	if err != nil {
		return fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
	}
	return eachEntryOf(raw, m, visit)
}

// eachEntryOf walks the live entries of a manifest.
func eachEntryOf(raw []byte, m iceberg.ManifestFile, visit func(iceberg.ManifestFile, manifest.Entry) error) error {
	entries, err := manifest.Read(m, raw)
	if err != nil {
		return fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
	}
	for _, e := range entries {
		if err := visit(m, e); err != nil {
			return err
		}
	}
	return nil
}

func (c *content) addFile(m iceberg.ManifestFile, e manifest.Entry) error {
	d := e.DataFile()
	if c.files[d.FilePath()] != nil {
		return fmt.Errorf("%w: data file %s is listed twice", ErrCorrupt, d.FilePath())
	}
	first := int64(firstRowUnknown) // as in version 2, and until the first commit in version 3
	if e.FirstRowID != nil {
		first = *e.FirstRowID
	} else {
		c.noRows = true
	}
	c.files[d.FilePath()] = &dataFile{
		path: d.FilePath(), spec: d.SpecID(), rows: d.Count(), bytes: d.FileSizeBytes(), firstRowID: first,
		sequence: e.SequenceNum(), partition: d.Partition(), manifest: m.FilePath(),
	}
	c.sums.Files++
	c.sums.Rows += d.Count()
	c.sums.Bytes += d.FileSizeBytes()
	return nil
}

// listing gives the delete manifest, which is new where nothing of it is known.
func (c *content) listing(m iceberg.ManifestFile) *deleteManifest {
	dm := c.deletes[m.FilePath()]
	if dm == nil {
		dm = &deleteManifest{file: m, live: map[string]bool{}}
		c.deletes[m.FilePath()] = dm
	}
	return dm
}

// bits gives the deleted positions of a file, nil where there are none. They must not be
// changed.
func (c *content) bits(f *dataFile) (*bitmap, error) {
	if f.deleted == nil {
		return nil, nil
	}
	if f.deleted.bits == nil {
		b, err := readDeletes(c.fs, f.deleted.entry.DataFile())
		if err != nil {
			return nil, err
		}
		f.deleted.bits = b
	}
	return f.deleted.bits, nil
}

// follow turns the content into that of the snapshot that an attempt made. The attempt's
// own manifests are decoded again, so that what readers inherit (sequence numbers, row ids)
// is what a load would find, and not a second opinion.
func (c *content) follow(a *Attempt) error {
	list, err := manifest.ReadList(a.list)
	if err != nil {
		return err
	}
	for path := range a.removed {
		c.removeFile(path)
	}
	was := c.deletes
	c.data, c.deletes = nil, map[string]*deleteManifest{}
	var vectors []iceberg.ManifestFile
	for _, m := range list {
		if m.ManifestContent() != iceberg.ManifestContentData {
			vectors = append(vectors, m)
			continue
		}
		c.data = append(c.data, m)
		if err := a.eachWritten(m, c.placeFile); err != nil {
			return err
		}
	}
	for _, m := range vectors {
		if old := was[m.FilePath()]; old != nil {
			c.deletes[m.FilePath()] = &deleteManifest{file: m, live: old.live}
			continue
		}
		err := a.eachWritten(m, func(m iceberg.ManifestFile, e manifest.Entry) error { return c.placeDeletion(m, e, a.bits) })
		if err != nil {
			return err
		}
	}
	for path, m := range was {
		if c.deletes[path] == nil {
			c.sums.DeleteFiles -= len(m.strays)
		}
	}
	return nil
}

// removeFile drops a data file and its delete file.
func (c *content) removeFile(path string) {
	f := c.files[path]
	c.sums.Files--
	c.sums.Rows -= f.rows
	c.sums.Bytes -= f.bytes
	c.undelete(f)
	delete(c.files, path)
}

// undelete takes what is deleted of a data file out of the sums.
func (c *content) undelete(f *dataFile) {
	if f.deleted == nil {
		return
	}
	if f.deleted.entry != nil {
		c.sums.DeleteFiles--
	}
	c.sums.DeletedRows -= f.deleted.rows
	f.deleted = nil
}

// eachWritten walks the live entries of a manifest that the attempt wrote; others are
// passed over.
func (a *Attempt) eachWritten(m iceberg.ManifestFile, visit func(iceberg.ManifestFile, manifest.Entry) error) error {
	raw := a.written[m.FilePath()]
	if raw == nil {
		return nil
	}
	return eachEntryOf(raw, m, visit)
}

// placeFile notes where a file is listed now; new files are added.
func (c *content) placeFile(m iceberg.ManifestFile, e manifest.Entry) error {
	if f := c.files[e.DataFile().FilePath()]; f != nil {
		f.manifest = m.FilePath()
		return nil
	}
	return c.addFile(m, e)
}

// placeDeletion notes where a delete file is listed now. Positions that are known are kept.
func (c *content) placeDeletion(m iceberg.ManifestFile, e manifest.Entry, known map[string]*bitmap) error {
	of := datafile.Referenced(e.DataFile())
	f := c.files[of]
	if f == nil {
		return fmt.Errorf("%w: a delete file of our own names no live file", ErrCorrupt)
	}
	bits := known[of]
	if bits == nil && f.deleted != nil {
		bits = f.deleted.bits
	}
	c.undelete(f)
	if err := c.takeDeletes(m, e); err != nil {
		return err
	}
	if f.deleted == nil {
		return fmt.Errorf("%w: a delete file of our own is not that of %s", ErrCorrupt, of)
	}
	f.deleted.bits = bits
	return nil
}

// Stats counts what a snapshot is made of.
type Stats struct {
	Files, DeleteFiles        int
	Rows, DeletedRows         int64
	Bytes                     int64
	DataManifests, DVManifest int
	Snapshots                 int // retained
}

func (c *content) stats() Stats {
	s := c.sums
	s.DataManifests, s.DVManifest = len(c.data), len(c.deletes)
	return s
}
