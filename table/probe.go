package table

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"cdcd/table/fileio"
	"cdcd/table/keyring"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/catalog/rest"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// Commits are exactly-once only if the catalog keeps a few promises, and some catalogs break
// them in silence. The probe makes a scratch table and looks.

const (
	// probeNamespace holds the scratch table. It is that of the control tables, so a catalog
	// is left with no other namespace than those it gets anyway.
	probeNamespace = "cdcd_control"
	probeTag       = "cdcd_probe"
	keyProbe       = "cdcd.probe"
	keyProbeText   = "cdcd.probe-text"
	// probeRounds and probeWriters are how often how many commits race.
	probeRounds  = 5
	probeWriters = 4
	// probeText must come back as it is.
	probeText = " \"{}\\ ${x} 'é' 漢字 \U0001f9ca\ttab "
)

// Probe finds out whether commits to a catalog's tables are exactly-once. The error is
// [ErrCatalogUnfit], with the reason, where they are not.
func Probe(ctx context.Context, l Lake, store fileio.Store) error {
	p := newProbe(l, store)
	return p.run(ctx, p.created, p.fence, p.main, p.asserts, p.race)
}

// ProbeVended is Probe for a catalog that hands out the credentials of the store. It tries
// the store too, at the location of the scratch table: elsewhere they may be good for nothing.
func ProbeVended(ctx context.Context, l Lake, store fileio.Store) error {
	p := newProbe(l, store)
	return p.run(ctx, p.created, p.objects, p.fence, p.main, p.asserts, p.race)
}

func newProbe(l Lake, store fileio.Store) *probe {
	return &probe{lake: l, store: store, name: Name{probeNamespace, "probe_" + uuid.NewString()[:8]}}
}

// run makes the scratch table, takes the steps and drops the table.
func (p *probe) run(ctx context.Context, steps ...func(context.Context) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("probe of the catalog with table %s: %w", p.name, err)
		}
	}()
	if err := p.create(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.remove(context.WithoutCancel(ctx))) }()
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// probe is a scratch table in a catalog under test.
type probe struct {
	lake  Lake
	store fileio.Store
	name  Name
	meta  icetable.Metadata // as last loaded
	file  string            // of the metadata
}

// unfit gives the reason why a catalog is refused.
func unfit(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCatalogUnfit, fmt.Sprintf(format, args...))
}

func (p *probe) create(ctx context.Context) error {
	err := p.lake.CreateNamespace(ctx, icetable.Identifier{p.name.Namespace}, nil)
	if err != nil && !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		return fmt.Errorf("create its namespace: %w", err)
	}
	schema := iceberg.NewSchemaWithIdentifiers(0, []int{1}, iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64, Required: true})
	_, err = p.lake.CreateTable(ctx, p.name.identifier(), schema, catalog.WithLocation(p.lake.Location(p.name)),
		catalog.WithProperties(iceberg.Properties{"format-version": "3", keyProbeText: probeText}))
	if err != nil {
		return fmt.Errorf("create it: %w", err)
	}
	return nil
}

// remove drops the table and removes its files, those of lost commits included.
func (p *probe) remove(ctx context.Context) error {
	if err := p.lake.DropTable(ctx, p.name.identifier()); err != nil {
		return fmt.Errorf("drop it: %w", err)
	}
	location := p.lake.Location(p.name)
	if dir, err := fileio.Path(location); err == nil {
		return os.RemoveAll(dir)
	}
	for o, err := range p.store.List(ctx, location+"/") {
		if err == nil {
			err = p.store.Remove(ctx, o.Name)
		}
		if err != nil {
			return fmt.Errorf("remove its files: %w", err)
		}
	}
	return nil
}

func (p *probe) load(ctx context.Context) error {
	t, err := p.lake.LoadTable(ctx, p.name.identifier())
	if err != nil {
		return fmt.Errorf("load it: %w", err)
	}
	p.meta, p.file = t.Metadata(), t.MetadataLocation()
	return nil
}

// created looks at the table as it was made.
func (p *probe) created(ctx context.Context) error {
	if err := p.load(ctx); err != nil {
		return err
	}
	if v := p.meta.Version(); v != 3 {
		return unfit("it makes a table of format version %d where version 3 is asked for", v)
	}
	if got := p.meta.Properties()[keyProbeText]; got != probeText {
		return unfit("it changes table properties: %q comes back as %q", probeText, got)
	}
	if _, _, err := p.store.Read(ctx, p.file); errors.Is(err, keyring.ErrNone) {
		return err
	} else if err != nil {
		return unfit("it keeps the table's metadata where this machine cannot read it: %v", err)
	}
	return nil
}

