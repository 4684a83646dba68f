package tabletest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cdcd/table"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

// forever is a ref age that no expiry reaches.
const forever = 1<<63 - 1

// awkward are texts that must come back as they are.
func awkward() iceberg.Properties {
	return iceberg.Properties{
		"cdcd.quotes": `"'\{}[]${x}%41`, "cdcd.space": " a\tb\nc ", "cdcd.unicode": "é漢\U0001f9ca",
		"cdcd.json": `{"done":[[1,2]],"complete":false}`, "cdcd.long": strings.Repeat("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7,", 2000),
	}
}

// bench is one table of a catalog under test.
type bench struct {
	*testing.T
	catalog table.Catalog
	ident   icetable.Identifier
}

// TestCatalog checks that a catalog keeps all promises that commits are built on. open opens
// the catalog anew; it may be one that others use too.
func TestCatalog(t *testing.T, open func(t *testing.T) table.Catalog) {
	c := open(t)
	namespace := "t" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := c.CreateNamespace(t.Context(), icetable.Identifier{namespace}, nil); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name string
		test func(*bench)
	}{
		{"Created", (*bench).created},
		{"Twice", (*bench).twice},
		{"Missing", (*bench).missing},
		{"Refs", (*bench).refs},
		{"NullAssert", (*bench).nullAssert},
		{"StaleAssert", (*bench).staleAssert},
		{"AllOrNothing", (*bench).allOrNothing},
		{"Repeated", (*bench).repeated},
		{"Recreated", (*bench).recreated},
		{"ToTheByte", (*bench).toTheByte},
		{"Expiry", (*bench).expiry},
		{"Race", func(b *bench) { b.race(func() table.Catalog { return open(b.T) }) }},
		{"Fence", (*bench).fence},
		{"Upgrade", (*bench).upgrade},
	} {
		t.Run(x.name, func(t *testing.T) {
			b := &bench{t, c, icetable.Identifier{namespace, strings.ToLower(x.name)}}
			if x.name != "Fence" && x.name != "Upgrade" { // which create it themselves
				b.create()
			}
			x.test(b)
		})
	}
}

func (b *bench) create() icetable.Metadata {
	b.Helper()
	schema := iceberg.NewSchemaWithIdentifiers(0, []int{1},
		iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64, Required: true, Doc: "bigint"},
		iceberg.NestedField{ID: 2, Name: "amount", Type: iceberg.DecimalTypeOf(12, 2)})
	props := awkward()
	props["format-version"] = "3"
	t, err := b.catalog.CreateTable(context.Background(), b.ident, schema, catalog.WithLocation(b.location()), catalog.WithProperties(props))
	if err != nil {
		b.Fatal(err)
	}
	return t.Metadata()
}

// location gives where the table's files belong.
func (b *bench) location() string {
	b.Helper()
	l, ok := b.catalog.(interface{ Location(table.Name) string })
	if !ok {
		b.Fatal("the catalog under test tells no location")
	}
	return l.Location(table.Name{Namespace: b.ident[0], Table: b.ident[1]})
}

func (b *bench) load() *icetable.Table {
	b.Helper()
	t, err := b.catalog.LoadTable(context.Background(), b.ident)
	if err != nil {
		b.Fatal(err)
	}
	return t
}

func (b *bench) drop() {
	b.Helper()
	d, ok := b.catalog.(interface {
		DropTable(context.Context, icetable.Identifier) error
	})
	if !ok {
		b.Fatal("the catalog under test drops no tables")
	}
	if err := d.DropTable(context.Background(), b.ident); err != nil {
		b.Fatal(err)
	}
}

// snapshot makes a snapshot that adds nothing.
func snapshot(meta icetable.Metadata, parent *int64) *icetable.Snapshot {
	id := int64(uuid.New().ID())<<20 | int64(uuid.New().ID()&0xfffff)
	schema, first, rows := meta.CurrentSchema().ID, meta.NextRowID(), int64(0)
	return &icetable.Snapshot{
		SnapshotID: id, ParentSnapshotID: parent, SequenceNumber: meta.LastSequenceNumber() + 1,
		TimestampMs:  max(time.Now().UnixMilli(), meta.LastUpdatedMillis()+1),
		ManifestList: fmt.Sprintf("%s/metadata/snap-%d.avro", meta.Location(), id), SchemaID: &schema, FirstRowID: &first, AddedRows: &rows,
		Summary: &icetable.Summary{Operation: icetable.OpAppend, Properties: awkward()},
	}
}

