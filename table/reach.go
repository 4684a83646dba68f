package table

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"

	"cdcd/table/manifest"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

// Reach is what a table's metadata named when they were loaded: metadata files, statistics,
// and of every retained snapshot the manifest list, manifests, data files and deletion vectors.
//
// A file counts by the last element of its path. Names of ours carry a UUID, so this finds a
// file however a writer spells its location. They are kept as hashes: two that are equal make
// a file look as if it were named, never the other way round.
type Reach struct {
	Name     Name
	UUID     uuid.UUID
	Location string // of the table, without a slash at the end
	Fence    int64  // in force
	Mark     Mark
	names    map[uint64]bool
	seed     maphash.Seed
}

// Names reports whether the metadata name a file. It takes the last element of its path.
func (r *Reach) Names(base string) bool { return r.names[maphash.String(r.seed, base)] }

// Reacher finds out what tables' metadata name. Manifests and their lists do not change: what
// they name is remembered from one time to the next. It is used by one goroutine.
type Reacher struct {
	cfg   Config
	seed  maphash.Seed
	known map[Name]*knownNames
}

// mostKnown bounds the hashes that are remembered of one table; what is beyond is read again.
const mostKnown = 2 << 20

// knownNames is what a table's lists and manifests name, by the hashes of their paths. The first
// hash of a manifest is that of its own name.
type knownNames struct {
	lists     map[uint64][]uint64 // the manifests' keys
	manifests map[uint64][]uint64
	size      int // hashes
}

func newKnownNames() *knownNames {
	return &knownNames{lists: map[uint64][]uint64{}, manifests: map[uint64][]uint64{}}
}

// NewReacher makes a Reacher for the tables of a pipeline.
func NewReacher(cfg Config) *Reacher {
	return &Reacher{cfg: cfg, seed: maphash.MakeSeed(), known: map[Name]*knownNames{}}
}

// Reach loads a table's metadata, and reads what is new of its manifests. It gives nil where
// there is no such table.
func (r *Reacher) Reach(ctx context.Context, n Name) (*Reach, error) {
	h, err := LoadHead(ctx, r.cfg, n)
	if err != nil || h == nil {
		return nil, err
	}
	w := &walk{
		fs: h.store.IO(ctx), seed: r.seed, before: r.known[n], now: newKnownNames(),
		out: &Reach{
			Name: n, UUID: h.UUID, Location: strings.TrimSuffix(h.meta.Location(), "/"), Fence: h.Fence, Mark: h.Mark,
			names: map[uint64]bool{}, seed: r.seed,
		},
	}
	if w.before == nil {
		w.before = newKnownNames()
	}
	w.metadata(h)
	for _, s := range h.meta.Snapshots() {
		if mutated("gctag") && !h.InHistory(s.SnapshotID) {
			continue
		}
		if err := w.snapshot(s); err != nil {
			return nil, fmt.Errorf("%s: snapshot %d: %w", n, s.SnapshotID, err)
		}
	}
	r.known[n] = w.now
	return w.out, nil
}

// walk is the reading of one table.
type walk struct {
	fs     iceio.IO
	seed   maphash.Seed
	before *knownNames // of the time before
	now    *knownNames // of this time
	out    *Reach
}

func (w *walk) hash(s string) uint64 { return maphash.String(w.seed, s) }

func (w *walk) base(path string) uint64 { return w.hash(path[strings.LastIndexByte(path, '/')+1:]) }

// metadata notes the files that the metadata themselves name.
func (w *walk) metadata(h *Head) {
	w.out.names[w.base(h.location)] = true
	for e := range h.meta.PreviousFiles() {
		w.out.names[w.base(e.MetadataFile)] = true
	}
	for s := range h.meta.Statistics() {
		w.out.names[w.base(s.StatisticsPath)] = true
	}
	for s := range h.meta.PartitionStatistics() {
		w.out.names[w.base(s.StatisticsPath)] = true
	}
}

// snapshot notes what one snapshot names.
func (w *walk) snapshot(s icetable.Snapshot) error {
	w.out.names[w.base(s.ManifestList)] = true
	key := w.hash(s.ManifestList)
	if s.ManifestList != "" && w.remembered(key) {
		return nil
	}
	manifests, err := s.Manifests(w.fs)
	if err != nil {
		return fmt.Errorf("read manifest list: %w", err)
	}
	keys := make([]uint64, 0, len(manifests))
	for _, m := range manifests {
		k, err := w.manifest(m)
		if err != nil {
			return err
		}
		keys = append(keys, k)
	}
	w.now.keep(w.now.lists, key, keys)
	return nil
}

// remembered notes what a list names, where all of that is known.
func (w *walk) remembered(key uint64) bool {
	manifests, known := w.before.lists[key]
	if !known {
		manifests, known = w.now.lists[key]
	}
	if !known {
		return false
	}
	for _, m := range manifests {
		if !w.note(m) {
			return false
		}
	}
	w.now.keep(w.now.lists, key, manifests)
	return true
}

// note notes what a manifest names, where it is known.
func (w *walk) note(key uint64) bool {
	if _, done := w.now.manifests[key]; done {
		return true
	}
	names, known := w.before.manifests[key]
	if known {
		w.add(key, names)
	}
	return known
}

func (w *walk) add(key uint64, names []uint64) {
	for _, n := range names {
		w.out.names[n] = true
	}
	w.now.keep(w.now.manifests, key, names)
}

// manifest notes what a manifest names, reading it where that is not known.
func (w *walk) manifest(m iceberg.ManifestFile) (uint64, error) {
	key := w.hash(m.FilePath())
	if w.note(key) {
		return key, nil
	}
	names := []uint64{w.base(m.FilePath())}
	err := eachEntry(w.fs, m, func(_ iceberg.ManifestFile, e manifest.Entry) error {
		names = append(names, w.base(e.DataFile().FilePath()))
		return nil
	})
	if err == nil {
		w.add(key, names)
	}
	return key, err
}

// keep remembers hashes, as far as there is room.
func (k *knownNames) keep(in map[uint64][]uint64, key uint64, hashes []uint64) {
	if _, there := in[key]; there || k.size+len(hashes) > mostKnown {
		return
	}
	in[key] = hashes
	k.size += len(hashes)
}
