// Package statement reads the SQL text of a QUERY event of the binlog of MySQL
// or MariaDB as far as replication must know it: what the statement does, and
// to which tables.
//
// It is a tolerant scanner, not a parser: the servers' grammars change with
// every version, and a statement that a parser rejects would stop replication
// although it did run at the source. Only the verb, the names of the tables
// and a few clauses are understood; the rest of the text is stepped over.
//
// Invariants:
//
//   - Scan answers for every byte string. It returns no error and does not
//     panic, its time and memory are linear in the length of the text, and it
//     does not recurse.
//   - Scan is pure: the answer depends on nothing but its arguments, and keeps
//     no reference to the text.
//   - Comments and white space do not change the answer, except for the text
//     in executable comments, which counts as SQL where the server ran it.
//   - In doubt the answer says so. Certain is true only if every table that
//     the text names as a target is in Tables. What the text does not name
//     (tables behind triggers, foreign keys and views) is not looked for; a
//     statement that is all about such tables, CALL for one, is never certain.
//   - No Name has an empty Table, and no Name occurs twice in Tables.
//
// The text must be in UTF-8: the event holds it in the character set of the
// client, and the caller decodes it. Names are given as written, without a
// change of case, since lower_case_table_names is the server's affair.
//
// [Statement.Fates] tells which names mean another table behind the statement, or none.
//
// [Alter] reads the clauses of an ALTER TABLE the other way round: what it does not know makes
// the whole statement not understood, since a clause that is stepped over may change rows.
//
// Not read are the bodies of stored routines, triggers and events. What they
// do is logged when they run.
package statement
