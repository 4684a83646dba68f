package keyindex

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

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
	Files    []manifestFile `json:"files"` // those that the runs cover; other numbers are of dead files
	Runs     []manifestRun  `json:"runs"`
}

type manifestFile struct {
	Number uint32 `json:"number"`
	Path   string `json:"path"`
}

type manifestRun struct {
	Name   string   `json:"name"`
	Covers []uint32 `json:"covers"`
}

const (
	manifestName = "index.json"
	format       = 1
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
	return &Index{dir: dir, identity: identity, diskFrom: onDiskFrom, numbers: map[string]uint32{}, covered: map[uint32]bool{}}
}

// load reads the manifest and maps the runs. Any error means that the index is of no use.
func load(dir, identity string, follows func(Version) bool) (*Index, error) {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errDamaged, manifestName, err)
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
	}
	for _, r := range m.Runs {
		run, err := openRun(filepath.Join(dir, r.Name), r.Name, r.Covers)
		if err != nil {
			return nil, errors.Join(err, x.closeRuns())
		}
		x.runs = append(x.runs, run)
		for _, f := range r.Covers {
			x.covered[f] = true
		}
	}
	return x, nil
}

// sweep removes files that the manifest does not name: left by a crash.
func (x *Index) sweep() error {
	known := map[string]bool{manifestName: true}
	for _, r := range x.runs {
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

// writeManifest records the runs on disk.
func (x *Index) writeManifest() error {
	m := manifest{Format: format, Identity: x.identity, Secret: x.secret[:], NextRun: x.next, NextFile: len(x.paths), Version: x.version}
	for _, r := range x.runs {
		if r.name == "" {
			continue
		}
		m.Runs = append(m.Runs, manifestRun{r.name, r.covers})
		for _, f := range r.covers {
			m.Files = append(m.Files, manifestFile{f, x.paths[f]})
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	tmp := filepath.Join(x.dir, manifestName+".tmp")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(x.dir, manifestName))
}

// Close puts everything on disk, so that the next Open has it all, and frees the index.
func (x *Index) Close(live Liveness) error {
	inMemory := slices.IndexFunc(x.runs, func(r *run) bool { return r.name != "" })
	if inMemory < 0 {
		inMemory = len(x.runs)
	}
	var err error
	for len(x.runs) > 1 && inMemory > 1 && err == nil {
		var merged *run
		if merged, err = mergeInMemory(x.runs[0], x.runs[1], live); err == nil {
			x.runs = append([]*run{merged}, x.runs[2:]...)
			inMemory--
		}
	}
	if err == nil && inMemory == 1 {
		err = x.storeNewest()
	}
	return errors.Join(err, x.closeRuns())
}

// storeNewest puts the newest run on disk.
func (x *Index) storeNewest() error {
	r := x.runs[0]
	stored, err := x.store(r.covers, func(put func(Entry) error) error {
		for _, e := range r.entries {
			if err := put(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	x.runs[0] = stored
	return x.writeManifest()
}

// Abandon frees the index without writing anything.
func (x *Index) Abandon() error { return x.closeRuns() }

func (x *Index) closeRuns() error {
	var errs []error
	for _, r := range x.runs {
		errs = append(errs, r.close())
	}
	x.runs = nil
	return errors.Join(errs...)
}
