// Package keyindex finds where in a table's data files the live row of a key is.
//
// The index is a cache. Everything in it can be read again from the key columns of the
// data files, so nothing is synced; checksums tell damage, and a damaged index is thrown
// away.
//
// # Invariants
//
// The index holds an [Entry] for every row of every file that it covers, live or dead;
// rows are never removed one by one. Which entry counts is decided at look-up by the
// caller's [Liveness], which knows the snapshot: an entry is live when its file is live and
// the file's deletion vector does not have its position. So the index is right for every
// snapshot whose live files are all covered, and following a commit means adding the new
// files. It cannot go back: merging drops entries that are dead, and [Version] says since
// which snapshot.
//
// A compaction moves rows without changing them. A [Redirect] from each input to its output
// stands for that, so that following it costs by files and not by rows: entries of the input
// are resolved before anybody is asked about them. An output that is an input later joins the
// two redirects, so no chain is longer than one. Merges write resolved entries; a redirect
// that no run needs is forgotten. Redirects are on disk before Redirect returns, under the
// Version of the compaction's snapshot: in an older one the inputs are live again, so the
// index does not go back before it.
//
// A table has at most one live row a key in every snapshot. Finding two is a broken
// invariant, reported as [ErrTwoLive].
//
// Runs are immutable and sorted by key. A newer run never is larger than half of the one
// before it, so there are logarithmically many; merging drops dead entries.
//
// Memory is bounded: runs above a fixed size live on disk, memory-mapped.
package keyindex
