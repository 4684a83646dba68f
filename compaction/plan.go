package compaction

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"cdcd/table"
)

const (
	// fanout is how many files of a tier are merged into one. A larger one rewrites a row less
	// often and leaves more files.
	fanout     = 1 << fanoutBits
	fanoutBits = 3
	// leastReclaimed is what part of the target size a rewrite for deleted rows has to reclaim where
	// there are fewer than fanout such files.
	leastReclaimed = 64
	// dyingShare is what part of a partition's rows is deleted where rows die all the time, and
	// dyingParts into how many parts of the target size its files are then made.
	dyingShare = 0.05
	dyingParts = 8
	// maxGroupFiles bounds the inputs of a group, and so the redirects of its commit.
	maxGroupFiles = 1000
	// maxGroupRows bounds the rows of a group's inputs: which of them are deleted is kept in
	// memory, a bit a row.
	maxGroupRows = 1 << 27
)

// Policy says what is worth rewriting.
type Policy struct {
	TargetBytes  int64   // the most that one output has, about
	DeletedShare float64 // of a file's rows, from which on it is rewritten
}

// within gives the policy for a partition. Rows that die while a file is rewritten are dead in
// the new one from the start: where they die all the time files are smaller, for a rewrite of
// such takes less long. One that is larger is not split; it shrinks as its rows move on.
func (p Policy) within(part []table.LiveFile) Policy {
	var rows, deleted int64
	for _, f := range part {
		rows, deleted = rows+f.Rows, deleted+f.Deleted
	}
	if float64(deleted) >= dyingShare*float64(rows) {
		p.TargetBytes = max(1, p.TargetBytes/dyingParts)
	}
	return p
}

// Reason is why a group is rewritten.
type Reason string

// The reasons.
const (
	SmallFiles  Reason = "small files"
	DeletedRows Reason = "deleted rows"
	OnDemand    Reason = "on demand"
)

// Group is a set of files to rewrite into one, in that order. They are of one partition.
type Group struct {
	Reason  Reason
	Files   []table.LiveFile
	Rows    int64 // of the output
	Deleted int64 // rows that are dropped
	Read    int64 // bytes of the inputs
	Written int64 // bytes of the output, about
}

// Paths gives the files' paths, in order.
func (g *Group) Paths() []string {
	out := make([]string, len(g.Files))
	for i, f := range g.Files {
		out[i] = f.Path
	}
	return out
}

func (g *Group) add(f table.LiveFile) {
	g.Files = append(g.Files, f)
	g.Rows += f.Rows - f.Deleted
	g.Deleted += f.Deleted
	g.Read += f.Bytes
	g.Written += liveBytes(f)
}

// fits reports whether the group may take another file.
func (g *Group) fits(f table.LiveFile, p Policy) bool {
	return len(g.Files) < maxGroupFiles && g.Written+liveBytes(f) <= p.TargetBytes && g.Rows+g.Deleted+f.Rows <= maxGroupRows
}

// liveBytes is about the size of a file without its deleted rows.
func liveBytes(f table.LiveFile) int64 {
	if f.Rows == 0 {
		return 0
	}
	return int64(float64(f.Bytes) * float64(f.Rows-f.Deleted) / float64(f.Rows))
}

// full reports that a file is large enough to be left alone: no two such fit into one.
func full(f table.LiveFile, p Policy) bool {
	return liveBytes(f) > p.TargetBytes/2 || f.Rows > maxGroupRows/2
}

// dirty reports that so much of a file is deleted that it is worth rewriting for that alone.
// One that holds no row is rewritten into nothing.
func dirty(f table.LiveFile, p Policy) bool {
	return f.Deleted == f.Rows || f.Deleted > 0 && float64(f.Deleted) >= p.DeletedShare*float64(f.Rows)
}

// tier is the logarithm of a file's live rows. Rows are what adds up exactly when files are
// merged, bytes do not.
func tier(f table.LiveFile) int {
	return (bits.Len64(uint64(f.Rows-f.Deleted)) - 1) / fanoutBits
}

// Plan chooses what to rewrite, most urgent first. Groups are disjoint.
func Plan(files []table.LiveFile, p Policy) []Group {
	var small, deleted []Group
	least := p.TargetBytes / leastReclaimed
	for _, part := range partitions(files) {
		p := p.within(part)
		clean, unclean := apart(part, p)
		small = append(small, planSmall(clean, p)...)
		deleted = append(deleted, planDeleted(unclean, p, least)...)
	}
	slices.SortStableFunc(small, func(a, b Group) int { return cmp.Compare(a.perFile(), b.perFile()) })
	slices.SortStableFunc(deleted, func(a, b Group) int { return cmp.Compare(b.deletedShare(), a.deletedShare()) })
	return append(small, deleted...)
}

// apart tells files that are rewritten for their deleted rows from others.
func apart(part []table.LiveFile, p Policy) (clean, unclean []table.LiveFile) {
	for _, f := range part {
		if dirty(f, p) {
			unclean = append(unclean, f)
		} else {
			clean = append(clean, f)
		}
	}
	return clean, unclean
}

