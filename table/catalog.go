package table

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cdcd/table/fileio"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	sqlcatalog "github.com/apache/iceberg-go/catalog/sql"
	icetable "github.com/apache/iceberg-go/table"
	_ "modernc.org/sqlite" // the embedded catalog's driver
)

// Catalog is what a table's committer needs of a catalog. CommitTable applies all updates
// at once if every requirement holds, and nothing otherwise; an error leaves the outcome
// open. LoadTable reads what was last committed.
type Catalog interface {
	LoadTable(ctx context.Context, ident icetable.Identifier) (*icetable.Table, error)
	CommitTable(ctx context.Context, ident icetable.Identifier, reqs []icetable.Requirement, updates []icetable.Update) (icetable.Metadata, string, error)
	CreateTable(ctx context.Context, ident icetable.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (*icetable.Table, error)
	CreateNamespace(ctx context.Context, namespace icetable.Identifier, props iceberg.Properties) error
}

// Name is a table's name in the catalog.
type Name struct{ Namespace, Table string }

// String gives namespace.table.
func (n Name) String() string { return n.Namespace + "." + n.Table }

func (n Name) identifier() icetable.Identifier {
	return icetable.Identifier{n.Namespace, n.Table}
}

// Embedded is the catalog that needs no server: SQLite beside the tables, on local disk.
// Its schema is the one that Iceberg's JDBC catalog uses.
type Embedded struct {
	*sqlcatalog.Catalog
	db       *sql.DB
	location string // file:// URL of the warehouse
}

const (
	catalogName = "cdcd"
	catalogFile = "catalog.db"
	// lockWait bounds how long a statement waits for another process's write, in ms.
	lockWait = 10_000
)

// ErrNoCatalog reports a warehouse in which nothing has been created yet.
var ErrNoCatalog = errors.New("the warehouse has no catalog yet")

// OpenEmbedded opens the catalog of a warehouse. With create it makes a new one where
// there is none.
func OpenEmbedded(location string, create bool) (*Embedded, error) {
	dir, err := fileio.Path(location)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, catalogFile)
	if create {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("create warehouse: %w", err)
		}
	} else if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCatalog, err)
	}
	dsn := fmt.Sprintf("file:%s?_pragma=journal_mode(WAL)&_pragma=busy_timeout(%d)&_pragma=synchronous(FULL)", path, lockWait)
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	fileio.Install()
	props := iceberg.Properties{"warehouse": location, "init_catalog_tables": fmt.Sprint(create)}
	cat, err := sqlcatalog.NewCatalog(catalogName, db, sqlcatalog.SQLite, props)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open catalog %s: %w", path, err), db.Close())
	}
	return &Embedded{Catalog: cat, db: db, location: strings.TrimSuffix(location, "/")}, nil
}

// Close closes the catalog.
func (e *Embedded) Close() error { return errors.Join(e.Catalog.Close(), e.db.Close()) }

// Location gives where a table's files belong.
func (e *Embedded) Location(n Name) string {
	return e.location + "/" + pathElement(n.Namespace) + "/" + pathElement(n.Table)
}

// pathElement makes a name fit for a path that nobody needs to escape: readers differ in
// whether they unescape locations.
func pathElement(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-'
		if plain || c == '_' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "~%02x", c)
	}
	return b.String()
}

// Namespaces lists all namespaces.
func (e *Embedded) Namespaces(ctx context.Context) ([]string, error) {
	list, err := e.ListNamespaces(ctx, nil)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = strings.Join(n, ".")
	}
	return out, nil
}

// TableNames lists the tables of a namespace.
func (e *Embedded) TableNames(ctx context.Context, namespace string) ([]string, error) {
	var out []string
	for ident, err := range e.ListTables(ctx, icetable.Identifier{namespace}) {
		if err != nil {
			return nil, err
		}
		out = append(out, ident[len(ident)-1])
	}
	return out, nil
}

// AllTables lists the tables of all namespaces.
func (e *Embedded) AllTables(ctx context.Context) ([]Name, error) {
	namespaces, err := e.Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	var out []Name
	for _, ns := range namespaces {
		tables, err := e.TableNames(ctx, ns)
		if err != nil {
			return nil, err
		}
		for _, t := range tables {
			out = append(out, Name{ns, t})
		}
	}
	return out, nil
}

// Metadata gives a table's current metadata file and its content. ok is false where there
// is no such table.
func (e *Embedded) Metadata(ctx context.Context, n Name) (location string, content []byte, ok bool, err error) {
	for range metadataTries {
		location, err = e.MetadataLocation(ctx, n)
		if errors.Is(err, catalog.ErrNoSuchTable) {
			return "", nil, false, nil
		}
		if err != nil {
			return "", nil, false, err
		}
		if content, err = (fileio.Disk{}).IO(ctx).ReadFile(location); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return location, content, err == nil, err
}

// metadataTries is how often a metadata file is looked for that was replaced and removed
// before it could be read.
const metadataTries = 3

// MetadataLocation gives a table's current metadata file.
func (e *Embedded) MetadataLocation(ctx context.Context, n Name) (string, error) {
	var location sql.NullString
	err := e.db.QueryRowContext(ctx, `SELECT metadata_location FROM iceberg_tables
		WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)`,
		catalogName, namespaceKey(n.Namespace), n.Table).Scan(&location)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("%w: %s", catalog.ErrNoSuchTable, n)
	}
	return location.String, err
}

// namespaceKey is how the library stores a namespace of one level: a dot would separate
// levels.
func namespaceKey(namespace string) string {
	if !strings.Contains(namespace, ".") {
		return namespace
	}
	b, err := json.Marshal([]string{namespace})
	if err != nil {
		panic(err) // a list of strings
	}
	return "__iceberg_namespace_v1__:" + string(b)
}
