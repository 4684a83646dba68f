package manifest

import (
	"io"

	"github.com/apache/iceberg-go"
)

// newPartitioned begins a manifest of a spec that has fields. The library writes it: its Avro
// schema is the spec's, and the library knows how each kind of value is encoded and summed up.
func newPartitioned(out io.Writer, version int, spec iceberg.PartitionSpec, schema *iceberg.Schema, snapshot int64, content iceberg.ManifestContent) (*Writer, error) {
	lib, err := iceberg.NewManifestWriter(version, out, spec, schema, snapshot, iceberg.WithManifestWriterContent(content))
	if err != nil {
		return nil, err
	}
	return &Writer{lib: lib, version: version, spec: spec, schema: schema, content: content, snapshot: snapshot, counts: map[iceberg.ManifestEntryStatus]count{}, lowest: -1}, nil
}

// writePartitioned lists a file. What it is to say is in the entry that the library is given.
func (w *Writer) writePartitioned(status iceberg.ManifestEntryStatus, snapshot, sequence int64, fileSequence *int64, f iceberg.DataFile) error {
	var known *int64
	if sequence >= 0 {
		known = &sequence
	}
	e := iceberg.NewManifestEntry(status, &snapshot, known, fileSequence, f)
	switch status {
	case iceberg.EntryStatusADDED:
		return w.lib.Add(e)
	case iceberg.EntryStatusEXISTING:
		return w.lib.Existing(e)
	}
	return w.lib.Delete(e)
}
