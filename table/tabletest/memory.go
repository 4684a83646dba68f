package tabletest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"cdcd/table"
	"cdcd/table/fileio"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

// Faults are promises that a catalog does not keep.
type Faults struct {
	Version2      bool // tables of version 3 become tables of version 2
	IgnoreAsserts bool // requirements are not looked at
	IgnoreAbsent  bool // a requirement that a ref is absent is not looked at
	IgnoreRefs    bool // what is committed to any branch goes to main; tags are not made
	DropTags      bool // tags are not made
	Racy          bool // requirements are checked before, and not while, a commit is made
	Halves        bool // properties are set although a requirement does not hold
	Elsewhere     bool // metadata is not where the tables' files are
	Lies          bool // commits that do not hold are answered with success
	AnySequence   bool // sequence numbers and row ids that are taken are replaced by the next ones
}

// Memory is a catalog in memory that keeps its promises, but for its faults. It puts
// metadata files beside the tables' other files.
type Memory struct {
	Faults   Faults
	Files    fileio.Store // of the metadata files
	location string

	mu         sync.Mutex
	namespaces []string
	tables     map[string]entry
	racers     int
}

type entry struct {
	meta   icetable.Metadata
	file   string
	before *entry // the one that it replaced; it has none itself
}

var _ table.Lake = (*Memory)(nil)

// NewMemory makes an empty catalog whose tables' files go below a directory.
func NewMemory(dir string, f Faults) *Memory {
	return &Memory{Faults: f, Files: fileio.Disk{}, location: "file://" + dir, tables: map[string]entry{}}
}

// Clone gives a catalog of its own that has the same in it, with its files in another store.
func (m *Memory) Clone(files fileio.Store) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{Faults: m.Faults, Files: files, location: m.location, namespaces: slices.Clone(m.namespaces), tables: maps.Clone(m.tables)}
}

func key(ident icetable.Identifier) string { return strings.Join(ident, "\x1f") }

// CreateNamespace creates a namespace.
func (m *Memory) CreateNamespace(_ context.Context, namespace icetable.Identifier, _ iceberg.Properties) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.namespaces, key(namespace)) {
		return catalog.ErrNamespaceAlreadyExists
	}
	m.namespaces = append(m.namespaces, key(namespace))
	return nil
}

// CreateTable creates a table.
func (m *Memory) CreateTable(_ context.Context, ident icetable.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (*icetable.Table, error) {
	cfg := catalog.NewCreateTableCfg()
	for _, o := range opts {
		o(&cfg)
	}
	if m.Faults.Version2 {
		cfg.Properties["format-version"] = "2"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.namespaces, ident[0]) {
		return nil, catalog.ErrNoSuchNamespace
	}
	if _, there := m.tables[key(ident)]; there {
		return nil, catalog.ErrTableAlreadyExists
	}
	meta, err := icetable.NewMetadata(schema, cfg.PartitionSpec, icetable.UnsortedSortOrder, cfg.Location, cfg.Properties)
	if err != nil {
		return nil, err
	}
	e, err := m.put(ident, meta)
	return icetable.New(ident, e.meta, e.file, nil, nil), err
}

// put writes a metadata file and makes it the current one.
func (m *Memory) put(ident icetable.Identifier, meta icetable.Metadata) (entry, error) {
	file := fmt.Sprintf("%s/metadata/00000-%s.metadata.json", meta.Location(), uuid.New())
	content, err := json.Marshal(meta)
	if err != nil {
		return entry{}, err
	}
	if m.Faults.Elsewhere {
		file = strings.Replace(file, "file://", "file:///elsewhere", 1)
	} else if _, err := m.Files.Put(context.Background(), file, content); err != nil {
		return entry{}, err
	}
	e := entry{meta: meta, file: file}
	if old, there := m.tables[key(ident)]; there {
		old.before, e.before = nil, &old
	}
	m.tables[key(ident)] = e
	return e, nil
}

// LoadTable loads a table.
func (m *Memory) LoadTable(_ context.Context, ident icetable.Identifier) (*icetable.Table, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, there := m.tables[key(ident)]
	if !there {
		return nil, catalog.ErrNoSuchTable
	}
	return icetable.New(ident, e.meta, e.file, nil, nil), nil
}

// Previous gives a table as it was before its newest commit, nil where there is no such thing.
func (m *Memory) Previous(ident icetable.Identifier) *icetable.Table {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.tables[key(ident)].before
	if e == nil {
		return nil
	}
	return icetable.New(ident, e.meta, e.file, nil, nil)
}

// DropTable drops a table.
func (m *Memory) DropTable(_ context.Context, ident icetable.Identifier) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.tables[key(ident)]; !there {
		return catalog.ErrNoSuchTable
	}
	delete(m.tables, key(ident))
	return nil
}

