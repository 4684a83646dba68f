package commit

import (
	"context"
	"fmt"
	"iter"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// The control table is an Iceberg table like any other of the pipeline, written by the same
// committer; its rows are the pipeline's own records. It issues the fence numbers: taking
// the fence there comes first.

// Kinds of records in the control table.
const (
	kindFence  = "fence"  // a daemon took the pipeline over; number is the fence number
	kindCut    = "cut"    // a table's part of a cut; number is the cut's
	kindRewind = "rewind" // all tables go back to a cut; number is the timeline that begins, snapshot_id the cut's number
)

// The control table's columns, in order. kind, number and table_name are its key.
const (
	columnKind = iota
	columnNumber
	columnTable
	columnSnapshot
	columnPosition
	columnTimeline
	columnSourceTime
	columnRecorded
	columnOwner
)

// controlSource describes the control table as if the source had it.
func controlSource(n table.Name) table.Source {
	const nameLength, micros = 512, 6
	text := func(name string, nullable bool) capture.Column {
		return capture.Column{Name: name, Type: capture.TypeVarchar, Size: nameLength, Charset: "utf8mb4", Nullable: nullable}
	}
	number := func(name string, nullable bool) capture.Column {
		return capture.Column{Name: name, Type: capture.TypeBigInt, Nullable: nullable}
	}
	moment := func(name string) capture.Column {
		return capture.Column{Name: name, Type: capture.TypeTimestamp, Fraction: micros, Nullable: true}
	}
	return table.Source{Table: capture.Table{
		Name: capture.Name{Schema: n.Namespace, Table: n.Table},
		Columns: []capture.Column{
			columnKind: text("kind", false), columnNumber: number("number", false), columnTable: text("table_name", false),
			columnSnapshot: number("snapshot_id", true), columnPosition: text("position", true), columnTimeline: number("timeline", true),
			columnSourceTime: moment("source_time"), columnRecorded: moment("recorded_at"), columnOwner: text("owner", true),
		},
		Key: []int{columnKind, columnNumber, columnTable},
	}}
}

// record is a row of the control table.
type record struct {
	kind       string
	number     int64
	table      string // namespace.table; "" where the record is of no table
	snapshot   int64
	position   string
	timeline   int64
	sourceTime time.Time // commit time of the newest transaction in position
	recorded   time.Time
	owner      string
}

// controlEpoch makes an epoch that writes records and removes others.
func (p *Pipeline) controlEpoch(number int64, end capture.Position, add, remove []record) (*epoch, error) {
	e := newEpoch(number, end)
	for _, part := range []struct {
		records []record
		op      capture.Op
	}{{remove, capture.OpDelete}, {add, capture.OpUpdate}} {
		if len(part.records) == 0 {
			continue
		}
		b, err := p.controlBatch(part.records, part.op)
		if err != nil {
			e.release()
			return nil, err
		}
		sh := e.share(p.control)
		sh.log = append(sh.log, b)
	}
	return e, nil
}

// controlBatch renders records as changes of the control table.
func (p *Pipeline) controlBatch(records []record, op capture.Op) (*capture.Batch, error) {
	source := &p.control.Source
	schema, err := capture.ArrowSchema(&source.Table, source.Options, false)
	if err != nil {
		return nil, err
	}
	b := array.NewRecordBuilder(p.cfg.Tables.Memory, schema)
	defer b.Release()
	ops := make([]capture.Op, len(records))
	for i, r := range records {
		ops[i] = op
		for column, v := range []any{r.kind, r.number, r.table, r.snapshot, r.position, r.timeline, r.sourceTime, r.recorded, r.owner} {
			appendValue(b.Field(column), v)
		}
	}
	return &capture.Batch{Table: &source.Table, Record: b.NewRecordBatch(), Ops: ops}, nil
}

// appendValue appends a value of a record; times that are zero become NULL.
func appendValue(b array.Builder, v any) {
	switch v := v.(type) {
	case string:
		b.(*array.StringBuilder).Append(v)
	case int64:
		b.(*array.Int64Builder).Append(v)
	case time.Time:
		if v.IsZero() {
			b.AppendNull()
			return
		}
		b.(*array.TimestampBuilder).Append(arrow.Timestamp(v.UnixMicro()))
	}
}

// shown is the control table as it is at a head, or as somebody left it.
type shown interface {
	Begun() bool
	Scan(ctx context.Context, o table.ScanOptions) (iter.Seq2[arrow.RecordBatch, error], error)
}

// readControl reads all records of the control table.
func readControl(ctx context.Context, h shown) ([]record, error) {
	if !h.Begun() {
		return nil, nil
	}
	batches, err := h.Scan(ctx, table.ScanOptions{})
	if err != nil {
		return nil, err
	}
	var out []record
	for rec, err := range batches {
		if err != nil {
			return nil, fmt.Errorf("read the control table: %w", err)
		}
		out = appendRecords(out, rec)
		rec.Release()
	}
	return out, nil
}

func appendRecords(out []record, rec arrow.RecordBatch) []record {
	text := func(column, row int) string {
		if c := rec.Column(column).(*array.String); c.IsValid(row) {
			return c.Value(row)
		}
		return ""
	}
	number := func(column, row int) int64 {
		if c := rec.Column(column).(*array.Int64); c.IsValid(row) {
			return c.Value(row)
		}
		return 0
	}
	moment := func(column, row int) time.Time {
		if c := rec.Column(column).(*array.Timestamp); c.IsValid(row) {
			return time.UnixMicro(int64(c.Value(row)))
		}
		return time.Time{}
	}
	for i := range int(rec.NumRows()) {
		out = append(out, record{
			kind: text(columnKind, i), number: number(columnNumber, i), table: text(columnTable, i),
			snapshot: number(columnSnapshot, i), position: text(columnPosition, i), timeline: number(columnTimeline, i),
			sourceTime: moment(columnSourceTime, i), recorded: moment(columnRecorded, i), owner: text(columnOwner, i),
		})
	}
	return out
}

// positionOf reads a record's position.
func positionOf(r record, f capture.Flavor) (capture.Position, error) {
	return capture.ParsePosition(f, r.position)
}
