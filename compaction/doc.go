// Package compaction keeps tables cheap to read and to commit to. None of it is written
// yet: this text says what the package will own. Until then nothing merges data files or
// deletes data that no snapshot names any more. What keeps a commit's cost bounded is part of
// each commit, in package table: it merges manifests, drops the oldest snapshots from the
// table's metadata and removes old metadata files.
//
// # What it will own
//
//   - Planning, as a pure function: from files, their sizes, the share of their rows that is
//     deleted and their partitions to groups of files to rewrite, each with a reason. Small
//     files come first, so that the files of a partition are bounded in number, then files
//     with many deleted rows.
//   - Rewriting a group: its files are read at one snapshot, in the background and under the
//     memory budget, and written anew in order.
//   - Expiry of snapshots by age.
//   - Collecting garbage: files that no snapshot names any more, or that none ever named.
//
// It will swap nothing itself. It proposes a Delta on a base and learns that the Delta has
// landed, or on which head to propose it again; package commit stands behind that, so that
// a rewrite and an epoch cannot race.
//
// # Invariants
//
// A rewrite changes no row: rows in less deleted rows is rows out, checked before it is
// proposed. A row keeps its _row_id.
//
// What is deleted in an input while it is rewritten is deleted in the output in the same
// commit: the positions that its deletion vector gained are mapped to the output's.
//
// The key index follows a rewrite by one redirect for each input file.
//
// A rewrite carries the table's Mark unchanged.
//
// Expiry never removes the snapshot that holds the position, nor one that a tag names.
//
// A file that a snapshot of any ref names is never deleted, nor one of an attempt whose
// outcome is open, nor one whose name is not of our making. Others are deleted only a grace
// after they were first seen to be unreachable.
package compaction
