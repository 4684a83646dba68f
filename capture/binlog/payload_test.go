package binlog

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// payloadBody builds a TRANSACTION_PAYLOAD body around events.
func payloadBody(t testing.TB, compression byte, events ...[]byte) []byte {
	t.Helper()
	content := bytes.Join(events, nil)
	size := len(content)
	if compression == compressionZstd {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		content = w.EncodeAll(content, nil)
	}
	method := []byte{compression}
	if compression == compressionNone {
		method = []byte{0xfc, 0xff, 0}
	}
	return join("\x02", []byte{byte(len(method))}, method, "\x01\x04\xfd", le(uint64(len(content)), 3), "\x03\x04\xfd", le(uint64(size), 3), "\x00", content)
}

// drain reads all events of a payload and gives their types and the bytes of their bodies.
func drain(p *Payload, body []byte) (types []Type, size int, err error) {
	if err := p.Open(body); err != nil {
		return nil, 0, err
	}
	for {
		e, err := p.Next()
		if errors.Is(err, io.EOF) {
			return types, size, nil
		}
		if err != nil {
			return types, size, err
		}
		types, size = append(types, e.Type), size+len(e.Body)
	}
}

func newTestPayload(t testing.TB) *Payload {
	t.Helper()
	p, err := NewPayload()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestPayloadsGiveTheirEvents(t *testing.T) {
	p := newTestPayload(t) // one for all: each starts anew
	for name, body := range map[string][]byte{
		"zstd":         payloadBody(t, compressionZstd, rawEvent(TypeQuery, []byte("one")), rawEvent(TypeXID, make([]byte, 8))),
		"uncompressed": payloadBody(t, compressionNone, rawEvent(TypeQuery, []byte("one")), rawEvent(TypeXID, make([]byte, 8))),
		"no header":    join("\x00", rawEvent(TypeQuery, []byte("one")), rawEvent(TypeXID, make([]byte, 8))),
	} {
		t.Run(name, func(t *testing.T) {
			types, size, err := drain(p, body)
			if err != nil || !bytes.Equal(typeBytes(types), typeBytes([]Type{TypeQuery, TypeXID})) || size != 11 {
				t.Errorf("got %v of %d bytes, %v", types, size, err)
			}
		})
	}
}

func TestPayloadKeepsLargeEventsWhole(t *testing.T) {
	big := patterned(5<<20 + 17)
	p := newTestPayload(t)
	if err := p.Open(payloadBody(t, compressionZstd, rawEvent(TypeWriteRowsV2, big), rawEvent(TypeXID, nil))); err != nil {
		t.Fatal(err)
	}
	if e, err := p.Next(); err != nil || !bytes.Equal(e.Body, big) {
		t.Fatalf("got %d bytes, %v", len(e.Body), err)
	}
	if e, err := p.Next(); err != nil || e.Type != TypeXID {
		t.Fatalf("got %v, %v", e.Type, err)
	}
}

func TestRecordedPayloadIsRead(t *testing.T) {
	p := newTestPayload(t)
	for _, body := range recordedBodies(t, TypeTransactionPayload) {
		types, _, err := drain(p, body)
		want := []Type{TypeQuery, TypeTableMap, TypeWriteRowsV2, TypeXID}
		if err != nil || !bytes.Equal(typeBytes(types), typeBytes(want)) {
			t.Errorf("got %v, %v", types, err)
		}
	}
}

func TestCutOffPayloadsAreErrors(t *testing.T) {
	p := newTestPayload(t)
	bodies := recordedBodies(t, TypeTransactionPayload)
	bodies = append(bodies, payloadBody(t, compressionNone, rawEvent(TypeXID, make([]byte, 8))))
	for _, body := range bodies {
		for n := range body {
			if types, _, err := drain(p, body[:n]); err == nil {
				t.Errorf("%d of %d bytes pass for %v", n, len(body), types)
			}
		}
	}
}

func TestPayloadRefuses(t *testing.T) {
	oversized := rawEvent(TypeXID, make([]byte, 8))
	copy(oversized[9:], le(1<<31, 4))
	undersized := rawEvent(TypeXID, make([]byte, 8))
	copy(undersized[9:], le(headerSize-1, 4))
	inner := rawEvent(TypeTransactionPayload, payloadBody(t, compressionNone, rawEvent(TypeXID, nil)))
	for name, body := range map[string][]byte{
		"unknown compression": join("\x02\x01\x07\x00", rawEvent(TypeXID, nil)),
		"empty compression":   join("\x02\x00\x00", rawEvent(TypeXID, nil)),
		"content too long":    join("\x01\x01\x01\x00", rawEvent(TypeXID, nil)),
		"field too long":      {1, 200, 1},
		"no zstd":             join("\x02\x01\x00\x00", rawEvent(TypeXID, nil)),
		"oversized event":     payloadBody(t, compressionNone, oversized),
		"undersized event":    payloadBody(t, compressionNone, undersized),
		"payload in payload":  payloadBody(t, compressionZstd, inner),
		"event cut off":       payloadBody(t, compressionZstd, rawEvent(TypeXID, make([]byte, 8))[:headerSize+3]),
		"header cut off":      payloadBody(t, compressionZstd, rawEvent(TypeXID, nil), make([]byte, headerSize-1)),
	} {
		t.Run(name, func(t *testing.T) {
			if types, _, err := drain(newTestPayload(t), body); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("read as %v, %v", types, err)
			}
		})
	}
}