// CommitTable applies the updates if all requirements hold.
func (m *Memory) CommitTable(_ context.Context, ident icetable.Identifier, reqs []icetable.Requirement, updates []icetable.Update) (icetable.Metadata, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, there := m.tables[key(ident)]
	if !there {
		return nil, "", catalog.ErrNoSuchTable
	}
	if err := m.check(now.meta, reqs); err != nil {
		if m.Faults.Halves {
			updates = slices.DeleteFunc(slices.Clone(updates), func(u icetable.Update) bool { return u.Action() != icetable.UpdateSetProperties })
			half, _ := icetable.UpdateTableMetadata(now.meta, updates, now.file)
			_, _ = m.put(ident, half)
		}
		if m.Faults.Lies {
			return now.meta, now.file, nil
		}
		return nil, "", err
	}
	if m.Faults.Racy {
		m.waitForRival()
	}
	meta, err := icetable.UpdateTableMetadata(now.meta, m.spoil(now.meta, updates), now.file)
	if err != nil {
		return nil, "", err
	}
	e, err := m.put(ident, meta)
	return e.meta, e.file, err
}

func (m *Memory) check(meta icetable.Metadata, reqs []icetable.Requirement) error {
	for _, r := range reqs {
		absent := false
		if b, err := json.Marshal(r); err == nil {
			var ref struct {
				Type     string `json:"type"`
				Snapshot *int64 `json:"snapshot-id"`
			}
			absent = json.Unmarshal(b, &ref) == nil && ref.Type == "assert-ref-snapshot-id" && ref.Snapshot == nil
		}
		if m.Faults.IgnoreAsserts || m.Faults.IgnoreAbsent && absent {
			continue
		}
		if err := r.Validate(meta); err != nil {
			return errors.Join(icetable.ErrCommitFailed, err)
		}
	}
	return nil
}

// rivalPatience is how long a racy commit waits for another to race with.
const rivalPatience = 20 * time.Millisecond

// waitForRival gives the lock away between check and change.
func (m *Memory) waitForRival() {
	m.racers++
	deadline := time.Now().Add(rivalPatience)
	for m.racers < 2 && time.Now().Before(deadline) {
		m.mu.Unlock()
		time.Sleep(time.Millisecond)
		m.mu.Lock()
	}
	m.racers--
}

// spoil changes updates as a catalog does that knows no refs, or gives out numbers itself.
func (m *Memory) spoil(now icetable.Metadata, updates []icetable.Update) []icetable.Update {
	var out []icetable.Update
	for _, u := range updates {
		if m.Faults.AnySequence && u.Action() == icetable.UpdateAddSnapshot {
			u = renumber(now, u)
		}
		var ref struct {
			Type     icetable.RefType `json:"type"`
			Snapshot int64            `json:"snapshot-id"`
		}
		isRef := false
		if u.Action() == icetable.UpdateSetSnapshotRef && (m.Faults.DropTags || m.Faults.IgnoreRefs) {
			b, err := json.Marshal(u)
			isRef = err == nil && json.Unmarshal(b, &ref) == nil
		}
		switch {
		case isRef && ref.Type == icetable.TagRef && (m.Faults.DropTags || m.Faults.IgnoreRefs):
		case isRef && m.Faults.IgnoreRefs:
			out = append(out, icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, ref.Snapshot, icetable.BranchRef, 0, 0, 0))
		default:
			out = append(out, u)
		}
	}
	return out
}

// renumber gives a snapshot numbers that are free.
func renumber(now icetable.Metadata, u icetable.Update) icetable.Update {
	var add struct {
		Snapshot icetable.Snapshot `json:"snapshot"`
	}
	b, err := json.Marshal(u)
	if err != nil || json.Unmarshal(b, &add) != nil {
		return u
	}
	s, first := add.Snapshot, now.NextRowID()
	if s.SequenceNumber > now.LastSequenceNumber() && s.FirstRowID != nil && *s.FirstRowID >= first {
		return u
	}
	s.SequenceNumber, s.FirstRowID = now.LastSequenceNumber()+1, &first
	return icetable.NewAddSnapshotUpdate(&s)
}

// Namespaces lists the namespaces.
func (m *Memory) Namespaces(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.namespaces), nil
}

// TableNames lists the tables of a namespace.
func (m *Memory) TableNames(_ context.Context, namespace string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for k := range m.tables {
		if ns, name, _ := strings.Cut(k, "\x1f"); ns == namespace {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// AllTables lists all tables.
func (m *Memory) AllTables(ctx context.Context) ([]table.Name, error) {
	var out []table.Name
	for _, ns := range m.namespaces {
		names, err := m.TableNames(ctx, ns)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			out = append(out, table.Name{Namespace: ns, Table: n})
		}
	}
	return out, nil
}

// Metadata gives a table's current metadata.
func (m *Memory) Metadata(ctx context.Context, n table.Name) (string, []byte, bool, error) {
	t, err := m.LoadTable(ctx, icetable.Identifier{n.Namespace, n.Table})
	if err != nil {
		return "", nil, false, nil
	}
	b, err := json.Marshal(t.Metadata())
	return t.MetadataLocation(), b, err == nil, err
}

// Location gives where a table's files belong.
func (m *Memory) Location(n table.Name) string {
	return m.location + "/" + n.Namespace + "/" + n.Table
}

// Close does nothing.
func (m *Memory) Close() error { return nil }
