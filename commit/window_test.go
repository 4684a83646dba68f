package commit

import (
	"fmt"
	"testing"
	"time"
)

// TestWindowInsideTransaction loads a table while a large transaction is delivered in parts
// and readers do not see it yet: what it changed before a chunk's window was opened must not
// come back with the chunk.
func TestWindowInsideTransaction(t *testing.T) {
	for _, maxBytes := range []int64{1 << 20, 500} { // the transaction fits in memory, or not
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%d bytes, seed %d", maxBytes, seed), func(t *testing.T) {
				l := newLab(t, seed, "a")
				l.cfg.MaxBytes, l.server.delay = maxBytes, time.Millisecond
				for i := range partRows {
					l.server.add(change{"a", int64(i), value("old%d", i)})
				}
				l.server.appendLate(largeTransaction("a"), 30*time.Millisecond)
				l.mustRun()
				l.check()
				l.checkHistory()
			})
		}
	}
}

// largeTransaction changes the rows below partRows in its first part, and others behind.
func largeTransaction(table string) []change {
	var tx []change
	for i := range 8 * partRows {
		tx = append(tx, change{table, int64(i), value("new%d", i)})
	}
	return tx
}

// appendLate appends a transaction to the log that readers see only after a while.
func (s *fakeServer) appendLate(tx []change, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, tx)
	time.AfterFunc(after, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.visible++
	})
}

// TestChunksLargerThanExpected loads tables whose chunks have to be read in parts.
func TestChunksLargerThanExpected(t *testing.T) {
	for _, fits := range []int{1, 2, 5} {
		l := newLab(t, uint64(fits), "a", "b")
		l.server.fits, l.cfg.ChunkRows = fits, 16
		l.churn(60)
		l.mustRun()
		l.check()
		l.churn(20)
		l.mustRun()
		l.check()
		l.checkHistory()
		l.mem.AssertSize(t, 0)
	}
}
