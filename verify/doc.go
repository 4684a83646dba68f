// Package verify compares the lake's rows with the source's, value by value, while both
// are live.
//
// It shares no conversion with replication: the server renders its values as text, and the
// lake's values are read by the Iceberg library's reader and rendered here from what the
// Parquet files hold. Only the list of columns and keys is taken from the table's record.
//
// # Invariants
//
// A key counts as different only if it differs in two consecutive rounds while neither side
// changed it and the lake has everything that the source had executed. Keys that change
// from round to round are listed as moving, never as equal. Of a row that the lake lacks nothing
// says whether it was there meanwhile: it is unchanged only while its table is. A table of format
// version 2 does not say when a row was last written: there that holds for every row.
//
// A table that is altered, leaves or begins to be loaded anew meanwhile is compared from the start.
//
// [Exactly] compares all tables at one position, where nothing moves: the daemon makes a cut at
// the position of an open view. Every difference counts there, unless the source could not be
// locked while the view was opened; then a key has to differ unchanged at two positions.
//
// Where no key tells rows apart the whole row is its own key, and equal rows are counted.
//
// Of a table that began empty the lake need not have all rows, and the source's never change. So
// only what the lake has too many of is different there; what it lacks is counted, and need not be
// an error.
//
// Memory is bounded: a first pass keeps one checksum a bucket of keys; only keys of buckets
// that differ are kept one by one, up to a limit. A table that began empty is read
// once more for each half million rows that the lake has.
package verify
