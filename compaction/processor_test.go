package compaction

import (
	"crypto/sha256"
	"testing"
	"time"
)

// TestComputed counts the work of the function, and not what it waits for.
func TestComputed(t *testing.T) {
	busy := computed(func() { toil(50 * time.Millisecond) })
	waited := make(chan struct{})
	idle := computed(func() {
		go func() {
			toil(50 * time.Millisecond)
			close(waited)
		}()
		<-waited
	})
	if busy < 50*time.Millisecond || idle > 10*time.Millisecond {
		t.Errorf("busy for %v, idle for %v", busy, idle)
	}
}

// toil computes until the calling thread has done so for a while.
func toil(d time.Duration) {
	var sum [sha256.Size]byte
	computed(func() {
		for began := threadTime(); threadTime()-began < d; {
			sum = sha256.Sum256(sum[:])
		}
	})
}
