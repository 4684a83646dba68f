package capture

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// squeeze compresses as MariaDB does, with a length of so many bytes.
func squeeze(t testing.TB, text string, size, lengthBytes int, wrap bool) string {
	t.Helper()
	out := bytes.NewBuffer([]byte{methodZlib<<4 | byte(lengthBytes)})
	for i := lengthBytes - 1; i >= 0; i-- {
		out.WriteByte(byte(size >> (8 * i)))
	}
	var w io.WriteCloser = zlib.NewWriter(out)
	if !wrap {
		out.Bytes()[0] |= withoutZlib
		w, _ = flate.NewWriter(out, flate.BestSpeed)
	}
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCompressedValues(t *testing.T) {
	long := strings.Repeat("a long text ", 100)
	for name, c := range map[string]struct {
		stored, want string
		err          error
	}{
		"empty":          {"", "", nil},
		"as it is":       {"\x00short", "short", nil},
		"nothing as is":  {"\x00", "", nil},
		"zlib":           {squeeze(t, long, len(long), 2, true), long, nil},
		"deflate":        {squeeze(t, long, len(long), 2, false), long, nil},
		"four bytes":     {squeeze(t, long, len(long), 4, false), long, nil},
		"recorded":       {"\x89\xc8\xab\xa8\x18\x1e\x00\x00", strings.Repeat("x", 200), nil},
		"recorded, zlib": {"\x81\xc8\x78\x9c\xab\xa8\x18\x1e\x00\x00\xd0\xc4\x5d\xc1", strings.Repeat("x", 200), nil},
		"longer":         {squeeze(t, long, len(long)-1, 2, false), "", errNotCompressed},
		"shorter":        {squeeze(t, long, len(long)+1, 2, false), "", errNotCompressed},
		"cut off":        {squeeze(t, long, len(long), 2, false)[:20], "", errNotCompressed},
		"no length":      {"\x8a\x01", "", errNotCompressed},
		"long length":    {"\x8d\x00\x00\x00\x00\x01\x00", "", errNotCompressed},
		"no zlib":        {"\x81\x01xxxxxxxx", "", errNotCompressed},
		"other method":   {"\x71\x01x", "", errNotCompressed},
	} {
		t.Run(name, func(t *testing.T) {
			dst := growable{mem: memory.DefaultAllocator}
			err := uncompressed(readBytes)(&dst, []byte(c.stored))
			if !errors.Is(err, c.err) || err == nil && string(dst.b) != c.want {
				t.Errorf("got %q, %v", dst.b, err)
			}
		})
	}
}

// FuzzCompressed reads any bytes as a compressed value.
func FuzzCompressed(f *testing.F) {
	f.Add([]byte(squeeze(f, "text", 4, 1, true)))
	f.Add([]byte(squeeze(f, "text", 4, 1, false)))
	f.Add([]byte("\x00text"))
	f.Fuzz(func(t *testing.T, stored []byte) {
		dst := growable{mem: memory.DefaultAllocator}
		_ = uncompressed(readBytes)(&dst, stored)
	})
}

// TestCompressedValuesTakeNoMemory reads many values with one reader: it keeps its decoder. The
// library makes the few bytes of zlib's checksum anew.
func TestCompressedValuesTakeNoMemory(t *testing.T) {
	long := strings.Repeat("a long text ", 100)
	for wrap, most := range map[bool]float64{false: 0, true: 1} {
		stored := []byte(squeeze(t, long, len(long), 2, wrap))
		read, dst := uncompressed(readBytes), growable{mem: memory.DefaultAllocator}
		if n := testing.AllocsPerRun(100, func() {
			dst.b = dst.b[:0]
			if err := read(&dst, stored); err != nil {
				t.Fatal(err)
			}
		}); n > most {
			t.Errorf("zlib %v: %v allocations a value", wrap, n)
		}
	}
}
