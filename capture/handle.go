package capture

import (
	"bytes"
	"fmt"
	"slices"

	"cdcd/capture/binlog"
	"cdcd/capture/statement"
)

// handle applies one event to the stream's state. Where a table leaves because of it, it is
// applied once more, as it is to the others.
func (s *Stream) handle(e binlog.Event) error {
	err := s.apply(e)
	for s.leaves(err) {
		err = s.apply(e)
	}
	return err
}

func (s *Stream) apply(e binlog.Event) error {
	if s.repeated && ofTransaction(e.Type) {
		return nil
	}
	switch e.Type {
	case binlog.TypeGTID, binlog.TypeGTIDTagged, binlog.TypeMariaDBGTID:
		return s.onGTID(e)
	case binlog.TypeTableMap:
		return s.onTableMap(e)
	case binlog.TypeQuery, binlog.TypeQueryCompressed:
		return s.onQuery(e)
	case binlog.TypeXID:
		return s.onCommit(e)
	case binlog.TypeXAPrepare:
		return s.onXAPrepare(e)
	case binlog.TypeTransactionPayload:
		s.inside = true
		return s.payload.Open(e.Body)
	}
	if binlog.AnyRowEvent(e.Type) {
		return s.onRows(e)
	}
	return s.onOther(e)
}

// onOther passes over what carries no changes and stops at what is not known.
func (s *Stream) onOther(e binlog.Event) error {
	switch e.Type {
	case binlog.TypeFormatDescription, binlog.TypeRotate, binlog.TypeStop, binlog.TypePreviousGTIDs, binlog.TypeIgnorable,
		binlog.TypeRowsQuery, binlog.TypeTransactionContext, binlog.TypeViewChange, binlog.TypeAnnotateRows,
		binlog.TypeBinlogCheckpoint, binlog.TypeGTIDList, binlog.TypeStartEncryption,
		binlog.TypeIntVar, binlog.TypeRand, binlog.TypeUserVar, binlog.TypeBeginLoadQuery: // the statement that follows decides
		return nil
	case binlog.TypeAnonymousGTID:
		return s.stop("a transaction without GTID", Name{}, "SET GLOBAL gtid_mode = ON (step by step: OFF_PERMISSIVE, ON_PERMISSIVE, ON)")
	case binlog.TypeIncident:
		return s.stop("an INCIDENT event (the server lost part of its log)", Name{}, allAnew)
	case binlog.TypeExecuteLoadQuery:
		return s.stop("LOAD DATA logged as a statement", Name{}, "SET GLOBAL binlog_format = 'ROW' and end the sessions that override it")
	}
	if e.Ignorable() {
		return nil
	}
	return s.stop(fmt.Sprintf("the unknown %v", e.Type), Name{}, "a newer version may know it")
}

func (s *Stream) onGTID(e binlog.Event) error {
	g, err := parseGTID(e)
	if err != nil {
		return s.protocolError(e, err)
	}
	id := GTID{SID: g.SID, Tag: g.Tag, Domain: g.Domain, Server: e.ServerID, Number: g.Number}
	if s.flavor == MySQL {
		id.Server = 0
	}
	if s.repeated = s.repeats(id); s.repeated && !s.tx.open {
		return nil
	}
	if s.flavor == MariaDB && !s.repeated && s.applied.Contains(id) {
		return s.outOfOrder(id)
	}
	if err := s.tx.begin(id, g, e.Time()); err != nil {
		return s.protocolError(e, err)
	}
	return nil
}

// outOfOrder stops at a transaction whose number the position holds already: the server has given
// the number a second time, and no position tells the two apart.
func (s *Stream) outOfOrder(g GTID) error {
	return &Stop{
		GTID: g.Text(MariaDB), What: "a GTID out of order",
		Err:  fmt.Errorf("its number is not above those before it in its domain, up to %s", s.applied),
		Hint: "SET GLOBAL gtid_strict_mode = ON, with which the server writes none; once its log holds none any more (PURGE BINARY LOGS), load the tables anew under other names (tables[].target)",
	}
}

func parseGTID(e binlog.Event) (binlog.GTID, error) {
	switch e.Type {
	case binlog.TypeGTIDTagged:
		return binlog.ParseGTIDTagged(e.Body)
	case binlog.TypeMariaDBGTID:
		return binlog.ParseMariaDBGTID(e.Body)
	}
	return binlog.ParseGTID(e.Body)
}

// onTableMap prepares for the row events of a table. Tables that are not captured, or that
// already hold the transaction, cost no more than reading their names.
func (s *Stream) onTableMap(e binlog.Event) error {
	id, schema, name, err := binlog.PeekTableMap(e.Body)
	if err != nil {
		return s.protocolError(e, err)
	}
	s.tx.content = true
	t := s.lookup(schema, name)
	if s.tx.keeping {
		s.keepTableMap(e, id, Name{string(schema), string(name)}, t != nil)
		return nil
	}
	if t == nil || s.holds(t) {
		s.ignore(id)
		return nil
	}
	if p := s.plans[id]; p != nil && p.buffer == t.buffer && bytes.Equal(p.wire.Raw, e.Body) {
		return nil
	}
	wire, err := binlog.ParseTableMap(e.Body, s.flavor == MariaDB)
	if err != nil {
		return s.protocolError(e, err)
	}
	p, err := newPlan(wire, t.buffer, s.collate)
	if err != nil {
		return decodeStop(s.gtidText(), t.Table.Name, err)
	}
	for old, q := range s.plans { // the server gives a table another id each time it opens it
		if q.buffer == t.buffer {
			delete(s.plans, old)
		}
	}
	s.plans[id] = p
	return nil
}

