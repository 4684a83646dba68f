package table

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cdcd/table/datafile"
	"cdcd/table/manifest"
	"github.com/apache/iceberg-go"
)

// A stray is a delete file that is not the one of a data file: another program wrote it, for as
// many data files as it liked, or its data file is gone. What strays delete is read when the
// content is loaded. The next commit, which may be of a Mark alone, writes one delete file for
// each data file that they touch and removes the strays.

// takeDeletes brings a delete file in: as the one of its data file, or as a stray.
func (c *content) takeDeletes(m iceberg.ManifestFile, e manifest.Entry) error {
	d := e.DataFile()
	vector := isVector(d)
	if d.ContentType() != iceberg.EntryContentPosDeletes || !vector && d.FileFormat() != iceberg.ParquetFile {
		return fmt.Errorf("%w: delete file %s is neither a deletion vector nor a file of positions", ErrForeignShape, d.FilePath())
	}
	of := datafile.Referenced(d)
	f := c.files[of]
	switch {
	case vector && f == nil:
		return fmt.Errorf("%w: the deletion vector %s is of a file that is not live", ErrCorrupt, d.FilePath())
	case !vector && (!ownFile(d.FilePath()) || f == nil || !applies(e.ManifestEntry, f)), f.deleted != nil && !vector && f.deleted.isVector():
		c.listing(m).strays = append(c.listing(m).strays, e.ManifestEntry)
		c.sums.DeleteFiles++
		return nil
	case f.deleted != nil && vector == f.deleted.isVector():
		return fmt.Errorf("%w: two delete files for %s", ErrCorrupt, of)
	case f.deleted != nil: // a vector holds all, and the file of positions counts no more
		c.loosen(f)
	}
	f.deleted = &deletion{entry: e.ManifestEntry, manifest: m.FilePath(), rows: d.Count()}
	c.sums.DeleteFiles++
	c.sums.DeletedRows += d.Count()
	c.listing(m).live[of] = true
	return nil
}

// ownFile reports whether a path has a name that we give.
func ownFile(path string) bool {
	_, ok := ParseFileName(path[strings.LastIndexByte(path, '/')+1:])
	return ok
}

// applies reports whether a delete file is for a data file at all, by the specification: not of
// another partition, and not older.
func applies(e iceberg.ManifestEntry, f *dataFile) bool {
	d := e.DataFile()
	return d.SpecID() == f.spec && partitionText(d.Partition()) == partitionText(f.partition) && e.SequenceNum() >= f.sequence
}

// loosen makes a stray of the delete file that a data file has.
func (c *content) loosen(f *dataFile) {
	if f.deleted.entry == nil {
		return
	}
	m := c.deletes[f.deleted.manifest]
	m.strays = append(m.strays, f.deleted.entry)
	delete(m.live, f.path)
	c.sums.DeletedRows -= f.deleted.rows
	f.deleted = nil
}

// readStrays gives every data file what strays delete of it.
func (c *content) readStrays() error {
	var strays []iceberg.ManifestEntry
	for _, path := range slices.Sorted(maps.Keys(c.deletes)) {
		strays = append(strays, c.deletes[path].strays...)
	}
	for _, e := range strays {
		by, err := datafile.ReadDeletes(c.fs, e.DataFile().FilePath())
		if err != nil {
			return err
		}
		for of, bits := range by {
			f := c.files[of]
			if f == nil || !applies(e, f) || f.deleted != nil && f.deleted.isVector() {
				continue
			}
			if err := c.unite(f, bits); err != nil {
				return err
			}
		}
	}
	return nil
}

// unite adds deleted positions to those that a data file has, which are in no file of its own
// from then on.
func (c *content) unite(f *dataFile, bits *bitmap) error {
	known, err := c.bits(f)
	if err != nil {
		return err
	}
	if known != nil {
		bits.Or(known)
		c.loosen(f)
	}
	if f.deleted != nil {
		c.sums.DeletedRows -= f.deleted.rows
	}
	f.deleted = &deletion{bits: bits, rows: bits.Cardinality()}
	c.sums.DeletedRows += f.deleted.rows
	return nil
}

// loose gives the data files whose deleted positions are in no file of their own.
func (c *content) loose() []string {
	var out []string
	for path, f := range c.files {
		if f.deleted != nil && f.deleted.entry == nil {
			out = append(out, path)
		}
	}
	return out
}
