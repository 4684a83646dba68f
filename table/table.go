package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"cdcd/table/datafile"
	"cdcd/table/fileio"
	"cdcd/table/keyindex"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"
)

// Config is what tables are opened with.
type Config struct {
	Catalog  Catalog
	Store    fileio.Store // of the tables' files; nil: the local disk
	Pipeline string
	IndexDir string // one directory a table goes below it
	// Intents is where attempts are noted before they are offered to the catalog; "" for
	// nowhere.
	Intents string
	// FormatVersion is of tables that are created, 3 where it is 0. A table of an older one is
	// moved to it by the next commit; 0: it stays as it is.
	FormatVersion int
	// Repair loads tables also whose position is not to be had. Their heads say so.
	Repair bool
	Memory memory.Allocator
	Now    func() time.Time
}

func (c Config) store() fileio.Store {
	if c.Store == nil {
		return fileio.Disk{}
	}
	return c.Store
}

// Table is a lake table in its committer's hands: what its current snapshot is made of,
// and its key index. It is used by one goroutine at a time.
type Table struct {
	cfg      Config
	head     *Head
	content  *content
	layout   *datafile.Layout
	parts    *partitioner
	keys     *rowset.Encoder
	index    *keyindex.Index
	byNumber []*dataFile // live files by their number in the index; nil: not live
	mem      memory.Allocator
	uploads  map[digest]iceberg.DataFile // durable, and in no snapshot: of attempts that can never land
	intents  []string                    // to be removed with the next commit
	attempts int64                       // that were noted
	// Discarded tells why an older index was thrown away, nil where none was.
	Discarded error
}

// LoadHead loads a table's head without opening it. It gives nil where there is no such
// table.
func LoadHead(ctx context.Context, cfg Config, n Name) (*Head, error) {
	return loadHeadOn(ctx, cfg, n, "")
}

func loadHeadOn(ctx context.Context, cfg Config, n Name, branch string) (*Head, error) {
	t, err := cfg.Catalog.LoadTable(ctx, n.identifier())
	if errors.Is(err, catalog.ErrNoSuchTable) || errors.Is(err, catalog.ErrNoSuchNamespace) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", n, err)
	}
	return newHeadOn(n, t, cfg, branch)
}

// Create creates a table for a source table at the given location, kept as storage says. It
// has no snapshot yet.
func Create(ctx context.Context, cfg Config, n Name, s Source, storage Storage, location string) (*Head, error) {
	schema, err := icebergSchema(s)
	if err != nil {
		return nil, err
	}
	if err := storage.check(n.String(), schema); err != nil {
		return nil, err
	}
	spec, err := storage.spec(n.String(), schema)
	if err != nil {
		return nil, err
	}
	props, err := storage.created()
	if err != nil {
		return nil, err
	}
	props[keyPipeline] = cfg.Pipeline
	if props[keySource], err = s.property(); err != nil {
		return nil, err
	}
	err = cfg.Catalog.CreateNamespace(ctx, icetable.Identifier{n.Namespace}, nil)
	if err != nil && !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		return nil, fmt.Errorf("create namespace %s: %w", n.Namespace, err)
	}
	version := cmp.Or(cfg.FormatVersion, versionVectors)
	props["format-version"] = strconv.Itoa(version)
	t, err := cfg.Catalog.CreateTable(ctx, n.identifier(), schema, catalog.WithLocation(location), catalog.WithPartitionSpec(&spec), catalog.WithProperties(props))
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", n, err)
	}
	if got := t.Metadata().Version(); got != version {
		return nil, fmt.Errorf("create %s: %w: format version %d where %d was asked for", n, ErrForeignShape, got, version)
	}
	return newHead(n, t, cfg)
}

// previousVersions is how many old metadata files a table keeps. A reader that has just
// been given one must still find it.
const previousVersions = 50

// Open opens a table at a head: it reads its manifests and brings the key index to the
// head's snapshot, out of the data files where it has to.
func Open(ctx context.Context, cfg Config, h *Head) (*Table, error) {
	t := &Table{cfg: cfg, head: h, mem: cfg.Memory}
	if err := t.lay(h); err != nil {
		return nil, err
	}
	var err error
	if t.content, err = loadChecked(ctx, h); err != nil {
		return nil, err
	}
	if err := t.openIndex(h); err != nil {
		return nil, err
	}
	t.numberFiles()
	if err := t.catchUp(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", h.Name, err), t.index.Abandon())
	}
	return t, nil
}

