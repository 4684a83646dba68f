package capture

import (
	"fmt"
	"time"

	"cdcd/capture/binlog"
	"cdcd/capture/statement"
)

// session is what decides how a statement changed values, beside its text.
type session struct {
	strict      bool // values that do not fit end the statement
	realAsFloat bool
	padsChar    bool // a CHAR is read with blanks up to its length
	emptyIsNull bool // '' is NULL
	oracle      bool // DATE is DATETIME
	maxDB       bool // TIMESTAMP is DATETIME
	recoded     bool // the server took texts into another character set before it used them
	mariaDB     bool
	began       time.Time // in whole seconds
	options     TypeOptions
}

// onAlter derives what an ALTER TABLE makes of a captured table. Where that is another shape,
// the transaction is ended only once all before it has been handed over, so that it is in a
// Segment of its own. Where it cannot be told, the stream stops before it.
func (s *Stream) onAlter(e binlog.Event, q binlog.Query, sql []byte, n Name) error {
	if s.tx.body {
		return s.stopTable("ALTER TABLE inside of a transaction", n, loadAnew)
	}
	if s.tx.twoPhase {
		return s.stopTable("ALTER TABLE in two phases", n, "SET GLOBAL binlog_alter_two_phase = OFF; "+loadAnew)
	}
	t := s.tables[n.Schema][n.Table]
	change, err := t.Table.alter(statement.Alter(sql, s.scanOptions(q)), s.sessionOf(e, q, t.Options))
	if err != nil {
		return &Stop{GTID: s.gtidText(), What: "this ALTER TABLE", Table: n.String(), Alone: n, Hint: loadAnew, Err: err}
	}
	s.tx.content = true
	if change == nil {
		return s.onCommit(e)
	}
	change.GTID = s.gtidText()
	s.altering = change
	return nil
}

// sessionOf gives what the session of a statement decides.
func (s *Stream) sessionOf(e binlog.Event, q binlog.Query, o TypeOptions) session {
	mode := func(bits uint64) bool { return q.SQLMode&bits != 0 }
	out := session{
		strict: mode(binlog.SQLModeStrict), realAsFloat: mode(binlog.SQLModeRealAsFloat), padsChar: mode(binlog.SQLModePadChar),
		recoded: s.collate[uint64(q.Charset)] != s.collate[uint64(q.Connection)],
		mariaDB: s.flavor == MariaDB, began: e.Time(), options: o,
	}
	if out.mariaDB {
		out.oracle, out.maxDB, out.emptyIsNull = mode(binlog.SQLModeOracle), mode(binlog.SQLModeMaxDB), mode(binlog.SQLModeEmptyIsNull)
	}
	return out
}

// onTruncate notes that a captured table has no rows any more, in a Segment of its own.
func (s *Stream) onTruncate(n Name) error {
	if s.tx.body {
		return s.stopTable("TRUNCATE TABLE inside of a transaction", n, loadAnew)
	}
	s.tx.content = true
	s.altering = &Change{GTID: s.gtidText(), Truncated: true, Table: s.tables[n.Schema][n.Table].Table}
	return nil
}

// finishAlter ends the transaction that altered a table, or truncated it.
func (s *Stream) finishAlter() error {
	c := s.altering
	s.altering = nil
	if !c.Truncated {
		if err := s.reshape(c); err != nil {
			return err
		}
	}
	applied, err := s.tx.end()
	if err != nil {
		return err
	}
	s.segment.Change = c
	s.ignored = s.ignored[:0]
	return s.endTransaction(applied)
}

// reshape captures a table in its new shape.
func (s *Stream) reshape(c *Change) error {
	old := s.tables[c.Table.Name.Schema][c.Table.Name.Table]
	buffer, err := newRowBuffer(c.Table, old.Options, old.CommitTime, s.cfg.Memory)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Table.Name, err)
	}
	old.buffer.free()
	old.Table, old.buffer = c.Table, buffer
	for id, p := range s.plans {
		if p.buffer.table.Name == c.Table.Name {
			delete(s.plans, id)
		}
	}
	return nil
}
