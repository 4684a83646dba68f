package tabletest

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

func (b *bench) nullAssert() {
	meta := b.load().Metadata()
	first := b.advance()
	_, updates := onMain(meta) // made while there was no main
	b.loses([]icetable.Requirement{same(meta), mainIs(nil)}, updates)
	tag := icetable.NewSetSnapshotRefUpdate("mark", first.SnapshotID, icetable.TagRef, forever, 0, 0)
	b.lands([]icetable.Requirement{icetable.AssertRefSnapshotID("mark", nil)}, []icetable.Update{tag})
	_, updates = onMain(b.load().Metadata())
	b.loses([]icetable.Requirement{icetable.AssertRefSnapshotID("mark", nil)}, updates)
}

func (b *bench) staleAssert() {
	first := b.advance()
	old := b.load().Metadata()
	second := b.advance()
	_, updates := onMain(old)
	b.loses([]icetable.Requirement{same(old), mainIs(&first.SnapshotID)}, updates)
	_, updates = onMain(b.load().Metadata())
	b.loses([]icetable.Requirement{same(old), mainIs(&first.SnapshotID)}, updates)
	other := second.SnapshotID + 1
	b.loses([]icetable.Requirement{mainIs(&other)}, updates)
	b.loses([]icetable.Requirement{icetable.AssertRefSnapshotID("missing", &second.SnapshotID)}, updates)
	b.lands([]icetable.Requirement{same(old), mainIs(&second.SnapshotID)}, updates)
}

// allOrNothing spoils one requirement of a whole commit after the other.
func (b *bench) allOrNothing() {
	b.advance()
	meta := b.load().Metadata()
	_, updates := onMain(meta)
	updates = append(updates,
		icetable.NewSetSnapshotRefUpdate("mark", *mainOf(meta), icetable.TagRef, forever, 0, 0),
		icetable.NewRemovePropertiesUpdate([]string{"cdcd.json"}))
	whole := []icetable.Requirement{
		same(meta), mainIs(mainOf(meta)), icetable.AssertRefSnapshotID("mark", nil),
		icetable.AssertCurrentSchemaID(meta.CurrentSchema().ID), icetable.AssertDefaultSpecID(meta.DefaultPartitionSpec()),
	}
	zero := int64(1)
	spoiled := []icetable.Requirement{
		icetable.AssertTableUUID(uuid.New()), mainIs(&zero), icetable.AssertRefSnapshotID("mark", mainOf(meta)),
		icetable.AssertCurrentSchemaID(meta.CurrentSchema().ID + 1), icetable.AssertDefaultSpecID(meta.DefaultPartitionSpec() + 1),
	}
	for i, bad := range spoiled {
		reqs := slices.Clone(whole)
		reqs[i] = bad
		b.loses(reqs, updates)
	}
	b.lands(whole, updates)
	now := b.load().Metadata()
	if ref, there := b.ref("mark"); !there || ref.SnapshotID != *mainOf(meta) {
		b.Errorf("tag: %+v, %v", ref, there)
	}
	if _, there := now.Properties()["cdcd.json"]; there || now.Properties()["cdcd.quotes"] == "" {
		b.Error("a property is left, or too many are gone")
	}
}

// repeated offers a commit again that has landed, as one does whose answer got lost.
func (b *bench) repeated() {
	meta := b.load().Metadata()
	_, updates := onMain(meta)
	reqs := []icetable.Requirement{same(meta), mainIs(nil)}
	b.lands(reqs, updates)
	b.loses(reqs, updates)
	b.advance()
	b.loses(reqs, updates)
}

func (b *bench) recreated() {
	old := b.load().Metadata()
	_, updates := onMain(old)
	b.drop()
	b.create()
	if b.load().Metadata().TableUUID() == old.TableUUID() {
		b.Fatal("a new table has the old one's uuid")
	}
	b.loses([]icetable.Requirement{same(old), mainIs(nil)}, updates)
}

func (b *bench) toTheByte() {
	s := b.advance()
	more := iceberg.Properties{"cdcd.more": "\u2028 <&>", "cdcd.quotes": ""}
	b.lands(nil, []icetable.Update{icetable.NewSetPropertiesUpdate(more)})
	meta := b.load().Metadata()
	for key, want := range awkward() {
		if replaced, there := more[key]; there {
			want = replaced
		}
		if got, there := meta.Properties()[key]; !there || got != want {
			b.Errorf("property %s: %.80q (there: %v), want %.80q", key, got, there, want)
		}
	}
	if got := meta.Properties()["cdcd.more"]; got != more["cdcd.more"] {
		b.Errorf("property: %q", got)
	}
	got := meta.SnapshotByID(s.SnapshotID)
	if got == nil || got.Summary == nil {
		b.Fatal("no summary")
	}
	for key, want := range awkward() {
		if have := got.Summary.Properties[key]; have != want {
			b.Errorf("summary %s: %.80q, want %.80q", key, have, want)
		}
	}
	if got.ManifestList != s.ManifestList || got.SequenceNumber != s.SequenceNumber || got.TimestampMs != s.TimestampMs || !reflect.DeepEqual(got.FirstRowID, s.FirstRowID) {
		b.Errorf("snapshot %+v, want %+v", got, s)
	}
}

