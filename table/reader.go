package table

import (
	"context"
	"fmt"
	"iter"

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
	t := icetable.New(h.Name.identifier(), h.meta, h.location, open, nil)
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

// Columns gives the names and Iceberg types of the table's columns, for people.
func (h *Head) Columns() []iceberg.NestedField { return h.meta.CurrentSchema().Fields() }
