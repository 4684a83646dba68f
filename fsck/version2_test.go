package fsck

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"cdcd/capture"
	"cdcd/table"
	"cdcd/table/datafile"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table/dv"
)

// upgrade moves the table to version 3, and goes on.
func (l *lab) upgrade() {
	l.t.Helper()
	l.must(l.table.Close())
	l.cfg.FormatVersion = 3
	h, err := table.LoadHead(l.t.Context(), l.cfg, l.name)
	l.must(err)
	l.table, err = table.Open(l.t.Context(), l.cfg, h)
	l.must(err)
	l.commit()
	l.commit(change{21, capture.OpUpdate})
}

func (l *lab) wantClean(what string) {
	l.t.Helper()
	r := l.check()
	if r.Error != "" || len(r.Tables[0].Findings) > 0 || r.Tables[0].Error != "" || len(r.Broken) > 0 || r.Tables[0].Vectors == 0 || *r.Tables[0].Keys == 0 {
		l.t.Errorf("%s: %+v", what, r)
	}
}

// TestVersion2 finds nothing in tables of version 2, moved to version 3 or not.
func TestVersion2(t *testing.T) {
	l := newLabOf(t, 2)
	l.wantClean("version 2")
	l.upgrade()
	l.wantClean("moved to version 3")
	l.commit(change{7, capture.OpUpdate})
	l.wantClean("a vector instead of positions")
}

// TestVersion2Damage damages tables of version 2, and such as were moved to version 3.
func TestVersion2Damage(t *testing.T) {
	positions := func(change func(of string, all []uint64) (string, []uint64)) func(l *lab) {
		return func(l *lab) {
			var file, of string
			l.editManifest(contentDeletes, func(rs []map[string]any) []map[string]any {
				for _, r := range rs {
					if fmt.Sprint(r["status"]) != "2" {
						file, of = fmt.Sprint(dataFile(r)["file_path"]), fmt.Sprint(dataFile(r)["referenced_data_file"])
					}
				}
				return rs
			})
			of, all := change(of, []uint64{3, 4, 5})
			bits := dv.NewRoaringPositionBitmap()
			for _, p := range all {
				bits.Set(p)
			}
			made, _, err := datafile.EncodeDeletes(file, of, bits.Positions(), *iceberg.UnpartitionedSpec, nil)
			l.must(err)
			l.must(os.WriteFile(path(file), made, 0o600))
		}
	}
	for name, x := range map[string]struct {
		upgraded bool
		do       func(l *lab)
		want     string
	}{
		"another data file": {false, positions(func(_ string, all []uint64) (string, []uint64) { return "file:///x", all }), "it names another data file than its entry"},
		"a position more":   {false, positions(func(of string, all []uint64) (string, []uint64) { return of, append(all, 6, 7, 8, 9) }), "positions, and its entry says"},
		"beyond the rows":   {false, positions(func(of string, all []uint64) (string, []uint64) { all[2] = 1000; return of, append(all, 2) }), "beyond"},
		"row ids":           {false, func(l *lab) { l.editSnapshot(0, func(s map[string]any) { s["first-row-id"], s["added-rows"] = 0, 0 }) }, "the format version is 2, and snapshots have row ids"},
		"no row ids anymore": {true, func(l *lab) {
			l.editSnapshot(0, func(s map[string]any) { delete(s, "first-row-id"); delete(s, "added-rows") })
		}, "it has no row ids"},
		"positions in version 3": {true, func(l *lab) {
			_, m := l.meta()
			at := m.main[0].Sequence
			l.editManifest(contentDeletes, func(rs []map[string]any) []map[string]any {
				for _, r := range rs {
					if strings.EqualFold(fmt.Sprint(dataFile(r)["file_format"]), "parquet") && fmt.Sprint(r["status"]) != "2" {
						r["sequence_number"] = at
					}
				}
				return rs
			})
		}, "a file of positions that was added in version 3"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLabOf(t, 2)
			if x.upgraded {
				l.upgrade()
			}
			x.do(l)
			r := l.check()
			if !slices.ContainsFunc(r.Tables[0].Findings, func(f Finding) bool { return strings.Contains(f.What, x.want) }) {
				t.Errorf("%+v", r)
			}
		})
	}
}
