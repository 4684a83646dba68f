//go:build integration

package integration

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// forwarder passes TCP connections on to a server. Tests switch it to another one, cut what
// runs through it, slow it down and let it fall silent with its connections open.
type forwarder struct {
	address string

	mu     sync.Mutex
	to     string
	pause  time.Duration // before each piece that the server sends
	delay  time.Duration // before each piece that a client sends
	piece  int           // bytes of one
	silent bool
	left   int64 // bytes of the server before its connections are cut; below zero: no end
	once   bool  // only one of them is cut
	// instead is what the server gets for something that a client says, of the same length; "": for nothing.
	said, instead string
	open          map[net.Conn]bool
}

// pieceBytes is how much is passed on at a time.
const pieceBytes = 16 << 10

func startForwarder(t testing.TB, to string) *forwarder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{address: l.Addr().String(), to: to, piece: pieceBytes, left: -1, open: map[net.Conn]bool{}}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		accepting.Wait()
		f.cut()
	})
	return f
}

// serve passes one connection on, until an end of it is closed.
func (f *forwarder) serve(client net.Conn) {
	f.mu.Lock()
	to := f.to
	f.mu.Unlock()
	server, err := net.Dial("tcp", to)
	if err != nil {
		_ = client.Close()
		return
	}
	f.mu.Lock()
	f.open[client], f.open[server] = true, true
	f.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { f.copy(server, client, false) })
	both.Go(func() { f.copy(client, server, true) })
	both.Wait()
	f.mu.Lock()
	delete(f.open, client)
	delete(f.open, server)
	f.mu.Unlock()
}

func (f *forwarder) copy(to, from net.Conn, ofServer bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, pieceBytes)
	for {
		f.mu.Lock()
		piece := buf[:f.piece]
		f.mu.Unlock()
		n, err := from.Read(piece)
		if !f.may(n, ofServer) {
			return
		}
		if piece = piece[:n]; !ofServer {
			piece = f.rewrite(piece)
		}
		if _, failed := to.Write(piece); failed != nil || err != nil {
			return
		}
	}
}

// rewrite changes what a client says.
func (f *forwarder) rewrite(piece []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.instead == "" {
		return piece
	}
	return bytes.ReplaceAll(piece, []byte(f.said), []byte(f.instead))
}

// may waits as long as a piece takes, and says whether it arrives.
func (f *forwarder) may(n int, ofServer bool) bool {
	const look = 50 * time.Millisecond
	for {
		f.mu.Lock()
		silent, wait := f.silent, f.delay
		if ofServer {
			wait = f.pause
		}
		cut := ofServer && f.left >= 0 && int64(n) > f.left
		switch {
		case cut && f.once && !silent:
			f.left = -1
		case ofServer && f.left >= 0 && !silent:
			f.left -= min(f.left, int64(n))
		}
		f.mu.Unlock()
		if !silent {
			if wait > 0 {
				time.Sleep(wait)
			}
			return !cut
		}
		time.Sleep(look)
	}
}

// slowly has the pipeline meet its source through a forwarder that delays each of its questions, so
// that what is looked for during a load is not over before it is seen. The log comes as fast as ever.
func (p *pipeline) slowly(delay time.Duration) *forwarder {
	p.t.Helper()
	f := startForwarder(p.t, p.server.address)
	f.change(func(f *forwarder) { f.delay = delay })
	p.set(settings{"source.address": f.address})
	return f
}

// fast ends the forwarder's delays.
func (f *forwarder) fast() { f.change(func(f *forwarder) { f.delay = 0 }) }

// change changes how the forwarder behaves from now on.
func (f *forwarder) change(how func(*forwarder)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how(f)
}

// cut ends all connections.
func (f *forwarder) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		_ = c.Close()
	}
	f.silent = false
}
