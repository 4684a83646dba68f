// Package fileio writes the lake's files durably on local disk.
//
// # Invariants
//
// A file that was written without error survives a power failure: its content and its
// directory entry are synced before the write returns, and so are directories made on the
// way. A snapshot may name a file only after that.
//
// Files are immutable: creating one that exists is an error. Names carry a UUID, so this
// only ever happens by mistake.
package fileio