// onMain makes a snapshot on top of main and the updates that put it there.
func onMain(meta icetable.Metadata) (*icetable.Snapshot, []icetable.Update) {
	s := snapshot(meta, mainOf(meta))
	return s, []icetable.Update{
		icetable.NewAddSnapshotUpdate(s),
		icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, s.SnapshotID, icetable.BranchRef, 0, 0, 0),
		icetable.NewSetPropertiesUpdate(iceberg.Properties{"cdcd.newest": fmt.Sprint(s.SnapshotID)}),
	}
}

func mainOf(meta icetable.Metadata) *int64 {
	if s := meta.CurrentSnapshot(); s != nil {
		return &s.SnapshotID
	}
	return nil
}

func mainIs(id *int64) icetable.Requirement {
	return icetable.AssertRefSnapshotID(icetable.MainBranch, id)
}

func same(meta icetable.Metadata) icetable.Requirement {
	return icetable.AssertTableUUID(meta.TableUUID())
}

// advance commits a snapshot to main, which must land.
func (b *bench) advance() *icetable.Snapshot {
	b.Helper()
	meta := b.load().Metadata()
	s, updates := onMain(meta)
	b.lands([]icetable.Requirement{same(meta), mainIs(mainOf(meta))}, updates)
	if now := mainOf(b.load().Metadata()); now == nil || *now != s.SnapshotID {
		b.Fatalf("main is not on the new snapshot")
	}
	return s
}

// lands commits what must land. The reply must show what a load shows.
func (b *bench) lands(reqs []icetable.Requirement, updates []icetable.Update) {
	b.Helper()
	meta, location, err := b.catalog.CommitTable(context.Background(), b.ident, reqs, updates)
	if err != nil {
		b.Fatal(err)
	}
	if now := b.load(); now.MetadataLocation() != location || !now.Metadata().Equals(meta) {
		b.Fatalf("the reply tells of %s, a load of %s", location, now.MetadataLocation())
	}
}

// loses commits what must not land, and checks that nothing of it did.
func (b *bench) loses(reqs []icetable.Requirement, updates []icetable.Update) {
	b.Helper()
	before := b.load()
	_, _, err := b.catalog.CommitTable(context.Background(), b.ident, reqs, updates)
	now := b.load()
	switch {
	case now.MetadataLocation() != before.MetadataLocation() || !now.Metadata().Equals(before.Metadata()):
		b.Errorf("the table changed: %v", err)
	case err == nil:
		b.Error("success is reported")
	}
}

func (b *bench) created() {
	meta := b.load().Metadata()
	if meta.Version() != 3 {
		b.Errorf("version %d", meta.Version())
	}
	if got := strings.TrimSuffix(meta.Location(), "/"); got != b.location() {
		b.Errorf("it is at %s, not at %s", got, b.location())
	}
	fields := meta.CurrentSchema().Fields()
	if len(fields) != 2 || !fields[0].Required || fields[0].Doc != "bigint" || fields[1].Type.String() != "decimal(12, 2)" {
		b.Errorf("the schema is %s", meta.CurrentSchema())
	}
	if ids := meta.CurrentSchema().IdentifierFieldIDs; !slices.Equal(ids, []int{fields[0].ID}) {
		b.Errorf("identified by %v", ids)
	}
	if meta.CurrentSnapshot() != nil || meta.NextRowID() != 0 {
		b.Error("it begins with a snapshot")
	}
}

