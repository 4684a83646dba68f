package binlog

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"runtime"
	"testing"
	"time"
)

// The fuzz tests check that foreign bytes never make a parser panic or allocate out of
// proportion, and that what is accepted is consistent with itself.

// spends fails when parse allocates more than a multiple of n, the input's size, and a base
// for buffers of fixed size.
func spends(t *testing.T, n int, base uint64, parse func()) {
	t.Helper()
	const perByte = 512 // a column takes one byte of the event at least
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	parse()
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > base+perByte*uint64(n) {
		t.Errorf("%d bytes of input made it allocate %d", n, spent)
	}
}

// smallBase is what parsers without buffers of their own may allocate in any case.
const smallBase = 64 << 10

func FuzzTableMap(f *testing.F) {
	for _, body := range recordedBodies(f, TypeTableMap) {
		f.Add(body, true)
		f.Add(body, false)
	}
	f.Add(mapBody("\x03\xfe\xfe", "\xf7\x01\xf8\x01", "\x05\x01\x01a", "\x06\x01\x01b", "\x02\x08\x00\x2d"), false)
	f.Fuzz(func(t *testing.T, body []byte, mariadb bool) {
		var tm *TableMap
		var err error
		spends(t, len(body), smallBase, func() { tm, err = ParseTableMap(body, mariadb) })
		id, schema, name, peekErr := PeekTableMap(body)
		if err != nil {
			return
		}
		if peekErr != nil || id != tm.ID || string(schema) != tm.Schema || string(name) != tm.Table {
			t.Errorf("peeked %d %q.%q, %v; parsed %d %q.%q", id, schema, name, peekErr, tm.ID, tm.Schema, tm.Table)
		}
		again, err := ParseTableMap(tm.Raw, mariadb)
		if err != nil || !reflect.DeepEqual(again, tm) {
			t.Errorf("its own bytes read as %+v, %v; want %+v", again, err, tm)
		}
	})
}

func FuzzRows(f *testing.F) {
	for _, typ := range []Type{TypeWriteRowsV1, TypeUpdateRowsV1, TypeDeleteRowsV1, TypeWriteRowsV2, TypeUpdateRowsV2, TypeDeleteRowsV2} {
		for _, body := range recordedBodies(f, typ) {
			f.Add(byte(typ), body)
		}
	}
	f.Fuzz(func(t *testing.T, typ byte, body []byte) {
		r, err := ParseRows(Event{Type: Type(typ), Body: body})
		if err != nil {
			return
		}
		bitmap := (r.Columns + 7) / 8
		if len(r.Present) != bitmap || len(r.After) != bitmap || !bytes.HasSuffix(body, r.Images) {
			t.Errorf("%d columns with bitmaps %x and %x", r.Columns, r.Present, r.After)
		}
		Complete(r.Present, r.Columns)
		if id, err := RowsTableID(body); err != nil || id != r.TableID {
			t.Errorf("table id %d, %v; want %d", id, err, r.TableID)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, body := range recordedBodies(f, TypeQuery) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := ParseQuery(body)
		if err == nil && !bytes.HasSuffix(body, q.SQL) {
			t.Errorf("statement %q is not the end of the event", q.SQL)
		}
	})
}

func FuzzTransactionControl(f *testing.F) {
	for _, typ := range []Type{TypeGTID, TypeGTIDTagged, TypeMariaDBGTID, TypeXAPrepare, TypeRotate, TypeFormatDescription} {
		for _, body := range recordedBodies(f, typ) {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		spends(t, len(body), smallBase, func() {
			for _, parse := range []func([]byte) (GTID, error){ParseGTID, ParseGTIDTagged, ParseMariaDBGTID} {
				if g, err := parse(body); err == nil && g.Committed.Before(time.Time{}) {
					t.Errorf("committed %v", g.Committed)
				}
			}
			if x, err := ParseXAPrepare(body); err == nil && len(x.XID) > 2*128+len(",,-2147483648") {
				t.Errorf("XID of %d bytes", len(x.XID))
			}
			_, _ = ParseRotate(body)
			_, _ = checksummed(body)
		})
	})
}

func FuzzPayload(f *testing.F) {
	for _, body := range recordedBodies(f, TypeTransactionPayload) {
		f.Add(body)
	}
	f.Add(payloadBody(f, compressionZstd, rawEvent(TypeQuery, []byte("BEGIN")), rawEvent(TypeXID, make([]byte, 8))))
	f.Add(payloadBody(f, compressionNone, rawEvent(TypeQuery, []byte("BEGIN")), rawEvent(TypeXID, make([]byte, 8))))
	p, err := NewPayload()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(p.Close)
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := p.Open(body); err != nil {
			return
		}
		const most = 8 << 20 // compressed zeros expand without end: a reader may stop anywhere
		for size := 0; size < most; {
			e, err := p.Next()
			if err != nil {
				return
			}
			if e.Type == TypeTransactionPayload {
				t.Error("a payload came out of a payload")
			}
			size += headerSize + len(e.Body)
		}
	})
}

