package table

import (
	"maps"
	"slices"

	"github.com/apache/iceberg-go"
)

// The layout of manifests. Data manifests are merged once many small ones are there;
// deletion vectors fill one manifest after another, so that a commit rewrites only the
// manifests of the vectors that it replaces.
const (
	mergeManifestsAt    = 30   // small data manifests of one spec
	smallManifestFiles  = 500  // a data manifest with fewer files is small
	vectorsPerManifest  = 1000 // most in one delete manifest
	openManifestVectors = vectorsPerManifest / 2
)

// manifestPlan says which manifests a commit writes and which it keeps. It is made without
// I/O.
type manifestPlan struct {
	added    []int32     // specs with added data files: one manifest each
	merged   []dataGroup // data manifests to write anew
	keepData []iceberg.ManifestFile
	deletes  []*deleteGroup // delete manifests to write
	keepDels []iceberg.ManifestFile
}

// dataGroup is old data manifests that become one.
type dataGroup struct {
	spec int32
	from []iceberg.ManifestFile
}

// deleteGroup is one delete manifest to be written: the surviving vectors of old
// manifests, and vectors of files that had none.
type deleteGroup struct {
	spec  int32
	from  []*deleteManifest
	fresh []string // data files
	size  int
}

// planManifests decides on manifests for a commit that adds data files with the given
// specs, sets or replaces the vectors of the touched files, and removes data files with theirs.
func planManifests(c *content, added map[string]int32, touched []string, removed map[string]bool) *manifestPlan {
	p := &manifestPlan{}
	for _, spec := range added {
		if !slices.Contains(p.added, spec) {
			p.added = append(p.added, spec)
		}
	}
	slices.Sort(p.added)
	p.planData(c, removed)
	p.planDeletes(c, added, touched, removed)
	return p
}

// planData has manifests written anew that list a removed file, and the small ones merged where
// they are many. One without live files tells of removals in an older snapshot, and goes.
func (p *manifestPlan) planData(c *content, removed map[string]bool) {
	dirty := map[string]bool{}
	for path := range removed {
		dirty[c.files[path].manifest] = true
	}
	small := map[int32][]iceberg.ManifestFile{}
	for _, m := range c.data {
		spec, files := m.PartitionSpecID(), int(m.AddedDataFiles()+m.ExistingDataFiles())
		switch {
		case files < smallManifestFiles && (files > 0 || dirty[m.FilePath()]):
			small[spec] = append(small[spec], m)
		case dirty[m.FilePath()]:
			p.merged = append(p.merged, dataGroup{spec, []iceberg.ManifestFile{m}})
		case files > 0:
			p.keepData = append(p.keepData, m)
		}
	}
	for _, spec := range slices.Sorted(maps.Keys(small)) {
		g := dataGroup{spec: spec}
		for _, m := range small[spec] {
			if len(small[spec]) >= mergeManifestsAt || dirty[m.FilePath()] {
				g.from = append(g.from, m)
			} else {
				p.keepData = append(p.keepData, m)
			}
		}
		if len(g.from) > 0 {
			p.merged = append(p.merged, g)
		}
	}
}

// planDeletes groups the vectors to be written. Manifests that list a replaced vector, or one of
// a removed file, or strays, must be rewritten; new vectors go where there is room, then into a half-empty manifest, then
// into new ones.
func (p *manifestPlan) planDeletes(c *content, added map[string]int32, touched []string, removed map[string]bool) {
	dirty := map[string]bool{}
	for path := range removed {
		if f := c.files[path]; f.deleted != nil {
			dirty[f.deleted.manifest] = true
		}
	}
	for path, m := range c.deletes {
		if len(m.strays) > 0 {
			dirty[path] = true
		}
	}
	fresh := map[int32][]string{}
	for _, path := range touched {
		f := c.files[path]
		switch {
		case f == nil:
			fresh[added[path]] = append(fresh[added[path]], path)
		case f.deleted == nil || f.deleted.entry == nil:
			fresh[f.spec] = append(fresh[f.spec], path)
		default:
			dirty[f.deleted.manifest] = true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(c.deletes)) {
		if dirty[path] {
			p.rewrite(c.deletes[path])
		}
	}
	for _, spec := range slices.Sorted(maps.Keys(fresh)) {
		p.place(c, dirty, spec, fresh[spec])
	}
	for _, path := range slices.Sorted(maps.Keys(c.deletes)) {
		if !dirty[path] {
			p.keepDels = append(p.keepDels, c.deletes[path].file)
		}
	}
}

// rewrite adds a manifest's vectors to a group with room for them.
func (p *manifestPlan) rewrite(m *deleteManifest) {
	spec := m.file.PartitionSpecID()
	for _, g := range p.deletes {
		if g.spec == spec && g.size+len(m.live) <= vectorsPerManifest {
			g.from = append(g.from, m)
			g.size += len(m.live)
			return
		}
	}
	p.deletes = append(p.deletes, &deleteGroup{spec: spec, from: []*deleteManifest{m}, size: len(m.live)})
}

// place finds groups for the vectors of files that had none.
func (p *manifestPlan) place(c *content, dirty map[string]bool, spec int32, paths []string) {
	room := 0
	for _, g := range p.deletes {
		if g.spec == spec {
			room += vectorsPerManifest - g.size
		}
	}
	if room < len(paths) {
		if path := emptiest(c, dirty, spec); path != "" {
			dirty[path] = true
			p.rewrite(c.deletes[path])
		}
	}
	for _, g := range p.deletes {
		if g.spec == spec {
			paths = g.fill(paths)
		}
	}
	for len(paths) > 0 {
		g := &deleteGroup{spec: spec}
		paths = g.fill(paths)
		p.deletes = append(p.deletes, g)
	}
}

// fill takes as many paths as there is room for and returns the rest.
func (g *deleteGroup) fill(paths []string) []string {
	n := min(len(paths), max(0, vectorsPerManifest-g.size))
	g.fresh = append(g.fresh, paths[:n]...)
	g.size += n
	return paths[n:]
}

// emptiest gives the clean delete manifest with the most room, if that is at least half.
func emptiest(c *content, dirty map[string]bool, spec int32) string {
	best, size := "", openManifestVectors
	for _, path := range slices.Sorted(maps.Keys(c.deletes)) {
		m := c.deletes[path]
		if !dirty[path] && m.file.PartitionSpecID() == spec && len(m.live) < size {
			best, size = path, len(m.live)
		}
	}
	return best
}
