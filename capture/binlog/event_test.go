package binlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// rawEvent builds an event as it stands in a log, without a checksum.
func rawEvent(t Type, body []byte) []byte {
	raw := make([]byte, headerSize, headerSize+len(body)+checksumSize)
	binary.LittleEndian.PutUint32(raw, 1_700_000_000)
	raw[4] = byte(t)
	binary.LittleEndian.PutUint32(raw[5:], 7)
	binary.LittleEndian.PutUint32(raw[9:], uint32(headerSize+len(body)))
	binary.LittleEndian.PutUint32(raw[13:], 4711)
	return append(raw, body...)
}

// summed is rawEvent with a checksum.
func summed(t Type, body []byte) []byte {
	raw := rawEvent(t, body)
	binary.LittleEndian.PutUint32(raw[9:], uint32(len(raw)+checksumSize))
	return binary.LittleEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
}

// formatDescription is the body of an event that announces the checksum algorithm.
func formatDescription(algorithm byte) []byte { return append(make([]byte, 96), algorithm) }

// packet is an event as the dump sends it.
func packet(raw []byte) []byte { return append([]byte{mysql.OK_HEADER}, raw...) }

// recorded gives the raw events of a log file in testdata.
func recorded(t testing.TB, name string) [][]byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	b, ok := bytes.CutPrefix(file, []byte("\xfebin"))
	if !ok {
		t.Fatal(name, "is no log file")
	}
	var out [][]byte
	for len(b) > 0 {
		n := binary.LittleEndian.Uint32(b[9:])
		out, b = append(out, b[:n:n]), b[n:]
	}
	return out
}

var recordings = []string{"mysql97.binlog", "mariadb118.binlog", "mariadb118-compressed.binlog"}

// recordedBodies gives the bodies of all events of one type.
func recordedBodies(t testing.TB, of ...Type) [][]byte {
	t.Helper()
	var out [][]byte
	for _, name := range recordings {
		for _, raw := range recorded(t, name) {
			if bytes.IndexByte(typeBytes(of), raw[4]) >= 0 {
				out = append(out, raw[headerSize:len(raw)-checksumSize])
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("no %v was recorded", of)
	}
	return out
}

func typeBytes(ts []Type) []byte {
	var out []byte
	for _, t := range ts {
		out = append(out, byte(t))
	}
	return out
}

func TestOpenCutsEventsOut(t *testing.T) {
	for name, c := range map[string]struct {
		algorithm byte
		raw       []byte
	}{
		"with checksum":    {checksumAlgorithmCRC32, summed(TypeXID, []byte("12345678"))},
		"without checksum": {0, rawEvent(TypeXID, []byte("12345678"))},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Dump{}
			if _, err := d.open(packet(summed(TypeFormatDescription, formatDescription(c.algorithm)))); err != nil {
				t.Fatal(err)
			}
			e, err := d.open(packet(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			if e.Type != TypeXID || e.ServerID != 7 || e.LogPos != 4711 || e.Time().Unix() != 1_700_000_000 || string(e.Body) != "12345678" {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestEveryChangedByteIsDetected(t *testing.T) {
	for _, name := range recordings {
		for _, raw := range recorded(t, name)[1:] { // a change can make the first announce that there are no checksums
			changeBytes(t, packet(raw))
		}
	}
}

// changeBytes opens an event with each of its bytes changed in turn.
func changeBytes(t *testing.T, p []byte) {
	t.Helper()
	for i := 1; i < len(p); i++ {
		p[i] ^= 0x10
		// A type that becomes FORMAT_DESCRIPTION ends in bytes that are no algorithm.
		d := &Dump{checksums: true}
		if _, err := d.open(p); !errors.Is(err, ErrChecksum) && Type(p[5]) != TypeFormatDescription {
			t.Errorf("byte %d of %v changed: %v", i, Type(p[5]), err)
		}
		p[i] ^= 0x10
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		packet []byte
		want   error
	}{
		"empty packet":       {nil, ErrTruncated},
		"no header":          {packet(make([]byte, headerSize-1)), ErrTruncated},
		"no checksum":        {packet(make([]byte, headerSize+checksumSize-1)), ErrTruncated},
		"short format":       {packet(rawEvent(TypeFormatDescription, nil)[:headerSize]), ErrTruncated},
		"checksum of others": {packet(append(rawEvent(TypeXID, []byte("12345678")), 1, 2, 3, 4)), ErrChecksum},
		"end of stream":      {[]byte{mysql.EOF_HEADER, 0, 0, 0, 0}, ErrEnd},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Dump{checksums: true}
			if e, err := d.open(c.packet); !errors.Is(err, c.want) {
				t.Errorf("got %+v, %v; want %v", e, err, c.want)
			}
		})
	}
}

func TestServerErrorsAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		packet string
		want   ServerError
	}{
		"with state":    {"\xff\xd4\x04#HY000purged", ServerError{1236, "purged"}},
		"without state": {"\xff\xd4\x04purged", ServerError{1236, "purged"}},
		"empty":         {"\xff", ServerError{}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := (&Dump{}).open([]byte(c.packet))
			var e *ServerError
			if !errors.As(err, &e) || *e != c.want {
				t.Errorf("got %v, want %v", err, &c.want)
			}
		})
	}
}

func TestTypesHaveNames(t *testing.T) {
	for typ, want := range map[Type]string{TypeQuery: "QUERY", TypePartialUpdateRows: "PARTIAL_UPDATE_ROWS", 99: "event type 99"} {
		if got := typ.String(); got != want {
			t.Errorf("%d is %q, want %q", typ, got, want)
		}
	}
}
