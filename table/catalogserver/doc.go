// Package catalogserver serves a warehouse's catalog over the Iceberg REST protocol, so
// that Spark, Trino, DuckDB and PyIceberg read the tables without any other service.
//
// # Invariants
//
// The endpoint reads only: every request that would change something is answered with 403,
// whatever it is.
//
// Table metadata is served as the bytes that were committed, never as a rendering of them:
// what the library does not know of a table is not lost on the way.
//
// Protocol: Apache Iceberg, rest-catalog-open-api.yaml.
package catalogserver
