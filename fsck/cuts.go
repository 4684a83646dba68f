package fsck

import (
	"fmt"
	"strings"

	"cdcd/capture"
	"cdcd/table"
)

// checkCuts checks that every part of a cut names a snapshot that is there and shows the
// cut's position. Only tables that were checked are looked at.
func checkCuts(cuts []Cut, metas map[string]*metadata, names []table.Name) []Finding {
	asked := map[string]bool{}
	for _, n := range names {
		asked[n.String()] = true
	}
	var out []Finding
	for _, c := range cuts {
		for _, m := range c.Members {
			find := func(what string) {
				out = append(out, Finding{Rule: ruleCut, Table: m.Table, Cut: c.Number, Snapshot: m.Snapshot, What: fmt.Sprintf("cut %d: %s", c.Number, what)})
			}
			meta := metas[m.Table]
			switch {
			case m.Position != c.Members[0].Position:
				find("its tables have different positions")
			case !asked[m.Table] || meta == nil:
			case meta.byID[m.Snapshot] == nil:
				find("its snapshot is not there")
			default:
				checkMember(meta, m, find)
			}
		}
	}
	return out
}

// checkMember compares a cut's position with its snapshot's. The snapshot may be older: the
// source has not changed the table since. What is behind it in the position must be there.
func checkMember(meta *metadata, m CutMember, find func(string)) {
	s := meta.byID[m.Snapshot]
	if s.mark == nil {
		return // a rewrite by somebody else
	}
	at, err := capture.ParsePosition(s.mark.position.Flavor(), m.Position)
	if err != nil {
		find("its position cannot be read: " + err.Error())
		return
	}
	if !at.Covers(s.mark.position) {
		find(fmt.Sprintf("its snapshot shows %s, which is beyond %s", s.mark.position, at))
		return
	}
	for i := range meta.Snapshots {
		next := &meta.Snapshots[i]
		if next.Parent == s.ID && next.mark != nil && next.mark.timeline == s.mark.timeline && changes(next) &&
			at.Covers(next.mark.position) && !next.mark.position.Equal(s.mark.position) {
			find(fmt.Sprintf("its snapshot lacks what snapshot %d added before the cut", next.ID))
		}
	}
}

// changes reports whether a snapshot changed rows, by its counters.
func changes(s *snapshot) bool {
	for key := range s.Summary {
		if strings.HasPrefix(key, "added-") && (strings.HasSuffix(key, "-records") || strings.HasSuffix(key, "-deletes")) {
			return true
		}
	}
	return false
}