// expiry removes a snapshot in the commit that adds another.
func (b *bench) expiry() {
	first, second := b.advance(), b.advance()
	meta := b.load().Metadata()
	third, updates := onMain(meta)
	b.lands([]icetable.Requirement{mainIs(&second.SnapshotID)}, append(updates, icetable.NewRemoveSnapshotsUpdate([]int64{first.SnapshotID}, false)))
	now := b.load().Metadata()
	if now.SnapshotByID(first.SnapshotID) != nil || now.SnapshotByID(second.SnapshotID) == nil || now.SnapshotByID(third.SnapshotID) == nil {
		b.Errorf("%d snapshots", len(now.Snapshots()))
	}
}

// race lets commits on the same snapshot race, each through a client of its own.
func (b *bench) race(open func() table.Catalog) {
	const writers, rounds = 4, 6
	clients := make([]table.Catalog, writers)
	for i := range clients {
		clients[i] = open()
	}
	won := 0
	for range rounds {
		meta := b.load().Metadata()
		ids, told := make([]int64, writers), make([]error, writers)
		var g sync.WaitGroup
		for i, c := range clients {
			s, updates := onMain(meta)
			ids[i] = s.SnapshotID
			g.Go(func() {
				_, _, told[i] = c.CommitTable(context.Background(), b.ident, []icetable.Requirement{same(meta), mainIs(mainOf(meta))}, updates)
			})
		}
		g.Wait()
		won += b.winner(ids, told)
	}
	if won != rounds {
		b.Errorf("%d of %d rounds have a winner", won, rounds)
	}
	if n := len(b.load().Metadata().Snapshots()); n != won {
		b.Errorf("%d snapshots after %d commits", n, won)
	}
}

// winner counts whose commit landed in one round, and checks what the writers were told.
func (b *bench) winner(ids []int64, told []error) int {
	b.Helper()
	now := b.load().Metadata()
	won := 0
	for i, id := range ids {
		landed := now.SnapshotByID(id) != nil
		switch {
		case landed && *mainOf(now) != id:
			b.Error("a commit landed beside main")
		case !landed && told[i] == nil:
			b.Error("a commit that is lost was reported as made")
		}
		if landed {
			won++
		}
	}
	if won > 1 {
		b.Errorf("%d commits on the same snapshot landed", won)
	}
	return won
}

// ours makes a table as daemons do.
func (b *bench) ours(cfg table.Config) (table.Name, *table.Head) {
	b.Helper()
	name := table.Name{Namespace: b.ident[0], Table: b.ident[1]}
	source := table.Source{Table: capture.Table{
		Name: capture.Name{Schema: "shop", Table: "orders"}, Key: []int{0}, Columns: []capture.Column{{Name: "id", Type: capture.TypeBigInt}},
	}}
	created, err := table.Create(b.Context(), cfg, name, source, table.Storage{}, b.location())
	if err != nil {
		b.Fatal(err)
	}
	return name, created
}

// fence takes a table's fence as daemons do.
func (b *bench) fence() {
	cfg := table.Config{Catalog: b.catalog, Pipeline: "conformance", Now: time.Now}
	name, created := b.ours(cfg)
	head := takeFence(b.T, cfg, created, 1)
	if head.Begun() {
		b.Error("the fence is on main")
	}
	late, err := table.PrepareFence(b.Context(), cfg, created, 2)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := table.Swap(b.Context(), cfg, late); err == nil {
		b.Error("the fence was taken by one who did not know of its owner")
	}
	if now := loadHead(b.T, cfg, name); now.Fence != 1 || late.Landed(now) {
		b.Errorf("the fence is %d", now.Fence)
	}
	takeFence(b.T, cfg, head, 3)
}

func takeFence(t *testing.T, cfg table.Config, h *table.Head, number int64) *table.Head {
	t.Helper()
	a, err := table.PrepareFence(t.Context(), cfg, h, number)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.Swap(t.Context(), cfg, a); err != nil {
		t.Fatal(err)
	}
	now := loadHead(t, cfg, h.Name)
	if now.Fence != number || !a.Landed(now) {
		t.Errorf("the fence is %d, want %d", now.Fence, number)
	}
	return now
}

func loadHead(t *testing.T, cfg table.Config, n table.Name) *table.Head {
	t.Helper()
	h, err := table.LoadHead(t.Context(), cfg, n)
	if err != nil || h == nil {
		t.Fatal(h, err)
	}
	return h
}
