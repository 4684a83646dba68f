package capture

import (
	"fmt"

	"cdcd/capture/binlog"
	"cdcd/capture/statement"
)

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
	change, err := t.Table.alter(statement.Alter(sql, s.scanOptions(q)), session{
		strict: q.SQLMode&binlog.SQLModeStrict != 0, realAsFloat: q.SQLMode&binlog.SQLModeRealAsFloat != 0,
		mariaDB: s.flavor == MariaDB, began: e.Time(), options: t.Options,
	})
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
