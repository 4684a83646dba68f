package fsck

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/apache/iceberg-go"
)

// snapshotCheck is the check of one snapshot.
type snapshotCheck struct {
	m     *metadata
	s     *snapshot
	live  live
	added int64 // rows that took new row ids
	out   []Finding
}

// checkSnapshot checks what a snapshot shows. Manifests that could not be read are found
// elsewhere; without them nothing is said of totals.
func checkSnapshot(m *metadata, s *snapshot, list []iceberg.ManifestFile, manifests map[string]*manifest) []Finding {
	c := &snapshotCheck{m: m, s: s, live: live{data: map[string]*entry{}, vectors: map[string]*entry{}}}
	seen, whole := map[string]bool{}, true
	for _, content := range []iceberg.ManifestContent{iceberg.ManifestContentData, iceberg.ManifestContentDeletes} {
		for _, f := range list {
			mf := manifests[f.FilePath()]
			switch {
			case f.ManifestContent() != content:
			case seen[f.FilePath()]:
				c.find(ruleTwice, f.FilePath(), "the list names this manifest twice")
			case mf == nil:
				whole = false
			default:
				c.manifest(f, mf)
			}
			if f.ManifestContent() == content {
				seen[f.FilePath()] = true
			}
		}
	}
	if whole {
		c.vectors()
		if s.FirstRow != nil {
			c.lineage()
		}
		c.totals()
	}
	return c.out
}

func (c *snapshotCheck) find(rule, object, what string) {
	c.out = append(c.out, Finding{Rule: rule, Snapshot: c.s.ID, Object: object, What: what})
}

// manifest takes a manifest's live entries in, and compares it with what the list says.
func (c *snapshotCheck) manifest(f iceberg.ManifestFile, mf *manifest) {
	if f.Length() != mf.length {
		c.find(ruleLength, f.FilePath(), fmt.Sprintf("the manifest has %d bytes, and the list says %d", mf.length, f.Length()))
	}
	if f.SequenceNum() > c.s.Sequence {
		c.find(ruleHistory, f.FilePath(), "the manifest is newer than the snapshot")
	}
	var files [3]int32
	var rows [3]int64
	for i := range mf.entries {
		e := &mf.entries[i]
		files[e.status]++
		rows[e.status] += e.rows
		switch {
		case e.status == iceberg.EntryStatusDELETED:
		case f.ManifestContent() == iceberg.ManifestContentData:
			c.dataFile(e)
		default:
			c.vector(e)
		}
	}
	said := [3]int32{iceberg.EntryStatusEXISTING: f.ExistingDataFiles(), iceberg.EntryStatusADDED: f.AddedDataFiles(), iceberg.EntryStatusDELETED: f.DeletedDataFiles()}
	saidRows := [3]int64{iceberg.EntryStatusEXISTING: f.ExistingRows(), iceberg.EntryStatusADDED: f.AddedRows(), iceberg.EntryStatusDELETED: f.DeletedRows()}
	if files != said || rows != saidRows {
		c.find(ruleCounts, f.FilePath(), fmt.Sprintf("the manifest has %v entries of %v rows (existing, added, deleted), and the list says %v of %v", files, rows, said, saidRows))
	}
	// A list also gives ids to manifests of the time before there were any.
	if first := f.FirstRowID(); f.ManifestContent() == iceberg.ManifestContentData && first != nil && c.s.FirstRow != nil && *first >= *c.s.FirstRow {
		c.added += f.ExistingRows() + f.AddedRows()
	}
}

func (c *snapshotCheck) dataFile(e *entry) {
	if c.live.data[e.path] != nil {
		c.find(ruleTwice, e.path, "the data file is listed twice")
		return
	}
	c.live.data[e.path] = e
	if e.firstRow < 0 && c.s.FirstRow != nil {
		c.find(ruleLineage, e.path, "the data file has no row ids")
	}
}

