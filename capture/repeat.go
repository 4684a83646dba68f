package capture

import "cdcd/capture/binlog"

// A server of MariaDB is asked for what follows one transaction in each domain. Where one is
// missing further up (a prepared XA transaction), it sends again what is applied behind it.
// That is passed over, up to the transaction that was the last of the domain; a number that is
// not above it afterwards is out of order, as ever.

// repeats reports whether a transaction is applied and was to be sent again.
func (s *Stream) repeats(g GTID) bool {
	last, on := s.repeatsTo[g.Domain]
	if !on {
		return false
	}
	if g.Number >= last {
		delete(s.repeatsTo, g.Domain)
	}
	return s.applied.Contains(g)
}

// ofTransaction reports whether an event is part of a transaction, behind its GTID.
func ofTransaction(t binlog.Type) bool {
	switch t {
	case binlog.TypeTableMap, binlog.TypeQuery, binlog.TypeQueryCompressed, binlog.TypeXID, binlog.TypeXAPrepare,
		binlog.TypeTransactionPayload, binlog.TypeExecuteLoadQuery:
		return true
	}
	return binlog.AnyRowEvent(t)
}
