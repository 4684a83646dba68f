package capture

import (
	"testing"

	"cdcd/capture/binlog"
)

func TestAddresses(t *testing.T) {
	for stored, want := range map[string]string{
		"": "::",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01": "::1",
		"\x00\x01":                 "1::",
		"\x00\x01\x00\x00\x00\x02": "1:0:2::",
		"\x00\x01\x00\x00\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x00\x07": "1::2:3:4:5:6:7",
		"\x00\x01\x00\x00\x00\x00\x00\x02\x00\x03\x00\x00\x00\x00\x00\x04": "1::2:3:0:0:4",
		"\x00\x00\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x00\x07\x00\x08": "::2:3:4:5:6:7:8",
		"\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x00\x07":         "1:2:3:4:5:6:7::",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04": "::ffff:1.2.3.4",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04": "::1.2.3.4",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\x01\x02\x03\x04": "::1:ffff:102:304",
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\xff\x00\x00\x42\x83\x29": "2001:db8::ff00:42:8329",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	} {
		checkPrinted(t, TypeInet6, stored, want)
	}
	checkPrinted(t, TypeInet4, "\x0a", "10.0.0.0")
	checkPrinted(t, TypeInet4, "\x01\x02\x03\xff", "1.2.3.255")
	checkPrinted(t, TypeUUID, "", "00000000-0000-0000-0000-000000000000")
	checkPrinted(t, TypeUUID, "\x01\x02\x03\x04\x05\x06\x17\x08\x89\x0a\x0b\x0c\x0d\x0e\x0f\x10", "01020304-0506-1708-890a-0b0c0d0e0f10")
	if _, _, err := decodeOne(t, Column{Type: TypeInet4}, binlog.TableMapColumn{Length: 16}, []byte("\x05\x01\x02\x03\x04\x05")); err == nil {
		t.Error("five bytes are an address of IPv4")
	}
}

func checkPrinted(t *testing.T, typ Type, stored, want string) {
	t.Helper()
	values, _, err := decodeOne(t, Column{Type: typ}, binlog.TableMapColumn{Length: 16}, append([]byte{byte(len(stored))}, stored...))
	if err != nil || values.ValueStr(0) != want {
		t.Errorf("%s %x: %v, %v; want %s", typ, stored, values, err, want)
	}
}

// TestBytesAreTheTypesThatTheyAreCapturedAs holds which columns of MariaDB the log shows as
// bytes.
func TestBytesAreTheTypesThatTheyAreCapturedAs(t *testing.T) {
	binary := func(n int) binlog.TableMapColumn {
		return binlog.TableMapColumn{Name: "c", Type: binlog.ColumnString, Length: n, Collation: 63}
	}
	for name, c := range map[string]struct {
		captured Column
		wire     binlog.TableMapColumn
		same     bool
	}{
		"uuid":              {Column{Name: "c", Type: TypeUUID}, binary(16), true},
		"inet6":             {Column{Name: "c", Type: TypeInet6}, binary(16), true},
		"inet4":             {Column{Name: "c", Type: TypeInet4}, binary(4), true},
		"inet4, was larger": {Column{Name: "c", Type: TypeInet4}, binary(16), false},
		"vector":            {Column{Name: "c", Type: TypeVector, Size: 12}, binlog.TableMapColumn{Name: "c", Type: binlog.ColumnVarchar, Length: 12, Collation: 63}, true},
		"vector of MySQL":   {Column{Name: "c", Type: TypeVector, Size: 12}, binlog.TableMapColumn{Name: "c", Type: binlog.ColumnVector, Meta: 4, Length: 12}, true},
		"other vector":      {Column{Name: "c", Type: TypeVector, Size: 12}, binlog.TableMapColumn{Name: "c", Type: binlog.ColumnVector, Meta: 4, Length: 16}, false},
		"other name":        {Column{Name: "d", Type: TypeUUID}, binary(16), false},
		"geometry":          {Column{Name: "c", Type: TypeGeometry}, binlog.TableMapColumn{Name: "c", Type: binlog.ColumnGeometry, Meta: 4}, true},
		"compressed":        {Column{Name: "c", Type: TypeVarchar, Size: 400, Charset: "latin1", Compressed: true}, binlog.TableMapColumn{Name: "c", Type: binlog.ColumnVarcharZ, Length: 401, Collation: 8}, true},
		"compressed blob":   {Column{Name: "c", Type: TypeBlob, Size: 2, Compressed: true}, binlog.TableMapColumn{Name: "c", Type: binlog.ColumnBlobZ, Meta: 2, Collation: 63}, true},
		"not compressed":    {Column{Name: "c", Type: TypeBlob, Size: 2, Compressed: true}, binlog.TableMapColumn{Name: "c", Type: binlog.ColumnBlob, Meta: 2, Collation: 63}, false},
	} {
		table := &Table{Columns: []Column{c.captured}}
		seen, err := tableOf(&binlog.TableMap{Columns: []binlog.TableMapColumn{c.wire}}, table, testCollations)
		if err != nil || (table.Difference(seen) == "") != c.same {
			t.Errorf("%s: %v, %q", name, err, table.Difference(seen))
		}
	}
}
