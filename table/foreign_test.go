package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// offer sends a commit as another program would through the endpoint.
func (l *lab) offer(reqs []icetable.Requirement, updates ...icetable.Update) error {
	l.t.Helper()
	body, err := json.Marshal(map[string]any{"requirements": reqs, "updates": updates})
	if err != nil {
		l.t.Fatal(err)
	}
	f, err := ParseForeignCommit(body)
	if err != nil {
		return err
	}
	_, _, err = CommitForeign(context.Background(), l.cat, testName(), f)
	return err
}

// next is a snapshot that another program may put on main: with main's files.
func (l *lab) next(change func(*icetable.Snapshot)) *icetable.Snapshot {
	h := l.load()
	on := h.meta.CurrentSnapshot()
	schema, first, rows := h.Schema, h.NextRow, int64(0)
	s := &icetable.Snapshot{
		SnapshotID: newSnapshotID(), ParentSnapshotID: &on.SnapshotID, SequenceNumber: h.Sequence + 1, TimestampMs: time.Now().UnixMilli(),
		ManifestList: on.ManifestList, SchemaID: &schema, FirstRowID: &first, AddedRows: &rows,
		Summary: &icetable.Summary{Operation: icetable.OpReplace, Properties: iceberg.Properties{}},
	}
	if change != nil {
		change(s)
	}
	return s
}

func toMain(id int64) icetable.Update {
	return icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, id, icetable.BranchRef, 0, 0, 0)
}

// threeSnapshots gives a table whose main has three snapshots with rows, the ids oldest first.
func threeSnapshots(t *testing.T) (*lab, []int64) {
	l := openLab(t)
	var ids []int64
	for i := range 3 {
		l.write(row{id: i, val: "x"})
		ids = append(ids, l.load().Snapshot)
	}
	return l, ids
}

