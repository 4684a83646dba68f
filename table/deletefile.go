package table

import (
	"context"
	"fmt"

	"cdcd/table/datafile"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table/dv"
)

// The format versions of tables. In a table of versionVectors the deleted positions of a data
// file are a deletion vector, in an older one a Parquet file of positions; either way a data file
// has at most one, which holds all of them.
const (
	versionVectors  = 3
	oldestVersion   = 2
	firstRowUnknown = -1 // the first row id of a data file that has none, as all in version 2
)

// deleteFile makes the one delete file of a data file, of all its deleted positions, and keeps it
// for the upload.
func (a *assembly) deleteFile(of string, positions *bitmap, spec int32, partition map[int]any) (iceberg.DataFile, error) {
	if a.version >= versionVectors {
		w := dv.NewDVWriter(a, a.specByID)
		w.Load(of, positions, spec, partition)
		files, err := w.Flush(context.Background(), a.names.vector())
		if err != nil {
			return nil, err
		}
		return files[0], nil
	}
	path := a.names.dataFile()
	content, d, err := datafile.EncodeDeletes(path, of, positions.Positions(), *a.specByID(spec), partition)
	if err != nil {
		return nil, err
	}
	return d, a.WriteFile(path, content)
}

// isVector reports whether a delete file is a deletion vector.
func isVector(d iceberg.DataFile) bool { return d.FileFormat() == iceberg.PuffinFile }

// readDeletes reads a delete file of one data file.
func readDeletes(fs iceio.IO, d iceberg.DataFile) (*bitmap, error) {
	read := func() (*bitmap, error) { return datafile.ReadPositions(fs, d.FilePath()) }
	if isVector(d) {
		read = func() (*bitmap, error) { return dv.ReadDV(fs, d) }
	}
	b, err := read()
	if err != nil {
		return nil, fmt.Errorf("read delete file %s: %w", d.FilePath(), err)
	}
	if b.Cardinality() != d.Count() {
		return nil, fmt.Errorf("%w: delete file %s has %d positions, its entry says %d", ErrCorrupt, d.FilePath(), b.Cardinality(), d.Count())
	}
	return b, nil
}

// deleteCount counts delete files for the summary.
type deleteCount struct{ vectors, files, positions, bytes int64 }

func (n *deleteCount) add(d iceberg.DataFile) {
	if isVector(d) {
		n.vectors++
	} else {
		n.files++
	}
	n.positions += d.Count()
	if size := d.ContentSizeInBytes(); size != nil {
		n.bytes += *size
	} else {
		n.bytes += d.FileSizeBytes()
	}
}

func (n *deleteCount) all() int64 { return n.vectors + n.files }
