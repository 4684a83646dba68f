//go:build mutant

package table

import (
	"context"
	"os"
	"reflect"
	"slices"
	"strconv"

	"cdcd/capture"
	"cdcd/table/keyindex"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// mutated reports whether CDCD_MUTANT names a rule.
func mutated(rule string) bool { return os.Getenv("CDCD_MUTANT") == rule }

// The places of requirements in what requirements gives.
const (
	pinOfMain  = 1
	pinOfFence = 2
	pinOfTag   = 3
)

// mutantRequirements asserts less than it should.
func mutantRequirements(reqs []icetable.Requirement) []icetable.Requirement {
	switch {
	case mutated("unpinned"):
		return slices.Concat(reqs[:pinOfMain], reqs[pinOfFence:pinOfTag], reqs[pinOfTag+1:])
	case mutated("nofence"):
		return slices.Concat(reqs[:pinOfFence], reqs[pinOfTag:])
	}
	return reqs
}

// tagUpdate is the place of the tag's update in what markUpdates gives.
const tagUpdate = 2

// mutantUpdates leaves the tag out.
func mutantUpdates(updates []icetable.Update) []icetable.Update {
	if mutated("notag") {
		return slices.Concat(updates[:tagUpdate], updates[tagUpdate+1:])
	}
	return updates
}

// mutantMark reads the position in one place only: in main's own snapshot, where a table
// without one looks as if nothing were in it, or in the table's properties.
func mutantMark(meta icetable.Metadata, props iceberg.Properties) (Mark, error) {
	switch {
	case mutated("notag"):
		return untaggedMark(meta, props)
	case mutated("headonly"):
		props = meta.CurrentSnapshot().Summary.Properties
	}
	m, has, err := parseMark(props)
	if err == nil && !has {
		m = Mark{Timeline: 1, Position: capture.EmptyPosition(capture.MySQL), Load: Load{Complete: true}}
	}
	return m, err
}

// untaggedMark walks main's history, and believes the properties where no Mark is left of it.
func untaggedMark(meta icetable.Metadata, props iceberg.Properties) (Mark, error) {
	named, err := strconv.ParseInt(props[keySnapshot], 10, 64)
	if err != nil {
		return Mark{}, err
	}
	back := meta.SnapshotByID(named) != nil
	for s := meta.CurrentSnapshot(); s != nil; s = parentOf(meta, s) {
		back = back && s.SnapshotID != named
		if m, has, err := parseMark(s.Summary.Properties); has && !back || err != nil {
			return m, err
		}
	}
	if back {
		return Mark{}, ErrRolledBack
	}
	m, _, err := parseMark(props)
	return m, err
}

// mutantCleanUp removes what an attempt uploaded whose outcome is not known.
func mutantCleanUp(ctx context.Context, cfg Config, a *Attempt) {
	if !mutated("cleanup") {
		return
	}
	for path := range a.written {
		_ = cfg.store().Remove(ctx, path)
	}
	for _, u := range a.updates {
		if u.Action() == icetable.UpdateAddSnapshot {
			s := reflect.ValueOf(u).Elem().FieldByName("Snapshot").Interface().(*icetable.Snapshot)
			_ = cfg.store().Remove(ctx, s.ManifestList)
		}
	}
}

// mutantLineage leaves the last row without lineage.
func mutantLineage(rowIDs, sequences []int64) {
	if mutated("nolineage") {
		rowIDs[len(rowIDs)-1], sequences[len(sequences)-1] = keyindex.ImplicitRowID, keyindex.ImplicitRowID
	}
}
