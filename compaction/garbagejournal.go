package compaction

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	seenFile    = "seen.json"
	removedFile = "removed.jsonl"
	// seenFormat is the version of the journal.
	seenFormat = 1
	// removedBytes bounds the record of removed files, of which one older one is kept.
	removedBytes = 16 << 20
	// mostSeen bounds the files of a table that the journal knows. Others have their turn once
	// these are gone.
	mostSeen = 200_000
)

// journal remembers when files were first seen as garbage. Its clock counts the time in which
// the collector ran, and no step of the machine's clock by more than it is told to: a clock
// that is set forward makes no file older, nor one that is set back younger. A journal that is
// lost or damaged starts anew, and with it every grace.
type journal struct {
	Format int                                 `json:"format"`
	Clock  time.Duration                       `json:"clock-ns"` // the journal's own time
	At     time.Time                           `json:"at"`       // the machine's, when that was so
	Tables map[string]map[string]time.Duration `json:"tables"`   // by the table's uuid and the file's path
}

// openJournal reads the journal of a directory. damaged tells why it starts anew though there
// was one.
func openJournal(dir string) (j *journal, damaged, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("create %s: %w", dir, err)
	}
	fresh := &journal{Format: seenFormat, Tables: map[string]map[string]time.Duration{}}
	content, err := os.ReadFile(filepath.Join(dir, seenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	j = &journal{}
	if err := json.Unmarshal(content, j); err != nil {
		return fresh, fmt.Errorf("%s: %w", seenFile, err), nil
	}
	if j.Format != seenFormat || j.Clock < 0 || j.Tables == nil {
		return fresh, fmt.Errorf("%s: it is not a journal of format %d", seenFile, seenFormat), nil
	}
	return j, nil, nil
}

// tick moves the journal's clock on by the time that has passed, but at most by step.
func (j *journal) tick(now time.Time, step time.Duration) {
	if !j.At.IsZero() {
		j.Clock += min(max(0, now.Sub(j.At)), step)
	}
	j.At = now
}

// note replaces what is known of a table.
func (j *journal) note(uuid string, seen map[string]time.Duration) {
	if len(seen) == 0 {
		delete(j.Tables, uuid)
		return
	}
	for path := range seen {
		if len(seen) <= mostSeen {
			break
		}
		if _, before := j.Tables[uuid][path]; !before {
			delete(seen, path)
		}
	}
	j.Tables[uuid] = seen
}

// save puts the journal on disk, in one step.
func (j *journal) save(dir string) error {
	content, err := json.Marshal(j)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, seenFile+".tmp")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, seenFile))
}

// removal is one line of the record of removed files. It is written before the file goes: the
// file may be there still, but none is gone without a line.
type removal struct {
	At     time.Time `json:"at"`
	Table  string    `json:"table"`
	File   string    `json:"file"`
	Bytes  int64     `json:"bytes"`
	Reason Verdict   `json:"reason"`
	Waited float64   `json:"waited_s"` // since it was first seen as garbage, by the journal's clock
	Fence  int64     `json:"fence"`    // in force
}

// record appends to the record of removed files.
func record(dir string, lines []removal) error {
	path := filepath.Join(dir, removedFile)
	if info, err := os.Stat(path); err == nil && info.Size() > removedBytes {
		if err := os.Rename(path, path+".1"); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for _, l := range lines {
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	return errors.Join(err, f.Sync(), f.Close())
}
