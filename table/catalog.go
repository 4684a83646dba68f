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
	warehouse
	sqlTables
}

const (
	catalogName = "cdcd"
	catalogFile = "catalog.db"
	// lockWait bounds how long a statement waits for another process's write, in ms.
	lockWait = 10_000
)

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
	// A transaction that writes begins as one: SQLite does not wait for a lock that a
	// transaction asks for after it has read.
	dsn := fmt.Sprintf("file:%s?_pragma=journal_mode(WAL)&_pragma=busy_timeout(%d)&_pragma=synchronous(FULL)&_txlock=immediate", path, lockWait)
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	fileio.Install()
	props := iceberg.Properties{"warehouse": location, "init_catalog_tables": fmt.Sprint(create)}
	cat, err := sqlcatalog.NewCatalog(catalogName, db, sqlcatalog.SQLite, props)
	if err != nil {
		if reason := whyNotOpen(path); reason != nil {
			err = reason
		}
		return nil, errors.Join(fmt.Errorf("open catalog %s: %w", path, err), db.Close())
	}
	return &Embedded{cat, newWarehouse(location), sqlTables{db: db, catalog: catalogName, query: sqliteLocation, swap: sqliteSwap}}, nil
}

// whyNotOpen gives the system's reason where the catalog's file cannot be opened for writing:
// SQLite has one word for all.
func whyNotOpen(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// Close closes the catalog.
func (e *Embedded) Close() error { return errors.Join(e.Catalog.Close(), e.db.Close()) }

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

// Namespaces lists the namespaces of one level.
func (e *Embedded) Namespaces(ctx context.Context) ([]string, error) {
	return namespaces(ctx, e.Catalog)
}

// TableNames lists the tables of a namespace.
func (e *Embedded) TableNames(ctx context.Context, namespace string) ([]string, error) {
	return tableNames(ctx, e.Catalog, namespace)
}

// AllTables lists the tables of these namespaces.
func (e *Embedded) AllTables(ctx context.Context) ([]Name, error) { return allTables(ctx, e) }

// LoadTable loads a table.
func (e *Embedded) LoadTable(ctx context.Context, ident icetable.Identifier) (*icetable.Table, error) {
	return present(func() (*icetable.Table, error) { return e.Catalog.LoadTable(ctx, ident) })
}

// CommitTable offers a commit, once.
func (e *Embedded) CommitTable(ctx context.Context, ident icetable.Identifier, reqs []icetable.Requirement, updates []icetable.Update) (icetable.Metadata, string, error) {
	return e.commit(ctx, e.Catalog, ident, reqs, updates)
}

// sqlTables finds metadata files in the database of a catalog of Iceberg's JDBC schema.
type sqlTables struct {
	db      *sql.DB
	catalog string // its name in the rows
	query   string // of the metadata file by catalog, namespace and table
	swap    string // of the metadata file: the new one, the old one, then the same
	known   knownMetadata
}

const (
	sqliteLocation = `SELECT metadata_location FROM iceberg_tables
		WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)`
	postgresLocation = `SELECT metadata_location FROM iceberg_tables
		WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3 AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)`
	sqliteSwap = `UPDATE iceberg_tables SET metadata_location = ?1, previous_metadata_location = ?2, iceberg_type = 'TABLE'
		WHERE catalog_name = ?3 AND table_namespace = ?4 AND table_name = ?5 AND metadata_location = ?2 AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)`
	postgresSwap = `UPDATE iceberg_tables SET metadata_location = $1, previous_metadata_location = $2, iceberg_type = 'TABLE'
		WHERE catalog_name = $3 AND table_namespace = $4 AND table_name = $5 AND metadata_location = $2 AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)`
)

// Metadata gives a table's current metadata file and its content. ok is false where there
// is no such table.
func (s *sqlTables) Metadata(ctx context.Context, n Name) (location string, content []byte, ok bool, err error) {
	content, err = present(func() ([]byte, error) {
		if location, err = s.metadataLocation(ctx, n); err != nil {
			return nil, err
		}
		return fileio.ReadFile(ctx, location)
	})
	if errors.Is(err, catalog.ErrNoSuchTable) {
		return "", nil, false, nil
	}
	return location, content, err == nil, err
}

// metadataTries is how often a metadata file is looked for that was replaced and removed
// before it could be read.
const metadataTries = 3

// present reads what a table's present metadata file tells, while another process replaces it.
func present[T any](read func() (T, error)) (out T, err error) {
	for range metadataTries {
		if out, err = read(); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return out, err
}

// metadataLocation gives a table's current metadata file.
func (s *sqlTables) metadataLocation(ctx context.Context, n Name) (string, error) {
	var location sql.NullString
	err := s.db.QueryRowContext(ctx, s.query, s.catalog, namespaceKey(n.Namespace), n.Table).Scan(&location)
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
