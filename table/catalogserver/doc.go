// Package catalogserver serves a warehouse's catalog over the Iceberg REST protocol, so
// that Spark, Trino, DuckDB and PyIceberg read the tables without any other service.
//
// # Invariants
//
// Unless it is writable, the endpoint reads only: every request that would change something is
// answered with 403, whatever it is. Where it is writable, a commit is what table.CommitForeign
// accepts: it changes how a table's rows are stored, no row, and nothing that the protocol
// keeps. It is made by one swap of the catalog, as replication's are, on the metadata that it
// was judged on.
//
// An answer of 500 to a commit says that the outcome is open; no other answer but 200 follows
// a change.
//
// Where a token is set, no request without it is looked at.
//
// Table metadata is served as the bytes that were committed, never as a rendering of them:
// what the library does not know of a table is not lost on the way.
//
// Protocol: Apache Iceberg, rest-catalog-open-api.yaml.
package catalogserver
