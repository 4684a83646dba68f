package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"cdcd/capture/binlog"
	"github.com/google/uuid"
)

// witnessWithin bounds how long a connection waits for the transactions of its Witnesses. The
// server has them; it may have to read through a file of its log to get there.
const witnessWithin = time.Minute

// testimony compares what a server sends with the Witnesses that it was asked for. It does no
// I/O.
type testimony struct {
	asked   []Witness // whose GTIDs were not met yet
	untold  Position  // of Witnesses that have no answer
	open    GTID      // the transaction that was begun last
	doubt   error     // it is not the one of its Witness, which counts if there is anything in it
	payload *binlog.Payload
}

// summon says what a server is asked for, out of what it has: the newest delivered
// transaction, or those that the tables hold. What is purged cannot be asked for.
func (s *Stream) summon(server Server) *testimony {
	t := &testimony{untold: EmptyPosition(MySQL), payload: s.payload}
	if s.flavor != MySQL {
		return t
	}
	witnesses := s.cfg.Witnesses
	if !s.newest.IsZero() {
		witnesses = []Witness{s.newest}
	}
	for _, w := range witnesses {
		switch {
		case server.Purged.Contains(w.GTID):
			t.passOver(w.GTID)
		case server.Executed.Contains(w.GTID) && !slices.Contains(t.asked, w):
			t.asked = append(t.asked, w)
		}
	}
	return t
}

// examine asks the server for the transactions of the Witnesses, over a connection of its own:
// so nothing of them, nor what lies between them in the log, gets into the stream. Whatever
// keeps the answer from coming does not keep the stream from going on.
func (s *Stream) examine(ctx context.Context, server Server) error {
	t := s.summon(server)
	var reason error
	if !t.done() {
		var err error
		if reason, err = s.question(ctx, t, server.Executed); err != nil {
			return err
		}
	}
	for _, w := range t.asked {
		t.passOver(w.GTID)
	}
	t.end()
	if untold := t.untold.String(); untold != s.untold {
		s.untold = untold
		if untold != "" {
			s.cfg.Logger.Info("the log does not show these applied transactions: whether it was reset since cannot be told", "transactions", untold, "err", reason)
		}
	}
	return nil
}

// question reads the log up to its end, or until t is done. The reason is why it could not; an
// err ends the connection.
func (s *Stream) question(ctx context.Context, t *testimony, executed Position) (reason, err error) {
	known := EmptyPosition(MySQL)
	for _, w := range t.asked {
		if err := known.Add(w.GTID); err != nil {
			return nil, err
		}
	}
	cfg, err := s.dumpConfig(executed.without(known))
	if err != nil {
		return nil, err
	}
	cfg.ToEnd, cfg.ReplicaID = true, uuid.NewString() // it takes nobody's connection, and nobody takes it
	dump, err := binlog.Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer dump.Close()
	for deadline := time.Now().Add(witnessWithin); !t.done(); {
		e, err := dump.Next(deadline)
		if err == nil {
			err = t.on(e)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, binlog.ErrEnd):
			return nil, nil
		case errors.Is(err, ErrHistoryLost), Transient(err):
			return nil, err
		default:
			return err, nil
		}
	}
	return nil, nil
}

// passOver notes a Witness that has no answer.
func (t *testimony) passOver(g GTID) {
	s := t.untold.source(g.SID, g.Tag)
	s.set = s.set.add(g.Number)
}

// done reports that nothing more is to be read.
func (t *testimony) done() bool { return len(t.asked) == 0 && t.doubt == nil }

// on takes the next event in. Its error says that the server's history is another one.
func (t *testimony) on(e binlog.Event) error {
	switch e.Type {
	case binlog.TypeGTID, binlog.TypeGTIDTagged:
		return t.onGTID(e)
	case binlog.TypeTableMap:
		return t.doubt
	case binlog.TypeXID:
		t.end()
	case binlog.TypeQuery:
		return t.onQuery(e)
	case binlog.TypeTransactionPayload:
		return t.onPayload(e)
	}
	return nil
}

// onGTID compares a transaction, where it has a Witness. One without a time is believed.
func (t *testimony) onGTID(e binlog.Event) error {
	t.end()
	g, err := parseGTID(e)
	if err != nil {
		return err
	}
	t.open = GTID{SID: g.SID, Tag: g.Tag, Number: g.Number}
	for _, w := range t.asked {
		switch {
		case w.GTID != t.open:
		case g.Committed.IsZero():
			t.passOver(t.open)
		case !w.Committed.Equal(g.Committed):
			t.doubt = otherHistory(w, g.Committed)
		}
	}
	t.asked = slices.DeleteFunc(t.asked, func(w Witness) bool { return w.GTID == t.open })
	return nil
}

// onQuery finds out whether there is anything in a transaction but its brackets.
func (t *testimony) onQuery(e binlog.Event) error {
	q, err := binlog.ParseQuery(e.Body)
	if err != nil {
		return err
	}
	switch string(q.SQL) {
	case "BEGIN":
	case "COMMIT", "ROLLBACK":
		t.end()
	default:
		return t.doubt
	}
	return nil
}

func (t *testimony) onPayload(e binlog.Event) error {
	if t.doubt == nil {
		return nil
	}
	if err := t.payload.Open(e.Body); err != nil {
		return err
	}
	for {
		inner, err := t.payload.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = t.on(inner)
		}
		if err != nil {
			return err
		}
	}
}

// end is the end of a transaction. One with nothing in it shows nothing: replicas are given
// such transactions by hand, in the place of those that they are to leave out.
func (t *testimony) end() {
	if t.doubt != nil {
		t.passOver(t.open)
		t.doubt = nil
	}
}

func otherHistory(w Witness, committed time.Time) error {
	const form = "2006-01-02T15:04:05.000000Z"
	return fmt.Errorf("%w: its log was reset, or it was set back, and it has given the GTID %s of the applied transaction of %s to another one, of %s; load the tables anew under other names (tables[].target)",
		ErrHistoryLost, w.GTID.Text(MySQL), w.Committed.UTC().Format(form), committed.UTC().Format(form))
}
