//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestNetwork runs a pipeline through a network that cuts connections in the middle of
// events, is slow, and falls silent with its connections open.
func TestNetwork(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "network")
	churnTables(t, s, "network", 1000)
	f := startForwarder(t, s.address)
	p := newPipeline(t, s, "network.*", settings{"source.address": f.address})
	p.start()
	p.reach()
	c := startChurn(t, s, "network", 3000, 1)
	eventually(t, time.Minute, "the source is asked no more", func() error { // only the log's connection is to be cut
		st, err := p.status()
		if err == nil && st.Cut == 0 {
			err = fmt.Errorf("there is no cut yet")
		}
		return err
	})
	t.Run("cut in the middle of events", func(t *testing.T) {
		const cuts = 8
		for i := range int64(cuts) {
			before := p.connected()
			f.change(func(f *forwarder) { f.left, f.once = 20_000+3333*i, true }) // and so somewhere in a row
			eventually(t, 30*time.Second, "the connection is cut and made anew", func() error {
				if p.connected() == before {
					return fmt.Errorf("%d connections so far", before)
				}
				return nil
			})
		}
	})
	t.Run("slow", func(t *testing.T) {
		f.change(func(f *forwarder) { f.piece, f.pause, f.left = 1000, 2*time.Millisecond, -1 })
		c.busyFor(t, 100)
		f.change(func(f *forwarder) { f.piece, f.pause = pieceBytes, 0 })
	})
	c.pause()
	p.reach()
	p.oracle("duckdb").equal(t, "network.kv", "network.pair")
	c.resume()
	t.Run("half open", func(t *testing.T) {
		before := p.connected()
		f.change(func(f *forwarder) { f.silent = true })
		// Nobody closes these connections: only their silence tells.
		eventually(t, time.Minute, "the silence is noticed", func() error {
			if out := p.daemon.output.String(); !strings.Contains(out, "server fell silent") {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		f.cut()
		eventually(t, 30*time.Second, "it connects again", func() error {
			if p.connected() == before {
				return fmt.Errorf("not yet")
			}
			return nil
		})
	})
	c.stop(t)
	p.reach()
	p.oracle("duckdb").equal(t, "network.kv", "network.pair")
	p.stop()
}
