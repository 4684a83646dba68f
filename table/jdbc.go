package table

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"cdcd/table/fileio"
	"github.com/apache/iceberg-go"
	sqlcatalog "github.com/apache/iceberg-go/catalog/sql"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// JDBC is a catalog in a PostgreSQL database, in the schema of Iceberg's JDBC catalog:
// engines that know that one find the same tables under the same catalog name.
type JDBC struct {
	remote
	sqlTables
}

// JDBCConfig says where a JDBC catalog is.
type JDBCConfig struct {
	URI      string // postgres://user:password@host:port/database
	Name     string // of the catalog, in every row
	Location string // of the warehouse
	Create   bool   // make the catalog's tables where there are none
}

const (
	// connectPatience bounds how long a connection takes to be made.
	connectPatience = 10 * time.Second
	// maxConnections bounds the connections to the catalog's database.
	maxConnections = 16
)

// OpenJDBC opens a catalog in a PostgreSQL database.
func OpenJDBC(ctx context.Context, c JDBCConfig) (*JDBC, error) {
	server, err := pgx.ParseConfig(c.URI)
	if err != nil {
		return nil, errors.New("the catalog's address is not one of a PostgreSQL database: want postgres://user:password@host:port/database")
	}
	if server.ConnectTimeout == 0 {
		server.ConnectTimeout = connectPatience
	}
	db := stdlib.OpenDB(*server)
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	j, err := newJDBC(ctx, db, c)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("catalog database %s at %s: %w", server.Database, server.Host, err), db.Close())
	}
	return j, nil
}

func newJDBC(ctx context.Context, db *sql.DB, c JDBCConfig) (*JDBC, error) {
	if err := checkSchema(ctx, db, c.Create); err != nil {
		return nil, err
	}
	fileio.Install()
	props := iceberg.Properties{"warehouse": c.Location, "init_catalog_tables": fmt.Sprint(c.Create)}
	cat, err := sqlcatalog.NewCatalog(c.Name, db, sqlcatalog.Postgres, props)
	if err != nil {
		return nil, denied(err)
	}
	return &JDBC{remote{cat, newWarehouse(c.Location), denied}, sqlTables{db: db, catalog: c.Name, query: postgresLocation, swap: postgresSwap}}, nil
}

// LoadTable loads a table.
func (j *JDBC) LoadTable(ctx context.Context, ident icetable.Identifier) (*icetable.Table, error) {
	return present(func() (*icetable.Table, error) { return j.remote.LoadTable(ctx, ident) })
}

// CommitTable offers a commit, once.
func (j *JDBC) CommitTable(ctx context.Context, ident icetable.Identifier, reqs []icetable.Requirement, updates []icetable.Update) (icetable.Metadata, string, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	meta, location, err := j.commit(ctx, j.Catalog, ident, reqs, updates)
	return meta, location, j.access(err)
}

// The states of PostgreSQL's errors that are told apart.
const (
	stateNoTable     = "42P01"
	stateNoColumn    = "42703"
	stateNoPrivilege = "42501"
	stateNoDatabase  = "3D000"
	classNotLetIn    = "28"
)

// checkSchema looks whether the catalog's tables are there, in the version that knows the
// types of its entries. The library would go on with an older one.
func checkSchema(ctx context.Context, db *sql.DB, create bool) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	_, err := db.ExecContext(ctx, "SELECT iceberg_type FROM iceberg_tables LIMIT 1")
	switch sqlState(err) {
	case stateNoTable:
		if create {
			return nil
		}
		return ErrNoCatalog
	case stateNoColumn:
		return fmt.Errorf("%w: its table iceberg_tables has the old version V0: ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR", ErrCatalogUnfit)
	}
	return denied(err)
}

// denied marks the errors of a database that does not let us in.
func denied(err error) error {
	state := sqlState(err)
	if state == stateNoPrivilege || state == stateNoDatabase || strings.HasPrefix(state, classNotLetIn) {
		return fmt.Errorf("%w: %w", ErrCatalogAccess, err)
	}
	return err
}

// sqlState gives the state of an error of PostgreSQL, "" for others.
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Close closes the connections.
func (j *JDBC) Close() error { return j.db.Close() }
