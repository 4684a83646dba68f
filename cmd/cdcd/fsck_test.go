package main

import (
	"bytes"
	"errors"
	"testing"

	"cdcd/fsck"
	"cdcd/table"
	"github.com/google/go-cmp/cmp"
)

func TestFsckPrints(t *testing.T) {
	keys := int64(1234)
	clean := fsck.Result{Table: "shop.orders", Snapshots: 3, DataFiles: 1, Vectors: 2, Bytes: 2048, Keys: &keys}
	broken := fsck.Result{
		Table: "shop.items", Snapshots: 1, Debris: fsck.Debris{Files: 3, Bytes: 1024, Fresh: 1, Foreign: 2},
		Findings: []fsck.Finding{{Rule: "missing", Table: "shop.items", Snapshot: 7, Object: "file:///x", What: "the file is not there"}},
	}
	unknown := fsck.Result{Table: "shop.gone", Error: "connection refused"}
	for name, c := range map[string]struct {
		report *fsck.Report
		code   int
		want   string
	}{
		"clean": {&fsck.Report{Tables: []fsck.Result{clean}, Cuts: 2}, exitOK, "" +
			"clean    shop.orders: 3 snapshots, 1 data file, 2 deletion vectors, 2.0 KiB, 1,234 keys\n" +
			"1 table, 2 cuts, 0 files of debris: 0 rules broken\n"},
		"broken": {&fsck.Report{Tables: []fsck.Result{broken, unknown}}, exitFailure, "" +
			"broken   shop.items: 1 snapshot, 0 data files, 0 deletion vectors, 0 B\n" +
			"         debris: 3 files of 1.0 KiB that nothing names; 1 are under the fence in force, and a daemon may need them\n" +
			"         and 2 files that cdcd did not write\n" +
			"         shop.items: missing: the file is not there, snapshot 7: file:///x\n" +
			"unknown  shop.gone: 0 snapshots, 0 data files, 0 deletion vectors, 0 B\n" +
			"         not checked: connection refused\n" +
			"2 tables, 0 cuts, 3 files of debris: 1 rule broken\n"},
		"unknown": {&fsck.Report{Tables: []fsck.Result{unknown}}, exitLater, "" +
			"unknown  shop.gone: 0 snapshots, 0 data files, 0 deletion vectors, 0 B\n" +
			"         not checked: connection refused\n" +
			"1 table, 0 cuts, 0 files of debris: 0 rules broken\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := printFsck(&out, c.report); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Error(diff)
			}
			if code := exitCode(fscked(c.report)); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
		})
	}
	if code := exitCode(fscked(&fsck.Report{Tables: []fsck.Result{clean}, Broken: make([]fsck.Finding, 1)})); code != exitFailure {
		t.Errorf("exit code %d where a cut is broken", code)
	}
}

// TestInconclusive: what keeps a command from looking is not what it looks for.
func TestInconclusive(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{errors.New("database is locked"), exitLater},
		{coded{exitUsage, errors.New("there is no table")}, exitUsage},
		{table.ErrCorrupt, exitHuman},
	} {
		if got := inconclusive("check", c.err); exitCode(got) != c.code || !errors.Is(got, c.err) {
			t.Errorf("%v: %v, exit %d, want %d", c.err, got, exitCode(got), c.code)
		}
	}
}
