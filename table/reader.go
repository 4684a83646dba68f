package table

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"cdcd/table/datafile"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"
)

// ScanOptions choose what is read.
type ScanOptions struct {
	Snapshot int64 // 0: the current one
	Limit    int64 // rows; 0: all
	Lineage  bool  // add _row_id and _last_updated_sequence_number
}

// KeepsLineage reports whether the table keeps for every row when it was last updated.
func (h *Head) KeepsLineage() bool { return h.Version >= versionVectors }

// Scan reads the rows that a head shows, through the Iceberg library's reader: nothing of
// it is used for writing. The caller releases each record.
func (h *Head) Scan(ctx context.Context, o ScanOptions) (iter.Seq2[arrow.RecordBatch, error], error) {
	open := func(ctx context.Context) (iceio.IO, error) { return h.store.IO(ctx), nil }
	t := icetable.New(h.Name.identifier(), typed(h.meta), h.location, open, nil)
	opts := []icetable.ScanOption{icetable.WithMaxConcurrency(1)}
	if o.Snapshot != 0 {
		opts = append(opts, icetable.WithSnapshotID(o.Snapshot))
	}
	if o.Limit > 0 {
		opts = append(opts, icetable.WithLimit(o.Limit))
	}
	if o.Lineage {
		opts = append(opts, icetable.WithRowLineage())
	}
	_, records, err := t.Scan(opts...).ToArrowRecords(ctx)
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", h.Name, err)
	}
	return records, nil
}

// typedMetadata is metadata for the library's reader, which does not read the initial defaults
// of dates and times in the form that they have in metadata.
type typedMetadata struct {
	icetable.Metadata
	current *iceberg.Schema
	schemas []*iceberg.Schema
}

// typed gives metadata whose schemas have dates and times as the library's own values.
func typed(meta icetable.Metadata) icetable.Metadata {
	out := typedMetadata{Metadata: meta}
	for _, s := range meta.Schemas() {
		fields := slices.Clone(s.Fields())
		for i := range fields {
			fields[i].InitialDefault = typedDefault(fields[i])
		}
		t := iceberg.NewSchemaWithIdentifiers(s.ID, s.IdentifierFieldIDs, fields...)
		if out.schemas = append(out.schemas, t); s.ID == meta.CurrentSchema().ID {
			out.current = t
		}
	}
	return out
}

// CurrentSchema gives the typed schema.
func (m typedMetadata) CurrentSchema() *iceberg.Schema { return m.current }

// Schemas gives the typed schemas.
func (m typedMetadata) Schemas() []*iceberg.Schema { return m.schemas }

// typedDefault reads a date or a time; others, and what is none, stay as they are.
func typedDefault(f iceberg.NestedField) any {
	if n, ok := f.InitialDefault.(json.Number); ok {
		if v, err := n.Float64(); err == nil {
			return v
		}
	}
	text, ok := f.InitialDefault.(string)
	if !ok {
		return f.InitialDefault
	}
	switch f.Type.(type) {
	case iceberg.DateType:
		if day, err := datafile.ParseDay(text); err == nil {
			return iceberg.Date(day)
		}
	case iceberg.TimestampType, iceberg.TimestampTzType:
		if moment, err := datafile.ParseMoment(text); err == nil {
			return iceberg.Timestamp(moment)
		}
	}
	return text
}

// Columns gives the names and Iceberg types of the table's columns, for people.
func (h *Head) Columns() []iceberg.NestedField { return h.meta.CurrentSchema().Fields() }
