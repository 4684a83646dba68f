package binlog

import (
	"bytes"
	"compress/zlib"
	"slices"
	"testing"
)

// The bodies of a row event and a statement, up to what MariaDB compresses of them.
const (
	rowsHead   = "\x09\x00\x00\x00\x00\x00\x01\x00\x03\x07"
	rowsHeadV2 = "\x09\x00\x00\x00\x00\x00\x01\x00\x05\x00abc\x03\x07"
	queryHead  = "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x06\x00\x04\x21\x00\x00\x00\x00app\x00"
)

// deflated is content as it stands in a compressed event, behind a length of n bytes.
func deflated(t testing.TB, content []byte, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	size := le(uint64(len(content)), n)
	slices.Reverse(size)
	return join([]byte{0x80 | byte(n)}, size, b.Bytes())
}

func TestInflate(t *testing.T) {
	var z Inflater // one for all: each starts anew
	big := patterned(5<<20 + 17)
	for _, c := range []struct {
		from, to Type
		head     string
		content  []byte
		length   int
	}{
		{TypeQueryCompressed, TypeQuery, queryHead, []byte("CREATE TABLE x (id INT)"), 1},
		{TypeWriteRowsZV1, TypeWriteRowsV1, rowsHead, []byte("some rows"), 2},
		{TypeUpdateRowsZV1, TypeUpdateRowsV1, rowsHead + "\x05", []byte("some rows"), 3},
		{TypeDeleteRowsZV1, TypeDeleteRowsV1, rowsHead, []byte("some rows"), 4},
		{TypeWriteRowsZ, TypeWriteRowsV2, rowsHeadV2, big, 3},
		{TypeUpdateRowsZ, TypeUpdateRowsV2, rowsHeadV2 + "\x05", big, 4},
		{TypeDeleteRowsZ, TypeDeleteRowsV2, rowsHeadV2, nil, 1},
	} {
		e := Event{Type: c.from, Timestamp: 7, LogPos: 8, Body: join(c.head, deflated(t, c.content, c.length))}
		got, err := z.Inflate(e)
		if err != nil || got.Type != c.to || got.Timestamp != 7 || got.LogPos != 8 || !bytes.Equal(got.Body, join(c.head, c.content)) {
			t.Errorf("%v: got %v of %d bytes, %v", c.from, got.Type, len(got.Body), err)
		}
		if len(e.Body) > 1000 {
			continue
		}
		for n := range e.Body {
			if _, err := z.Inflate(Event{Type: c.from, Body: e.Body[:n]}); err == nil {
				t.Errorf("%v: the first %d of %d bytes are accepted", c.from, n, len(e.Body))
			}
		}
	}
	plain := Event{Type: TypeXID, Body: []byte("as it is")}
	if e, err := z.Inflate(plain); err != nil || e.Type != TypeXID || !bytes.Equal(e.Body, plain.Body) {
		t.Errorf("an event that is not compressed: %+v, %v", e, err)
	}
}

func TestInflateRefuses(t *testing.T) {
	const content = "some rows, some rows"
	good := deflated(t, []byte(content), 1)
	for name, tail := range map[string][]byte{
		"not marked":      join([]byte{0x01}, good[1:]),
		"another method":  join([]byte{0x91}, good[1:]),
		"no length":       join([]byte{0x80}, good[2:]),
		"length too long": join([]byte{0x85, 0, 0, 0}, good[1:]),
		"too large":       join("\x84\xff\xff\xff\xff", good[2:]),
		"said too short":  join([]byte{0x81, byte(len(content) - 1)}, good[2:]),
		"said too long":   join([]byte{0x81, byte(len(content) + 1)}, good[2:]),
		"something after": join(good, "\x00"),
		"bad checksum":    join(good[:len(good)-1], []byte{good[len(good)-1] ^ 1}),
		"no zlib":         join([]byte{0x81, byte(len(content))}, content),
	} {
		t.Run(name, func(t *testing.T) {
			var z Inflater
			if e, err := z.Inflate(Event{Type: TypeWriteRowsZV1, Body: join(rowsHead, tail)}); err == nil {
				t.Errorf("accepted as %q", e.Body)
			}
			e, err := z.Inflate(Event{Type: TypeWriteRowsZV1, Body: join(rowsHead, good)})
			if err != nil || !bytes.Equal(e.Body, join(rowsHead, content)) {
				t.Errorf("the next event reads as %q, %v", e.Body, err)
			}
		})
	}
}