// planBeside chooses the group of small files that is most urgent, of those that are worth to be
// merged while a larger rewrite waits.
func planBeside(files []table.LiveFile, p Policy) (Group, bool) {
	var small []Group
	for _, part := range partitions(files) {
		clean, _ := apart(part, p)
		small = append(small, planSmall(clean, p)...)
	}
	small = slices.DeleteFunc(small, func(g Group) bool { return len(g.Files) < fanout })
	if len(small) == 0 {
		return Group{}, false
	}
	return slices.MinFunc(small, func(a, b Group) int { return cmp.Compare(a.perFile(), b.perFile()) }), true
}

// PlanAll chooses everything of which a rewrite leaves fewer files or fewer deleted rows, whatever
// it costs: for those who ask for it.
func PlanAll(files []table.LiveFile, p Policy) []Group {
	var out []Group
	for _, part := range partitions(files) {
		part = slices.DeleteFunc(part, func(f table.LiveFile) bool { return f.Deleted == 0 && full(f, p) })
		for _, g := range pack(part, p) {
			if len(g.Files) > 1 || g.Deleted > 0 {
				g.Reason = OnDemand
				out = append(out, g)
			}
		}
	}
	return out
}

// perFile is what it costs to have one file less, in bytes.
func (g *Group) perFile() float64 { return float64(g.Read) / float64(len(g.Files)-1) }

func (g *Group) deletedShare() float64 { return float64(g.Deleted) / float64(max(1, g.Rows+g.Deleted)) }

// partitions splits files by spec and partition, each oldest first.
func partitions(files []table.LiveFile) [][]table.LiveFile {
	same := func(a, b table.LiveFile) bool { return a.Spec == b.Spec && a.Partition == b.Partition }
	sorted := slices.SortedFunc(slices.Values(files), func(a, b table.LiveFile) int {
		return cmp.Or(cmp.Compare(a.Spec, b.Spec), strings.Compare(a.Partition, b.Partition),
			cmp.Compare(a.Sequence, b.Sequence), strings.Compare(a.Path, b.Path))
	})
	var out [][]table.LiveFile
	for i, f := range sorted {
		if i == 0 || !same(sorted[i-1], f) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], f)
	}
	return out
}

// planSmall merges files of a partition that are in the same tier, once there are enough.
func planSmall(files []table.LiveFile, p Policy) []Group {
	tiers := map[int][]table.LiveFile{}
	top := 0
	for _, f := range files {
		if !full(f, p) {
			tiers[tier(f)] = append(tiers[tier(f)], f)
			top = max(top, tier(f))
		}
	}
	var out []Group
	for k := range top + 1 {
		for _, g := range pack(tiers[k], p) {
			if len(g.Files) >= fanout || len(g.Files) > 1 && full(g.result(), p) {
				g.Reason = SmallFiles
				out = append(out, g)
			}
		}
	}
	return out
}

// planDeleted rewrites files for the rows that are deleted in them, where they are many or there
// is much to be had, least bytes: a commit for a few rows costs more than they do. What fits into one output
// goes into one: it costs no more, and leaves fewer files.
func planDeleted(files []table.LiveFile, p Policy, least int64) []Group {
	var out []Group
	for _, g := range pack(files, p) {
		if g.Reason = DeletedRows; len(files) >= fanout || g.Read-g.Written >= least {
			out = append(out, g)
		}
	}
	return out
}

// pack fills groups with files in their order. A file that is larger than the target is alone.
func pack(files []table.LiveFile, p Policy) []Group {
	var out []Group
	for _, f := range files {
		if len(out) == 0 || !out[len(out)-1].fits(f, p) {
			out = append(out, Group{})
		}
		out[len(out)-1].add(f)
	}
	return out
}

// result is the file that a group becomes, about.
func (g *Group) result() table.LiveFile {
	first := g.Files[0]
	return table.LiveFile{Spec: first.Spec, Partition: first.Partition, Rows: g.Rows, Bytes: g.Written}
}

// Debt counts what a table's files cost its readers and its commits.
type Debt struct {
	Files       int
	Small       int // files that are far smaller than the target
	DeleteFiles int
	Rows        int64 // deleted ones included
	Deleted     int64
	Pending     int64 // bytes of the files that a plan would rewrite
	Reclaimable int64 // bytes of deleted rows, about
	Growing     bool  // it has become more for a while, whatever was rewritten
}

// Measure gives the debt of a table.
func Measure(files []table.LiveFile, p Policy) Debt { return measure(files, Plan(files, p), p) }

// measure is Measure where the plan for the files is known.
func measure(files []table.LiveFile, plan []Group, p Policy) Debt {
	d := Debt{Files: len(files)}
	for _, f := range files {
		d.Rows += f.Rows
		d.Deleted += f.Deleted
		d.Reclaimable += f.Bytes - liveBytes(f)
		if !full(f, p) {
			d.Small++
		}
		if f.Deleted > 0 {
			d.DeleteFiles++
		}
	}
	for _, g := range plan {
		d.Pending += g.Read
	}
	return d
}
