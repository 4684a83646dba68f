// Package keyring keeps the credentials of the store that a catalog hands out with its tables.
//
// # Invariants
//
// What belongs to a table, which is what lies at its location, is reached with what the
// catalog handed out for that table, and by nothing else. Of what it handed out the longest
// prefix wins; credentials without a prefix come last. What belongs to no table is reached
// with what a prefix covers, and else with the store's own credentials. A prefix covers whole
// parts of a path: s3://lake/a does not cover s3://lake/ab.
//
// A table's credentials are asked for by one goroutine at a time, and whoever waits takes its
// result. That happens in the last part of their time and where the catalog gave none so far,
// at most once in askEvery, and after a refusal of the store, again at most once in askEvery. A catalog that does not answer
// stops nobody whose credentials are still good.
//
// No secret is part of an error.
package keyring
