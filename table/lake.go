package table

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"
)

// Lake is a catalog with all that the commands need of it: what is in it, and where the
// files of its tables go.
type Lake interface {
	Catalog
	// DropTable takes a table out of the catalog. Its files stay.
	DropTable(ctx context.Context, ident icetable.Identifier) error
	// Namespaces lists the namespaces of one level.
	Namespaces(ctx context.Context) ([]string, error)
	// TableNames lists the tables of a namespace.
	TableNames(ctx context.Context, namespace string) ([]string, error)
	// AllTables lists the tables of these namespaces.
	AllTables(ctx context.Context) ([]Name, error)
	// Metadata gives a table's current metadata file and its content. ok is false where
	// there is no such table.
	Metadata(ctx context.Context, n Name) (location string, content []byte, ok bool, err error)
	// Location gives where a table's files belong.
	Location(n Name) string
	// Close lets go of the catalog.
	Close() error
}

var (
	_ Lake = (*Embedded)(nil)
	_ Lake = (*JDBC)(nil)
	_ Lake = (*REST)(nil)
)

// The errors that opening a catalog reports.
var (
	// ErrNoCatalog reports a catalog in which nothing has been created yet.
	ErrNoCatalog = errors.New("there is no catalog yet")
	// ErrCatalogAccess reports a catalog that does not let us in.
	ErrCatalogAccess = errors.New("the catalog refuses access")
	// ErrCatalogUnfit reports a catalog on which commits would not be exactly-once.
	ErrCatalogUnfit = errors.New("the catalog is refused")
)

// callPatience bounds a call to a catalog on another machine. What a commit that took longer
// has done shows when the table is loaded again.
const callPatience = time.Minute

// remote is a catalog on another machine: no call waits for it for ever.
type remote struct {
	catalog.Catalog
	warehouse
	access func(error) error // marks errors as ErrCatalogAccess that are
}

// LoadTable loads a table.
func (r remote) LoadTable(ctx context.Context, ident icetable.Identifier) (*icetable.Table, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	t, err := r.Catalog.LoadTable(ctx, ident)
	return t, r.access(err)
}

// CommitTable offers a commit, once.
func (r remote) CommitTable(ctx context.Context, ident icetable.Identifier, reqs []icetable.Requirement, updates []icetable.Update) (icetable.Metadata, string, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	meta, location, err := r.Catalog.CommitTable(ctx, ident, reqs, updates)
	return meta, location, r.access(err)
}

// CreateTable creates a table.
func (r remote) CreateTable(ctx context.Context, ident icetable.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (*icetable.Table, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	t, err := r.Catalog.CreateTable(ctx, ident, schema, opts...)
	return t, r.access(err)
}

// CreateNamespace creates a namespace.
func (r remote) CreateNamespace(ctx context.Context, namespace icetable.Identifier, props iceberg.Properties) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	return r.access(r.Catalog.CreateNamespace(ctx, namespace, props))
}

// DropTable drops a table.
func (r remote) DropTable(ctx context.Context, ident icetable.Identifier) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	return r.access(r.Catalog.DropTable(ctx, ident))
}

// Namespaces lists the namespaces of one level.
func (r remote) Namespaces(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	out, err := namespaces(ctx, r.Catalog)
	return out, r.access(err)
}

// TableNames lists the tables of a namespace.
func (r remote) TableNames(ctx context.Context, namespace string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	out, err := tableNames(ctx, r.Catalog, namespace)
	return out, r.access(err)
}

// AllTables lists the tables of these namespaces.
func (r remote) AllTables(ctx context.Context) ([]Name, error) { return allTables(ctx, r) }

// warehouse is the location below which the tables' files go.
type warehouse string

func newWarehouse(location string) warehouse { return warehouse(strings.TrimSuffix(location, "/")) }

// Location gives where a table's files belong.
func (w warehouse) Location(n Name) string {
	return string(w) + "/" + pathElement(n.Namespace) + "/" + pathElement(n.Table)
}

func namespaces(ctx context.Context, c catalog.Catalog) ([]string, error) {
	list, err := c.ListNamespaces(ctx, nil)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range list {
		if len(n) == 1 { // ours have one level
			out = append(out, n[0])
		}
	}
	return out, nil
}

func tableNames(ctx context.Context, c catalog.Catalog, namespace string) ([]string, error) {
	var out []string
	for ident, err := range c.ListTables(ctx, icetable.Identifier{namespace}) {
		if err != nil {
			return nil, err
		}
		out = append(out, ident[len(ident)-1])
	}
	return out, nil
}

// lister is what allTables needs of a catalog.
type lister interface {
	Namespaces(ctx context.Context) ([]string, error)
	TableNames(ctx context.Context, namespace string) ([]string, error)
}

func allTables(ctx context.Context, l lister) ([]Name, error) {
	all, err := l.Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	var out []Name
	for _, namespace := range all {
		tables, err := l.TableNames(ctx, namespace)
		if err != nil && !errors.Is(err, catalog.ErrNoSuchNamespace) { // it may have been dropped meanwhile
			return nil, err
		}
		for _, t := range tables {
			out = append(out, Name{namespace, t})
		}
	}
	return out, nil
}
