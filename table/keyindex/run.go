package keyindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sort"
	"unsafe"

	"cdcd/table/rowset"
	"golang.org/x/sys/unix"
)

// Entry says where a row with a key is.
type Entry struct {
	Key   rowset.Key
	RowID int64  // the row's _row_id, or ImplicitRowID
	File  uint32 // as Index.File gives it
	Pos   uint32 // position in the file
}

// ImplicitRowID marks a row whose _row_id is its file's first row id plus its position.
const ImplicitRowID = -1

// run is a sorted, immutable sequence of entries.
type run struct {
	entries []Entry
	files   []uint32 // that entries point to
	covers  []uint32 // files of which this run completes the entries; in memory only
	name    string   // of its file; "" while in memory
	mapped  []byte   // the memory-mapped file
}

const (
	entrySize  = int(unsafe.Sizeof(Entry{}))
	runMagic   = "cdcdrun1"
	headerSize = 16 // magic, number of entries
	footerSize = 8  // checksum
)

// errDamaged reports a run file that is not what was written.
var errDamaged = errors.New("damaged index file")

// entryBytes views entries as bytes: the file format is that of memory, which is little
// endian on every platform built for.
func entryBytes(es []Entry) []byte {
	if len(es) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&es[0])), len(es)*entrySize)
}

// runWriter writes a run's file. What it holds in memory does not grow with the run.
type runWriter struct {
	f     *os.File
	block []Entry
	files fileSet
	count uint64
	sum   uint32
}

// blockEntries is how many entries are written at once: 256 KiB.
const blockEntries = 8 << 10

func newRunWriter(path string) (*runWriter, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	w := &runWriter{f: f, block: make([]Entry, 0, blockEntries)}
	if _, err := f.Write(runHeader(0)); err != nil { // the number is known at the end
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

func runHeader(count uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte(runMagic), count)
}

func (w *runWriter) put(e Entry) error {
	w.files.add(e.File)
	w.block = append(w.block, e)
	if len(w.block) < blockEntries {
		return nil
	}
	return w.flush()
}

func (w *runWriter) flush() error {
	b := entryBytes(w.block)
	w.sum = crc32.Update(w.sum, castagnoli(), b)
	w.count += uint64(len(w.block))
	w.block = w.block[:0]
	_, err := w.f.Write(b)
	return err
}

// finish completes the file, unless putting the entries has failed with err.
func (w *runWriter) finish(err error) error {
	if err == nil {
		err = w.flush()
	}
	if err == nil {
		_, err = w.f.Write(binary.LittleEndian.AppendUint64(nil, uint64(w.sum)))
	}
	if err == nil {
		_, err = w.f.WriteAt(runHeader(w.count), 0)
	}
	return errors.Join(err, w.f.Close())
}

// openRun maps a run's file after checking it.
func openRun(path, name string, files []uint32) (*run, error) {
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
	if size < headerSize+footerSize || (size-headerSize-footerSize)%entrySize != 0 {
		return nil, fmt.Errorf("%w: %s has %d bytes", errDamaged, name, size)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", name, err)
	}
	body := b[headerSize : size-footerSize]
	n := len(body) / entrySize
	if string(b[:8]) != runMagic || binary.LittleEndian.Uint64(b[8:]) != uint64(n) ||
		binary.LittleEndian.Uint64(b[size-footerSize:]) != uint64(crc32.Checksum(body, castagnoli())) {
		return nil, errors.Join(fmt.Errorf("%w: %s", errDamaged, name), unix.Munmap(b))
	}
	r := &run{files: files, name: name, mapped: b}
	if n > 0 {
		r.entries = unsafe.Slice((*Entry)(unsafe.Pointer(&body[0])), n)
	}
	return r, nil
}

// close unmaps the run. Its entries must not be used any more.
func (r *run) close() error {
	if r.mapped == nil {
		return nil
	}
	b := r.mapped
	r.mapped, r.entries = nil, nil
	return unix.Munmap(b)
}

// seek finds the first entry from at on whose key is not below k. Keys come in order, so
// it looks close by first.
func (r *run) seek(at int, k rowset.Key) int {
	step := 1
	for at+step < len(r.entries) && r.entries[at+step].Key.Less(k) {
		at += step
		step *= 2
	}
	end := min(at+step+1, len(r.entries))
	return at + sort.Search(end-at, func(i int) bool { return !r.entries[at+i].Key.Less(k) })
}
