package capture

import (
	"slices"
	"strings"
	"unsafe"

	"cdcd/capture/binlog"
)

// A server mostly leaves out of its log what was rolled back. MariaDB writes it, and the ROLLBACK
// behind it, where the transaction also did what cannot be rolled back: it changed a table
// without transactions (whose rows have a transaction of their own in the log), or created or
// dropped a temporary table.

// savepoint is a place in the open transaction that it may return to.
type savepoint struct {
	name    string
	rows    int                    // of the transaction that come before it
	kept    int                    // events that were kept before it
	buffers map[*rowBuffer]rowMark // of the transaction so far
}

// setSavepoint notes where the open transaction is.
func (s *Stream) setSavepoint(name string) {
	sp := savepoint{name: name, rows: s.tx.rows, kept: len(s.tx.kept.events), buffers: map[*rowBuffer]rowMark{}}
	for _, b := range s.touched {
		sp.buffers[b] = b.mark()
	}
	s.tx.savepoints = append(slices.DeleteFunc(s.tx.savepoints, func(x savepoint) bool { return sameSavepoint(x.name, name) }), sp)
}

// sameSavepoint compares names as servers do, in ASCII.
func sameSavepoint(a, b string) bool { return strings.EqualFold(a, b) }

// rollBackTo returns to a savepoint. Those behind it are gone.
func (s *Stream) rollBackTo(name string) error {
	at := slices.IndexFunc(s.tx.savepoints, func(x savepoint) bool { return sameSavepoint(x.name, name) })
	if ascii := asciiPrefix([]byte(name)) == len(name); at < 0 || !ascii { // which names are the same is up to a collation
		if s.tx.rows == 0 && len(s.tx.kept.events) == 0 {
			return nil
		}
		return s.stop("ROLLBACK of logged rows to an unknown savepoint", Name{}, "")
	}
	s.tx.savepoints = s.tx.savepoints[:at+1]
	return s.undo(s.tx.savepoints[at])
}

// onRollback ends the open transaction without its changes.
func (s *Stream) onRollback(e binlog.Event) error {
	if err := s.undo(savepoint{}); err != nil {
		return err
	}
	s.created = s.created[:0]
	return s.onCommit(e)
}

// undo takes back what the open transaction changed behind a savepoint.
func (s *Stream) undo(to savepoint) error {
	if s.tx.rows == to.rows && len(s.tx.kept.events) == to.kept {
		return nil
	}
	if s.sent || s.tx.overflown {
		return s.stop("ROLLBACK of logged rows of which some are delivered", Name{}, "raise commit.max_bytes, or roll back smaller transactions")
	}
	for _, b := range s.touched {
		s.buffered -= b.bytes()
		if m, filled := to.buffers[b]; filled {
			b.dropTo(m)
		} else {
			b.drop()
		}
		s.buffered += b.bytes()
	}
	s.segment.Rows -= s.tx.rows - to.rows
	s.tx.rows = to.rows
	for _, e := range s.tx.kept.events[to.kept:] {
		s.charge(-int(unsafe.Sizeof(e)) - len(e.Body))
	}
	s.tx.kept.events = s.tx.kept.events[:to.kept]
	return nil
}
