package binlog

import (
	"bytes"
	"reflect"
	"testing"
)

func TestParseRows(t *testing.T) {
	const id = "\x09\x00\x00\x00\x00\x01" // 2^40 + 9
	for name, c := range map[string]struct {
		event Type
		body  string
		want  Rows
	}{
		"insert v1": {TypeWriteRowsV1, id + "\x01\x00" + "\x03" + "\x07" + "rows", Rows{RowInsert, 1<<40 + 9, 3, []byte{7}, []byte{7}, []byte("rows"), false}},
		"insert v2": {TypeWriteRowsV2, id + "\x01\x00" + "\x02\x00" + "\x03" + "\x07" + "rows", Rows{RowInsert, 1<<40 + 9, 3, []byte{7}, []byte{7}, []byte("rows"), false}},
		"delete v2, extra data": {
			TypeDeleteRowsV2, id + "\x01\x00" + "\x05\x00abc" + "\x03" + "\x05" + "rows",
			Rows{RowDelete, 1<<40 + 9, 3, []byte{5}, []byte{5}, []byte("rows"), false},
		},
		"update v1": {TypeUpdateRowsV1, id + "\x00\x00" + "\x09" + "\xff\x01" + "\x01\x00" + "rows", Rows{RowUpdate, 1<<40 + 9, 9, []byte{0xff, 1}, []byte{1, 0}, []byte("rows"), false}},
		"update v2": {
			TypeUpdateRowsV2, id + "\x00\x00" + "\x02\x00" + "\xfc\x02\x00" + "\x03" + "\x01" + "rows",
			Rows{RowUpdate, 1<<40 + 9, 2, []byte{3}, []byte{1}, []byte("rows"), false},
		},
		"partial update": {
			TypePartialUpdateRows, id + "\x00\x00" + "\x02\x00" + "\x03" + "\x07" + "\x01" + "rows",
			Rows{RowUpdate, 1<<40 + 9, 3, []byte{7}, []byte{1}, []byte("rows"), true},
		},
		"no rows": {TypeWriteRowsV1, id + "\x00\x00" + "\x01" + "\x01", Rows{RowInsert, 1<<40 + 9, 1, []byte{1}, []byte{1}, []byte{}, false}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseRows(Event{Type: c.event, Body: []byte(c.body)})
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Fatalf("got %+v, %v\nwant %+v", got, err, c.want)
			}
			if tableID, err := RowsTableID([]byte(c.body)); err != nil || tableID != got.TableID {
				t.Errorf("table id %d, %v", tableID, err)
			}
			for n := range len(c.body) - len(c.want.Images) {
				if r, err := ParseRows(Event{Type: c.event, Body: []byte(c.body[:n])}); err == nil {
					t.Errorf("the first %d bytes are accepted as %+v", n, r)
				}
			}
		})
	}
}

func TestParseRowsRefuses(t *testing.T) {
	const id = "\x01\x00\x00\x00\x00\x00\x00\x00"
	for name, e := range map[string]Event{
		"another event":        {Type: TypeXID, Body: make([]byte, 40)},
		"extra data too short": {Type: TypeWriteRowsV2, Body: []byte(id + "\x01\x00\x01\x01")},
		"extra data too long":  {Type: TypeWriteRowsV2, Body: []byte(id + "\xff\xff\x01\x01")},
		"columns of no table":  {Type: TypeWriteRowsV1, Body: append([]byte(id+"\xfd\x01\x00\x01"), make([]byte, 1<<14)...)},
		"negative columns":     {Type: TypeWriteRowsV1, Body: []byte(id + "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := ParseRows(e); err == nil {
				t.Errorf("accepted as %+v", r)
			}
		})
	}
}

func TestCompleteFindsMissingColumns(t *testing.T) {
	for n := 1; n <= 20; n++ {
		bitmap := make([]byte, (n+7)/8)
		for i := range n {
			bitmap[i/8] |= 1 << (i % 8)
		}
		if !Complete(bitmap, n) {
			t.Errorf("%d columns: all are there", n)
		}
		for i := range n {
			less := bytes.Clone(bitmap)
			less[i/8] &^= 1 << (i % 8)
			if Complete(less, n) {
				t.Errorf("%d columns: column %d is missing", n, i)
			}
		}
	}
}

func TestRowEventsAreKnown(t *testing.T) {
	for typ := range Type(255) {
		kind, known := RowEvent(typ)
		wantKnown := typ >= 23 && typ <= 25 || typ >= 30 && typ <= 32 || typ == TypePartialUpdateRows
		wantAny := wantKnown || typ >= 20 && typ <= 22 || typ >= 166 && typ <= 171
		if known != wantKnown || AnyRowEvent(typ) != wantAny {
			t.Errorf("%v: understood %v, rows %v", typ, known, AnyRowEvent(typ))
		}
		if known && typ != TypePartialUpdateRows && kind != RowKind((typ-23)%7) {
			t.Errorf("%v is of kind %d", typ, kind)
		}
	}
}
