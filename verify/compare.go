package verify

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/dchest/siphash"
)

// digest is a keyed hash of a row or a key.
type digest struct{ hi, lo uint64 }

// plus adds two digests. Sums do not depend on the order, and equal rows do not cancel out.
func (d digest) plus(o digest) digest { return digest{d.hi + o.hi, d.lo + o.lo} }

// hasher hashes rows of one table. Both sides use the same secret.
type hasher struct{ k0, k1 uint64 }

func newHasher() (hasher, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return hasher{}, err
	}
	return hasher{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}, nil
}

func (h hasher) sum(b []byte) digest {
	hi, lo := siphash.Hash128(h.k0, h.k1, b)
	return digest{hi, lo}
}

// appendValue appends a value so that no two sequences of values give the same bytes.
func appendValue(dst, value []byte, null bool) []byte {
	if null {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// buckets is how many checksums a side has.
const buckets = 1 << 14

// checksums are one side of a table: per bucket of keys, how many rows and what they are.
type checksums struct {
	rows int64
	at   []bucket
}

type bucket struct {
	rows int64
	all  digest // of every row, order left out
}

func newChecksums() *checksums { return &checksums{at: make([]bucket, buckets)} }

func bucketOf(key digest) int { return int(key.lo % buckets) }

func (c *checksums) add(key, row digest) {
	b := &c.at[bucketOf(key)]
	b.rows++
	b.all = b.all.plus(row)
	c.rows++
}

// differing gives the buckets in which two sides differ.
func (c *checksums) differing(o *checksums) map[int]bool {
	out := map[int]bool{}
	for i := range c.at {
		if c.at[i] != o.at[i] {
			out[i] = true
		}
	}
	return out
}

// found is what one side has for one key: one row, none, or by mistake several.
type found struct {
	rows int
	sum  digest // of the rows together
	// version is the lake's own record of when the row was last written, so that a row that
	// went and came back does not count as unchanged. Where it keeps none, as in format version 2,
	// it is the snapshot: no row counts as unchanged while the table changes. The source has none.
	version int64
}

func (f *found) add(row digest, version int64) {
	f.rows++
	f.sum = f.sum.plus(row)
	f.version = max(f.version, version)
}

// sides is what both sides have for one key.
type sides struct {
	key          []string // its values as text
	source, lake found
	// oneSided tells that the key is the whole row, and that the lake may have fewer of it.
	oneSided bool
}

func (s sides) equal() bool {
	if s.oneSided {
		return s.lake.rows <= s.source.rows
	}
	return s.source.rows == s.lake.rows && s.source.sum == s.lake.sum
}

// suspects are the keys that differed in a round.
type suspects map[digest]*sides

// side gives the entry of a key, whose values are copied if it is new.
func (s suspects) side(d digest, key [][]byte) *sides {
	x := s[d]
	if x == nil {
		x = &sides{key: make([]string, len(key))}
		for i, v := range key {
			x.key[i] = string(v)
		}
		s[d] = x
	}
	return x
}

// dateMissing has the table's epoch stand for when rows were last written that the lake lacks. A
// row that is not there has no record of having been there meanwhile, and the source may show
// the same values before and after it was.
func (s suspects) dateMissing(epoch int64) {
	for _, x := range s {
		if x.lake.rows < x.source.rows {
			x.lake.version = epoch
		}
	}
}

// next compares a round with the one before it. confirmed are keys that still differ though
// neither side changed; left are those to be looked at again.
func (s suspects) next(before suspects) (confirmed, left suspects) {
	confirmed, left = suspects{}, suspects{}
	for d, now := range s {
		if now.equal() {
			continue
		}
		was := before[d]
		if was != nil && was.source == now.source && was.lake == now.lake {
			confirmed[d] = now
		} else {
			left[d] = now
		}
	}
	return confirmed, left
}

// unequal drops the keys that agree.
func (s suspects) unequal() suspects {
	out := suspects{}
	for d, x := range s {
		if !x.equal() {
			out[d] = x
		}
	}
	return out
}

// list gives the keys as text, in order, and what is wrong with each.
func (s suspects) list(limit int) []Key {
	out := make([]Key, 0, len(s))
	for _, x := range s {
		k := Key{Key: strings.Join(x.key, ", "), What: "the values differ"}
		switch {
		case x.lake.rows == 0:
			k.What = "missing in the lake"
		case x.source.rows == 0:
			k.What = "only in the lake"
		case x.lake.rows > 1 && x.source.rows == 1:
			k.What = fmt.Sprintf("%d times in the lake", x.lake.rows)
		case x.source.rows > 1: // there is no key
			k.What = fmt.Sprintf("%d times in the lake, %d times in the source", x.lake.rows, x.source.rows)
		}
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b Key) int { return strings.Compare(a.Key, b.Key) })
	return out[:min(len(out), limit)]
}
