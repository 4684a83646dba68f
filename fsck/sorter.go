package fsck

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"cdcd/table/rowset"
)

// place is where a live row is.
type place struct {
	key       rowset.Key
	file, pos uint32
}

const (
	placeBytes = 24
	// bucketPlaces is how many places are meant to be in memory at once: 48 MiB.
	bucketPlaces = 2 << 20
	// maxBuckets bounds the open files. With more than maxBuckets times bucketPlaces rows,
	// two thousand million, more are in memory at once.
	maxBuckets = 1024
	// bucketBuffer is the memory of a bucket that is being written.
	bucketBuffer = 32 << 10
)

// sorter brings equal keys together: it deals them into files by a hash, and sorts one file
// at a time in memory.
type sorter struct {
	files   []*os.File
	writers []*bufio.Writer
}

func newSorter(dir string, rows int64) (*sorter, error) {
	s := &sorter{}
	for i := range min(maxBuckets, 1+rows/bucketPlaces) {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.files = append(s.files, f)
		s.writers = append(s.writers, bufio.NewWriterSize(f, bucketBuffer))
	}
	return s, nil
}

// add takes a place in.
func (s *sorter) add(p place) error {
	const mix = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: keys may be small numbers
	h := (p.key.Hi*mix ^ p.key.Lo) * mix
	var b [placeBytes]byte
	binary.LittleEndian.PutUint64(b[:], p.key.Hi)
	binary.LittleEndian.PutUint64(b[8:], p.key.Lo)
	binary.LittleEndian.PutUint32(b[16:], p.file)
	binary.LittleEndian.PutUint32(b[20:], p.pos)
	_, err := s.writers[(h>>32)%uint64(len(s.writers))].Write(b[:])
	return err
}

// equal visits every two places with the same key that follow each other.
func (s *sorter) equal(visit func(a, b place)) error {
	for i, f := range s.files {
		if err := s.writers[i].Flush(); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		places, err := readPlaces(f)
		if err != nil {
			return err
		}
		slices.SortFunc(places, func(a, b place) int {
			return cmp.Or(a.key.Compare(b.key), cmp.Compare(a.file, b.file), cmp.Compare(a.pos, b.pos))
		})
		for j := 1; j < len(places); j++ {
			if places[j-1].key == places[j].key {
				visit(places[j-1], places[j])
			}
		}
	}
	return nil
}

func readPlaces(f *os.File) ([]place, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	places := make([]place, 0, info.Size()/placeBytes)
	r := bufio.NewReaderSize(f, bucketBuffer)
	for {
		var b [placeBytes]byte
		if _, err := io.ReadFull(r, b[:]); errors.Is(err, io.EOF) {
			return places, nil
		} else if err != nil {
			return nil, err
		}
		places = append(places, place{
			rowset.Key{Hi: binary.LittleEndian.Uint64(b[:]), Lo: binary.LittleEndian.Uint64(b[8:])},
			binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[20:]),
		})
	}
}

func (s *sorter) close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
