package manifest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/apache/iceberg-go"
	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
)

// format is how a format version of Iceberg writes manifests of unpartitioned tables, and lists.
type format struct {
	entries *avro.Schema
	list    *avro.Schema // as the library writes it
}

// formatOf gives the format of a version.
func formatOf(version int) (format, error) {
	switch version {
	case 2:
		return format2()
	case 3:
		return format3()
	}
	return format{}, fmt.Errorf("manifests of format version %d are not known", version)
}

var (
	format2 = sync.OnceValues(func() (format, error) {
		f, err := libraryFormat(2)
		if err == nil {
			f.entries, err = withReference(f.entries)
		}
		return f, err
	})
	format3 = sync.OnceValues(func() (format, error) { return libraryFormat(3) })
)

// libraryFormat takes the schemas out of what the library writes.
func libraryFormat(version int) (format, error) {
	var manifest, list bytes.Buffer
	if _, err := iceberg.NewManifestWriter(version, &manifest, *iceberg.UnpartitionedSpec, iceberg.NewSchema(0), 0); err != nil {
		return format{}, err
	}
	var err error
	if version == 2 {
		_, err = iceberg.NewManifestListWriterV2(&list, 0, 0, nil)
	} else {
		_, err = iceberg.NewManifestListWriterV3(&list, 0, 0, 0, nil)
	}
	if err != nil {
		return format{}, err
	}
	var f format
	if f.entries, err = schemaOf(&manifest); err == nil {
		f.list, err = schemaOf(&list)
	}
	return f, err
}

func schemaOf(header *bytes.Buffer) (*avro.Schema, error) {
	r, err := ocf.NewReader(header)
	if err != nil {
		return nil, err
	}
	return r.Schema(), r.Close()
}

const (
	// dataFileField is the entry's field with the file; it is the last.
	dataFileField = "data_file"
	// referenceField is the field of a file, in version 2 too, with the one data file that a
	// delete file is of. The library writes it in version 3 only.
	referenceField   = "referenced_data_file"
	referenceFieldID = 143
)

// withReference adds the reference to the end of the file in a schema of entries.
func withReference(entries *avro.Schema) (*avro.Schema, error) {
	node := entries.Root()
	last := len(node.Fields) - 1
	if last < 0 || node.Fields[last].Name != dataFileField {
		return nil, fmt.Errorf("the library's entries do not end with %s", dataFileField)
	}
	node.Fields = append([]avro.SchemaField(nil), node.Fields...)
	file := node.Fields[last].Type
	file.Fields = append(append([]avro.SchemaField(nil), file.Fields...), avro.SchemaField{
		Name: referenceField, Props: map[string]any{"field-id": referenceFieldID}, HasDefault: true,
		Type: avro.SchemaNode{Type: "union", Branches: []avro.SchemaNode{{Type: "null"}, {Type: "string"}}},
	})
	node.Fields[last].Type = file
	return node.Schema()
}

// appendReference ends a file that the library has encoded for version 2 with its reference.
func appendReference(file []byte, path *string) []byte {
	if path == nil {
		return binary.AppendVarint(file, 0)
	}
	file = binary.AppendVarint(binary.AppendVarint(file, 1), int64(len(*path)))
	return append(file, *path...)
}
