package keyindex

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cdcd/table/rowset"
)

// manifest is what is on disk beside the runs.
type manifest struct {
	Format   int            `json:"format"`
	Identity string         `json:"identity"`
	Secret   []byte         `json:"secret"`
	NextRun  int            `json:"next-run"`
	NextFile int            `json:"next-file"`
	Version  Version        `json:"version"`
	Files    []manifestFile `json:"files"` // those that are covered; other numbers are of dead or moved files
	Runs     []manifestRun  `json:"runs"`
	Moved    string         `json:"moved,omitempty"` // the file of redirects
}

type manifestFile struct {
	Number uint32 `json:"number"`
	Path   string `json:"path"`
}

type manifestRun struct {
	Name  string   `json:"name"`
	Files []uint32 `json:"files"` // that its entries point to
}

const (
	manifestName = "index.json"
	format       = 3
)

// Open opens the index in dir, or makes an empty one. identity names what the index is of
// (the table and its key columns), follows reports whether the table's snapshot comes after
// one: an index of anything else, or of a snapshot that is not behind the table's, is thrown
// away, as is a damaged one. discarded tells why that happened.
func Open(dir, identity string, follows func(Version) bool) (x *Index, discarded, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	x, problem := load(dir, identity, follows)
	if problem == nil {
		return x, nil, x.sweep()
	}
	if errors.Is(problem, fs.ErrNotExist) {
		problem = nil // never written
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	x = empty(dir, identity)
	if _, err := rand.Read(x.secret[:]); err != nil {
		return nil, nil, err
	}
	return x, problem, nil
}

func empty(dir, identity string) *Index {
	return &Index{dir: dir, identity: identity, diskFrom: onDiskFrom, step: mergeStep, numbers: map[string]uint32{}, covered: map[uint32]bool{}, stored: map[uint32]bool{}}
}

// load reads the manifest and maps the runs. Any error means that the index is of no use.
func load(dir, identity string, follows func(Version) bool) (*Index, error) {
	var m manifest
	if err := readSealed(filepath.Join(dir, manifestName), &m); err != nil {
		return nil, err
	}
	x := empty(dir, identity)
	if m.Format != format || m.Identity != identity || len(m.Secret) != len(x.secret) {
		return nil, fmt.Errorf("%w: it is of another table or format", errDamaged)
	}
	if !follows(m.Version) {
		return nil, fmt.Errorf("it is of snapshot %d, which is not in the table's history", m.Version.Snapshot)
	}
	x.secret, x.next = rowset.Secret(m.Secret), m.NextRun
	x.version = m.Version
	x.paths = make([]string, m.NextFile)
	for _, f := range m.Files {
		if int(f.Number) >= m.NextFile {
			return nil, fmt.Errorf("%w: file number %d of %d", errDamaged, f.Number, m.NextFile)
		}
		x.paths[f.Number] = f.Path
		x.numbers[f.Path] = f.Number
		x.covered[f.Number], x.stored[f.Number] = true, true
	}
	if err := x.loadRedirects(m.Moved); err != nil {
		return nil, err
	}
	for _, r := range m.Runs {
		run, err := openRun(filepath.Join(dir, r.Name), r.Name, r.Files)
		if err != nil {
			return nil, errors.Join(err, x.closeRuns())
		}
		x.disk = append(x.disk, run)
	}
	x.forgetRedirects()
	return x, nil
}

// sweep removes files that the manifest does not name: left by a crash.
func (x *Index) sweep() error {
	known := map[string]bool{manifestName: true, x.movedIn: true}
	for _, r := range x.disk {
		known[r.name] = true
	}
	entries, err := os.ReadDir(x.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if known[e.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(x.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// record makes what is on disk the index that the next Open finds.
func (x *Index) record(live Liveness) error {
	for f := range x.stored {
		if !live.LiveFile(f) {
			delete(x.stored, f)
		}
	}
	x.forgetRedirects()
	m := manifest{
		Format: format, Identity: x.identity, Secret: x.secret[:], NextFile: len(x.paths), Version: x.version, Files: []manifestFile{},
	}
	for f := range x.stored {
		m.Files = append(m.Files, manifestFile{f, x.paths[f]})
	}
	for _, r := range x.disk {
		m.Runs = append(m.Runs, manifestRun{r.name, r.files})
	}
	stale := x.movedIn
	if err := x.storeRedirects(); err != nil {
		return err
	}
	m.NextRun, m.Moved = x.next, x.movedIn
	if err := writeSealed(filepath.Join(x.dir, manifestName), m); err != nil {
		return err
	}
	if stale == "" || stale == x.movedIn {
		return nil
	}
	return os.Remove(filepath.Join(x.dir, stale))
}

// Close puts everything on disk, so that the next Open has it all, and frees the index.
func (x *Index) Close(live Liveness) error {
	return errors.Join(x.flush(live), x.closeRuns())
}

// flush puts everything on disk.
func (x *Index) flush(live Liveness) error {
	if len(x.memory) > 0 {
		if err := x.store(live); err != nil {
			return err
		}
	}
	return x.record(live)
}

// nextName names the next file.
func (x *Index) nextName(kind string) string {
	x.next++
	return fmt.Sprintf("%08d.%s", x.next-1, kind)
}

// damaged makes sure that an index with a damaged file is not opened again.
func (x *Index) damaged(err error) error {
	if !errors.Is(err, errDamaged) {
		return err
	}
	return errors.Join(err, os.Remove(filepath.Join(x.dir, manifestName)))
}

// Abandon frees the index without writing anything.
func (x *Index) Abandon() error { return x.closeRuns() }

func (x *Index) closeRuns() error {
	var errs []error
	for _, m := range x.merges {
		errs = append(errs, m.out.abandon())
	}
	for _, r := range x.disk {
		errs = append(errs, r.close())
	}
	x.memory, x.disk, x.merges = nil, nil, nil
	return errors.Join(errs...)
}