// vector takes a delete file in. It has to be the only one of its data file: a deletion vector,
// or in version 2 a file of positions. What others wrote before a commit of ours followed may be
// of any data files.
func (c *snapshotCheck) vector(e *entry) {
	if c.s.loose(e) {
		c.live.strays = append(c.live.strays, e)
		return
	}
	target := referenced(e.data)
	switch vector := isVector(e.data); {
	case !isPositions(e.data) && !vector || target == "":
		c.find(ruleVector, e.path, "the delete file is neither a deletion vector nor the positions of a data file")
		return
	case vector && c.s.Sequence < c.m.lineage:
		c.find(ruleVector, e.path, "a deletion vector in a snapshot of version 2")
		return
	case !vector && e.sequence >= c.m.lineage:
		c.find(ruleVector, e.path, "a file of positions that was added in version 3")
		return
	}
	if c.live.vectors[target] != nil {
		c.find(ruleVector, target, "the data file has two delete files")
		return
	}
	c.live.vectors[target] = e
}

// vectors compares each vector with the data file that it names.
func (c *snapshotCheck) vectors() {
	for target, e := range c.live.vectors {
		file := c.live.data[target]
		switch {
		case file == nil:
			c.find(ruleVector, e.path, "the delete file names a data file that is not live")
		case file.spec != e.spec || !reflect.DeepEqual(partition(file), partition(e)):
			c.find(ruleVector, e.path, "the delete file is of another partition than its data file")
		case file.sequence > e.sequence:
			c.find(ruleVector, e.path, "the delete file is older than its data file, and so does not apply")
		case e.rows > file.rows:
			c.find(ruleVector, e.path, fmt.Sprintf("%d positions are deleted of %d rows", e.rows, file.rows))
		}
	}
}

// partition gives the partition's values, nil where there is no partition.
func partition(e *entry) map[int]any {
	if e.data == nil || len(e.data.Partition()) == 0 {
		return nil
	}
	return e.data.Partition()
}

// lineage checks that no two rows share an id.
func (c *snapshotCheck) lineage() {
	files := slices.SortedFunc(maps.Values(c.live.data), func(a, b *entry) int { return cmp.Compare(a.firstRow, b.firstRow) })
	end := int64(0)
	for _, e := range files {
		if e.firstRow < 0 {
			continue
		}
		if e.firstRow < end {
			c.find(ruleLineage, e.path, fmt.Sprintf("its row ids begin at %d, and those of another file end at %d", e.firstRow, end))
		}
		end = max(end, e.firstRow+e.rows)
	}
	if end > c.m.NextRow {
		c.find(ruleLineage, "", fmt.Sprintf("row ids go to %d, and the table's next is %d", end, c.m.NextRow))
	}
	if c.s.AddedRows != nil && c.added != *c.s.AddedRows {
		c.find(ruleLineage, "", fmt.Sprintf("its new manifests take %d row ids, and it says %d", c.added, *c.s.AddedRows))
	}
}

// totals compares the summary's counters with what is live. Other writers may leave them out.
func (c *snapshotCheck) totals() {
	var rows, gone int64
	for _, e := range c.live.data {
		rows += e.rows
	}
	for _, e := range c.live.vectors {
		gone += e.rows
	}
	for _, e := range c.live.strays {
		gone += e.rows
	}
	counters := map[string]int64{
		"total-data-files": int64(len(c.live.data)), "total-records": rows, "total-delete-files": int64(len(c.live.vectors) + len(c.live.strays)),
		"total-position-deletes": gone, "total-equality-deletes": 0,
	}
	for _, key := range slices.Sorted(maps.Keys(counters)) {
		said, there := c.s.Summary[key]
		if !there && c.s.mark == nil {
			continue
		}
		if said != strconv.FormatInt(counters[key], 10) {
			c.find(ruleCounts, "", fmt.Sprintf("the summary's %s is %q, and the manifests show %d", key, said, counters[key]))
		}
	}
}

// checkShrunk finds data files of which fewer rows are deleted in a snapshot of main than in
// the one before: rows that were deleted have come back.
func checkShrunk(m *metadata, r *reader) []Finding {
	var out []Finding
	before := map[string]int64{}
	for _, s := range slices.Backward(m.main) {
		shown, whole := r.shows(s)
		if !whole {
			return out // what is not there is found elsewhere
		}
		if len(shown.strays) > 0 {
			continue // how many they delete of which file shows in the next commit
		}
		now := map[string]int64{}
		for path, v := range shown.vectors {
			now[path] = v.rows
		}
		for path, n := range before {
			if shown.data[path] != nil && now[path] < n {
				out = append(out, Finding{Rule: ruleVector, Snapshot: s.ID, Object: path, What: fmt.Sprintf("%d rows of the data file are deleted, and %d were before", now[path], n)})
			}
		}
		before = now
	}
	return out
}
