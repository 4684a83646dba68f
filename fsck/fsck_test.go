package fsck

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"cdcd/table"
	"cdcd/table/fileio"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table/dv"
)

// rules gives the rules that are broken, each once.
func rules(r *Report) []string {
	var out []string
	for _, t := range r.Tables {
		for _, f := range t.Findings {
			out = append(out, f.Rule)
		}
	}
	for _, f := range r.Broken {
		out = append(out, f.Rule)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestOrder: nothing is found in a lake in order.
func TestOrder(t *testing.T) {
	l := newLab(t)
	r := l.check()
	got := r.Tables[0]
	if len(rules(r)) != 0 || got.Error != "" || r.Cuts != 6 {
		t.Fatalf("%+v", r)
	}
	if got.Snapshots != 7 || got.DataFiles != 5 || got.Vectors != 2 || got.Keys == nil || *got.Keys != 19 || got.Debris.Files != 0 || got.Debris.Foreign != 0 {
		t.Errorf("%+v", got)
	}
}

const (
	contentData    = 0
	contentDeletes = 1
)

// TestDamage damages the lake in one way at a time and wants that found, and nothing else.
func TestDamage(t *testing.T) {
	write := func(l *lab, file string, content []byte) { l.must(os.WriteFile(file, content, 0o600)) }
	read := func(l *lab, file string) []byte {
		b, err := os.ReadFile(file)
		l.must(err)
		return b
	}
	newest := func(l *lab) string { // the data file that the newest manifest adds
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
	for name, x := range map[string]struct {
		damage func(l *lab)
		want   []string
	}{
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
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			x.damage(l)
			r := l.check()
			if got := rules(r); !slices.Equal(got, x.want) || r.Tables[0].Error != "" {
				t.Errorf("broken are %v, want %v: %+v", got, x.want, r)
			}
		})
	}
}

func dataFile(record map[string]any) map[string]any { return record["data_file"].(map[string]any) }

// snapshot gives the id of main's n-th newest snapshot.
func (l *lab) snapshot(n int) int64 { _, m := l.meta(); return m.main[n].ID }

func (l *lab) editSummary(n int, key, value string) {
	l.t.Helper()
	l.editSnapshot(n, func(s map[string]any) { s["summary"].(map[string]any)[key] = value })
}

func (l *lab) editRef(name string, at int64) {
	l.t.Helper()
	l.editMeta(func(m map[string]any) {
		m["refs"].(map[string]any)[name] = map[string]any{"snapshot-id": at, "type": "branch"}
	})
}

func (l *lab) editProperty(key, value string) {
	l.t.Helper()
	l.editMeta(func(m map[string]any) { m["properties"].(map[string]any)[key] = value })
}

// editVectors changes the entries of the live deletion vectors.
func (l *lab) editVectors(edit func(d map[string]any)) {
	l.t.Helper()
	l.editManifest(contentDeletes, func(rs []map[string]any) []map[string]any {
		for _, r := range rs {
			if fmt.Sprint(r["status"]) != "2" {
				edit(dataFile(r))
			}
		}
		return rs
	})
}

// TestDamagedVector damages a deletion vector and what is said of it. Without a vector keys
// cannot be checked, and are not here.
func TestDamagedVector(t *testing.T) {
	for name, x := range map[string]struct {
		damage func(l *lab)
		want   []string
	}{
		"a bit flips": {func(l *lab) {
			l.editVectors(func(d map[string]any) {
				b, err := os.ReadFile(path(d["file_path"].(string)))
				l.must(err)
				b[len(b)/4] ^= 1
				l.must(os.WriteFile(path(d["file_path"].(string)), b, 0o600))
			})
		}, []string{ruleVector}},
		"a byte is lost": {func(l *lab) {
			l.editVectors(func(d map[string]any) { l.must(os.Truncate(path(d["file_path"].(string)), 100)) })
		}, []string{ruleLength, ruleVector}},
		"another number of rows": {func(l *lab) { l.editVectors(func(d map[string]any) { d["record_count"] = int64(5) }) }, []string{ruleCounts, ruleVector}},
		"another offset":         {func(l *lab) { l.editVectors(func(d map[string]any) { d["content_offset"] = int64(5) }) }, []string{ruleVector}},
		"another file":           {func(l *lab) { l.editVectors(func(d map[string]any) { d["referenced_data_file"] = "file:///x" }) }, []string{ruleVector}},
		"no file":                {func(l *lab) { l.editVectors(func(d map[string]any) { d["referenced_data_file"] = nil }) }, []string{ruleCounts, ruleVector}},
		"another format":         {func(l *lab) { l.editVectors(func(d map[string]any) { d["file_format"] = "PARQUET" }) }, []string{ruleCounts, ruleVector}},
		"equality":               {func(l *lab) { l.editVectors(func(d map[string]any) { d["content"] = 2 }) }, []string{ruleCounts, ruleVector}},
		"positions beyond the file": {func(l *lab) {
			l.editVectors(func(d map[string]any) { l.replaceVector(d, 1000) })
		}, []string{ruleVector}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			x.damage(l)
			cfg := l.config()
			cfg.Keys = false
			r, err := Tables(context.Background(), cfg)
			l.must(err)
			if got := rules(r); !slices.Equal(got, x.want) || r.Tables[0].Error != "" {
				t.Errorf("broken are %v, want %v: %+v", got, x.want, r)
			}
		})
	}
}