// objects tries the store.
func (p *probe) objects(ctx context.Context) error {
	return fileio.Probe(ctx, p.store, p.lake.Location(p.name))
}

// fence takes the fence of a table without a snapshot.
func (p *probe) fence(ctx context.Context) error {
	absent := []icetable.Requirement{
		icetable.AssertTableUUID(p.meta.TableUUID()),
		icetable.AssertRefSnapshotID(icetable.MainBranch, nil), icetable.AssertRefSnapshotID(refFence, nil),
	}
	if err := p.lands(ctx, "a snapshot without a parent on a branch", trial{branch: refFence, reqs: absent}); err != nil {
		return err
	}
	if p.meta.CurrentSnapshot() != nil {
		return unfit("it puts a commit to another branch on main")
	}
	return p.loses(ctx, "it requires a branch to be absent that exists", trial{branch: refFence, reqs: absent})
}

// main makes the first snapshot of main, with a tag.
func (p *probe) main(ctx context.Context) error {
	fence := refSnapshot(p.meta, refFence)
	err := p.lands(ctx, "the first snapshot of main, with a tag", trial{branch: icetable.MainBranch, tag: true, reqs: []icetable.Requirement{
		icetable.AssertRefSnapshotID(icetable.MainBranch, nil), icetable.AssertRefSnapshotID(refFence, fence),
	}})
	if err != nil {
		return err
	}
	if now := refSnapshot(p.meta, refFence); now == nil || *now != *fence {
		return unfit("a commit to main moves another branch")
	}
	return nil
}

// asserts offers commits of which one requirement does not hold, each.
func (p *probe) asserts(ctx context.Context) error {
	current, fence := mainSnapshot(p.meta), refSnapshot(p.meta, refFence)
	same := icetable.AssertTableUUID(p.meta.TableUUID())
	for _, x := range []struct {
		what string
		reqs []icetable.Requirement
	}{
		{"it requires main to be on another snapshot than it is", []icetable.Requirement{same, icetable.AssertRefSnapshotID(icetable.MainBranch, fence)}},
		{"it requires another branch than main to be on another snapshot than it is", []icetable.Requirement{
			same, icetable.AssertRefSnapshotID(icetable.MainBranch, current), icetable.AssertRefSnapshotID(refFence, current),
		}},
		{"it is for another table of the same name", []icetable.Requirement{icetable.AssertTableUUID(uuid.New()), icetable.AssertRefSnapshotID(icetable.MainBranch, current)}},
		{"it requires another schema", []icetable.Requirement{same, icetable.AssertCurrentSchemaID(p.meta.CurrentSchema().ID + 1)}},
	} {
		if err := p.loses(ctx, x.what, trial{branch: icetable.MainBranch, reqs: x.reqs}); err != nil {
			return err
		}
	}
	return nil
}

// trial is one commit that is tried.
type trial struct {
	branch string
	tag    bool
	reqs   []icetable.Requirement

	id      int64
	updates []icetable.Update
	told    error // by the catalog
}

// prepare makes a trial's snapshot, on what the branch is on.
func (p *probe) prepare(ctx context.Context, t *trial) error {
	var parent *int64
	if t.branch == icetable.MainBranch {
		parent = mainSnapshot(p.meta)
	}
	t.id = newSnapshotID()
	names := newNamer(p.meta.Location(), 0, 0)
	list, rows, err := writeList(p.meta.Version(), names.list(t.id), t.id, p.meta.LastSequenceNumber()+1, p.meta.NextRowID(), parent, nil)
	if err != nil {
		return err
	}
	if err := upload(ctx, p.store, []object{list}); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	schema, first := p.meta.CurrentSchema().ID, p.meta.NextRowID()
	t.updates = []icetable.Update{
		icetable.NewAddSnapshotUpdate(&icetable.Snapshot{
			SnapshotID: t.id, ParentSnapshotID: parent, SequenceNumber: p.meta.LastSequenceNumber() + 1, TimestampMs: timestamp(p.meta, time.Now()),
			ManifestList: list.path, SchemaID: &schema, FirstRowID: &first, AddedRows: rows,
			Summary: &icetable.Summary{Operation: icetable.OpAppend, Properties: iceberg.Properties{keyProbeText: probeText}},
		}),
		icetable.NewSetSnapshotRefUpdate(t.branch, t.id, icetable.BranchRef, forever, 0, 0),
		icetable.NewSetPropertiesUpdate(iceberg.Properties{keyProbe: strconv.FormatInt(t.id, 10)}),
	}
	if t.tag {
		t.updates = append(t.updates, icetable.NewSetSnapshotRefUpdate(probeTag, t.id, icetable.TagRef, forever, 0, 0))
	}
	return nil
}

