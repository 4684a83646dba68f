package keyindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"cdcd/table/rowset"
	"golang.org/x/sys/unix"
)

// A run's file is its sections, the fences (one a section), and a trailer: the number of
// fences, their checksum, and what kind of file it is.
const (
	runMagic    = "cdcdrun3"
	fenceSize   = 8 + 8 + 8 + 4 + 4
	trailerSize = 8 + 4 + 4 + len(runMagic)
)

// fence says where a section is.
type fence struct {
	first  rowset.Key
	offset uint64
	count  uint32 // entries
	sum    uint32 // of the section
}

// diskRun is a sorted, immutable file of entries, mapped into memory. Each key is in it once.
type diskRun struct {
	name     string
	files    []uint32 // that entries point to
	mapped   []byte
	fences   []fence
	end      uint64   // of the sections
	count    int      // entries
	verified []uint64 // sections whose checksum was right, a bit each
}

// openRun maps a run's file and reads its fences. Sections are checked when they are used
// first.
func openRun(path, name string, files []uint32) (*diskRun, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := int(info.Size())
	if size < trailerSize {
		return nil, fmt.Errorf("%w: %s has %d bytes", errDamaged, name, size)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", name, err)
	}
	r := &diskRun{name: name, files: files, mapped: b}
	if err := r.readFences(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", err, name), r.close())
	}
	return r, nil
}

func (r *diskRun) readFences() error {
	trailer := r.mapped[len(r.mapped)-trailerSize:]
	n := binary.LittleEndian.Uint64(trailer)
	if string(trailer[16:]) != runMagic || n > uint64(len(r.mapped)-trailerSize)/fenceSize {
		return errDamaged
	}
	r.end = uint64(len(r.mapped)-trailerSize) - n*fenceSize
	raw := r.mapped[r.end : len(r.mapped)-trailerSize]
	if crc32.Checksum(raw, castagnoli()) != binary.LittleEndian.Uint32(trailer[8:]) {
		return errDamaged
	}
	r.fences, r.verified = make([]fence, n), make([]uint64, (n+63)/64)
	for i := range r.fences {
		b := raw[i*fenceSize:]
		r.fences[i] = fence{
			first:  rowset.Key{Hi: binary.LittleEndian.Uint64(b), Lo: binary.LittleEndian.Uint64(b[8:])},
			offset: binary.LittleEndian.Uint64(b[16:]), count: binary.LittleEndian.Uint32(b[24:]), sum: binary.LittleEndian.Uint32(b[28:]),
		}
		r.count += int(r.fences[i].count)
	}
	return nil
}

// section gives a section, after checking it where this is the first time.
func (r *diskRun) section(i int) (section, error) {
	f, end := r.fences[i], r.end
	if i+1 < len(r.fences) {
		end = r.fences[i+1].offset
	}
	b := r.mapped[f.offset:end]
	if r.verified[i/64]>>(i%64)&1 == 0 {
		if crc32.Checksum(b, castagnoli()) != f.sum {
			return section{}, fmt.Errorf("%w: %s, section %d", errDamaged, r.name, i)
		}
		r.verified[i/64] |= 1 << (i % 64)
	}
	return section{b: b, n: int(f.count)}, nil
}

// lookup looks for the open keys and returns those still open.
func (r *diskRun) lookup(keys []rowset.Key, open []int32, row func(i int32, e Entry) bool) ([]int32, error) {
	if len(r.fences) == 0 {
		return open, nil
	}
	at, left := 0, open[:0]
	for _, i := range open {
		k := keys[i]
		// The last section that does not begin above the key.
		at = gallop(at, len(r.fences), func(j int) bool { return !k.Less(r.fences[j].first) })
		at = max(at-1, 0)
		s, err := r.section(at)
		if err != nil {
			return nil, err
		}
		if s.has(keyHash(k)) {
			if e, ok := s.find(k); ok && row(i, e) {
				continue
			}
		}
		left = append(left, i)
	}
	return left, nil
}

// close unmaps the run, which must not be used any more.
func (r *diskRun) close() error {
	b := r.mapped
	r.mapped, r.fences = nil, nil
	return unix.Munmap(b)
}
