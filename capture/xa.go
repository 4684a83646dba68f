package capture

import (
	"bytes"
	"fmt"
	"slices"
	"unsafe"

	"cdcd/capture/binlog"
	"cdcd/capture/statement"
)

// kept is what is remembered of an XA transaction until its outcome is known: the events that
// change captured tables, as the server sent them. They are handled at XA COMMIT, as part of
// that transaction, or never.
type kept struct {
	gtid   GTID // of the prepare
	events []binlog.Event
	tables []uint64 // ids of captured tables that were announced
	absent []Name   // tables that it announced and that are not captured
	bytes  int      // that all of this takes
}

// keepTableMap is onTableMap where changes are kept. It asks for no table whether it holds the
// transaction: one that began between the prepare and the outcome has the prepare's GTID and
// not its rows.
func (s *Stream) keepTableMap(e binlog.Event, id uint64, name Name, captured bool) {
	k := &s.tx.kept
	if captured {
		s.ignored = slices.DeleteFunc(s.ignored, func(x uint64) bool { return x == id })
		if !slices.Contains(k.tables, id) {
			k.tables = append(k.tables, id)
		}
		s.keep(e)
		return
	}
	s.ignore(id)
	if !slices.Contains(k.absent, name) {
		k.absent = append(k.absent, name)
		s.charge(int(unsafe.Sizeof(name)) + len(name.Schema) + len(name.Table))
	}
}

// keep keeps an event. Where that is too much, what is kept is handled now instead.
func (s *Stream) keep(e binlog.Event) {
	e.Body = bytes.Clone(e.Body)
	s.tx.kept.events = append(s.tx.kept.events, e)
	s.charge(int(unsafe.Sizeof(e)) + len(e.Body))
	if s.tx.keptBytes > s.cfg.Limits.Prepared {
		s.tx.overflown = true
		s.replay = s.tx.takeKept().events
	}
}

// charge counts memory of what is kept.
func (s *Stream) charge(n int) {
	s.tx.kept.bytes += n
	s.tx.keptBytes += n
}

// onXAPrepare ends an XA transaction: at once, where it commits in one phase.
func (s *Stream) onXAPrepare(e binlog.Event) error {
	x, err := binlog.ParseXAPrepare(e.Body)
	if err != nil {
		return s.protocolError(e, err)
	}
	if x.OnePhase {
		return s.onCommit(e)
	}
	if s.tx.overflown {
		return s.stop(fmt.Sprintf("XA PREPARE with more than %d bytes of the log in transactions that are prepared", s.cfg.Limits.Prepared), Name{},
			"raise commit.max_bytes, of which they may take half, or exclude the tables that large XA transactions write to")
	}
	g := s.tx.gtid
	if err := s.tx.prepare(x.XID); err != nil {
		return s.protocolError(e, err)
	}
	s.ignored = s.ignored[:0]
	if err := s.applied.Pass(g); err != nil {
		return err
	}
	return s.endTransaction(nil)
}

// commitKept has the kept events handled in the open transaction, and ends it behind them.
func (s *Stream) commitKept(k kept) {
	s.replay = append(s.replay, k.events...)
	s.replay = append(s.replay, binlog.Event{Type: binlog.TypeXID})
}

// nextKept takes the next event that was kept.
func (s *Stream) nextKept() binlog.Event {
	e := s.replay[0]
	s.replay[0] = binlog.Event{}
	s.replay = s.replay[1:]
	return e
}

// onXAComplete commits a prepared XA transaction, or forgets it.
func (s *Stream) onXAComplete(e binlog.Event, st statement.Statement) error {
	k, known, err := s.tx.complete(st.XID)
	if err != nil {
		return s.protocolError(e, err)
	}
	if !known && len(s.tables) == 0 {
		return s.onCommit(e)
	}
	if !known {
		return s.stop(st.Kind.String()+" of a transaction that was prepared before our position", Name{},
			"what it changed cannot be told; "+allAnew)
	}
	if st.Kind == statement.XARollback {
		k.events, k.absent = nil, nil
	}
	for _, n := range k.absent {
		if t := s.tables[n.Schema][n.Table]; t != nil && !s.holds(t) {
			if err := s.stopTable(st.Kind.String()+" of a transaction that was prepared before the table was captured", n, loadAnew); !s.leaves(err) {
				return err
			}
		}
	}
	s.commitKept(k)
	return nil
}