func FuzzInflate(f *testing.F) {
	for typ := TypeQueryCompressed; typ <= TypeDeleteRowsZV1; typ++ {
		for _, body := range recordedBodies(f, typ) {
			f.Add(byte(typ), body)
		}
	}
	f.Add(byte(TypeWriteRowsZ), join(rowsHeadV2, deflated(f, []byte("rows"), 1)))
	f.Add(byte(TypeDeleteRowsZ), join(rowsHeadV2, deflated(f, make([]byte, 1<<20), 4)))
	f.Fuzz(func(t *testing.T, typ byte, body []byte) {
		var e Event
		var err error
		const expands, base = 16, 4 << 20 // zlib makes up to a thousand bytes of one, and the buffer is replaced as it grows
		spends(t, expands*len(body), base, func() { e, err = new(Inflater).Inflate(Event{Type: Type(typ), Body: body}) })
		if plain, ok := Compressed(Type(typ)); err != nil || !ok || e.Type != plain {
			if err == nil && (ok || !bytes.Equal(e.Body, body)) {
				t.Errorf("%v became %v", Type(typ), e.Type)
			}
			return
		}
		was, err := lastPart(Event{Type: e.Type, Body: body})
		is, errIs := lastPart(e)
		if err != nil || errIs != nil || !bytes.Equal(body[:len(body)-len(was)], e.Body[:len(e.Body)-len(is)]) {
			t.Errorf("%v, %v: it begins with %x, and inflated with %x", err, errIs, body[:len(body)-len(was)], e.Body[:len(e.Body)-len(is)])
		}
	})
}

// FuzzDump feeds the packet reader and the event cutter, in pieces of many sizes. Long streams and
// very many pieces would take all the time, and show nothing that short ones do not.
func FuzzDump(f *testing.F) {
	const longest, mostPieces = 16 << 10, 256
	for _, name := range recordings {
		var stream []byte
		for _, raw := range recorded(f, name) {
			if p := framed(packet(raw)); len(stream)+len(p) <= longest {
				stream = append(stream, p...)
			}
		}
		f.Add(stream, uint16(100))
	}
	f.Add(framed([]byte("\xff\xd4\x04#HY000purged")), uint16(1))
	f.Fuzz(func(t *testing.T, stream []byte, step uint16) {
		if len(stream) > longest {
			return
		}
		s, size := &script{}, max(int(step)+1, len(stream)/mostPieces)
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), size)
			s.pieces, rest = append(s.pieces, rest[:n]), rest[n:]
		}
		d := &Dump{packets: newPacketReader(s), silence: time.Hour}
		for {
			e, err := d.Next(time.Now().Add(time.Hour))
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil && len(e.Body) > len(stream) {
				t.Errorf("event of %d bytes out of %d", len(e.Body), len(stream))
			}
		}
	})
}
