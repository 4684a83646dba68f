// Package fileio keeps the lake's objects: durably, and each under a name of its own.
//
// A [Store] is what the committer needs of a place for objects, be it a disk or a bucket.
// [Disk] is the local one.
//
// # Invariants
//
// An object that was written without error survives a power failure. On disk its content and
// its directory entry are synced before the write returns, and so are directories made on
// the way. A snapshot may name an object only after that.
//
// Objects are immutable: making one that exists is an error. Names carry a UUID, so this
// happens only by mistake, or where two race for a name and one must lose. The exception is
// [Store].Replace, which swaps one whole content for another.
//
// Names are URLs, and nothing in them is escaped or unescaped: readers differ in whether
// they do.
package fileio
