package keyindex

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
)

// runWriter writes a run's file. Beside the fences, what it holds in memory does not grow
// with the run.
type runWriter struct {
	f       *os.File
	entries []Entry // of the section under way
	buffer  []byte
	fences  []byte
	offset  uint64
	files   fileSet
}

func newRunWriter(path string) (*runWriter, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &runWriter{f: f, entries: make([]Entry, 0, sectionEntries)}, nil
}

// put adds an entry, whose key is above those of all before it.
func (w *runWriter) put(e Entry) error {
	if n := len(w.entries); n > 0 && !w.entries[n-1].Key.Less(e.Key) {
		panic("keyindex: keys of a run that do not ascend")
	}
	w.files.add(e.File)
	w.entries = append(w.entries, e)
	if len(w.entries) < sectionEntries {
		return nil
	}
	return w.flush()
}

// flush writes the section.
func (w *runWriter) flush() error {
	if len(w.entries) == 0 {
		return nil
	}
	w.buffer = appendSection(w.buffer[:0], w.entries)
	first := w.entries[0].Key
	w.fences = binary.LittleEndian.AppendUint64(w.fences, first.Hi)
	w.fences = binary.LittleEndian.AppendUint64(w.fences, first.Lo)
	w.fences = binary.LittleEndian.AppendUint64(w.fences, w.offset)
	w.fences = binary.LittleEndian.AppendUint32(w.fences, uint32(len(w.entries)))
	w.fences = binary.LittleEndian.AppendUint32(w.fences, crc32.Checksum(w.buffer, castagnoli()))
	w.entries, w.offset = w.entries[:0], w.offset+uint64(len(w.buffer))
	_, err := w.f.Write(w.buffer)
	return err
}

// finish completes the file.
func (w *runWriter) finish() error {
	err := w.flush()
	if err == nil {
		b := binary.LittleEndian.AppendUint64(w.fences, uint64(len(w.fences)/fenceSize))
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(w.fences, castagnoli()))
		b = append(binary.LittleEndian.AppendUint32(b, 0), runMagic...)
		_, err = w.f.Write(b)
	}
	return errors.Join(err, w.f.Close())
}

// abandon removes a file that will not be completed.
func (w *runWriter) abandon() error {
	return errors.Join(w.f.Close(), os.Remove(w.f.Name()))
}
