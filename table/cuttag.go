package table

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	icetable "github.com/apache/iceberg-go/table"
)

// refCut begins the names of the tags that keep the snapshots of cuts; the cut's number
// follows.
const refCut = "cdcd_cut_"

func cutTagName(cut int64) string { return refCut + strconv.FormatInt(cut, 10) }

// CutTags gives the snapshots that are tagged for cuts, by the cuts' numbers.
func (h *Head) CutTags() map[int64]int64 {
	out := map[int64]int64{}
	for name, ref := range h.meta.Refs() {
		digits, ok := strings.CutPrefix(name, refCut)
		if n, err := strconv.ParseInt(digits, 10, 64); ok && err == nil && cutTagName(n) == name {
			out[n] = ref.SnapshotID
		}
	}
	return out
}

// tagging is what an attempt that changes tags alone wants of them.
type tagging struct {
	set    map[int64]int64 // snapshots by cuts
	remove []int64         // cuts
}

func (t *tagging) landed(h *Head) bool {
	there := h.CutTags()
	for cut, snapshot := range t.set {
		if there[cut] != snapshot {
			return false
		}
	}
	return !slices.ContainsFunc(t.remove, func(cut int64) bool { return there[cut] != 0 })
}

// PrepareTags makes the attempt that sets and removes tags of cuts. It adds no snapshot, and
// nothing is uploaded. It is pinned like any other, so that a request which comes late finds
// main moved and changes nothing.
func PrepareTags(h *Head, set map[int64]int64, remove []int64) (*Attempt, error) {
	var updates []icetable.Update
	for _, cut := range slices.Sorted(maps.Keys(set)) {
		if !h.Retains(set[cut]) {
			return nil, fmt.Errorf("%s: %w: snapshot %d has expired", h.Name, ErrGone, set[cut])
		}
		updates = append(updates, icetable.NewSetSnapshotRefUpdate(cutTagName(cut), set[cut], icetable.TagRef, forever, 0, 0))
	}
	return &Attempt{
		Head: h, requirements: requirements(h), updates: append(updates, removeTags(remove)...),
		tags: &tagging{set, remove},
	}, nil
}

func removeTags(cuts []int64) []icetable.Update {
	var out []icetable.Update
	for _, cut := range cuts {
		out = append(out, icetable.NewRemoveSnapshotRefUpdate(cutTagName(cut)))
	}
	return out
}