// try offers a trial and loads what became of it.
func (p *probe) try(ctx context.Context, t *trial) error {
	if err := p.prepare(ctx, t); err != nil {
		return err
	}
	_, _, t.told = p.lake.CommitTable(ctx, p.name.identifier(), t.reqs, t.updates)
	return p.load(ctx)
}

// ref gives the kind of a ref that is on a trial's snapshot, "" where it is not.
func (p *probe) ref(name string, t *trial) icetable.RefType {
	for n, ref := range p.meta.Refs() {
		if n == name && ref.SnapshotID == t.id {
			return ref.SnapshotRefType
		}
	}
	return ""
}

// marked reports that the property of a trial is set.
func (p *probe) marked(t *trial) bool {
	return p.meta.Properties()[keyProbe] == strconv.FormatInt(t.id, 10)
}

// lands offers a commit that has to land.
func (p *probe) lands(ctx context.Context, what string, t trial) error {
	if err := p.try(ctx, &t); err != nil {
		return err
	}
	s := p.meta.SnapshotByID(t.id)
	switch {
	case s == nil && t.told == nil:
		return unfit("it says that it committed %s, and the loaded table does not have it", what)
	case s == nil && (errors.Is(t.told, icetable.ErrCommitFailed) || errors.Is(t.told, rest.ErrBadRequest) || errors.Is(t.told, iceberg.ErrNotImplemented)):
		return unfit("it does not commit %s: %v", what, t.told)
	case s == nil:
		return fmt.Errorf("commit %s: %w", what, t.told)
	case p.ref(t.branch, &t) != icetable.BranchRef:
		return unfit("it commits %s and does not set the branch %s", what, t.branch)
	case t.tag && p.ref(probeTag, &t) != icetable.TagRef:
		return unfit("it commits %s and does not set the tag", what)
	case !p.marked(&t):
		return unfit("it commits %s and not the table property beside it", what)
	case s.Summary == nil || s.Summary.Properties[keyProbeText] != probeText:
		return unfit("it changes snapshot summaries")
	}
	return nil
}

// loses offers a commit that must not land.
func (p *probe) loses(ctx context.Context, why string, t trial) error {
	if err := p.load(ctx); err != nil {
		return err
	}
	before := p.file
	if err := p.try(ctx, &t); err != nil {
		return err
	}
	switch {
	case p.meta.SnapshotByID(t.id) != nil || p.marked(&t):
		return unfit("it makes a commit although %s", why)
	case t.told == nil:
		return unfit("it answers success to a commit that it does not make because %s", why)
	case p.file != before:
		return unfit("it changes the table although it refuses a commit because %s", why)
	}
	return nil
}

// race lets commits on the same snapshot race. At most one may land, and who is told so must
// have landed.
func (p *probe) race(ctx context.Context) error {
	for range probeRounds {
		trials := make([]*trial, probeWriters)
		for i := range trials {
			trials[i] = &trial{branch: icetable.MainBranch, reqs: []icetable.Requirement{
				icetable.AssertTableUUID(p.meta.TableUUID()), icetable.AssertRefSnapshotID(icetable.MainBranch, mainSnapshot(p.meta)),
			}}
			if err := p.prepare(ctx, trials[i]); err != nil {
				return err
			}
		}
		var g errgroup.Group
		for _, t := range trials {
			g.Go(func() error {
				_, _, t.told = p.lake.CommitTable(ctx, p.name.identifier(), t.reqs, t.updates)
				return nil
			})
		}
		if err := errors.Join(g.Wait(), p.load(ctx)); err != nil {
			return err
		}
		if err := p.oneWinner(trials); err != nil {
			return err
		}
	}
	return nil
}

func (p *probe) oneWinner(trials []*trial) error {
	told, landed := 0, 0
	for _, t := range trials {
		if t.told == nil {
			told++
		}
		if p.meta.SnapshotByID(t.id) == nil {
			continue
		}
		if landed++; p.ref(icetable.MainBranch, t) == "" || !p.marked(t) {
			return unfit("of several commits that race it mixes the parts")
		}
	}
	if told > 1 || landed > 1 {
		return unfit("of %d commits that race on the same snapshot it makes %d and reports success to %d", len(trials), landed, told)
	}
	if told > landed {
		return unfit("of commits that race it reports success to one that is lost")
	}
	return nil
}
