package manifest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/codec"
	"github.com/twmb/avro/ocf"
)

// Writer writes one manifest. After an error it is of no use.
type Writer struct {
	out      *ocf.Writer
	lib      *iceberg.ManifestWriter // writes instead where the spec has fields; else nil
	version  int
	spec     iceberg.PartitionSpec
	schema   *iceberg.Schema
	content  iceberg.ManifestContent
	snapshot int64
	counts   map[iceberg.ManifestEntryStatus]count
	lowest   int64 // sequence number of a live entry; -1: none is known
}

// count is what a manifest file says of the entries of one status.
type count struct {
	files int32
	rows  int64
}

// NewWriter begins a manifest of data files or of deletes, as part of a snapshot of a table of
// format version 2 or 3.
func NewWriter(out io.Writer, version int, spec iceberg.PartitionSpec, schema *iceberg.Schema, snapshot int64, content iceberg.ManifestContent) (*Writer, error) {
	if spec.NumFields() > 0 {
		return newPartitioned(out, version, spec, schema, snapshot, content)
	}
	format, err := formatOf(version)
	if err != nil {
		return nil, err
	}
	meta, err := metadata(version, spec, schema, content)
	if err != nil {
		return nil, err
	}
	w, err := ocf.NewWriter(out, format.entries, ocf.WithMetadata(meta), ocf.WithCodec(ocf.DeflateCodec(-1)))
	if err != nil {
		return nil, err
	}
	return &Writer{out: w, version: version, spec: spec, schema: schema, content: content, snapshot: snapshot, counts: map[iceberg.ManifestEntryStatus]count{}, lowest: -1}, nil
}

// metadata is what a manifest says of itself.
func metadata(version int, spec iceberg.PartitionSpec, schema *iceberg.Schema, content iceberg.ManifestContent) (map[string][]byte, error) {
	text, err := json.Marshal(schema)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"schema":            text,
		"schema-id":         []byte(strconv.Itoa(schema.ID)),
		"partition-spec":    []byte("[]"),
		"partition-spec-id": []byte(strconv.Itoa(spec.ID())),
		"format-version":    []byte(strconv.Itoa(version)),
		"content":           []byte(content.String()),
	}, nil
}

// Add lists a file that the snapshot adds.
func (w *Writer) Add(f iceberg.DataFile) error {
	return w.write(iceberg.EntryStatusADDED, w.snapshot, -1, nil, f)
}

// Existing lists a file that was there before.
func (w *Writer) Existing(e iceberg.ManifestEntry) error {
	return w.write(iceberg.EntryStatusEXISTING, e.SnapshotID(), e.SequenceNum(), e.FileSequenceNum(), e.DataFile())
}

// Delete lists a file that the snapshot removes.
func (w *Writer) Delete(e iceberg.ManifestEntry) error {
	return w.write(iceberg.EntryStatusDELETED, w.snapshot, e.SequenceNum(), e.FileSequenceNum(), e.DataFile())
}

var errSequence = errors.New("an entry that is not new has no sequence number")

func (w *Writer) write(status iceberg.ManifestEntryStatus, snapshot, sequence int64, fileSequence *int64, f iceberg.DataFile) error {
	if isData := f.ContentType() == iceberg.EntryContentData; isData != (w.content == iceberg.ManifestContentData) {
		return fmt.Errorf("%s does not belong in a manifest of %s", f.FilePath(), w.content)
	}
	if status != iceberg.EntryStatusADDED && sequence < 0 {
		return fmt.Errorf("%s: %w", f.FilePath(), errSequence)
	}
	if err := w.writeEntry(status, snapshot, sequence, fileSequence, f); err != nil {
		return err
	}
	c := w.counts[status]
	c.files++
	c.rows += f.Count()
	w.counts[status] = c
	if status != iceberg.EntryStatusDELETED && sequence >= 0 && (w.lowest < 0 || sequence < w.lowest) {
		w.lowest = sequence
	}
	return nil
}

func (w *Writer) writeEntry(status iceberg.ManifestEntryStatus, snapshot, sequence int64, fileSequence *int64, f iceberg.DataFile) error {
	if w.lib != nil {
		return w.writePartitioned(status, snapshot, sequence, fileSequence, f)
	}
	file, err := encodeFile(f, w.version, w.spec, w.schema)
	if err != nil {
		return err
	}
	_, err = w.out.Write(encodeEntry(status, snapshot, sequence, fileSequence, file))
	return err
}

// prefix is what the codec writes before a data file: an entry that is added, without a snapshot
// or sequence numbers.
var prefix = string(encodeFields(iceberg.EntryStatusADDED, nil, nil, nil))

// encodeFile encodes a data file as the field of an entry.
func encodeFile(f iceberg.DataFile, version int, spec iceberg.PartitionSpec, schema *iceberg.Schema) ([]byte, error) {
	entry, err := codec.EncodeDataFile(f, spec, schema, version)
	if err != nil {
		return nil, err
	}
	file, ok := bytes.CutPrefix(entry, []byte(prefix))
	if !ok {
		return nil, fmt.Errorf("the codec has encoded %s otherwise than an entry", f.FilePath())
	}
	if version == 2 {
		file = appendReference(file, f.ReferencedDataFile())
	}
	return file, nil
}

func encodeEntry(status iceberg.ManifestEntryStatus, snapshot, sequence int64, fileSequence *int64, file []byte) []byte {
	var known *int64
	if sequence >= 0 {
		known = &sequence
	}
	return append(encodeFields(status, &snapshot, known, fileSequence), file...)
}

// encodeFields encodes the fields of an entry before its data file. In Avro an optional number
// is the index of its branch, null or number, and then the number.
func encodeFields(status iceberg.ManifestEntryStatus, optional ...*int64) []byte {
	out := binary.AppendVarint(nil, int64(status))
	for _, n := range optional {
		if n == nil {
			out = binary.AppendVarint(out, 0)
			continue
		}
		out = binary.AppendVarint(binary.AppendVarint(out, 1), *n)
	}
	return out
}

// Close ends the manifest. One without entries is refused.
func (w *Writer) Close() error {
	if w.lib != nil {
		return w.lib.Close()
	}
	err := w.out.Close()
	if len(w.counts) == 0 {
		return errors.Join(iceberg.ErrEmptyManifest, err)
	}
	return err
}

// File describes the manifest, once closed, for the list that names it. Its sequence number is the one of
// the snapshot that the list is of.
func (w *Writer) File(path string, length int64) (iceberg.ManifestFile, error) {
	if w.lib != nil {
		return w.lib.ToManifestFile(path, length)
	}
	added, existing, deleted := w.counts[iceberg.EntryStatusADDED], w.counts[iceberg.EntryStatusEXISTING], w.counts[iceberg.EntryStatusDELETED]
	return iceberg.NewManifestFile(w.version, path, length, int32(w.spec.ID()), w.snapshot).
		Content(w.content).SequenceNum(-1, w.lowest).Partitions([]iceberg.FieldSummary{}).
		AddedFiles(added.files).AddedRows(added.rows).
		ExistingFiles(existing.files).ExistingRows(existing.rows).
		DeletedFiles(deleted.files).DeletedRows(deleted.rows).
		Build(), nil
}
