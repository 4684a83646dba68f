package keyindex

import (
	"encoding/binary"
	"iter"
	"math/bits"
)

// Positions is a set of row positions of one file that can be counted below any position at
// once. Nil is the empty set. It does not change.
type Positions struct {
	words []uint64
	ranks []uint32 // members below each word
	count uint32
}

// CollectPositions gives the set of the positions of a sequence, in any order.
func CollectPositions(seq iter.Seq[uint64]) *Positions {
	p := &Positions{}
	for pos := range seq {
		p.set(uint32(pos))
	}
	return p.counted()
}

func (p *Positions) set(pos uint32) {
	w := int(pos / 64)
	for w >= len(p.words) {
		p.words = append(p.words, 0)
	}
	p.words[w] |= 1 << (pos % 64)
}

// counted completes a set after its members have been set. An empty one becomes nil.
func (p *Positions) counted() *Positions {
	if len(p.words) == 0 {
		return nil
	}
	p.ranks, p.count = make([]uint32, len(p.words)), 0
	for i, w := range p.words {
		p.ranks[i] = p.count
		p.count += uint32(bits.OnesCount64(w))
	}
	return p
}

// Contains reports whether a position is in the set.
func (p *Positions) Contains(pos uint32) bool {
	return p != nil && int(pos/64) < len(p.words) && p.words[pos/64]>>(pos%64)&1 != 0
}

// Rank counts the positions of the set that are below pos.
func (p *Positions) Rank(pos uint32) uint32 {
	switch {
	case p == nil:
		return 0
	case int(pos/64) >= len(p.words):
		return p.count
	}
	return p.ranks[pos/64] + uint32(bits.OnesCount64(p.words[pos/64]&(1<<(pos%64)-1)))
}

// Len is the number of positions in the set.
func (p *Positions) Len() uint32 {
	if p == nil {
		return 0
	}
	return p.count
}

// all gives the positions in order.
func (p *Positions) all() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		if p == nil {
			return
		}
		for i, w := range p.words {
			for ; w != 0; w &= w - 1 {
				if !yield(uint64(64*i + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

// bytes is the set as it is stored: its words.
func (p *Positions) bytes() []byte {
	if p == nil {
		return nil
	}
	b := make([]byte, 0, 8*len(p.words))
	for _, w := range p.words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// positionsOf reads what bytes gave.
func positionsOf(b []byte) *Positions {
	p := &Positions{words: make([]uint64, len(b)/8)}
	for i := range p.words {
		p.words[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return p.counted()
}
