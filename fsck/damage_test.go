package fsck

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// damage is one way to damage the lake, and the rules that are broken by it.
type damage struct {
	do   func(l *lab)
	want []string
}

func write(l *lab, file string, content []byte) { l.must(os.WriteFile(file, content, 0o600)) }

func read(l *lab, file string) []byte {
	b, err := os.ReadFile(file)
	l.must(err)
	return b
}

// newest is the data file that the newest manifest adds.
func newest(l *lab) string {
	found := ""
	l.editManifest(contentData, func(records []map[string]any) []map[string]any {
		for _, r := range records {
			if fmt.Sprint(r["status"]) == "1" {
				found = path(dataFile(r)["file_path"].(string))
			}
		}
		return records
	})
	return found
}

// damageToFiles is damage to files, and to what says which there are.
func damageToFiles() map[string]damage {
	return map[string]damage{
		"no data file": {func(l *lab) { l.must(os.Remove(newest(l))) }, []string{ruleMissing, ruleUnreadable}},
		"no vector":    {func(l *lab) { l.must(os.Remove(l.files(".puffin")[0])) }, []string{ruleMissing}},
		"no manifest":  {func(l *lab) { l.must(os.Remove(l.files("-m1.avro")[0])) }, []string{ruleMissing}},
		"no list": {func(l *lab) {
			_, m := l.meta()
			l.must(os.Remove(path(m.main[1].List)))
		}, []string{ruleMissing}},
		"no list is named":  {func(l *lab) { l.editSnapshot(1, func(s map[string]any) { delete(s, "manifest-list") }) }, []string{ruleMissing}},
		"longer data file":  {func(l *lab) { f := newest(l); write(l, f, append([]byte("PAR1    "), read(l, f)...)) }, []string{ruleLength, ruleUnreadable}},
		"list no longer is": {func(l *lab) { _, m := l.meta(); write(l, path(m.main[1].List), []byte("?")) }, []string{ruleUnreadable}},
		"manifest no longer is": {func(l *lab) {
			f := l.files("-m1.avro")[0]
			write(l, f, make([]byte, len(read(l, f))))
		}, []string{ruleUnreadable}},
		"manifest of another length": {func(l *lab) {
			l.editList(0, func(rs []map[string]any) []map[string]any {
				rs[0]["manifest_length"] = int64(1)
				return rs
			})
		}, []string{ruleLength}},
		"manifest twice": {func(l *lab) {
			l.editList(0, func(rs []map[string]any) []map[string]any { return append(rs, rs[len(rs)-1]) })
		}, []string{ruleTwice}},
		"data file twice": {func(l *lab) {
			l.editManifest(contentData, func(rs []map[string]any) []map[string]any { return append(rs, rs[0]) })
		}, []string{ruleCounts, ruleTwice}},
		"two vectors of a file": {func(l *lab) {
			l.editManifest(contentDeletes, func(rs []map[string]any) []map[string]any {
				for _, r := range rs {
					if fmt.Sprint(r["status"]) == "1" {
						return append(rs, r)
					}
				}
				return rs
			})
		}, []string{ruleCounts, ruleVector}},
		"vector older than its file": {func(l *lab) {
			l.editList(0, func(rs []map[string]any) []map[string]any { // the data it is of gets newer
				for _, r := range rs {
					if fmt.Sprint(r["content"]) == "1" {
						r["sequence_number"], r["min_sequence_number"] = int64(1), int64(1)
					}
				}
				return rs
			})
		}, []string{ruleVector}},
	}
}

// damageToCounts is damage to row ids and counters.
func damageToCounts() map[string]damage {
	return map[string]damage{
		"row ids of two files overlap": {func(l *lab) {
			l.editList(0, func(rs []map[string]any) []map[string]any {
				for _, r := range rs {
					if fmt.Sprint(r["content"]) == "0" {
						r["first_row_id"] = int64(3)
					}
				}
				return rs
			})
		}, []string{ruleLineage}},
		"row ids beyond the table's": {func(l *lab) { l.editMeta(func(m map[string]any) { m["next-row-id"] = 5 }) }, []string{ruleLineage}},
		"no row ids":                 {func(l *lab) { l.editSnapshot(0, func(s map[string]any) { delete(s, "first-row-id") }) }, []string{ruleLineage}},
		"row ids of a child":         {func(l *lab) { l.editSnapshot(0, func(s map[string]any) { s["first-row-id"] = 0 }) }, []string{ruleLineage}},
		"wrong added rows":           {func(l *lab) { l.editSnapshot(1, func(s map[string]any) { s["added-rows"] = 0 }) }, []string{ruleLineage}},
		"summary":                    {func(l *lab) { l.editSummary(0, "total-records", "99") }, []string{ruleCounts}},
		"summary of deletes":         {func(l *lab) { l.editSummary(1, "total-position-deletes", "") }, []string{ruleCounts}},
		"list's counters": {func(l *lab) {
			l.editList(0, func(rs []map[string]any) []map[string]any {
				rs[len(rs)-1]["deleted_files_count"] = 7
				return rs
			})
		}, []string{ruleCounts}},
	}
}