// TestMaintenanceIsTaken commits what maintenance commits. Replication goes on behind it.
func TestMaintenanceIsTaken(t *testing.T) {
	l, ids := threeSnapshots(t)
	h := l.load()
	s := l.next(nil)
	err := l.offer([]icetable.Requirement{icetable.AssertTableUUID(h.UUID), icetable.AssertRefSnapshotID(icetable.MainBranch, &ids[2])},
		icetable.NewAddSnapshotUpdate(s), toMain(s.SnapshotID))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.offer(nil, icetable.NewRemoveSnapshotsUpdate(ids[:2], false)); err != nil {
		t.Fatal(err)
	}
	l.foreign(icetable.NewSetSnapshotRefUpdate("theirs", ids[2], icetable.TagRef, 0, 0, 0))
	if err := l.offer(nil, icetable.NewRemoveSnapshotRefUpdate("theirs")); err != nil {
		t.Fatal(err)
	}
	if h = l.load(); h.Snapshot != s.SnapshotID || h.Retains(ids[0]) || h.Retains(ids[1]) || !h.Retains(ids[2]) {
		t.Errorf("main is on %d, %v", h.Snapshot, h.Ages())
	}
	if err := l.table.Refresh(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	l.write(row{id: 0, val: "y"})
	if got := l.read(); len(got) != 3 {
		t.Errorf("rows %v", got)
	}
}

// TestForeignCommitsAreJudged offers what must not be taken. The table stays as it is.
func TestForeignCommitsAreJudged(t *testing.T) {
	l, ids := threeSnapshots(t)
	add := func(change func(*icetable.Snapshot)) []icetable.Update {
		s := l.next(change)
		return []icetable.Update{icetable.NewAddSnapshotUpdate(s), toMain(s.SnapshotID)}
	}
	operation := func(op icetable.Operation) []icetable.Update {
		return add(func(s *icetable.Snapshot) { s.Summary.Operation = op })
	}
	l.foreign(icetable.NewSetSnapshotRefUpdate(refCut+"7", ids[0], icetable.TagRef, forever, 0, 0))
	l.foreign(icetable.NewSetSnapshotRefUpdate("theirs", ids[1], icetable.TagRef, forever, 0, 0))
	now := l.load()
	fence := *refSnapshot(now.meta, refFence)
	schema := now.meta.CurrentSchema()
	for name, x := range map[string]struct {
		updates []icetable.Update
		want    error
		words   string
	}{
		"append":               {operation(icetable.OpAppend), ErrForbidden, "changes rows (append)"},
		"overwrite":            {operation(icetable.OpOverwrite), ErrForbidden, "changes rows"},
		"delete":               {operation(icetable.OpDelete), ErrForbidden, "changes rows"},
		"a Mark":               {add(func(s *icetable.Snapshot) { s.Summary.Properties[keyPosition] = "" }), ErrForbidden, keyPosition},
		"another schema":       {add(func(s *icetable.Snapshot) { s.SchemaID = nil }), ErrForbidden, "schema"},
		"an old sequence":      {add(func(s *icetable.Snapshot) { s.SequenceNumber = now.Sequence }), ErrStale, "before one"},
		"old row ids":          {add(func(s *icetable.Snapshot) { *s.FirstRowID = 0 }), ErrStale, "before one"},
		"an old parent":        {add(func(s *icetable.Snapshot) { s.ParentSnapshotID = &ids[1] }), ErrStale, "moved on"},
		"no parent":            {add(func(s *icetable.Snapshot) { s.ParentSnapshotID = nil }), ErrStale, "moved on"},
		"a rollback":           {[]icetable.Update{toMain(ids[1])}, ErrForbidden, "set main"},
		"main to the fence":    {[]icetable.Update{toMain(fence)}, ErrForbidden, "set main"},
		"main made a tag":      {[]icetable.Update{icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, ids[2], icetable.TagRef, 0, 0, 0)}, ErrForbidden, "main"},
		"the tag moved":        {[]icetable.Update{icetable.NewSetSnapshotRefUpdate(refPosition, ids[1], icetable.TagRef, 0, 0, 0)}, ErrForbidden, refPosition},
		"the fence moved":      {[]icetable.Update{icetable.NewSetSnapshotRefUpdate(refFence, ids[1], icetable.BranchRef, 0, 0, 0)}, ErrForbidden, refFence},
		"a branch":             {[]icetable.Update{icetable.NewSetSnapshotRefUpdate("b", ids[1], icetable.BranchRef, 0, 0, 0)}, ErrForbidden, "the ref b"},
		"no tag":               {[]icetable.Update{icetable.NewRemoveSnapshotRefUpdate(refPosition)}, ErrForbidden, refPosition},
		"no fence":             {[]icetable.Update{icetable.NewRemoveSnapshotRefUpdate(refFence)}, ErrForbidden, refFence},
		"no cut's tag":         {[]icetable.Update{icetable.NewRemoveSnapshotRefUpdate(refCut + "7")}, ErrForbidden, refCut},
		"no main":              {[]icetable.Update{icetable.NewRemoveSnapshotRefUpdate(icetable.MainBranch)}, ErrForbidden, "main"},
		"main's snapshot":      {[]icetable.Update{icetable.NewRemoveSnapshotsUpdate(ids[2:], false)}, ErrStale, "the ref"},
		"the fence's":          {[]icetable.Update{icetable.NewRemoveSnapshotsUpdate([]int64{fence}, false)}, ErrStale, "the ref " + refFence},
		"a cut's":              {[]icetable.Update{icetable.NewRemoveSnapshotsUpdate(ids[:1], false)}, ErrStale, "the ref " + refCut},
		"a tagged one":         {[]icetable.Update{icetable.NewRemoveSnapshotsUpdate(ids[1:2], false)}, ErrStale, "the ref theirs"},
		"under a moved main":   {append(add(nil), icetable.NewRemoveSnapshotsUpdate(ids[2:], false)), ErrStale, "the ref " + refPosition},
		"a property of cdcd":   {[]icetable.Update{icetable.NewSetPropertiesUpdate(iceberg.Properties{keySource: "x"})}, ErrForbidden, "set-properties"},
		"a property":           {[]icetable.Update{icetable.NewSetPropertiesUpdate(iceberg.Properties{"x": "y"})}, ErrForbidden, "set-properties"},
		"a property less":      {[]icetable.Update{icetable.NewRemovePropertiesUpdate([]string{keySource})}, ErrForbidden, "remove-properties"},
		"a schema":             {[]icetable.Update{icetable.NewAddSchemaUpdate(iceberg.NewSchemaWithIdentifiers(1, schema.IdentifierFieldIDs, schema.Fields()...))}, ErrForbidden, "add-schema"},
		"a location":           {[]icetable.Update{icetable.NewSetLocationUpdate("file:///elsewhere")}, ErrForbidden, "set-location"},
		"a format":             {[]icetable.Update{icetable.NewUpgradeFormatVersionUpdate(4)}, ErrForbidden, "upgrade-format-version"},
		"a sort order":         {[]icetable.Update{icetable.NewSetDefaultSortOrderUpdate(0)}, ErrForbidden, "set-default-sort-order"},
		"one bad among others": {append(add(nil), icetable.NewSetPropertiesUpdate(iceberg.Properties{"x": "y"})), ErrForbidden, "set-properties"},
	} {
		if err := l.offer(nil, x.updates...); !errors.Is(err, x.want) || !strings.Contains(err.Error(), x.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := l.offer([]icetable.Requirement{icetable.AssertRefSnapshotID(icetable.MainBranch, &ids[0])}, add(nil)...); !errors.Is(err, ErrStale) {
		t.Errorf("a requirement that does not hold: %v", err)
	}
	if h := l.load(); h.location != now.location {
		t.Error("the table has changed")
	}
}

// TestExpiryKeepsTheWayToTheMark: what leads from main to the position does not expire, and
// does once there is a Mark behind it.
func TestExpiryKeepsTheWayToTheMark(t *testing.T) {
	l, _ := threeSnapshots(t)
	between := l.next(nil)
	if err := l.offer(nil, icetable.NewAddSnapshotUpdate(between), toMain(between.SnapshotID)); err != nil {
		t.Fatal(err)
	}
	s := l.next(nil)
	if err := l.offer(nil, icetable.NewAddSnapshotUpdate(s), toMain(s.SnapshotID)); err != nil {
		t.Fatal(err)
	}
	expiry := icetable.NewRemoveSnapshotsUpdate([]int64{between.SnapshotID}, false)
	if err := l.offer(nil, expiry); !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "leads from main") {
		t.Errorf("%v", err)
	}
	if err := l.table.Refresh(t.Context(), l.load()); err != nil {
		t.Fatal(err)
	}
	l.write(row{id: 9, val: "x"})
	if err := l.offer(nil, expiry); err != nil {
		t.Error(err)
	}
	l.write(row{id: 10, val: "x"})
}

// TestOthersTablesAreNotServed: only tables of cdcd are maintained here.
func TestOthersTablesAreNotServed(t *testing.T) {
	l, ids := threeSnapshots(t)
	l.foreign(icetable.NewRemovePropertiesUpdate([]string{keyPipeline}))
	if err := l.offer(nil, icetable.NewRemoveSnapshotsUpdate(ids[:1], false)); !errors.Is(err, ErrForbidden) {
		t.Errorf("%v", err)
	}
}

func TestMalformedCommits(t *testing.T) {
	for _, body := range []string{
		``, `[]`, `{"updates": {}}`, `{"updates": [{"action": "vanish"}]}`, `{"updates": [{"snapshot-id": 1}]}`,
		`{"requirements": [{"type": "assert-nothing"}]}`, `{"updates": [{"action": "add-snapshot"}]}`,
	} {
		if _, err := ParseForeignCommit([]byte(body)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestLossyRewriteIsFound: a rewrite that says it changes no row and leaves some out is not
// built on, neither by a table at work nor by a start, until somebody has compared the rows.
func TestLossyRewriteIsFound(t *testing.T) {
	l, ids := threeSnapshots(t)
	s := l.next(nil)
	s.ManifestList = l.load().meta.SnapshotByID(ids[1]).ManifestList // with a row less
	if err := l.offer(nil, icetable.NewAddSnapshotUpdate(s), toMain(s.SnapshotID)); err != nil {
		t.Fatal(err)
	}
	h := l.load()
	if err := l.table.Refresh(t.Context(), h); !errors.Is(err, ErrForeignRows) || !strings.Contains(err.Error(), "a rewrite of 3 rows left 2; to have it looked at and repaired: cdcd adopt") {
		t.Errorf("%v", err)
	}
	if _, err := Open(t.Context(), l.cfg, h); !errors.Is(err, ErrForeignRows) {
		t.Errorf("%v", err)
	}
	if e, err := h.Evidence(); err != nil || !e.Compare || e.Snapshot != ids[2] {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestUnavailable: what ends before the swap is no open outcome.
func TestUnavailable(t *testing.T) {
	l, ids := threeSnapshots(t)
	f, err := ParseForeignCommit(fmt.Appendf(nil, `{"updates":[{"action":"remove-snapshots","snapshot-ids":[%d]}]}`, ids[0]))
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := CommitForeign(ended, l.cat, testName(), f); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// FuzzForeignCommit offers arbitrary requests to a table's metadata. What is permitted leaves
// schema, properties and cdcd's refs as they are, and main's way to its Mark.
func FuzzForeignCommit(f *testing.F) {
	meta := fuzzedMetadata(f)
	for _, seed := range []string{
		`{"updates":[{"action":"remove-snapshots","snapshot-ids":[2]}]}`,
		`{"updates":[{"action":"remove-snapshots","snapshot-ids":[1,3]},{"action":"remove-snapshot-ref","ref-name":"theirs"}]}`,
		`{"requirements":[{"type":"assert-ref-snapshot-id","ref":"main","snapshot-id":3}],"updates":[{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":2}]}`,
		`{"updates":[{"action":"add-snapshot","snapshot":{"snapshot-id":9,"parent-snapshot-id":3,"sequence-number":4,"timestamp-ms":4000000000000,"manifest-list":"x","schema-id":0,"first-row-id":0,"added-rows":0,"summary":{"operation":"replace"}}},{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":9}]}`,
		`{"updates":[{"action":"set-statistics","snapshot-id":3,"statistics":{"snapshot-id":3,"statistics-path":"x","file-size-in-bytes":1,"file-footer-size-in-bytes":1,"blob-metadata":[]}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseForeignCommit(body)
		if err != nil {
			return
		}
		for _, r := range c.requirements {
			if r.Validate(meta) != nil {
				return
			}
		}
		now, err := icetable.UpdateTableMetadata(meta, c.updates, "")
		if err != nil {
			return
		}
		for _, ref := range []string{refPosition, refFence} {
			if got := refSnapshot(now, ref); got == nil || *got != *refSnapshot(meta, ref) {
				t.Errorf("the ref %s has moved", ref)
			}
		}
		if !maps.Equal(now.Properties(), meta.Properties()) || now.CurrentSchema().ID != meta.CurrentSchema().ID || now.Location() != meta.Location() {
			t.Error("properties, schema or location have changed")
		}
		if _, err := readMark(now, now.Properties()); err != nil {
			t.Error(err)
		}
	})
}

// fuzzedMetadata is a table whose main is on 3 after 2 after 1, of which 2 carries the Mark.
func fuzzedMetadata(f *testing.F) icetable.Metadata {
	f.Helper()
	schema := iceberg.NewSchema(0, iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64})
	mark, err := Mark{Pipeline: "p", Timeline: 1, Fence: 1}.properties()
	if err != nil {
		f.Fatal(err)
	}
	props := maps.Clone(mark)
	props[keySnapshot], props["format-version"] = "2", "3"
	meta, err := icetable.NewMetadata(schema, iceberg.UnpartitionedSpec, icetable.UnsortedSortOrder, "file:///t", props)
	if err != nil {
		f.Fatal(err)
	}
	var updates []icetable.Update
	for id := int64(1); id <= 4; id++ {
		parent, id0, row := id-1, 0, int64(0)
		s := &icetable.Snapshot{
			SnapshotID: id, SequenceNumber: id, TimestampMs: meta.LastUpdatedMillis() + id, ManifestList: "x", SchemaID: &id0, FirstRowID: &row, AddedRows: &row,
			Summary: &icetable.Summary{Operation: icetable.OpReplace, Properties: iceberg.Properties{}},
		}
		if id == 2 {
			s.Summary.Properties = mark
		}
		if parent > 0 && id < 4 {
			s.ParentSnapshotID = &parent
		}
		updates = append(updates, icetable.NewAddSnapshotUpdate(s))
	}
	updates = append(updates, toMain(3),
		icetable.NewSetSnapshotRefUpdate(refPosition, 2, icetable.TagRef, forever, 0, 0),
		icetable.NewSetSnapshotRefUpdate(refFence, 4, icetable.BranchRef, forever, 0, 0),
		icetable.NewSetSnapshotRefUpdate("theirs", 1, icetable.TagRef, forever, 0, 0))
	if meta, err = icetable.UpdateTableMetadata(meta, updates, ""); err != nil {
		f.Fatal(err)
	}
	return meta
}
