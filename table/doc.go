// Package table turns batches of row changes into Iceberg snapshots.
//
// It maps source tables to Iceberg schemas, folds changes to one row a key, finds the rows
// they replace in the key index, writes data files and deletion vectors, and builds
// snapshots by hand, of which a commit is one call to the catalog. It opens no MySQL
// connection; when and in which order commits happen is package commit's business.
//
// # Words
//
// A [Head] is a table as loaded. A [Delta] is what an epoch changes in one table; it is
// valid for the one snapshot it was made on. An [Attempt] is a Delta with every object
// uploaded, ready to be swapped in. A [Mark] is the position that a snapshot stands for. A
// [Survey] is what a snapshot is made of, for use beside the committer, and a [Rewrite] one
// new data file with the live rows of some of its files. A [Storage] is how the user wants a
// table's files.
//
// # Invariants
//
// A Mark is written in three places by one catalog commit: the snapshot's summary, the
// tag cdcd_pos on it, and the table's properties. If the tag or the properties name a
// snapshot that is not an ancestor of main, somebody rolled the table back, and reading the
// Mark fails.
//
// Every commit asserts the table's uuid, main, the fence branch, schema and partition spec
// as they were in the Head. No library may rebase it: the catalog's commit is called
// directly, once.
//
// Everything a snapshot names is durable before the snapshot is offered to the catalog.
//
// At most one row a key is live in every snapshot; a data file has at most one delete file,
// which is of no other, names a live file, and holds all deleted positions: in version 3 a
// deletion vector, alone in its Puffin file, before that a Parquet file of positions. What other
// programs leave instead is replaced by the next commit of ours. A table that moves to version
// 3 keeps its files of positions until their data files are touched.
//
// Where the server enforces no key, a change is refused that does not go with the rows that are
// there. Where whole rows are the key, equal rows are numbered from 0 without gaps, in the data files,
// and there are as many of them as in the source. A table that is appended to has no index, and
// nothing is ever deleted in it but by a TRUNCATE.
//
// What a change does not know of a row is as in the row before it, of the same key or of the one
// that the row had; while a table is loaded, a row of which there is none before is left out.
//
// The key index is used only at a snapshot all of whose live files it covers.
//
// A row keeps its _row_id when it is updated (Iceberg specification, "Row Lineage"), unless the
// table's [Storage] says otherwise, and when it is rewritten also its
// _last_updated_sequence_number. In version 2 it has neither.
//
// All rows of a data file are of the partition that its entry names, by the spec that the entry
// names; a delete file is of the partition of its data file. Spec and configured properties
// are changed by [PrepareStorage] alone, never by a commit of rows.
//
// A field id means one column of the source for ever, under any name. The schema follows the
// source by [Table.Evolve] alone, in the commit whose Mark has the ALTER TABLE. Files keep the
// schema that they were written under, and are read by field id.
//
// [Table.Truncate] alone takes rows out without a deletion vector.
//
// A rewrite holds as many rows as are live in its inputs, in the order of the inputs and of
// the rows in them. Where that cannot be, it fails and leaves no file.
//
// A rewrite lands only while all its inputs are live and no row of them is live that was deleted
// when they were read. In the same commit the inputs and their deletion vectors go, and what was
// deleted in the inputs meanwhile is deleted in the output. The Mark keeps its position.
//
// A Survey does not change. It shares with its table only what never does: entries of
// manifests, and sets of deleted positions, which commits replace and do not add to.
//
// Equality deletes are never written. A table that holds foreign ones is refused.
package table
