// Command demo shows cdcd at work on one machine: a real MySQL with a small shop, a daemon
// that replicates it into Iceberg tables, customers who go on buying while the daemon is
// killed and started again, a comparison of every row, and the lines to read the tables
// with Spark, Trino, DuckDB and PyIceberg.
//
// It drives the built binary from outside, as a person would. Everything it starts dies
// with it, except what it leaves on purpose; that is recorded in its directory, from where
// demo stop, and the next demo, end it.
package main
