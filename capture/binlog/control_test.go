package binlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// le renders n bytes of v, least first.
func le(v uint64, n int) []byte { return binary.LittleEndian.AppendUint64(nil, v)[:n] }

func join(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		out = fmt.Appendf(out, "%s", p)
	}
	return out
}

func TestParseGTID(t *testing.T) {
	sid := [16]byte{1, 2, 3, 15: 16}
	start := join([]byte{1}, sid[:], le(1<<40, 8))
	clocks := join([]byte{2}, le(5, 8), le(6, 8))
	const other = 1 << 55
	at := time.UnixMicro(1_700_000_000_123_456)
	us := uint64(at.UnixMicro())
	for name, c := range map[string]struct {
		body []byte
		want time.Time
	}{
		"bare":                  {start, time.Time{}},
		"other clocks":          {append(start[:len(start):len(start)], make([]byte, 40)...), time.Time{}},
		"5.7":                   {join(start, clocks), time.Time{}},
		"committed here":        {join(start, clocks, le(us, 7)), at},
		"committed elsewhere":   {join(start, clocks, le(1|other, 7), le(us, 7)), at},
		"with length, version":  {join(start, clocks, le(us, 7), []byte{0xfc, 1, 2}, le(90704, 4)), at},
		"commit time not known": {join(start, clocks, le(0, 7)), time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := ParseGTID(c.body)
			if err != nil || g.SID != sid || g.Number != 1<<40 || !g.Committed.Equal(c.want) || g.Tag != "" {
				t.Errorf("got %+v, %v", g, err)
			}
		})
	}
	for n := range start {
		if g, err := ParseGTID(start[:n]); !errors.Is(err, ErrTruncated) {
			t.Errorf("%d bytes: %+v, %v", n, g, err)
		}
	}
	if g, err := ParseGTID(join(start, clocks, le(1|other, 7), le(us, 6))); !errors.Is(err, ErrTruncated) {
		t.Errorf("half a commit time: %+v, %v", g, err)
	}
}

func TestParseMariaDBGTID(t *testing.T) {
	for name, c := range map[string]struct {
		flags byte
		want  GTID
	}{
		"group":      {0x08, GTID{}},
		"standalone": {0x29, GTID{Standalone: true}},
		"prepared":   {0x40, GTID{PreparedXA: true}},
		"completed":  {0x81, GTID{CompletedXA: true, Standalone: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Number, c.want.Domain = 1<<33, 7
			body := join(le(1<<33, 8), le(7, 4), []byte{c.flags}, make([]byte, 6))
			if g, err := ParseMariaDBGTID(body); err != nil || g != c.want {
				t.Errorf("got %+v, %v", g, err)
			}
			for n := range 13 {
				if g, err := ParseMariaDBGTID(body[:n]); !errors.Is(err, ErrTruncated) {
					t.Errorf("%d bytes: %+v, %v", n, g, err)
				}
			}
		})
	}
}

