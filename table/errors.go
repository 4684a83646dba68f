package table

import "errors"

// The errors that a caller acts on. All but ErrMoved need a person.
var (
	// ErrNotOurs reports a table that exists and was not made by any pipeline.
	ErrNotOurs = errors.New("the table exists and was not created by cdcd")
	// ErrOtherPipeline reports a table that belongs to another pipeline.
	ErrOtherPipeline = errors.New("the table belongs to another pipeline")
	// ErrRolledBack reports a table that was set back to an older snapshot.
	ErrRolledBack = errors.New("the table was rolled back: its recorded position is not in the history of main")
	// ErrForeignRows reports a snapshot that somebody else wrote and that changes rows.
	ErrForeignRows = errors.New("another writer changed the table's rows")
	// ErrForeignLoad reports that the branch on which a table is loaded anew is not as it was left.
	// Main is in order.
	ErrForeignLoad = errors.New("another writer changed the branch " + refLoad + ", on which the table is loaded anew")
	// ErrForeignShape reports a schema or partition spec that we did not make.
	ErrForeignShape = errors.New("another writer changed the table's schema, partitioning or delete files")
	// ErrOtherShape reports a snapshot that main cannot be set to, for the table has been altered since.
	ErrOtherShape = errors.New("the table has been altered since")
	// ErrOptionsChanged reports a configuration that no longer fits an existing table.
	ErrOptionsChanged = errors.New("the table was created with other options")
	// ErrCorrupt reports metadata that breaks Iceberg's rules.
	ErrCorrupt = errors.New("the table's metadata is damaged")
	// ErrUnfit reports that a table cannot be loaded anew with what the source has now.
	ErrUnfit = errors.New("it cannot be loaded anew as it is in the source now")
	// ErrGone reports a snapshot that is needed and has expired.
	ErrGone = errors.New("a snapshot is gone")
	// ErrDebris reports old files that could not be removed after a commit that succeeded.
	ErrDebris = errors.New("old files are left behind")
	// ErrMoved reports that main is not where a Delta was made.
	ErrMoved = errors.New("the table moved on")
)