// ignore passes over the rows of a table id in the open transaction.
func (s *Stream) ignore(id uint64) {
	delete(s.plans, id)
	if !slices.Contains(s.ignored, id) { // once a statement is too much for a large transaction
		s.ignored = append(s.ignored, id)
	}
}

func (s *Stream) onRows(e binlog.Event) error {
	id, err := binlog.RowsTableID(e.Body)
	if err != nil {
		return s.protocolError(e, err)
	}
	if s.tx.keeping && slices.Contains(s.tx.kept.tables, id) {
		s.keep(e)
		return nil
	}
	p := s.plans[id]
	if p == nil {
		if slices.Contains(s.ignored, id) {
			return nil
		}
		return s.protocolError(e, fmt.Errorf("rows of table id %d, which was not announced", id))
	}
	table := p.buffer.table.Name
	e, err = s.inflater.Inflate(e) // not before: what was kept stays as small as it was sent
	if err != nil {
		return decodeStop(s.gtidText(), table, err)
	}
	if _, known := binlog.RowEvent(e.Type); !known {
		return s.stopTable(fmt.Sprintf("the unknown %v", e.Type), table, "a newer version may know it")
	}
	if !s.tx.body {
		return s.protocolError(e, errNotOpen)
	}
	rows, err := binlog.ParseRows(e)
	if err != nil {
		return decodeStop(s.gtidText(), table, err)
	}
	before := p.buffer.bytes()
	n, err := p.append(rows, origin{s.tx.gtid, s.flavor, s.tx.committed})
	s.buffered += p.buffer.bytes() - before
	s.tx.rows += n
	s.segment.Rows += n
	if !slices.Contains(s.touched, p.buffer) {
		s.touched = append(s.touched, p.buffer)
	}
	if err != nil {
		return decodeStop(s.gtidText(), table, err)
	}
	return nil
}

// onCommit ends the open transaction, behind what was kept of it.
func (s *Stream) onCommit(e binlog.Event) error {
	if s.tx.keeping {
		s.commitKept(s.tx.takeKept())
		return nil
	}
	applied, err := s.tx.end()
	if err != nil {
		return s.protocolError(e, err)
	}
	s.ignored = s.ignored[:0]
	return s.endTransaction(applied)
}

// onQuery handles a statement in the log: the brackets of transactions, and what is logged
// as text.
func (s *Stream) onQuery(e binlog.Event) error {
	plain, err := s.inflater.Inflate(e)
	if err != nil {
		return s.protocolError(e, err)
	}
	q, err := binlog.ParseQuery(plain.Body)
	if err != nil {
		return s.protocolError(e, err)
	}
	st, sql := s.scan(q)
	switch st.Kind {
	case statement.Begin:
		return s.tx.enterBody("")
	case statement.XAStart:
		return s.tx.enterBody(st.XID)
	case statement.Commit:
		return s.onCommit(e)
	case statement.Rollback:
		return s.onRollback(e)
	case statement.Savepoint:
		s.setSavepoint(st.Savepoint)
		return nil
	case statement.RollbackTo:
		return s.rollBackTo(st.Savepoint)
	case statement.XAEnd, statement.XAPrepare:
		return nil
	case statement.XACommit, statement.XARollback:
		return s.onXAComplete(e, st)
	}
	return s.onStatement(e, q, sql, st)
}

// onStatement judges what is neither rows nor a transaction's bracket. Outside of a
// transaction's body it is a transaction of its own.
func (s *Stream) onStatement(e binlog.Event, q binlog.Query, sql []byte, st statement.Statement) error {
	v := s.tableSet().judge(st, sql)
	if len(v.left) > 0 {
		return s.part(v.left, st)
	}
	if v.stop != "" && v.alone {
		return s.stopTable(v.stop, v.table, v.hint)
	}
	if v.stop != "" {
		return s.stop(v.stop, v.table, v.hint)
	}
	if v.altered {
		return s.onAlter(e, q, sql, v.table)
	}
	if v.emptied {
		return s.onTruncate(v.table)
	}
	switch st.Kind {
	case statement.Insert, statement.Update, statement.Delete, statement.Replace, statement.LoadData:
		s.segment.Unlogged++
	}
	s.created = append(s.created, v.created...)
	s.tx.content = true
	if s.tx.body {
		return nil
	}
	return s.onCommit(e)
}

// tableSet gives the tables as the open transaction meets them: to those that hold it
// already it makes no difference.
func (s *Stream) tableSet() tableSet {
	return tableSet{
		captured: func(n Name) bool {
			t := s.tables[n.Schema][n.Table]
			return t != nil && !s.holds(t)
		},
		wanted: func(n Name) bool { return s.tables[n.Schema][n.Table] == nil && s.cfg.Wanted(n) },
		names: func() []Name {
			var out []Name
			for t := range s.each() {
				if !s.holds(t) {
					out = append(out, t.Table.Name)
				}
			}
			return out
		},
	}
}
