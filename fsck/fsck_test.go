package fsck

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
	for _, all := range []map[string]damage{damageToFiles(), damageToCounts(), damageToHistory()} {
		for name, x := range all {
			t.Run(name, func(t *testing.T) {
				l := newLab(t)
				x.do(l)
				r := l.check()
				if got := rules(r); !slices.Equal(got, x.want) || r.Tables[0].Error != "" {
					t.Errorf("broken are %v, want %v: %+v", got, x.want, r)
				}
			})
		}
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

// TestExpiredBeforeAnError: nor where the check of its table does not come to its end.
func TestExpiredBeforeAnError(t *testing.T) {
	l := newLab(t)
	_, m := l.meta()
	old := m.main[len(m.main)-1]
	l.cuts = nil
	cfg := l.config()
	cfg.Progress = func(string) { _ = os.Remove(path(old.List)) }
	cfg.Lake = &expiring{Lake: cfg.Lake, l: l, snapshot: old.ID}
	cfg.Scratch = filepath.Join(l.dir, "none", "such") // the keys cannot be sorted
	r, err := Tables(context.Background(), cfg)
	if err != nil || len(rules(r)) != 0 || r.Tables[0].Error == "" {
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
