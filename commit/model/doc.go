// Package model checks the commit protocol by visiting every state of a small copy of it:
// every interleaving of two daemons, a catalog, other programs and an operator, with every
// fault, within bounds. All of it is test code, and it imports nothing of this module.
//
// # What is modelled
//
// Two tables and up to three transactions of the source; one of them leaves the second table
// alone. Every transaction changes a row of the table's oldest data file, so that it needs a
// deletion vector on that file.
//
// A daemon takes a fence number from the control table, sets it on every table, and only
// then reads positions. It makes an attempt (an Intent, a data file, a request that asserts
// main and the fence) for an epoch that ends behind any transaction, or for a Mark alone: on
// a table that the epoch leaves alone, and after another program's rewrite. What became of
// an attempt it learns from the table only. It may offer an open attempt again. It publishes
// a cut when every table is at it, by a compare-and-swap that asserts the control table's
// fence. It collects garbage in two steps, with anything in between. It may be paused
// between any two steps, so that a daemon that lost its tables is one that goes on. It may
// crash and lose all that it knew.
//
// Requests may be lost, doubled, or arrive at any later time. Other programs compact a table
// and drop the Mark, expire snapshots that no tag holds, and set main back. The operator
// rewinds all tables to the newest cut, on a new timeline, table by table.
//
// The rows in a snapshot are a ghost: for each transaction, whether they are there once or
// more than once. No decision reads it, only invariants do.
//
// # Bounds
//
// The scenarios in scenarios_test.go bound the number of attempts and snapshots of a table,
// of fence numbers (starts of a daemon or of a rewind) and of each fault. At most two
// requests are on their way. Within the bounds, the search is exhaustive. Larger bounds are
// searched with
//
//	go test ./commit/model -run TestLargeBounds -v -timeout 0 -model.large -model.states 6000000
//
// # Invariants
//
//   - I1: no transaction is applied twice to a table.
//   - I2: a transaction that changes a table is in its position if and only if its rows are in
//     it.
//   - I4: along a table's history and within a timeline, positions only grow.
//   - I5: a snapshot of ours was made from the position at which its parent is.
//   - I7: a table's fence never decreases.
//   - I8: no daemon deletes a file of an attempt of its own fence whose request is on its way
//     and has not landed.
//   - I9: no snapshot in a table's metadata names a deleted file.
//   - I11: in a published cut, every table holds the transactions of the cut's position, each
//     once.
//   - I13: a data file has at most one deletion vector, and a new one is for a live file.
//   - I19: nothing lands that was prepared after main had been set back behind a Mark and
//     before the operator decided.
//
// The numbers are those of the protocol. That the source's log ends up in the tables when
// faults stop (I20) is checked in a weaker form: states in which every transaction is applied
// and in a cut must be reachable, also after a take-over, a foreign compaction, a deletion of
// files and a rewind; and every kind of step must be taken at least once.
//
// # What is not modelled
//
// Schema changes, XA, the initial load, tables that come and go, and the key index. Rows: of
// a transaction, a table has all or nothing (I3 is built in). Our own compaction and expiry,
// which are commits like any other. A daemon that raises its own fence: it is a restart that
// forgets less. The retention of the source's log. The lease. Time: a grace is any number of
// steps, also none. The control table's own commits are single steps, and so is that of a
// fence or of one table's rewind: what would be in flight is pinned like any request.
package model
