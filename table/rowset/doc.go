// Package rowset works on sets of changed rows by key: it encodes keys, reduces changes to
// the last one a key, and gathers rows out of batches.
//
// # Invariants
//
// Two rows have equal [Key]s exactly when all their key columns hold equal stored values.
// Short keys of fixed width are encoded as they are, in an order-preserving way; others by
// a 128-bit hash keyed with a secret, so that nobody can make two of them collide.
//
// [Fold] gives every key once, in ascending order of Key, with its last change. [FoldSequence]
// also finds changes that cannot follow each other where a key identifies rows.
//
// Where rows are told apart by all of their columns, equal ones are numbered from 0 without gaps,
// and the key is row and number. [Count] gives how many more or fewer there are of each row.
//
// What a last change does not know is taken from the newest change before it that does, with the
// patches of those between applied in their order, and what none knows is [Pending]. Each change
// is part of at most one such chain.
//
// Values are compared as stored, never by collation.
package rowset