// Name gives the table's name.
func (t *Table) Name() Name { return t.head.Name }

// Head gives the head that the table is at.
func (t *Table) Head() *Head { return t.head }

// Stats counts what the current snapshot is made of.
func (t *Table) Stats() Stats {
	s := t.content.stats()
	s.Snapshots = len(t.head.meta.Snapshots())
	return s
}

// IndexKeys and IndexRuns describe the key index.
func (t *Table) IndexKeys() int { return t.index.Len() }

// IndexBytes is the size of the key index in memory and on disk.
func (t *Table) IndexBytes() (memory, disk int64) { return t.index.Bytes() }

// IndexRuns is the number of runs in the key index.
func (t *Table) IndexRuns() int { return t.index.Runs() }

// numberFiles rebuilds byNumber from the content.
func (t *Table) numberFiles() {
	t.byNumber = make([]*dataFile, t.index.Files())
	for _, f := range t.content.files {
		t.setNumber(f)
	}
}

func (t *Table) setNumber(f *dataFile) {
	n := t.index.File(f.path)
	for int(n) >= len(t.byNumber) {
		t.byNumber = append(t.byNumber, nil)
	}
	t.byNumber[n] = f
}

// live reports whether a row is live in the current snapshot.
func (t *Table) live(file, pos uint32) (bool, error) {
	if int(file) >= len(t.byNumber) || t.byNumber[file] == nil {
		return false, nil
	}
	f := t.byNumber[file]
	if f.deleted == nil {
		return true, nil
	}
	bits, err := t.content.bits(f)
	if err != nil {
		return false, err
	}
	return !bits.Contains(uint64(pos)), nil
}

// LiveFile reports whether a file is part of the current snapshot.
func (t *Table) LiveFile(file uint32) bool {
	return int(file) < len(t.byNumber) && t.byNumber[file] != nil
}

// Prepare uploads what a Delta needs to be committed with a Mark on the current snapshot.
// A nil Delta commits the Mark alone.
func (t *Table) Prepare(ctx context.Context, d *Delta, m Mark) (*Attempt, error) {
	if d == nil {
		d = &Delta{base: t.head.Snapshot}
	}
	if d.base != t.head.Snapshot {
		return nil, fmt.Errorf("%s: %w", t.Name(), ErrMoved)
	}
	a, err := assemble(t.head, t.content, d, m, max(t.head.Version, t.cfg.FormatVersion))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name(), err)
	}
	now := t.cfg.Now()
	attempt, err := a.finish(ctx, now)
	if err != nil {
		return nil, err
	}
	attempt.Unnoted = t.intend(ctx, a, now)
	return attempt, nil
}

// PrepareFence uploads what it needs to move a table's fence.
func PrepareFence(ctx context.Context, cfg Config, h *Head, number int64) (*Attempt, error) {
	return prepareFence(ctx, h, number, cfg.Now())
}

// Swap offers an attempt to the catalog, once. An error leaves open whether it landed.
// Without one the head shows the attempt's snapshot.
func Swap(ctx context.Context, cfg Config, a *Attempt) (*Head, error) {
	n := a.Head.Name
	meta, location, err := cfg.Catalog.CommitTable(ctx, n.identifier(), a.requirements, a.updates)
	if err != nil {
		mutantCleanUp(ctx, cfg, a)
		return nil, fmt.Errorf("commit %s: %w", n, err)
	}
	return newHeadOn(n, icetable.New(n.identifier(), meta, location, nil, nil), cfg, a.Head.branch)
}

// Landed reports whether an attempt is part of a head's history: of main, or of the fence
// for an attempt that moves it. One that makes no snapshot has landed where the tags, or spec
// and properties, are as it wants them.
func (a *Attempt) Landed(h *Head) bool {
	if a.tags != nil {
		return a.tags.landed(h)
	}
	if a.storage != nil {
		return a.storage.landed(h)
	}
	if a.evolves != nil && a.evolves.schema.ID != h.Schema {
		return false
	}
	if s := refSnapshot(h.meta, refFence); s != nil && *s == a.Snapshot {
		return true
	}
	return h.InHistory(a.Snapshot)
}

