// Package capture reads MySQL and MariaDB and gives Arrow batches of row changes.
//
// It knows the servers: how to connect, which settings and grants replication needs, what
// the binlog's events mean and how a row image becomes column values. It knows nothing of
// Iceberg and imports no other package of this module but its own sub-packages.
//
// # Parts
//
//   - A [Position] is a set of GTIDs: what has been applied. Nothing else is ever resumed
//     from; files and offsets are for logs.
//   - A [Table] is the shape of one source table, [Column] by column, with the key that
//     identifies its rows.
//   - A [Source] holds what is needed to connect. [Source.Preflight] checks a server before
//     anything is written anywhere.
//   - A [Stream] tails the binlog. It is pulled: [Stream.Next] returns a [Segment], a run of
//     whole transactions as one [Batch] per touched table.
//   - A [Chunk] is a range of keys of a table read by SELECT for the initial load, as a Batch
//     of the same form. A [Whole] is a table that cannot be read so, at one position.
//
// # Invariants
//
// A Segment holds whole transactions only. Its End is the position the stream started from
// joined with every transaction delivered since, captured rows or not. A transaction enters
// a position when its end has been read (XID, COMMIT, a statement that commits by itself),
// never at its beginning.
//
// The rows of an XA transaction are delivered where it is committed. Until then the GTID of its
// prepare is not in the position, and a reconnect meets it again. What is kept of such
// transactions is bounded.
//
// A reconnect continues after the last whole transaction: rows of a transaction that was
// cut off are dropped and read again from its start.
//
// A row of a table that already holds its transaction (by the table's own position) is not
// delivered again.
//
// Nothing is delivered from a server of MySQL that has another transaction under the GTID of a
// [Witness]. Where it cannot answer for one, the stream goes on and says so.
//
// A row of a Batch holds the values of all columns, or a [Partial] says which of them, and of
// which it holds patches: no column that was not logged is taken for NULL.
//
// Of a system-versioned table a Batch has the current rows, and none of history.
//
// Where the server enforces no key, an image of a row holds all of its columns or stops the
// stream, a change of what tells the row apart is a delete and an insert, and every row is of a
// known transaction.
//
// An ALTER TABLE of a captured table is followed where its text and the shape before it tell what
// became of columns and rows. It is a Segment of its own, and each TABLE_MAP behind it has to
// agree with what it gave. So is a TRUNCATE.
//
// No row of a table is delivered as one of another that had its name before. Where a statement
// leaves a captured table's name to another table, or to none, the table leaves, or the stream
// ends, before that statement.
//
// A value is decoded exactly or the stream stops with an error that names the column. The
// SELECT path and the binlog path give the same value for the same row.
//
// What the package does not support stops the stream before anything after it is delivered
// (see [Stop]). Reading on past what is not understood would lose rows.
//
// Row values never appear in errors or logs.
package capture