// replaceVector writes a vector with as many positions, from one on, in place of an entry's.
func (l *lab) replaceVector(d map[string]any, from uint64) {
	l.t.Helper()
	bits := dv.NewRoaringPositionBitmap()
	for i := range uint64(d["record_count"].(int64)) {
		bits.Set(from + i)
	}
	name := d["file_path"].(string)
	l.must(os.Remove(path(name)))
	w := dv.NewDVWriter(fileio.Disk{}.IO(context.Background()), func(int32) *iceberg.PartitionSpec { return iceberg.UnpartitionedSpec })
	w.Load(d["referenced_data_file"].(string), bits, 0, nil)
	files, err := w.Flush(context.Background(), name)
	l.must(err)
	d["file_size_in_bytes"], d["content_offset"], d["content_size_in_bytes"] = files[0].FileSizeBytes(), *files[0].ContentOffset(), *files[0].ContentSizeInBytes()
}

// TestUnreadable: what cannot be looked at is no finding, and no table in order.
func TestUnreadable(t *testing.T) {
	l := newLab(t)
	l.editVectors(func(d map[string]any) { l.must(os.Truncate(path(d["file_path"].(string)), 100)) })
	if r := l.check(); !strings.Contains(r.Tables[0].Error, "the keys cannot be checked") {
		t.Errorf("%+v", r)
	}
	cfg := l.config()
	cfg.Tables = append(cfg.Tables, table.Name{Namespace: "shop", Table: "none"})
	r, err := Tables(context.Background(), cfg)
	if err != nil || r.Tables[1].Error == "" || len(r.Tables[1].Findings) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	cfg.Cuts = func(context.Context) ([]Cut, error) { return nil, os.ErrPermission }
	if r, err = Tables(context.Background(), cfg); err != nil || r.Error == "" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestDebris: files that nothing names are counted by whose they are, and break no rule.
func TestDebris(t *testing.T) {
	l := newLab(t)
	h, err := table.LoadHead(context.Background(), l.cfg, l.name)
	l.must(err)
	l.fence(h, 2)
	_, m := l.meta()
	for _, name := range []string{
		"data/e1-k9-00000000-0000-4000-8000-000000000001-1.parquet", "data/e2-k9-00000000-0000-4000-8000-000000000001-2.puffin",
		"metadata/snap-77-e1-k9-00000000-0000-4000-8000-000000000001.avro", "metadata/e1-k9-00000000-0000-4000-8000-000000000001-m3.avro",
		"data/00000-0-somebody.parquet", "data/e1-k9-notes.txt",
	} {
		l.must(os.WriteFile(path(m.Location)+"/"+name, []byte("1234"), 0o600))
	}
	r := l.check()
	if got := r.Tables[0].Debris; got.Files != 4 || got.Bytes != 16 || got.Fresh != 1 || got.Foreign != 2 || len(got.Names) != 4 || len(got.Others) != 2 {
		t.Errorf("%+v", got)
	}
	if len(rules(r)) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestExpiredMeanwhile: a daemon that expires a snapshot while it is checked damages nothing.
func TestExpiredMeanwhile(t *testing.T) {
	l := newLab(t)
	_, m := l.meta()
	old := m.main[len(m.main)-1]
	cfg := l.config()
	cfg.Progress = func(string) { _ = os.Remove(path(old.List)) } // which comes first
	cfg.Lake = &expiring{Lake: cfg.Lake, l: l, snapshot: old.ID}
	r, err := Tables(context.Background(), cfg)
	if err != nil || len(rules(r)) != 0 {
		t.Errorf("%v, %v: %+v", rules(r), err, r)
	}
	if rules(l.check())[0] != ruleCut { // the cut of the snapshot stays
		t.Errorf("%+v", l.check())
	}
	withdrawn := l.config()
	calls := 0
	withdrawn.Cuts = func(context.Context) ([]Cut, error) {
		if calls++; calls > 1 {
			return l.cuts[1:], nil
		}
		return l.cuts, nil
	}
	if r, err = Tables(context.Background(), withdrawn); err != nil || len(rules(r)) != 0 {
		t.Errorf("%v, %v: %+v", rules(r), err, r)
	}
}

// expiring is a lake from which a snapshot goes after the first look.
type expiring struct {
	Lake
	l        *lab
	snapshot int64
	looks    int
}

func (e *expiring) Metadata(ctx context.Context, n table.Name) (string, []byte, bool, error) {
	if e.looks++; e.looks == 2 {
		e.l.editMeta(func(m map[string]any) {
			m["snapshots"] = slices.DeleteFunc(m["snapshots"].([]any), func(s any) bool {
				return fmt.Sprint(s.(map[string]any)["snapshot-id"]) == fmt.Sprint(e.snapshot)
			})
		})
	}
	return e.Lake.Metadata(ctx, n)
}

// TestAccepted: what was committed before an operator accepted a table that was set back is
// no second commit on its base; what came after is.
func TestAccepted(t *testing.T) {
	for accepted, want := range map[int64][]string{6: nil, 0: {ruleBase}} {
		l := newLab(t)
		at := l.snapshot(3)
		l.editSnapshot(1, func(s map[string]any) { s["parent-snapshot-id"] = at })
		l.editProperty(keySetBack, fmt.Sprint(accepted))
		if got := rules(l.check()); !slices.Equal(got, want) {
			t.Errorf("accepted at %d: broken are %v, want %v", accepted, got, want)
		}
	}
	l := newLab(t)
	l.editSnapshot(1, func(s map[string]any) {
		s["summary"] = map[string]any{"operation": "append"}
	})
	l.editProperty(keySetBack, "6")
	if got := rules(l.check()); len(got) != 0 {
		t.Errorf("accepted rows of another writer: broken are %v", got)
	}
}
