package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/apache/iceberg-go"
	"github.com/twmb/avro"
)

// Entry is a live entry of a manifest, with all that it inherits but the row id.
type Entry struct {
	iceberg.ManifestEntry
	FirstRowID *int64 // of its rows; its own or inherited
}

// Read gives the live entries of a manifest, as the list that names it has it. One that was
// written with another Avro schema than ours is left to the library.
func Read(file iceberg.ManifestFile, raw []byte) ([]Entry, error) {
	format, err := formatOf(file.Version())
	if err != nil {
		return nil, err
	}
	c, err := openContainer(raw)
	if err != nil || string(c.meta["avro.schema"]) != format.entries.String() {
		return readByLibrary(file, raw)
	}
	if err := c.check(file); err != nil {
		return nil, err
	}
	r := &reader{schema: format.entries, file: file, next: file.FirstRowID()}
	err = c.each(r.entry)
	return r.entries, err
}

func readByLibrary(file iceberg.ManifestFile, raw []byte) ([]Entry, error) {
	entries, err := iceberg.ReadManifest(file, bytes.NewReader(raw), true)
	var out []Entry
	for _, e := range entries {
		out = append(out, Entry{e, e.DataFile().FirstRowID()})
	}
	return out, err
}

// check compares what a manifest says of itself with what its list says of it.
func (c *container) check(file iceberg.ManifestFile) error {
	if v := string(c.meta["format-version"]); v != strconv.Itoa(file.Version()) {
		return fmt.Errorf("format version %q in a list of version %d", v, file.Version())
	}
	if content := string(c.meta["content"]); content != file.ManifestContent().String() {
		return fmt.Errorf("content %q, the list says %s", content, file.ManifestContent())
	}
	if spec := string(c.meta["partition-spec"]); spec != "[]" {
		return errors.New("partition spec with fields")
	}
	return nil
}

// each hands the data over, one after the other. Visit gives what is behind the first datum.
func (c *container) each(visit func(data []byte) (rest []byte, err error)) error {
	for {
		n, data, err := c.block()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for range n {
			if data, err = visit(data); err != nil {
				return err
			}
		}
		if len(data) > 0 {
			return errContainer
		}
	}
}

// reader reads the entries of one manifest.
type reader struct {
	schema  *avro.Schema
	file    iceberg.ManifestFile
	next    *int64 // the row id that the next file inherits; nil: none does
	entries []Entry
}

// entry reads one entry. What it lacks it has from the manifest: the snapshot; the sequence
// numbers, where it is new; the row ids, in the order of the files that have none.
func (r *reader) entry(data []byte) ([]byte, error) {
	e, err := r.blank()
	if err != nil {
		return nil, err
	}
	rest, err := r.schema.Decode(data, e)
	if err != nil {
		return nil, err
	}
	f, status := e.DataFile(), e.Status()
	switch status {
	case iceberg.EntryStatusDELETED:
		return rest, nil
	case iceberg.EntryStatusADDED, iceberg.EntryStatusEXISTING:
	default:
		return nil, fmt.Errorf("status %d of an entry", status)
	}
	if isData := f.ContentType() == iceberg.EntryContentData; isData != (r.file.ManifestContent() == iceberg.ManifestContentData) {
		return nil, fmt.Errorf("content %d of an entry in a manifest of %s", f.ContentType(), r.file.ManifestContent())
	}
	snapshot, sequence, fileSequence := e.SnapshotID(), e.SequenceNum(), e.FileSequenceNum()
	if snapshot == -1 {
		snapshot = r.file.SnapshotID()
	}
	if given := r.file.SequenceNum(); given == 0 || given > 0 && status == iceberg.EntryStatusADDED {
		if sequence == -1 {
			sequence = given
		}
		if fileSequence == nil {
			fileSequence = &given
		}
	}
	r.entries = append(r.entries, Entry{iceberg.NewManifestEntry(status, &snapshot, &sequence, fileSequence, f), r.rowID(f)})
	return rest, nil
}

// blank makes an entry to decode into: the library's own value, whose Avro tags say how it is
// decoded, for nothing else can be given back to its writer.
func (r *reader) blank() (iceberg.ManifestEntry, error) {
	spec := iceberg.NewPartitionSpecID(int(r.file.PartitionSpecID()))
	b, err := iceberg.NewDataFileBuilder(spec, iceberg.EntryContentData, "-", iceberg.ParquetFile, nil, nil, nil, 1, 1)
	if err != nil {
		return nil, err
	}
	return iceberg.NewManifestEntry(iceberg.EntryStatusADDED, nil, nil, nil, b.Build()), nil
}

// rowID gives the first row id of a file.
func (r *reader) rowID(f iceberg.DataFile) *int64 {
	if own := f.FirstRowID(); own != nil || r.next == nil || r.file.ManifestContent() != iceberg.ManifestContentData {
		return own
	}
	first, next := *r.next, *r.next+f.Count()
	r.next = &next
	return &first
}

// ReadList gives the manifests that a list names. One that was written with another Avro schema
// than the library's is left to the library.
func ReadList(raw []byte) ([]iceberg.ManifestFile, error) {
	c, err := openContainer(raw)
	if err != nil {
		return iceberg.ReadManifestList(bytes.NewReader(raw))
	}
	version, err := strconv.Atoi(string(c.meta["format-version"]))
	if err != nil {
		return iceberg.ReadManifestList(bytes.NewReader(raw))
	}
	format, err := formatOf(version)
	if err != nil || string(c.meta["avro.schema"]) != format.list.String() {
		return iceberg.ReadManifestList(bytes.NewReader(raw))
	}
	var out []iceberg.ManifestFile // they are decoded as entries are
	err = c.each(func(data []byte) ([]byte, error) {
		m := iceberg.NewManifestFile(version, "", 0, 0, 0).Build()
		rest, err := format.list.Decode(data, m)
		out = append(out, m)
		return rest, err
	})
	return out, err
}