// Refresh moves the table to another head, loading all of it.
func (t *Table) Refresh(ctx context.Context, h *Head) error {
	c, err := loadChecked(ctx, h)
	if err != nil {
		return err
	}
	if err := t.lay(h); err != nil {
		return err
	}
	old := t.head
	t.head, t.content = h, c
	if h.Version != old.Version {
		if err := errors.Join(t.index.Abandon(), t.openIndex(h)); err != nil {
			return err
		}
	}
	if err := t.reshape(old, h); err != nil {
		return err
	}
	t.numberFiles()
	return t.catchUp(ctx)
}

// Retag moves the table to a head with the same snapshot, of which only tags differ.
func (t *Table) Retag(ctx context.Context, h *Head) error {
	if h.Snapshot != t.head.Snapshot {
		return fmt.Errorf("%s: %w", t.Name(), ErrMoved)
	}
	old := t.head
	t.head = h
	return removeOldMetadata(ctx, old, h)
}

// Advance moves the table to the head that its own attempt made. What the attempt wrote is
// taken from memory; nothing is read. The error may be ErrDebris, with which all is done.
func (t *Table) Advance(ctx context.Context, a *Attempt, d *Delta, h *Head) error {
	if h.Snapshot != a.Snapshot {
		return fmt.Errorf("%s: %w", t.Name(), ErrMoved)
	}
	if h.Version != t.head.Version || h.Version >= versionVectors && t.content.noRows {
		return t.advanceUpgraded(ctx, h)
	}
	if err := t.content.follow(a); err != nil {
		return fmt.Errorf("%s: %w", t.Name(), err)
	}
	old := t.head
	t.head = h
	if err := t.reshape(old, h); err != nil {
		return err
	}
	if err := t.indexDelta(d); err != nil {
		return fmt.Errorf("%s: key index: %w", t.Name(), err)
	}
	return errors.Join(removeOldMetadata(ctx, old, h), t.dropIntents(ctx))
}

// indexDelta brings a Delta that has landed into the index.
func (t *Table) indexDelta(d *Delta) error {
	switch {
	case d == nil:
		return nil
	case d.replaces != nil:
		return t.redirect(d.replaces)
	case len(d.files) == 0:
		return nil
	}
	for _, f := range d.files {
		t.setNumber(t.content.files[f.FilePath()])
	}
	for _, a := range d.added {
		if len(a.files) == 0 {
			continue
		}
		if err := t.addToIndex(a.entries, a.files); err != nil {
			return err
		}
	}
	return nil
}

// removeOldMetadata deletes the metadata files that fell out of the table's log.
func removeOldMetadata(ctx context.Context, old, now *Head) error {
	kept := map[string]bool{now.location: true, old.location: true}
	for e := range now.meta.PreviousFiles() {
		kept[e.MetadataFile] = true
	}
	var errs []error
	for e := range old.meta.PreviousFiles() {
		if kept[e.MetadataFile] {
			continue
		}
		if err := now.store.Remove(ctx, e.MetadataFile); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%s: %w: %w", now.Name, ErrDebris, errors.Join(errs...))
	}
	return nil
}

// Close puts the key index on disk for the next Open.
func (t *Table) Close() error {
	l := &liveness{Table: t}
	t.index.Reflect(t.head.version())
	return errors.Join(t.index.Close(l), l.err)
}

// Abandon frees the table without writing anything.
func (t *Table) Abandon() error { return t.index.Abandon() }

// liveness shows the index which rows are live in the current snapshot.
type liveness struct {
	*Table
	err error // of reading a deletion vector
}

// Live reports whether a row is live. Where that cannot be read, err says so and the
// answer is of no use.
func (l *liveness) Live(file, pos uint32) bool {
	live, err := l.live(file, pos)
	if err != nil && l.err == nil {
		l.err = err
	}
	return live
}

// addToIndex puts the entries of files into the index.
func (t *Table) addToIndex(entries []keyindex.Entry, files []string) error {
	completes := make([]uint32, len(files))
	for i, path := range files {
		completes[i] = t.index.File(path)
	}
	l := &liveness{Table: t}
	t.index.Reflect(t.head.version())
	err := t.index.Add(entries, completes, l)
	return errors.Join(l.err, err)
}
