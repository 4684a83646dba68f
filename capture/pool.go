package capture

import (
	"math/bits"
	"sync"
)

// Pool is an Arrow allocator that keeps freed buffers for the next batch: batches are all
// about the same size, and fresh memory costs page faults and garbage collection. It is
// safe for concurrent use. Buffers that are never freed are left to the garbage collector.
type Pool struct {
	mu   sync.Mutex
	free [64][][]byte // by the logarithm of their size
	held int
}

const (
	// poolHolds bounds the memory that waits for reuse, in bytes.
	poolHolds = 96 << 20
	// pooledFrom is the smallest buffer worth keeping.
	pooledFrom = 1 << 10
)

// NewPool returns an empty pool.
func NewPool() *Pool { return &Pool{} }

// Allocate returns a buffer of size bytes. Its content is undefined.
func (p *Pool) Allocate(size int) []byte {
	class := bits.Len(uint(size - 1))
	if size < pooledFrom {
		return make([]byte, size)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free[class]); n > 0 {
		b := p.free[class][n-1]
		p.free[class] = p.free[class][:n-1]
		p.held -= cap(b)
		return b[:size]
	}
	return make([]byte, size, 1<<class)
}

// Reallocate grows or shrinks b, keeping what fits.
func (p *Pool) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	out := p.Allocate(size)
	copy(out, b)
	p.Free(b)
	return out
}

// Free takes b back. Nobody may use it any more.
func (p *Pool) Free(b []byte) {
	size := cap(b)
	if size < pooledFrom || size&(size-1) != 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held+size > poolHolds {
		return
	}
	class := bits.Len(uint(size - 1))
	p.free[class] = append(p.free[class], b)
	p.held += size
}
