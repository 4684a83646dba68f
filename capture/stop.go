package capture

import (
	"errors"
)

// Stop reports something in the log that must not be read past: nothing after it has been
// delivered. A person has to decide.
type Stop struct {
	GTID  string // the transaction
	What  string // the statement's or event's kind
	Table string // the captured table it concerns, "" where that is not known
	Alone Name   // that table, where no other is concerned; zero else
	Cause Cause  // why that table cannot be followed any further
	Hint  string // what to do
	Err   error  // further detail, may be nil
}

// Cause is why a table cannot be followed any further.
type Cause uint8

// The causes.
const (
	Unsupported Cause = iota // what happened to it cannot be told, or the lake cannot show it
	Dropped                  // no table has its name any more
	Replaced                 // another table has its name
)

func (s *Stop) Error() string {
	msg := s.What
	if s.Table != "" {
		msg += " on " + s.Table
	}
	if s.GTID != "" {
		msg += " at " + s.GTID
	}
	msg += " is not supported: stopped before it"
	if s.Err != nil {
		msg += ": " + s.Err.Error()
	}
	if s.Hint != "" {
		msg += "; " + s.Hint
	}
	return msg
}

func (s *Stop) Unwrap() error { return s.Err }

// Reason says what it is about, without its place and what to do.
func (s *Stop) Reason() string {
	if s.Err != nil {
		return s.What + ": " + s.Err.Error()
	}
	return s.What
}

// startOver is what can be done where the log does not lead on from a position.
const startOver = "the choices: give the server back what it has lost and start cdcd again; or load the tables anew, as a new pipeline (pipeline, warehouse.location). What is in the lake stays as it is"

// allAnew loads all tables anew, from where the server is then.
const allAnew = "have all tables loaded anew, beside the rows that readers see: cdcd resnapshot --all, then cdcd run"

// loadAll is what can be done as well where the server has all that was applied.
const loadAll = "the choices: give the server its log back and start cdcd again; or " + allAnew + ". What is in the lake stays as it is"

// ErrPositionLost reports that the log no longer holds what follows our position.
var ErrPositionLost = errors.New("the server's log no longer holds the transactions that follow our position")

// ErrHistoryLost reports that the server has not executed transactions that we applied: it
// was restored, failed over to a replica that lacked them, or has given their GTIDs to others
// since.
var ErrHistoryLost = errors.New("the server has lost transactions that are already applied")

// ErrReplaced reports that another replica with our identity took the connection.
var ErrReplaced = errors.New("another replica with the same identity connected to the server")

// ErrRival comes with ErrReplaced where that one takes the connection again as often as it is taken
// back: both are meant to run.
var ErrRival = errors.New("two replicas go by one identity")

// ErrAccess reports that the server refused the user.
var ErrAccess = errors.New("access denied")

// decodeStop wraps an error in a row event.
func decodeStop(gtid string, table Name, err error) error {
	s := &Stop{GTID: gtid, What: "a row event", Table: table.String(), Alone: table, Err: err}
	switch {
	case errors.Is(err, errUntold):
		s.What = "an incomplete row image"
		s.Hint = "SET GLOBAL binlog_row_image = 'FULL' and end the sessions that override it"
	case errors.Is(err, errNotAppended):
		s.What, s.Hint = "a changed row", "exclude the table, or load it anew under another name (tables[].target) with another tables[].mode"
	case errors.Is(err, errNullKey):
		s.Hint = "exclude the table, or load it anew under another name (tables[].target) with another tables[].key or mode: rows"
	case errors.Is(err, errChanged):
		s.What = "a changed table"
		s.Hint = loadAnew
	}
	return s
}
