// Package commit moves a pipeline forward: it cuts the stream into epochs and lands each
// epoch in the tables it touches, exactly once.
//
// # Protocol
//
// Start-up is recovery, and there is no other recovery path. [Open] loads every table,
// takes the next fence number, on the control table first, and only then reads their
// positions. The stream starts at the intersection of the positions; each table drops the
// transactions that it already has, by membership.
//
// An epoch is a run of whole transactions. It is cut by age, rows or bytes, and only at a
// transaction's end. While one epoch is committed the next is read. For each touched table
// the epoch's changes become a Delta on the table's current snapshot; its files are
// uploaded and noted in an intent; then one compare-and-swap makes rows and position visible
// together. When all tables have landed there is a [Receipt], which alone moves the pipeline's
// position.
//
// # Invariants
//
// The answer of a swap decides nothing but success: after any error the table is loaded
// and looked at ([judge]). An attempt whose outcome is open is only ever repeated as it is.
// Nothing that an attempt uploaded is deleted here.
//
// Every commit carries the fence number and asserts it. A daemon that sees a higher number
// stops with [ErrFenced] and touches nothing more.
//
// A table's position only grows, by whole transactions, and the rows of a transaction are
// in the table exactly when the transaction is in its position.
//
// An ALTER TABLE is an epoch of its own: rows of one shape are never committed with those of
// another.
//
// A table of the lake is the copy of a name of the source. Where the name comes to mean another
// table, or none, the table leaves before that; where the source has a table of the name, that one
// is loaded. What the source has is asked only once it shows what the stream has delivered.
//
// A table that no epoch touches gets a commit of its Mark alone before its position could
// hold the source's log, and at every clean end. So does one of them where a cut is to be
// published whose number one of other tables has already.
//
// # Initial load
//
// A chunk of a table is read while the stream goes on. From a moment before it is read, which
// lies between two transactions, the keys that the stream delivers for the table are
// recorded; when the stream has delivered everything that the chunk can have seen, the
// chunk's rows with recorded keys are dropped and the others join the open epoch, before the log
// rows that were delivered since, and behind those that it shows for certain. A row of which the
// log had some columns only is kept if all of them are in the open epoch; else the chunk is read
// again, and so it is where the log had a patch of the row, which must not be applied twice, or the
// stream passed an ALTER TABLE of its table since its window was opened. The range that is done goes into the Mark of the same commit.
// Behind an ALTER TABLE that may have changed the order of keys no range is done: the load begins anew.
//
// A table of which the server enforces no key is loaded before the stream is opened, in one snapshot
// and one commit, at exactly the snapshot's position. Until then it has no row, and the loop never
// sees it without its load being complete.
//
// # Cuts on demand
//
// [Pipeline.Hold] has the stream stand still between two transactions, and [Pipeline.CutAt] has
// it read on to exactly a position, where an epoch ends and a cut is published. Each step has a
// bound after which the stream goes on by itself, for whoever asked may be dead.
//
// # Ownership
//
// One goroutine, the loop, owns all state. Others read the stream, read chunks, or commit
// one epoch, and hand their results back over channels. The first error ends all of them.
package commit
