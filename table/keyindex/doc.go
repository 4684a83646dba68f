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
// # Runs
//
// Runs are immutable and sorted by key. Those in memory are small together; what is added is
// merged with them, so that each is at most half of the one behind it, and when they are many
// they go to disk as one run. In a run on disk each key is once. Its file is mapped, and read
// by sections: a section is a filter of its keys and blocks of packed columns, under one
// checksum that is compared when the section is used first. Opening an index reads the fences
// of its runs, which say where sections begin; a look-up reads the one section of each run
// that may have its key, and of that mostly the filter alone.
//
// Runs on disk of about the same size are merged into one. A merge goes on by a little with
// every Add, in proportion to what is added: no commit waits for a large one, and none falls
// behind, so there are logarithmically many runs. It reads runs that do not change and asks
// the Liveness of the moment; what is dead then is dead in the snapshot of the Version under
// which the run is taken in. Until then its file is not part of the index, and a restart
// throws it away; [maxRuns] bounds what that leaves. Any set of runs may be merged: an entry
// counts or not whichever run it is in.
//
// Memory is bounded: a few MiB of entries, the fences (32 bytes for 8,192 entries), a section
// for each merge under way, and for each redirect a bit a row of its input.
package keyindex