// damageToHistory is damage to refs, positions and cuts.
func damageToHistory() map[string]damage {
	return map[string]damage{
		"format version":            {func(l *lab) { l.editMeta(func(m map[string]any) { m["format-version"] = 2 }) }, []string{ruleHistory}},
		"sequence number":           {func(l *lab) { l.editMeta(func(m map[string]any) { m["last-sequence-number"] = 5 }) }, []string{ruleHistory}},
		"sequence number goes back": {func(l *lab) { l.editSnapshot(0, func(s map[string]any) { s["sequence-number"] = 0 }) }, []string{ruleHistory}},
		"ref on nothing":            {func(l *lab) { l.editRef("stray", 77) }, []string{ruleHistory}},
		"main is not current":       {func(l *lab) { l.editRef(branchMain, l.snapshot(1)) }, []string{ruleHistory}},
		"position goes back":        {func(l *lab) { l.editSummary(2, keyPosition, position(l.t, 99).String()) }, []string{ruleCut, rulePosition}},
		"position of another server": {func(l *lab) {
			l.editSummary(3, keyFlavor, "mariadb")
			l.editSummary(3, keyPosition, "0-1-5")
			l.cuts = nil
		}, []string{rulePosition}},
		"position cannot be read": {func(l *lab) { l.editSummary(2, keyPosition, "?") }, []string{ruleMark}},
		"timeline goes back":      {func(l *lab) { l.editSummary(2, keyTimeline, "2") }, []string{ruleTimeline}},
		"fence goes back":         {func(l *lab) { l.editSummary(2, keyFence, "2") }, []string{ruleFence}},
		"no fence":                {func(l *lab) { l.editMeta(func(m map[string]any) { delete(m["refs"].(map[string]any), branchFence) }) }, []string{ruleFence}},
		"two commits on a base": {func(l *lab) {
			at := l.snapshot(3)
			l.editSnapshot(1, func(s map[string]any) { s["parent-snapshot-id"] = at })
		}, []string{ruleBase}},
		"no tag":           {func(l *lab) { l.editMeta(func(m map[string]any) { delete(m["refs"].(map[string]any), tagPosition) }) }, []string{ruleMark}},
		"tag behind":       {func(l *lab) { l.editRef(tagPosition, l.snapshot(1)) }, []string{ruleMark}},
		"property behind":  {func(l *lab) { l.editProperty(keySnapshot, fmt.Sprint(l.snapshot(1))) }, []string{ruleMark}},
		"property differs": {func(l *lab) { l.editProperty("cdcd.epoch", "99") }, []string{ruleMark}},
		"set back": {func(l *lab) {
			at := l.snapshot(2)
			l.editRef(branchMain, at)
			l.editMeta(func(m map[string]any) { m["current-snapshot-id"] = at })
		}, []string{ruleMark}},
		"foreign rows": {func(l *lab) {
			l.editSnapshot(1, func(s map[string]any) {
				for key := range s["summary"].(map[string]any) {
					if strings.HasPrefix(key, keyPrefix) {
						delete(s["summary"].(map[string]any), key)
					}
				}
			})
		}, []string{ruleForeign}},
		"key twice": {func(l *lab) { // the vectors are gone, and all that was replaced is live again
			l.editList(0, func(rs []map[string]any) []map[string]any {
				return slices.DeleteFunc(rs, func(r map[string]any) bool { return fmt.Sprint(r["content"]) == "1" })
			})
			l.editSummary(0, "total-delete-files", "0")
			l.editSummary(0, "total-position-deletes", "0")
		}, []string{ruleKey, ruleVector}},
		"cut of a snapshot that is gone": {func(l *lab) { l.cuts[2].Members[0].Snapshot = 5 }, []string{ruleCut}},
		"cut behind its snapshot":        {func(l *lab) { l.cuts[3].Members[0].Position = position(l.t, 1).String() }, []string{ruleCut}},
		"cut before its snapshot":        {func(l *lab) { l.cuts[3].Members[0].Position = position(l.t, 90).String() }, []string{ruleCut}},
		"cut of two positions": {func(l *lab) {
			l.cuts[3].Members = append(l.cuts[3].Members, CutMember{"shop.other", 1, "?"})
		}, []string{ruleCut}},
	}
}
