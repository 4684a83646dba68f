package statement

import "strconv"

// Kind is what a statement does, as far as replication of tables is concerned.
type Kind uint8

// The kinds of statement.
const (
	// Unknown is a statement that is not understood. The caller must assume
	// that it may change any table or, if the statement is Certain, the rows
	// or the shape of Tables in a way that no event shows.
	Unknown Kind = iota

	Begin      // Begin is BEGIN and START TRANSACTION.
	Commit     // Commit is COMMIT.
	Rollback   // Rollback is ROLLBACK of the whole transaction.
	Savepoint  // Savepoint sets a savepoint.
	RollbackTo // RollbackTo is ROLLBACK TO SAVEPOINT.

	XAStart    // XAStart is XA START and XA BEGIN.
	XAEnd      // XAEnd is XA END.
	XAPrepare  // XAPrepare is XA PREPARE.
	XACommit   // XACommit is XA COMMIT, in one phase or two.
	XARollback // XARollback is XA ROLLBACK.

	CreateTable   // CreateTable is CREATE TABLE, with or without OR REPLACE.
	AlterTable    // AlterTable is ALTER TABLE, CREATE INDEX and DROP INDEX.
	DropTable     // DropTable is DROP TABLE.
	RenameTable   // RenameTable is RENAME TABLE.
	TruncateTable // TruncateTable is TRUNCATE TABLE.

	CreateDatabase // CreateDatabase is CREATE DATABASE.
	AlterDatabase  // AlterDatabase is ALTER DATABASE.
	DropDatabase   // DropDatabase is DROP DATABASE, which drops its tables.

	Insert   // Insert is an INSERT logged as a statement.
	Update   // Update is an UPDATE logged as a statement.
	Delete   // Delete is a DELETE logged as a statement.
	Replace  // Replace is a REPLACE logged as a statement.
	LoadData // LoadData is LOAD DATA or LOAD XML logged as a statement.
	Call     // Call runs a procedure: its targets are not in the text.
	Select   // Select is a query, logged because a function in it writes.
	Do       // Do is DO, logged because a function in it writes.

	// Harmless is a statement that changes no table's rows or shape: about
	// users, views, routines, sequences, settings, or without any SQL.
	Harmless

	kinds // the number of kinds
)

// String gives the kind as an operator would write it.
func (k Kind) String() string {
	names := [kinds]string{
		Unknown: "unknown", Harmless: "harmless",
		Begin: "BEGIN", Commit: "COMMIT", Rollback: "ROLLBACK", Savepoint: "SAVEPOINT", RollbackTo: "ROLLBACK TO SAVEPOINT",
		XAStart: "XA START", XAEnd: "XA END", XAPrepare: "XA PREPARE",
		XACommit: "XA COMMIT", XARollback: "XA ROLLBACK",
		CreateTable: "CREATE TABLE", AlterTable: "ALTER TABLE", DropTable: "DROP TABLE",
		RenameTable: "RENAME TABLE", TruncateTable: "TRUNCATE TABLE",
		CreateDatabase: "CREATE DATABASE", AlterDatabase: "ALTER DATABASE",
		DropDatabase: "DROP DATABASE",
		Insert:       "INSERT", Update: "UPDATE", Delete: "DELETE", Replace: "REPLACE",
		LoadData: "LOAD DATA", Call: "CALL", Select: "SELECT", Do: "DO",
	}
	if k >= kinds {
		return "Kind(" + strconv.Itoa(int(k)) + ")"
	}
	return names[k]
}

// Name is a table's name, unquoted. Schema is empty where neither the
// statement nor the session gives one.
type Name struct{ Schema, Table string }

// Rename is one table's change of name.
type Rename struct{ From, To Name }

// Options is what the event says of the session that ran the statement.
type Options struct {
	// DefaultSchema qualifies the names that the text does not.
	DefaultSchema string
	// ANSIQuotes is sql_mode ANSI_QUOTES: "x" is an identifier.
	ANSIQuotes bool
	// NoBackslashEscapes is sql_mode NO_BACKSLASH_ESCAPES.
	NoBackslashEscapes bool
	// MariaDB says that a MariaDB server ran the statement: it runs what is in
	// /*M! */ too, but not /*! */ with a version of MySQL 5.7 or later.
	MariaDB bool
}

// Statement is what Scan found.
type Statement struct {
	Kind Kind
	// Tables are the tables whose rows or shape the statement may change, in
	// order of appearance and without repeats. A rename has both names. For
	// UPDATE they are all tables that it joins, and so for a DELETE whose
	// targets cannot be told from the other tables.
	Tables []Name
	// Schema is the database of CREATE, ALTER and DROP DATABASE. These name no
	// table and leave Tables empty.
	Schema string
	// XID identifies the transaction of an XA statement: gtrid and bqual in
	// upper-case hexadecimal and formatID in decimal, joined by commas. Both
	// XA COMMIT 'ab' and XA COMMIT X'6162',X'',1 give "6162,,1".
	XID string
	// Savepoint is the name in Savepoint and RollbackTo.
	Savepoint string
	// IfNotExists is set for a CREATE TABLE that leaves an existing table alone.
	IfNotExists bool
	// IfExists is set for a RENAME TABLE that passes over what cannot be renamed.
	IfExists bool
	// Replaces is set for a CREATE DATABASE that first drops the one of that name, with its
	// tables.
	Replaces bool
	// Temporary is set for CREATE and DROP TEMPORARY TABLE.
	Temporary bool
	// Partition is set for an ALTER TABLE with a clause about partitions. Some
	// of them drop or exchange rows without a row event.
	Partition bool
	// Renames has the pairs of RENAME TABLE, in order, and the new name that
	// ALTER TABLE ... RENAME gives.
	Renames []Rename
	// AsSelect is set for a CREATE TABLE that also fills the table: with a
	// query, or marked START TRANSACTION because the rows follow.
	AsSelect bool
	// Certain is set if every target is in Tables. It is not where the text is
	// malformed, goes on after its end, or has a construct not understood.
	Certain bool
}

// Scan reads the text of one statement.
func Scan(sql []byte, o Options) Statement {
	switch string(sql) { // what most events are
	case "BEGIN":
		return Statement{Kind: Begin, Certain: true}
	case "COMMIT":
		return Statement{Kind: Commit, Certain: true}
	}
	p := parser{lex: lexer{src: sql, opts: o}, out: Statement{Certain: true}}
	p.next()
	p.statement()
	p.finish()
	return p.out
}
