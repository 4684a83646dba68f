// Package fsck checks a lake's tables against the rules of Iceberg v2 and v3 and of the commit
// protocol: every retained snapshot, down to the bytes of each deletion vector. It reads
// only. The source is not asked: whether the rows are right is package verify's business.
//
// # Rules
//
// A [Finding] names the rule that is broken.
//
//   - missing, length: every list, manifest, data file and vector that a retained snapshot
//     names is there, with the length that is recorded.
//   - unreadable: lists, manifests and vectors can be decoded.
//   - twice: a snapshot lists a manifest or a data file once.
//   - vector: at most one deletion vector a data file; it is in a Puffin file, its checksum
//     and its number of positions are right, it names a live data file of the same partition
//     that is not younger, its positions are inside the file, and none is lost later. In version
//     2, and what is left of it in version 3, a Parquet file of positions is in its place, of
//     one data file and in order. In a snapshot of others such files may be of any data files.
//   - lineage: row ids of a snapshot's files do not overlap and are below the table's next.
//     Version 2 has none.
//   - counts: the counters of summaries, lists and manifests say what the entries say.
//   - history: sequence numbers grow from parent to child, and refs are on retained snapshots.
//   - position, timeline: along main neither goes back. A Mark holds where a snapshot ends and
//     not where it starts, so that it starts where its parent ended shows only as this.
//   - base: of two commits of ours on one parent, one may have landed in a timeline.
//   - fence: fence numbers never go back along main, and none is above the fence branch's.
//   - mark: the tag and the properties name main's newest Mark, and repeat it.
//   - foreign: nobody else changed rows, unless an operator accepted it since.
//   - key: in main's head at most one row a key is live; without a key, one a row and number among
//     equal ones. Checked on request only.
//   - cut: a cut names retained snapshots that show its position.
//
// Files that nothing references are debris and break no rule.
//
// # Invariants
//
// Names of keys and refs, and the reading of metadata, are this package's own: the checker
// does not ask the code that it checks. Manifests and vectors are decoded by the Iceberg
// library; integration/engines/fsck.py does that, too, by other means.
//
// A daemon may run. What is not as it should be in a snapshot or a cut that is gone when it is
// looked for again is no finding.
//
// Memory is bounded by the number of files: a record for each that a retained snapshot
// names, and for each that is listed. The check of keys uses a fixed amount, and 24 bytes a
// row on disk.
package fsck
