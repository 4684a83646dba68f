//go:build integration

package integration

import (
	"net"
	"sync"
	"testing"
)

// link is a network between the daemon and a server that can be cut and stalled.
type link struct {
	address  string // where the daemon connects
	to       string
	listener net.Listener
	stalled  sync.RWMutex // held for writing while nothing is passed on
	copies   sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

// newLink starts a link to an address. It ends with the test.
func newLink(t testing.TB, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{address: listener.Addr().String(), to: to, listener: listener, conns: map[net.Conn]bool{}}
	l.copies.Go(l.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		l.sever()
		l.copies.Wait()
	})
	return l
}

// sever breaks all connections and refuses new ones until mend.
func (l *link) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for c := range l.conns {
		_ = c.Close()
	}
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
}

// stall keeps connections open and passes nothing on until resume.
func (l *link) stall()  { l.stalled.Lock() }
func (l *link) resume() { l.stalled.Unlock() }

func (l *link) accept() {
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", l.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		if !l.keep(in, out) {
			continue
		}
		l.copies.Go(func() { l.pass(in, out) })
		l.copies.Go(func() { l.pass(out, in) })
	}
}

// keep notes both ends of a connection, or closes them where the link is cut.
func (l *link) keep(ends ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range ends {
		if l.cut {
			_ = c.Close()
			continue
		}
		l.conns[c] = true
	}
	return !l.cut
}

// pass copies one direction until either end is closed.
func (l *link) pass(from, to net.Conn) {
	defer func() {
		_, _ = from.Close(), to.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, from)
		delete(l.conns, to)
	}()
	const bytes = 32 << 10
	buf := make([]byte, bytes)
	for {
		n, err := from.Read(buf)
		l.stalled.RLock()
		_, wrote := to.Write(buf[:n])
		l.stalled.RUnlock()
		if err != nil || wrote != nil {
			return
		}
	}
}
