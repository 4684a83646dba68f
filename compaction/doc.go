// Package compaction keeps tables cheap to read and to commit to: it merges small files, rewrites
// those of which many rows are deleted, and collects garbage. Rewriting is in package table, which
// knows data files. What keeps a commit's cost bounded is part of each commit: it merges manifests,
// thins the snapshots of the table's metadata with age and removes old metadata files.
//
// # Garbage
//
// A [Collector] deletes files that no snapshot names and none ever will. It lists what is at the
// table's location, then asks what is in flight and in intents, then loads the table's metadata
// and reads what all retained snapshots name: what lands meanwhile leaves the former only by
// being in the latter. A plan, which is a pure function, says of each file why it stays or goes.
// Before each part of the plan is carried out all but the listing is asked anew.
//
// A file may go only if its name is one that an attempt of ours makes, in the directory that it
// belongs in, and if no attempt that could name it can land any more:
//
//   - its name carries a fence number below the one in force, or
//   - it carries the one in force, which is also that of the newest Mark, and an epoch before
//     that Mark's: a table's epochs land one after the other, and every commit asserts the tag
//     that each of them moves.
//
// So there is no need to know whether a snapshot once named a file, nor to raise a fence now and
// then. What is written beside the epochs, as a rewrite is, must be in [CollectorConfig.InFlight].
//
// It goes a grace after the collector first saw it so. A journal in the state directory keeps
// that, by a clock of its own: neither a step of the machine's clock nor time without a collector
// makes a file older by more than two intervals. Without the journal every grace starts anew.
//
// # Planning
//
// [Plan] is a pure function from the files of a snapshot, their sizes and the share of their
// rows that is deleted, to groups of files, each to be rewritten into one. It looks at one
// partition at a time.
//
// A file is small while two such fit into one of the target size. Small files are in tiers by
// the logarithm of their live rows, to the base of eight, and eight of a tier are merged into
// one, which is at least a tier higher, or no longer small. So at most seven small files are
// left in each tier, and a row is rewritten at most once a tier on the way into a file that is
// large enough. 10,000 commits of 100 rows, with 130,000 rows in a file that is: at most 28
// files at any time, and each row is rewritten 3.9 times (TestWriteAmplification). Where files
// shrink by more than half when they are merged, rows are rewritten more often.
//
// A file of which a fifth is deleted is rewritten for that alone: then at most four rows are
// written for one that is dropped, and a reader reads at most a quarter more than it is given.
// Where that would reclaim less than a sixty-fourth of the target size, it waits until there are
// eight such files: a table of a few thousand rows that all change all the time would otherwise be
// rewritten with every commit.
//
// Small files come first, those that are the cheapest for one file less before others: every
// file costs each reader a request, and each commit that deletes from it a vector of its own.
//
// # Pacing
//
// A [Pacer] lets a rewrite work for a share of the time and rest for the others.
//
// # Landing
//
// A [Compactor] swaps nothing itself. It hands a finished rewrite to a [Lake], behind which
// package commit lands it between two epochs: so a rewrite and an epoch cannot race. Where another
// program was faster with one of the inputs, the rewrite is thrown away. One rewrite at a time is
// under way in the process, whoever asked for it, but that one of many rows gives way: every second
// it merges those small files that have come meanwhile, in all tables, within its own share of the
// time and up to a thirty-second of the target size. So how many there are does not depend on how
// long a rewrite takes.
//
// # Debt
//
// What a plan would rewrite is a table's debt. It goes up with each commit and down with each
// rewrite. Where the least of it in ten minutes grows three times in a row, to more than four
// files, more is left to do than is done, and the log says so.
//
// # Invariants
//
// Groups are disjoint, of one partition, and each leaves fewer files or fewer deleted rows
// than there were, so planning comes to an end. An output of several files is not larger than
// the target, by what their sizes tell.
//
// A rewrite changes no row: rows in less deleted rows is rows out, checked before it is
// proposed. A row keeps its _row_id and its _last_updated_sequence_number.
//
// What is deleted in an input while it is rewritten is deleted in the output in the same
// commit: the positions that its deletion vector gained are mapped to the output's.
//
// The key index follows a rewrite by one redirect for each input file.
//
// A rewrite carries the table's Mark unchanged.
//
// A file that a retained snapshot names, whatever ref holds it, is never deleted, nor one of an
// attempt whose outcome is open, nor one that an intent names, nor one whose name is not of our
// making, nor anything where metadata of another table are. Others are deleted only a grace after
// they were first seen so, and on record before they are gone.
//
// Only the owner deletes: that its fence is in force is looked at right before. What a daemon that
// has lost the table meanwhile still deletes can land no more under any owner; files of a higher
// fence it leaves alone.
package compaction
