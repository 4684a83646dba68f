// Package datafile writes and reads the Parquet data files of one table, and the files of deleted
// positions that tables of format version 2 have.
//
// # Invariants
//
// Rows keep the order in which they were given: the caller derives positions from it.
//
// A file either has no _row_id column, and then its rows take the ids that the table gives
// the file, or it has one that holds the id of every row that existed before and NULL for
// the others (Iceberg specification, "Row Lineage"). A file of rewritten rows has both _row_id
// and _last_updated_sequence_number for every row; others never have the latter, since their
// rows were last updated when the file was added. In version 2 no file has either.
//
// A file of deleted positions that is written is of one data file, holds each position once and
// in ascending order, and its entry names the data file.
//
// Reading and appending take an amount of memory that does not depend on a file's size: one
// row group is collected for writing, one record is held for reading.
//
// Fields carry Iceberg's field ids. Decimals are stored as integers where they fit,
// as the specification wants. Dictionaries are used only for columns whose values were
// measured to repeat: on others they cost time and space.
package datafile
