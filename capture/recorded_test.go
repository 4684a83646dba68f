package capture

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdcd/capture/binlog"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// What the recordings hold is told beside them, in binlog/testdata/README.md.

// recordedEvents gives the events of a recorded log.
func recordedEvents(t testing.TB, name string) []binlog.Event {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("binlog", "testdata", name+".binlog"))
	if err != nil {
		t.Fatal(err)
	}
	var out []binlog.Event
	for b = b[4:]; len(b) > 0; {
		n := binary.LittleEndian.Uint32(b[9:])
		out = append(out, binlog.Event{
			Timestamp: binary.LittleEndian.Uint32(b), Type: binlog.Type(b[4]), ServerID: binary.LittleEndian.Uint32(b[5:]),
			LogPos: binary.LittleEndian.Uint32(b[13:]), Flags: binary.LittleEndian.Uint16(b[17:]), Body: b[19 : n-4],
		})
		b = b[n:]
	}
	return out
}

// recordedShape reads what SQL says of g.types: its shape, and its rows as text, nil for
// NULL.
func recordedShape(t testing.TB, name string, key ...int) (*Table, [][][]byte) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("binlog", "testdata", name+".tsv"))
	if err != nil {
		t.Fatal(err)
	}
	table := &Table{Name: Name{"g", "types"}, Key: key}
	var rows [][][]byte
	for line := range strings.Lines(string(file)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		number := func(s string) sql.NullInt64 {
			n, err := strconv.ParseInt(s, 10, 64)
			return sql.NullInt64{Int64: n, Valid: err == nil}
		}
		d := described{
			column: f[0], dataType: f[1], fullType: string(unhex(t, f[2])), nullable: f[3], octets: number(f[4]),
			precision: number(f[5]), scale: number(f[6]), fraction: number(f[7]), charset: sql.NullString{String: f[8], Valid: f[8] != ""},
		}
		c, err := d.toColumn()
		if err != nil {
			t.Fatalf("column %s: %v", d.column, err)
		}
		table.Columns = append(table.Columns, c)
		rows = slices.Grow(rows, len(f)-9)[:len(f)-9]
		for i, v := range f[9:] {
			rows[i] = append(rows[i], unhex(t, v))
		}
	}
	return table, rows
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	if s == "NULL" {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var testCollations = map[uint64]string{
	8: "latin1", 11: "ascii", 33: "utf8mb3", 45: "utf8mb4", 46: "utf8mb4", 63: "binary", 255: "utf8mb4", 2304: "utf8mb4", 10: "swe7", 28: "gbk",
}

// newTestStream is a stream without a server: its test hands it the events.
func newTestStream(t testing.TB, f Flavor, wanted func(Name) bool, tables ...Capture) *Stream {
	t.Helper()
	for i := range tables {
		tables[i].Applied = EmptyPosition(f)
	}
	s, err := NewStream(StreamConfig{
		Start: EmptyPosition(f), Tables: tables, Wanted: wanted, Memory: memory.DefaultAllocator, Logger: slog.New(slog.DiscardHandler),
		Limits: Limits{Rows: 1 << 30, Bytes: 1 << 30, Linger: time.Hour, Prepared: 1 << 30},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.collate = testCollations
	t.Cleanup(s.Close)
	return s
}

// feed hands events over as advance does, up to the first error, each in the buffer of the one
// before it.
func feed(s *Stream, events ...binlog.Event) error {
	var buffer []byte
	for _, e := range events {
		buffer = append(buffer[:0], e.Body...)
		e.Body = buffer
		if err := s.handle(e); err != nil {
			return err
		}
		for s.inside || len(s.replay) > 0 {
			if err := feedInner(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// feedInner hands over what is to be handled before the next event of the log.
func feedInner(s *Stream) error {
	if len(s.replay) > 0 {
		return s.handle(s.nextKept())
	}
	e, err := s.payload.Next()
	if err != nil {
		s.inside = false
		return nil
	}
	return s.handle(e)
}

// behind drops the first n transactions.
func behind(t testing.TB, events []binlog.Event, n int) []binlog.Event {
	t.Helper()
	for i, e := range events {
		switch e.Type {
		case binlog.TypeGTID, binlog.TypeGTIDTagged, binlog.TypeMariaDBGTID:
			if n--; n < 0 {
				return events[i:]
			}
		}
	}
	t.Fatal("too few transactions")
	return nil
}

func none(Name) bool { return false }

// smallTable is g.small of the MySQL recording.
func smallTable() *Table {
	return &Table{Name: Name{"g", "small"}, Key: []int{0}, Columns: []Column{
		{Name: "id", Type: TypeInt},
		{Name: "v", Type: TypeVarchar, Size: 1200, Charset: "utf8mb4"},
		{Name: "j", Type: TypeJSON, Nullable: true},
	}}
}

// rowText prints the values of a row.
func rowText(r arrow.RecordBatch, row int) []string {
	var out []string
	for _, c := range r.Columns() {
		out = append(out, c.ValueStr(row))
	}
	return out
}

func TestBothPathsGiveTheSameValues(t *testing.T) {
	for _, c := range []struct {
		name   string
		flavor Flavor
		key    []int
		ops    []Op
		row    []int // of the batch, for each row that SQL showed
	}{
		{"mysql97", MySQL, []int{1, 0}, []Op{OpInsert, OpInsert, OpInsert, OpUpdate, OpDelete, OpUpdate, OpDelete}, []int{3, 5}},
		{"mariadb118", MariaDB, []int{0}, []Op{OpInsert, OpInsert, OpUpdate, OpDelete}, []int{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, rows := recordedShape(t, c.name, c.key...)
			s := newTestStream(t, c.flavor, none, Capture{Table: table})
			var stop *Stop
			if err := feed(s, behind(t, recordedEvents(t, c.name), 2)...); err != nil && !errors.As(err, &stop) {
				t.Fatal(err)
			}
			segment := s.flush()
			defer segment.Release()
			if len(segment.Batches) != 1 {
				t.Fatalf("%d batches, %v", len(segment.Batches), stop)
			}
			batch := segment.Batches[0]
			if !slices.Equal(batch.Ops, c.ops) {
				t.Fatalf("got %v, want %v", batch.Ops, c.ops)
			}
			loaded := loadText(t, table, rows)
			defer loaded.Release()
			for i, row := range c.row {
				compareRows(t, batch.Record, row, loaded.Record, i)
			}
		})
	}
}

// loadText reads rows as the initial load does.
func loadText(t *testing.T, table *Table, rows [][][]byte) *Batch {
	t.Helper()
	b, err := newRowBuffer(table, TypeOptions{}, false, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer b.free()
	for _, row := range rows {
		for i, text := range row {
			if text == nil {
				b.columns[i].appendNull()
				continue
			}
			parse, err := columnParser(table.Columns[i], b.schema.Field(i).Type)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.closeColumn(i, parse(&b.columns[i], text)); err != nil {
				t.Fatal(err)
			}
		}
		b.closeRow(OpLoad, time.Time{})
	}
	return b.take()
}

func compareRows(t *testing.T, a arrow.RecordBatch, rowA int, b arrow.RecordBatch, rowB int) {
	t.Helper()
	textA, textB := rowText(a, rowA), rowText(b, rowB)
	for i := range textA {
		if textA[i] != textB[i] {
			t.Errorf("%s: the log gives %s, SQL %s", a.ColumnName(i), textA[i], textB[i])
		}
	}
}

func TestBothPathsGiveTheSameShape(t *testing.T) {
	for name, c := range map[string]struct {
		flavor Flavor
		key    []int
	}{"mysql97": {MySQL, []int{1, 0}}, "mariadb118": {MariaDB, []int{0}}} {
		table, _ := recordedShape(t, name, c.key...)
		for _, e := range recordedEvents(t, name) {
			if e.Type != binlog.TypeTableMap || !bytes.Contains(e.Body, []byte("types")) {
				continue
			}
			wire, err := binlog.ParseTableMap(e.Body, c.flavor == MariaDB)
			if err != nil {
				t.Fatal(err)
			}
			seen, err := tableOf(wire, table, testCollations)
			if err != nil || !reflect.DeepEqual(seen, table) {
				t.Errorf("%s: %v, %s", name, err, table.Difference(seen))
			}
		}
	}
}

func TestRecordedLogsStopWhereTheyMust(t *testing.T) {
	types, _ := recordedShape(t, "mysql97", 1, 0)
	other := &Table{Name: Name{"other", "elsewhere"}, Key: []int{0}, Columns: []Column{{Name: "id", Type: TypeInt}}}
	for name, c := range map[string]struct {
		table *Table
		after int    // transactions that are passed over
		what  string // "": the log is read to its end
		gtid  string // the end of it
		ops   []Op
	}{
		"another schema":   {other, 0, "", "", nil},
		"statement":        {types, 5, "UPDATE logged as a statement", ":17", nil},
		"minimal image":    {smallTable(), 5, "UPDATE logged as a statement", ":17", []Op{OpInsert, OpUpdate, OpUpdate, OpInsert, OpInsert, OpInsert, OpInsert}},
		"partial JSON":     {smallTable(), 7, "UPDATE logged as a statement", ":17", []Op{OpUpdate, OpInsert, OpInsert, OpInsert, OpInsert}},
		"prepared":         {smallTable(), 8, "UPDATE logged as a statement", ":17", []Op{OpInsert, OpInsert, OpInsert, OpInsert}},
		"completed":        {smallTable(), 9, "XA COMMIT of a transaction that was prepared before our position", ":14", nil},
		"tag, compression": {smallTable(), 10, "UPDATE logged as a statement", ":17", []Op{OpInsert, OpInsert, OpInsert}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStream(t, MySQL, none, Capture{Table: c.table})
			err := feed(s, behind(t, recordedEvents(t, "mysql97"), c.after)...)
			segment := s.flush()
			defer segment.Release()
			var stop *Stop
			if errors.As(err, &stop) != (c.what != "") || stop != nil && (stop.What != c.what || !strings.HasSuffix(stop.GTID, c.gtid)) || stop == nil && err != nil {
				t.Fatalf("got %v", err)
			}
			var ops []Op
			for _, b := range segment.Batches {
				ops = append(ops, b.Ops...)
			}
			if stop != nil { // what came before it in its own transaction is not to be delivered
				ops = ops[:min(len(ops), len(c.ops))]
			}
			if !slices.Equal(ops, c.ops) {
				t.Errorf("got %v, want %v", ops, c.ops)
			}
		})
	}
}

// TestRecordedDiffs reads a document that the log changes by a diff.
func TestRecordedDiffs(t *testing.T) {
	s := newTestStream(t, MySQL, none, Capture{Table: smallTable()})
	if err := feed(s, behind(t, recordedEvents(t, "mysql97"), 7)...); err == nil {
		t.Fatal("the statement at the end is passed over")
	}
	segment := s.flush()
	defer segment.Release()
	const want = `1 c {"a": 2, "b": "long enough to be worth a diff"}`
	if got := strings.Join(rowText(segment.Batches[0].Record, 0), " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRecordedLogsAddUpToTheirPosition(t *testing.T) {
	const sid = "d7d79df9-e574-11f1-b7a5-02fc00000001"
	for name, c := range map[string]struct {
		flavor Flavor
		want   string
		count  int
	}{
		"mysql97":               {MySQL, sid + ":5-20:tag_a:1", 17},
		"mariadb118":            {MariaDB, "0-34118-24,7-34118-2", 11},
		"mariadb118-compressed": {MariaDB, "0-34118-9", 7},
	} {
		other := &Table{Name: Name{"other", "elsewhere"}, Key: []int{0}, Columns: []Column{{Name: "id", Type: TypeInt}}}
		s := newTestStream(t, c.flavor, none, Capture{Table: other})
		err := feed(s, recordedEvents(t, name)...)
		if segment := s.flush(); err != nil || segment.End.String() != c.want || segment.Transactions != c.count {
			t.Errorf("%s: %v, read %d transactions to %s, want %d to %s", name, err, segment.Transactions, segment.End, c.count, c.want)
		}
	}
}

// TestCompressedEventsAreRead reads what MariaDB wrote with log_bin_compress, an XA transaction in
// it, whose events are kept meanwhile.
func TestCompressedEventsAreRead(t *testing.T) {
	table := &Table{Name: Name{"z", "t"}, Key: []int{0}, Columns: []Column{
		{Name: "id", Type: TypeInt}, {Name: "v", Type: TypeVarchar, Size: 200, Charset: "latin1", Nullable: true},
	}}
	s := newTestStream(t, MariaDB, none, Capture{Table: table})
	if err := feed(s, behind(t, recordedEvents(t, "mariadb118-compressed"), 1)...); err != nil {
		t.Fatal(err)
	}
	segment := s.flush()
	defer segment.Release()
	sign := map[Op]string{OpInsert: "+", OpUpdate: "=", OpDelete: "-"}
	var got []string
	for i, op := range segment.Batches[0].Ops {
		row := rowText(segment.Batches[0].Record, i)
		got = append(got, fmt.Sprintf("%s%s:%.1s%d", sign[op], row[0], row[1], len(row[1])))
	}
	const want = "+1:a100 +2:b1 +3:c100 +4:0 =1:d150 =2:d150" + " -1:d150 =11:d150 -2:d150 =12:d150 -3:c100 =13:c100 -4:0 =14:0 -13:c100 -14:0" + " -12:d150"
	if text := strings.Join(got, " "); text != want || segment.Rows != 13 {
		t.Errorf("got %d rows: %s\nwant %s", segment.Rows, text, want)
	}
}
