package table

import (
	"bytes"
	"encoding/json"

	"cdcd/table/datafile"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// encodeMetadata renders metadata so that every reader takes them.
func encodeMetadata(meta icetable.Metadata) ([]byte, error) {
	content, err := json.Marshal(meta)
	if err != nil || !hasFloatingDefault(meta) {
		return content, err
	}
	return floatingDefaults(content)
}

// hasFloatingDefault reports whether a schema has a default of a floating type.
func hasFloatingDefault(meta icetable.Metadata) bool {
	for _, s := range meta.Schemas() {
		for _, f := range s.Fields() {
			switch f.Type.(type) {
			case iceberg.Float32Type, iceberg.Float64Type:
				if f.InitialDefault != nil || f.WriteDefault != nil {
					return true
				}
			}
		}
	}
	return false
}

// floatingDefaults rewrites metadata so that defaults of floating types stand there as floating
// numbers. The library writes 1.0 as 1, and readers in Java refuse the table then.
func floatingDefaults(content []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber() // ids of snapshots need all their digits
	var meta map[string]any
	if err := d.Decode(&meta); err != nil {
		return nil, err
	}
	schemas, _ := meta["schemas"].([]any)
	for _, s := range schemas {
		schema, _ := s.(map[string]any)
		fields, _ := schema["fields"].([]any)
		for _, f := range fields {
			if field, ok := f.(map[string]any); ok {
				floatField(field)
			}
		}
	}
	return json.Marshal(meta)
}

func floatField(field map[string]any) {
	if field["type"] != "float" && field["type"] != "double" {
		return
	}
	for _, key := range []string{"initial-default", "write-default"} {
		n, ok := field[key].(json.Number)
		if !ok {
			continue
		}
		if v, err := n.Float64(); err == nil {
			field[key] = datafile.Floating(v)
		}
	}
}
