package table_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdcd/table"
	"cdcd/table/fileio"
	"cdcd/table/tabletest"
)

// TestProbe lets the probe judge catalogs that break one promise each.
func TestProbe(t *testing.T) {
	for name, x := range map[string]struct {
		faults tabletest.Faults
		reason string // "": none
	}{
		"sound":                       {},
		"makes version 2":             {tabletest.Faults{Version2: true}, "it makes a table of format version 2 where version 3 is asked for"},
		"ignores asserts":             {tabletest.Faults{IgnoreAsserts: true}, "it makes a commit although it requires a branch to be absent that exists"},
		"ignores asserts of absence":  {tabletest.Faults{IgnoreAbsent: true}, "it makes a commit although it requires a branch to be absent that exists"},
		"ignores refs":                {tabletest.Faults{IgnoreRefs: true}, "it commits a snapshot without a parent on a branch and does not set the branch cdcd_fence"},
		"drops tags":                  {tabletest.Faults{DropTags: true}, "it commits the first snapshot of main, with a tag and does not set the tag"},
		"lets both win":               {tabletest.Faults{Racy: true}, "of 4 commits that race on the same snapshot it makes 1 and reports success to"},
		"makes halves":                {tabletest.Faults{Halves: true}, "it makes a commit although it requires a branch to be absent that exists"},
		"lies":                        {tabletest.Faults{Lies: true}, "it answers success to a commit that it does not make because it requires a branch to be absent that exists"},
		"keeps metadata in secret":    {tabletest.Faults{Elsewhere: true}, "it keeps the table's metadata where this machine cannot read it"},
		"ignores asserts, makes v2":   {tabletest.Faults{IgnoreAsserts: true, Version2: true}, "format version 2"},
		"ignores refs and their lack": {tabletest.Faults{IgnoreRefs: true, IgnoreAbsent: true}, "does not set the branch"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			m := tabletest.NewMemory(dir, x.faults)
			err := table.Probe(t.Context(), m, fileio.Disk{})
			switch {
			case x.reason == "" && err != nil:
				t.Error(err)
			case x.reason != "" && (!errors.Is(err, table.ErrCatalogUnfit) || !strings.Contains(err.Error(), x.reason)):
				t.Errorf("%v, want %q", err, x.reason)
			}
			checkNothingLeft(t, m, dir)
		})
	}
}

// checkNothingLeft checks that the probe removed its table and files.
func checkNothingLeft(t *testing.T, l table.Lake, dir string) {
	t.Helper()
	all, err := l.AllTables(t.Context())
	if err != nil || len(all) > 0 {
		t.Errorf("tables left: %v, %v", all, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "cdcd_control", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

func TestProbeOfEmbedded(t *testing.T) {
	dir := t.TempDir()
	l, err := table.OpenEmbedded("file://"+dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := table.Probe(t.Context(), l, fileio.Disk{}); err != nil {
		t.Error(err)
	}
	checkNothingLeft(t, l, dir)
}

// TestProbeOfNothing lets the probe fail for a reason that says nothing about the catalog.
func TestProbeOfNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cdcd_control"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := table.Probe(t.Context(), tabletest.NewMemory(dir, tabletest.Faults{}), fileio.Disk{})
	if err == nil || errors.Is(err, table.ErrCatalogUnfit) {
		t.Error(err)
	}
}
