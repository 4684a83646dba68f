package fsck

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// checkHistory checks what the metadata file says by itself.
func checkHistory(m *metadata) []Finding {
	var out []Finding
	switch {
	case m.Version != 2 && m.Version != 3:
		out = append(out, Finding{Rule: ruleHistory, What: fmt.Sprintf("the format version is %d", m.Version)})
	case m.Version == 2 && m.lineage < math.MaxInt64:
		out = append(out, Finding{Rule: ruleHistory, What: "the format version is 2, and snapshots have row ids"})
	}
	out = append(out, checkSnapshots(m)...)
	out = append(out, checkRefs(m)...)
	out = append(out, checkMarks(m)...)
	out = append(out, checkBases(m)...)
	return append(out, checkRepeats(m)...)
}

// checkSnapshots checks ids, sequence numbers and row ids, parent by parent.
func checkSnapshots(m *metadata) []Finding {
	var out []Finding
	find := func(s *snapshot, rule, what string) {
		out = append(out, Finding{Rule: rule, Snapshot: s.ID, What: what})
	}
	sequences := map[int64]bool{}
	for i := range m.Snapshots {
		s := &m.Snapshots[i]
		switch {
		case m.byID[s.ID] != s:
			find(s, ruleHistory, "two snapshots share this id")
		case sequences[s.Sequence]:
			find(s, ruleHistory, fmt.Sprintf("two snapshots share the sequence number %d", s.Sequence))
		case s.Sequence > m.LastSequence:
			find(s, ruleHistory, fmt.Sprintf("the sequence number %d is beyond the table's last, %d", s.Sequence, m.LastSequence))
		case (s.FirstRow == nil) != (s.AddedRows == nil), s.FirstRow == nil && s.Sequence > m.lineage:
			find(s, ruleLineage, "it has no row ids")
		}
		sequences[s.Sequence] = true
		parent := m.byID[s.Parent]
		if parent == nil {
			continue
		}
		if s.Sequence <= parent.Sequence {
			find(s, ruleHistory, fmt.Sprintf("the sequence number %d is not above its parent's, %d", s.Sequence, parent.Sequence))
		}
		if s.FirstRow != nil && parent.FirstRow != nil && parent.AddedRows != nil && *s.FirstRow < *parent.FirstRow+*parent.AddedRows {
			find(s, ruleLineage, "its row ids begin before its parent's end")
		}
	}
	return out
}

// checkRefs checks that refs are on retained snapshots, and that main is current.
func checkRefs(m *metadata) []Finding {
	var out []Finding
	for name, r := range m.Refs {
		if m.byID[r.Snapshot] == nil {
			out = append(out, Finding{Rule: ruleHistory, What: fmt.Sprintf("the %s %s is on snapshot %d, which is not there", r.Type, name, r.Snapshot)})
		}
	}
	if at := m.Refs[branchMain].Snapshot; at != m.Current && len(m.main) > 0 {
		out = append(out, Finding{Rule: ruleHistory, What: fmt.Sprintf("main is on snapshot %d, and current is %d", at, m.Current)})
	}
	return out
}

// checkMarks walks main's history from the newest snapshot on: what a Mark says never goes
// back, and between Marks nobody changed rows.
func checkMarks(m *metadata) []Finding {
	var out []Finding
	fence := m.fence()
	var newer *snapshot // the one with a Mark that was seen last
	for _, s := range m.main {
		find := func(rule, what string) { out = append(out, Finding{Rule: rule, Snapshot: s.ID, What: what}) }
		switch {
		case s.broken != nil:
			find(ruleMark, "its Mark cannot be read: "+s.broken.Error())
			continue
		case s.mark == nil:
			if op := s.Summary["operation"]; op != "replace" && s.Sequence > m.accepted() {
				find(ruleForeign, fmt.Sprintf("another writer's %s", op))
			}
			continue
		case s.mark.fence > fence:
			find(ruleFence, fmt.Sprintf("it was written under fence %d, and the branch %s is at %d", s.mark.fence, branchFence, fence))
		}
		if newer != nil {
			out = append(out, checkStep(s, newer)...)
		}
		newer = s
	}
	return out
}

// checkStep compares a Mark with the next one on main.
func checkStep(s, next *snapshot) []Finding {
	var out []Finding
	find := func(rule, what string) { out = append(out, Finding{Rule: rule, Snapshot: next.ID, What: what}) }
	if next.mark.fence < s.mark.fence {
		find(ruleFence, fmt.Sprintf("the fence goes back from %d to %d", s.mark.fence, next.mark.fence))
	}
	switch {
	case next.mark.position.Flavor() != s.mark.position.Flavor():
		find(rulePosition, "the position is of another kind of server than the one before it")
	case next.mark.timeline < s.mark.timeline:
		find(ruleTimeline, fmt.Sprintf("the timeline goes back from %d to %d", s.mark.timeline, next.mark.timeline))
	case next.mark.timeline == s.mark.timeline && !next.mark.position.Covers(s.mark.position):
		find(rulePosition, fmt.Sprintf("the position %s does not cover the one before it, %s", next.mark.position, s.mark.position))
	}
	return out
}

// checkBases finds two commits of ours on one parent. A rewind begins a timeline, and may
// begin it anywhere; and what was there when an operator accepted a table that was set back
// is no commit beside those that came after.
func checkBases(m *metadata) []Finding {
	type base struct{ parent, timeline int64 }
	landed := map[base]int64{}
	accepted := m.accepted()
	var out []Finding
	for i := range m.Snapshots {
		s := &m.Snapshots[i]
		if s.mark == nil || s.Sequence <= accepted {
			continue
		}
		b := base{s.Parent, s.mark.timeline}
		if other, twice := landed[b]; twice && b.parent != 0 {
			out = append(out, Finding{Rule: ruleBase, Snapshot: s.ID, What: fmt.Sprintf("snapshot %d was committed on the same parent %d", other, s.Parent)})
		}
		landed[b] = s.ID
	}
	return out
}

// checkRepeats compares the tag and the properties with main's newest Mark.
func checkRepeats(m *metadata) []Finding {
	var out []Finding
	find := func(what string) { out = append(out, Finding{Rule: ruleMark, What: what}) }
	if len(m.main) == 0 {
		return nil // created and not begun
	}
	if m.fence() == 0 {
		out = append(out, Finding{Rule: ruleFence, What: "there is no fence"})
	}
	var newest *snapshot
	for _, s := range m.main {
		if s.mark != nil {
			newest = s
			break
		}
	}
	if newest == nil {
		find("no snapshot of main has a Mark")
		return out
	}
	tag, there := m.Refs[tagPosition]
	if !there {
		find(fmt.Sprintf("there is no tag %s", tagPosition))
	} else if tag.Snapshot != newest.ID {
		find(fmt.Sprintf("the tag %s is on snapshot %d, and main's newest Mark on %d", tagPosition, tag.Snapshot, newest.ID))
	}
	if named := m.Properties[keySnapshot]; named != strconv.FormatInt(newest.ID, 10) {
		find(fmt.Sprintf("the property %s is %q, and main's newest Mark is on %d", keySnapshot, named, newest.ID))
		return out
	}
	for key, v := range newest.Summary {
		if strings.HasPrefix(key, keyPrefix) && m.Properties[key] != v {
			find(fmt.Sprintf("the property %s is not what the Mark says", key))
		}
	}
	return out
}