func (b *bench) twice() {
	before := b.load().Metadata()
	if err := b.catalog.CreateNamespace(b.Context(), icetable.Identifier{b.ident[0]}, nil); !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		b.Errorf("namespace: %v", err)
	}
	_, err := b.catalog.CreateTable(b.Context(), b.ident, before.CurrentSchema(), catalog.WithLocation(b.location()))
	if !errors.Is(err, catalog.ErrTableAlreadyExists) {
		b.Errorf("table: %v", err)
	}
	if !b.load().Metadata().Equals(before) {
		b.Error("the table was replaced")
	}
}

func (b *bench) missing() {
	meta := b.load().Metadata()
	none := icetable.Identifier{b.ident[0], "none"}
	if _, err := b.catalog.LoadTable(b.Context(), none); !errors.Is(err, catalog.ErrNoSuchTable) {
		b.Errorf("load: %v", err)
	}
	if _, err := b.catalog.LoadTable(b.Context(), icetable.Identifier{"nowhere" + b.ident[0], "none"}); !errors.Is(err, catalog.ErrNoSuchTable) && !errors.Is(err, catalog.ErrNoSuchNamespace) {
		b.Errorf("load from a missing namespace: %v", err)
	}
	_, updates := onMain(meta)
	if _, _, err := b.catalog.CommitTable(b.Context(), none, []icetable.Requirement{same(meta), mainIs(nil)}, updates); err == nil {
		b.Error("a commit to a missing table")
	}
	if _, err := b.catalog.LoadTable(b.Context(), none); !errors.Is(err, catalog.ErrNoSuchTable) {
		b.Errorf("a commit made the table: %v", err)
	}
}

// ref gives a ref of the table.
func (b *bench) ref(name string) (icetable.SnapshotRef, bool) {
	b.Helper()
	refs := maps.Collect(b.load().Metadata().Refs())
	ref, there := refs[name]
	return ref, there
}

func (b *bench) refs() {
	meta := b.load().Metadata()
	s := snapshot(meta, nil)
	b.lands([]icetable.Requirement{same(meta), mainIs(nil), icetable.AssertRefSnapshotID("fence", nil)}, []icetable.Update{
		icetable.NewAddSnapshotUpdate(s), icetable.NewSetSnapshotRefUpdate("fence", s.SnapshotID, icetable.BranchRef, forever, 0, 0),
	})
	ref, there := b.ref("fence")
	if !there || ref.SnapshotID != s.SnapshotID || ref.SnapshotRefType != icetable.BranchRef || ref.MaxRefAgeMs == nil || *ref.MaxRefAgeMs != forever {
		b.Errorf("branch: %+v, %v", ref, there)
	}
	if got := b.load().Metadata().SnapshotByID(s.SnapshotID); got == nil || got.ParentSnapshotID != nil {
		b.Errorf("snapshot of the branch: %v", got)
	}
	if b.load().Metadata().CurrentSnapshot() != nil {
		b.Error("a commit to a branch landed on main")
	}
	first := b.advance()
	tag := []icetable.Update{icetable.NewSetSnapshotRefUpdate("mark", first.SnapshotID, icetable.TagRef, forever, 0, 0)}
	b.lands([]icetable.Requirement{icetable.AssertRefSnapshotID("mark", nil)}, tag)
	second := b.advance()
	if ref, there := b.ref("mark"); !there || ref.SnapshotID != first.SnapshotID || ref.SnapshotRefType != icetable.TagRef {
		b.Errorf("tag: %+v, %v", ref, there)
	}
	b.lands([]icetable.Requirement{icetable.AssertRefSnapshotID("mark", &first.SnapshotID)}, []icetable.Update{
		icetable.NewSetSnapshotRefUpdate("mark", second.SnapshotID, icetable.TagRef, forever, 0, 0),
	})
	if ref, _ := b.ref("mark"); ref.SnapshotID != second.SnapshotID {
		b.Error("the tag did not move")
	}
	b.lands(nil, []icetable.Update{icetable.NewRemoveSnapshotRefUpdate("mark")})
	if ref, there := b.ref("mark"); there {
		b.Errorf("a removed tag is there: %+v", ref)
	}
	if ref, _ := b.ref("fence"); ref.SnapshotID != s.SnapshotID {
		b.Error("the branch moved")
	}
}
