package compaction

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"cdcd/table"
	"cdcd/table/fileio"
)

// Verdict says why a file is deleted, or why it stays.
type Verdict string

// Why a file is garbage.
const (
	// FormerOwner: its name carries a fence number below the one in force. No attempt of that
	// owner can land any more.
	FormerOwner Verdict = "former owner"
	// Decided: its name carries the fence number in force and an epoch before the one that the
	// table's newest Mark names. A table's commits come one after the other, each moves the tag
	// that every commit asserts: of an earlier epoch none can land any more.
	Decided Verdict = "decided epoch"
)

// Why a file stays.
const (
	Named    Verdict = "named by a snapshot"
	NotOurs  Verdict = "not our name"
	Open     Verdict = "of an epoch that may be open"
	Noted    Verdict = "in an intent"
	InFlight Verdict = "in flight"
	Waiting  Verdict = "within the grace"
)

// facts are what decides about a table's files at one moment. What protects files on their way
// into a snapshot was asked for before the metadata were loaded: what leaves it by landing is
// then named.
type facts struct {
	location string
	fence    int64 // in force, and ours
	mark     struct{ fence, epoch int64 }
	named    func(base string) bool
	noted    map[string]bool // last elements of paths in intents
	inFlight map[string]bool // stems of names
}

// epochsBehind is by how much an epoch's number may be below that of the Mark before it: the
// first cut of a daemon has the number of the epoch before the one that noted its fence.
const epochsBehind = 1

// judge says whether a file is garbage, whatever the time. It is the one place that does.
func (f *facts) judge(path string) (v Verdict, garbage bool) {
	base := path[strings.LastIndexByte(path, '/')+1:]
	name, ours := table.ParseFileName(base)
	switch {
	case !ours || path != f.location+"/"+name.Dir+"/"+base:
		return NotOurs, false
	case f.named(base):
		return Named, false
	case f.noted[base] && !mutated("gcnoted"):
		return Noted, false
	case f.inFlight[name.Stem] && !mutated("gcinflight"):
		return InFlight, false
	case name.Fence < f.fence:
		return FormerOwner, true
	case name.Fence == f.fence && f.mark.fence == f.fence && name.Epoch < f.mark.epoch-epochsBehind:
		return Decided, true
	case mutated("gcany"), mutated("gczombie"):
		return Decided, true
	}
	return Open, false
}

// Garbage is a file that may be deleted, or that soon may.
type Garbage struct {
	Path   string
	Bytes  int64
	Reason Verdict
	// Since is when the collector first saw it as garbage, by the journal's own clock.
	Since time.Duration
}

// garbagePlan is what is to be done about a table's files.
type garbagePlan struct {
	remove []Garbage                // oldest first
	wait   []Garbage                // garbage within the grace
	seen   map[string]time.Duration // all of it, by path: for the journal
	stay   map[Verdict]int          // files that are no garbage, or not yet
}

// planGarbage decides about listed files. seen is when files were first seen as garbage, now
// the present time, both by the journal's own clock.
func planGarbage(objects []fileio.Object, f *facts, seen map[string]time.Duration, now, grace time.Duration) *garbagePlan {
	p := &garbagePlan{seen: map[string]time.Duration{}, stay: map[Verdict]int{}}
	for _, o := range objects {
		why, garbage := f.judge(o.Name)
		if !garbage {
			p.stay[why]++
			continue
		}
		since, before := seen[o.Name]
		if !before {
			since = now
		}
		g := Garbage{o.Name, o.Size, why, since}
		p.seen[o.Name] = since
		if now-since < grace && !mutated("gcgrace") {
			p.stay[Waiting]++
			p.wait = append(p.wait, g)
			continue
		}
		p.remove = append(p.remove, g)
	}
	slices.SortFunc(p.remove, func(x, y Garbage) int {
		return cmp.Or(cmp.Compare(x.Since, y.Since), strings.Compare(x.Path, y.Path))
	})
	return p
}

// confirm gives those files of a plan that newer facts still call garbage.
func confirm(planned []Garbage, f *facts) []Garbage {
	if mutated("gcrecheck") {
		return planned
	}
	var out []Garbage
	for _, g := range planned {
		if _, garbage := f.judge(g.Path); garbage {
			out = append(out, g)
		}
	}
	return out
}
