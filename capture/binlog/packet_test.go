package binlog

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// script is a connection that gives prepared pieces: each read takes from one of them, nil
// stands for a deadline that passes.
type script struct {
	net.Conn
	pieces [][]byte
}

func (s *script) SetReadDeadline(time.Time) error { return nil }

func (s *script) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	if s.pieces[0] == nil {
		s.pieces = s.pieces[1:]
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

// framed puts payload into packets as the protocol does: the last is shorter than the most.
func framed(payload []byte) []byte {
	var out []byte
	for seq := byte(0); ; seq++ {
		n := min(len(payload), maxPacketSize)
		out = append(out, byte(n), byte(n>>8), byte(n>>16), seq)
		out = append(out, payload[:n]...)
		if payload = payload[n:]; n < maxPacketSize {
			return out
		}
	}
}

// patterned is content of which no two parts look alike.
func patterned(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i ^ i>>8*7 ^ i>>16*13)
	}
	return out
}

func TestPacketsAreJoined(t *testing.T) {
	for name, size := range map[string]int{
		"one byte": 1, "buffer": readBufferSize, "above buffer": readBufferSize + 1, "just one packet": maxPacketSize - 1,
		"two packets, one empty": maxPacketSize, "two packets": maxPacketSize + 1, "three packets": 2*maxPacketSize + 5,
	} {
		t.Run(name, func(t *testing.T) {
			big := patterned(size)
			stream := append(framed(big), framed([]byte("next"))...)
			p := newPacketReader(&script{pieces: [][]byte{stream}})
			for _, want := range [][]byte{big, []byte("next")} {
				got, err := p.next(time.Time{})
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(want))
				}
			}
			if _, err := p.next(time.Time{}); !errors.Is(err, io.EOF) {
				t.Errorf("end of stream: %v", err)
			}
		})
	}
}

func TestInterruptedReadsGoOn(t *testing.T) {
	payloads := [][]byte{[]byte("first"), {}, patterned(3000)}
	var stream []byte
	for _, b := range payloads {
		stream = append(stream, framed(b)...)
	}
	var pieces [][]byte
	for i := range stream { // the worst network: each byte alone, each after a deadline
		pieces = append(pieces, nil, stream[i:i+1])
	}
	p := newPacketReader(&script{pieces: pieces})
	for _, want := range payloads {
		got, err := p.next(time.Time{})
		for errors.Is(err, os.ErrDeadlineExceeded) {
			got, err = p.next(time.Time{})
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestInterruptedJoinsGoOn(t *testing.T) {
	big := patterned(maxPacketSize + 100)
	stream := framed(big)
	p := newPacketReader(&script{pieces: [][]byte{stream[:maxPacketSize+2], nil, stream[maxPacketSize+2 : maxPacketSize+50], nil, stream[maxPacketSize+50:]}})
	for range 2 {
		if _, err := p.next(time.Time{}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if got, err := p.next(time.Time{}); err != nil || !bytes.Equal(got, big) {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
}

func TestHugeBuffersAreGivenBack(t *testing.T) {
	stream := append(framed(make([]byte, maxPacketSize+1)), framed([]byte("small"))...)
	p := newPacketReader(&script{pieces: [][]byte{stream}})
	for range 2 {
		if _, err := p.next(time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	p.shrink()
	if len(p.buf) > keepBufferSize || cap(p.joint) > keepBufferSize {
		t.Errorf("%d and %d bytes are kept", len(p.buf), cap(p.joint))
	}
}

func TestCutOffStreamsAreErrors(t *testing.T) {
	stream := framed([]byte("content"))
	for n := range stream {
		p := newPacketReader(&script{pieces: [][]byte{stream[:n:n]}})
		if n == 0 {
			p.conn = &script{}
		}
		if b, err := p.next(time.Time{}); !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes: %q, %v", n, b, err)
		}
	}
}

// dumpOf reads the given events over a connection that closes behind them.
func dumpOf(raws ...[]byte) *Dump {
	s := &script{}
	for _, raw := range raws {
		s.pieces = append(s.pieces, framed(packet(raw)))
	}
	return &Dump{packets: newPacketReader(s), silence: time.Hour, checksums: true}
}

func TestNextPassesOverHeartbeats(t *testing.T) {
	d := dumpOf(
		summed(TypeHeartbeat, []byte("binlog.000001")),
		summed(TypeHeartbeatV2, []byte("\x01\x0dbinlog.000001\x02\x01\x04\x00")),
		summed(TypeXID, make([]byte, 8)),
	)
	if e, err := d.Next(time.Now().Add(time.Minute)); err != nil || e.Type != TypeXID {
		t.Fatalf("got %v, %v", e.Type, err)
	}
	if _, err := d.Next(time.Now().Add(time.Minute)); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestNextTellsIdleFromSilent(t *testing.T) {
	for name, c := range map[string]struct {
		heard, waited time.Duration
		want          error
	}{
		"heard of late":             {0, 0, ErrIdle},
		"nobody listened":           {-2 * time.Hour, 0, ErrIdle},
		"not heard of for long":     {-2 * time.Hour, time.Hour - time.Minute, ErrIdle},
		"not heard of for too long": {-2 * time.Hour, time.Hour, ErrSilent},
	} {
		t.Run(name, func(t *testing.T) {
			d := dumpOf()
			d.packets.conn = &script{pieces: [][]byte{nil}}
			d.packets.heard, d.waited = time.Now().Add(c.heard), c.waited
			if _, err := d.Next(time.Now()); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestStallsAreNotSilence reads from a server that sends a heartbeat every half minute, with a minute
// between two calls, and then from one that sends no more.
func TestStallsAreNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const beats, every, stall, look, silence = 3, 30 * time.Second, time.Minute, time.Second, 15 * time.Second
		server, client := net.Pipe()
		d := &Dump{packets: newPacketReader(client), silence: silence, checksums: true}
		sent := make(chan error, 1)
		var sending sync.WaitGroup
		defer sending.Wait()
		defer client.Close()
		defer server.Close()
		sending.Go(func() { // a pipe has no buffer: it stands for one that is full
			var err error
			for range beats {
				time.Sleep(every)
				_, failed := server.Write(framed(packet(summed(TypeHeartbeat, []byte("binlog.000001")))))
				err = errors.Join(err, failed)
			}
			sent <- err
		})
		for range beats {
			time.Sleep(stall)
			if _, err := d.Next(time.Now().Add(look)); !errors.Is(err, ErrIdle) {
				t.Fatalf("behind a stall: %v", err)
			}
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		heard, err := time.Now().Add(-look), ErrIdle
		for errors.Is(err, ErrIdle) {
			_, err = d.Next(time.Now().Add(look))
		}
		if took := time.Since(heard); !errors.Is(err, ErrSilent) || took != silence {
			t.Errorf("%v behind a silence of %v", err, took)
		}
	})
}