func TestParseMariaDBGTIDOfAlter(t *testing.T) {
	for name, c := range map[string]struct {
		flags byte
		rest  []byte
		want  bool
	}{
		"start":             {0x01, []byte{0x02, 0, 0, 0, 0, 0}, true},
		"commit":            {0x01, append([]byte{0x04}, le(12, 8)...), true},
		"in a group":        {0x03, append(le(9, 8), 0x02), true},
		"a group's id":      {0x03, append(le(2, 8), 0), false},
		"none":              {0x01, make([]byte, 6), false},
		"nothing behind it": {0x01, nil, false},
	} {
		g, err := ParseMariaDBGTID(join(le(1, 8), le(0, 4), []byte{c.flags}, c.rest))
		if err != nil || g.TwoPhaseAlter != c.want {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}

func TestParseGTIDTaggedReadsRecordedEvents(t *testing.T) {
	plain, err := ParseGTID(recordedBodies(t, TypeGTID)[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range recordedBodies(t, TypeGTIDTagged) {
		g, err := ParseGTIDTagged(body)
		if err != nil {
			t.Fatal(err)
		}
		if g.SID != plain.SID || g.Tag != "tag_a" || g.Number != 1 {
			t.Errorf("got %+v", g)
		}
		if late := g.Committed.Sub(plain.Committed); late < 0 || late > time.Minute {
			t.Errorf("committed %v after the first transaction", late)
		}
		for n := range body {
			if cut, err := ParseGTIDTagged(body[:n]); !errors.Is(err, ErrTruncated) {
				t.Errorf("%d bytes: %+v, %v", n, cut, err)
			}
		}
	}
}

// taggedEvent builds an event out of the bytes behind its size.
func taggedEvent(rest string) []byte {
	size := 2 + len(rest)
	if size < 128 {
		return join([]byte{2, byte(size << 1)}, rest)
	}
	size++
	return join([]byte{2}, le(uint64(size<<2|1), 2), rest)
}

func TestParseGTIDTagged(t *testing.T) {
	const (
		sid  = "\x02\xf9\x03\x00\x02" + "\xfd\x03\xfd\x03\xfd\x03\xfd\x03\xfd\x03\xfd\x03\xfd\x03\xfd\x03\xfd\x03\xfd\x03\xfd\x03\xfd\x03\xfd\x03"
		tag  = "\x06\x06tag"
		time = "\x0c\x7f\x40\x68\x06\x99\xc3\x60\x06" // eight bytes
	)
	first := [16]byte{0xfe, 0, 1, 3: 0xff, 4: 0xff, 5: 0xff, 6: 0xff, 7: 0xff, 8: 0xff, 9: 0xff, 10: 0xff, 11: 0xff, 12: 0xff, 13: 0xff, 14: 0xff, 15: 0xff}
	for name, c := range map[string]struct {
		rest string
		want GTID
	}{
		"short":         {"\x00" + "\x00\x02" + sid + "\x04\x0c" + tag, GTID{SID: first, Number: 3, Tag: "tag"}},
		"large number":  {"\x00" + sid + "\x04\xff\xfc\xff\xff\xff\xff\xff\xff\xff" + tag, GTID{SID: first, Number: 1<<63 - 2, Tag: "tag"}},
		"untagged":      {"\x00" + sid + "\x04\x0c", GTID{SID: first, Number: 3}},
		"unknown field": {"\x00" + sid + "\x04\x0c" + tag + "\x30whatever", GTID{SID: first, Number: 3, Tag: "tag"}},
		"above 127 bytes": {
			"\x00" + sid + "\x04\x0c" + tag + "\x08\x0a\x0a\x0c" + time + "\x18" + strings.Repeat("x", 100),
			GTID{SID: first, Number: 3, Tag: "tag"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := ParseGTIDTagged(taggedEvent(c.rest))
			if name == "above 127 bytes" {
				g.Committed = c.want.Committed
			}
			if err != nil || g != c.want {
				t.Errorf("got %+v, %v\nwant %+v", g, err, c.want)
			}
		})
	}
	for name, rest := range map[string]string{
		"no number":          "\x00" + sid + tag,
		"no fields":          "\x00",
		"tag too long":       "\x00" + sid + "\x04\x0c" + "\x06\x08tag",
		"field it must know": "\x18" + sid + "\x04\x0c" + tag,
	} {
		if g, err := ParseGTIDTagged(taggedEvent(rest)); err == nil {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

func TestParseQuery(t *testing.T) {
	query := func(vars []byte, schema, sql string) []byte {
		return join(le(9, 4), le(3, 4), []byte{byte(len(schema))}, le(0, 2), le(uint64(len(vars)), 2), vars, schema, "\x00", sql)
	}
	flags, mode := join([]byte{0}, le(0, 4)), join([]byte{1}, le(SQLModeANSIQuotes|SQLModeNoBackslashEscapes, 8))
	catalog, charset := []byte("\x06\x03std"), join([]byte{4}, le(8, 2), le(45, 2), le(255, 2))
	for name, c := range map[string]struct {
		body []byte
		want Query
	}{
		"no variables":     {query(nil, "s", "BEGIN"), Query{Schema: []byte("s"), SQL: []byte("BEGIN")}},
		"no schema":        {query(nil, "", "BEGIN"), Query{SQL: []byte("BEGIN")}},
		"mode and charset": {query(join(flags, mode, catalog, charset), "s", "x"), Query{Schema: []byte("s"), SQL: []byte("x"), SQLMode: 1<<2 | 1<<20, Charset: 8, Connection: 45}},
		"auto increment":   {query(join(catalog, []byte{3}, le(2, 2), le(1, 2), charset), "s", "x"), Query{Schema: []byte("s"), SQL: []byte("x"), Charset: 8, Connection: 45}},
		"old catalog":      {query(join("\x02\x03std\x00", charset), "s", "x"), Query{Schema: []byte("s"), SQL: []byte("x"), Charset: 8, Connection: 45}},
		"MariaDB's collations": {
			query(join(catalog, "\x83\x02\x21\x00\x00\x08\x23\x00\x00\x0a", charset), "s", "x"), Query{Schema: []byte("s"), SQL: []byte("x"), Charset: 8, Connection: 45},
		},
		"unknown variable": {query(join([]byte{99}, charset), "s", "x"), Query{Schema: []byte("s"), SQL: []byte("x")}},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := ParseQuery(c.body)
			if err != nil {
				t.Fatal(err)
			}
			if string(q.Schema) != string(c.want.Schema) || string(q.SQL) != string(c.want.SQL) || q.SQLMode != c.want.SQLMode || q.Charset != c.want.Charset || q.Connection != c.want.Connection || q.ExecTime != 3 {
				t.Errorf("got %+v, want %+v", q, c.want)
			}
			for n := range len(c.body) - len(c.want.SQL) { // what is cut out of the statement cannot be seen
				if q, err := ParseQuery(c.body[:n]); !errors.Is(err, ErrTruncated) {
					t.Errorf("%d bytes: %+v, %v", n, q, err)
				}
			}
		})
	}
}

func TestParseRotate(t *testing.T) {
	body := join(le(1<<33, 8), "binlog.000002")
	if r, err := ParseRotate(body); err != nil || r != (Rotate{"binlog.000002", 1 << 33}) {
		t.Errorf("got %+v, %v", r, err)
	}
	for n := range 8 {
		if r, err := ParseRotate(body[:n]); !errors.Is(err, ErrTruncated) {
			t.Errorf("%d bytes: %+v, %v", n, r, err)
		}
	}
}

func TestParseXAPrepare(t *testing.T) {
	for name, c := range map[string]struct {
		onePhase     byte
		format       int32
		gtrid, bqual string
		want         XAPrepare
	}{
		"prepared":  {format: 7, gtrid: "a\xff", bqual: "b", want: XAPrepare{XID: "61FF,62,7"}},
		"one phase": {onePhase: 1, format: 1, gtrid: "a", want: XAPrepare{OnePhase: true, XID: "61,,1"}},
		"no format": {format: -1, gtrid: "a", want: XAPrepare{XID: "61,,-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			body := join([]byte{c.onePhase}, le(uint64(uint32(c.format)), 4), le(uint64(len(c.gtrid)), 4), le(uint64(len(c.bqual)), 4), c.gtrid, c.bqual)
			if x, err := ParseXAPrepare(body); err != nil || x != c.want {
				t.Errorf("got %+v, %v", x, err)
			}
			for n := range body {
				if x, err := ParseXAPrepare(body[:n]); !errors.Is(err, ErrTruncated) {
					t.Errorf("%d bytes: %+v, %v", n, x, err)
				}
			}
		})
	}
	for _, sizes := range [][2]uint64{{65, 0}, {0, 65}, {1<<32 - 1, 1}} {
		body := join([]byte{0}, le(1, 4), le(sizes[0], 4), le(sizes[1], 4), make([]byte, 200))
		if x, err := ParseXAPrepare(body); !errors.Is(err, ErrTruncated) {
			t.Errorf("sizes %v: %+v, %v", sizes, x, err)
		}
	}
}

func TestDumpCommandsAreWellFormed(t *testing.T) {
	set, err := encodeGTIDSet("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5")
	if err != nil {
		t.Fatal(err)
	}
	for toEnd, want := range map[bool]uint16{false: 4, true: 5} {
		c := cursor{b: dumpGTIDCommand(99, set, toEnd)[4:]}
		command, flags, server, file, at := c.u8(), c.u16(), c.u32(), c.u32(), c.u64()
		if command != 0x1e || flags != want || server != 99 || file != 0 || at != 4 {
			t.Errorf("command %x, flags %x, server %d, file %d, position %d", command, flags, server, file, at)
		}
		if got := c.take(int(c.u32())); string(got) != string(set) || len(c.b) != 0 || c.err != nil {
			t.Errorf("set %x and %x, %v", got, c.b, c.err)
		}
	}
	c := cursor{b: dumpCommand(99)[4:]}
	if command, at, flags, server := c.u8(), c.u32(), c.u16(), c.u32(); command != 0x12 || at != 4 || flags != 0 || server != 99 || len(c.b) != 0 {
		t.Errorf("command %x, position %d, flags %x, server %d, rest %x", command, at, flags, server, c.b)
	}
	if _, err := encodeGTIDSet("no set"); err == nil {
		t.Error("a set that is none is accepted")
	}
}
