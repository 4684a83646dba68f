package capture

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"cdcd/capture/binlog"
	"github.com/cenkalti/backoff/v5"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-sql-driver/mysql"
)

const (
	// reconnectFor bounds how long a lost connection is tried again. A supervisor's
	// restart is the next resort.
	reconnectFor = 5 * time.Minute
	// visibleWithin is how long transactions may be in the log before the server shows them
	// as executed: with semi-synchronous replication in AFTER_SYNC the log runs ahead.
	visibleWithin = 60 * time.Second
	// steadyAfter is how long a connection that brings nothing must have lasted to be a sound one.
	steadyAfter = 2 * Heartbeat
	// firstRest is how long the stream waits after the second connection in a row that was none,
	// and twice as long after each further one, restDoublings times and up to longestRest.
	firstRest     = 100 * time.Millisecond
	longestRest   = 10 * time.Second
	restDoublings = 7
	// damagedReads is how often a damaged event is read again before it is believed.
	damagedReads = 3
	// replacedTries is how often a stream that lost its connection to another replica of its
	// identity takes it back, replacedPause how long it leaves that one, and replacedWithin
	// how far apart two losses are that count as one trouble. A former owner that wakes up
	// meets the fence within the pause; two daemons that are both meant to run do not.
	replacedTries  = 3
	replacedPause  = 2 * time.Second
	replacedWithin = time.Minute
)

// afterError decides what becomes of the stream after an error: nil means that the connection
// was given up and that Next goes on from the last whole transaction.
func (s *Stream) afterError(ctx context.Context, err error) error {
	var stop *Stop
	if errors.As(err, &stop) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch known := classify(err); {
	case errors.Is(known, ErrReplaced) && !s.sent:
		return s.takeBack(ctx, known)
	case terminal(known):
		return known
	}
	if s.sent {
		return fmt.Errorf("connection lost inside a transaction that is partly delivered: %w", err)
	}
	s.cfg.Logger.Warn("stream interrupted, reconnecting", "position", s.applied.String(), "err", err)
	s.disconnect()
	if code, _ := serverError(err); code != 0 || Transient(err) || errors.Is(err, binlog.ErrSilent) {
		return s.rest(ctx, err)
	}
	return s.countDamage(err) // what was read makes no sense, and may not the next time either
}

// losses are the connections that were lost one after the other.
type losses struct {
	connected time.Time // when the newest connection was made
	brought   bool      // a transaction has ended since
	fruitless int       // connections in a row that brought none and were soon lost
	since     time.Time // when the first of them was lost
}

// rest waits before the next connection where those before brought nothing and were soon lost, and
// gives up where that has gone on for reconnectFor. The first one of such is made anew at once.
func (s *Stream) rest(ctx context.Context, err error) error {
	l, now := &s.losses, time.Now()
	if l.brought || now.Sub(l.connected) >= steadyAfter {
		l.fruitless = 0
		return nil
	}
	l.fruitless++
	switch {
	case l.fruitless == 1:
		l.since = now
		return nil
	case now.Sub(l.since) >= reconnectFor:
		return fmt.Errorf("connected %d times within %v, and lost the connection each time: %w", l.fruitless, reconnectFor, err)
	}
	return sleep(ctx, min(firstRest<<min(l.fruitless-2, restDoublings), longestRest))
}

// takeBack waits, and lets the stream connect again, unless that was tried too often.
func (s *Stream) takeBack(ctx context.Context, err error) error {
	if now := time.Now(); now.Sub(s.replacedAt) > replacedWithin {
		s.replaced, s.replacedAt = 0, now
	}
	if s.replaced++; s.replaced > replacedTries {
		return fmt.Errorf("%w: %w, and again after each of %d times that it was taken back within %v; %s", ErrRival, err, replacedTries, replacedWithin, s.identity())
	}
	s.cfg.Logger.Warn("stream interrupted, taking the connection back", "position", s.applied.String(), "server_id", s.cfg.Source.ServerID, "err", err, "retry_in", replacedPause)
	s.disconnect()
	return sleep(ctx, replacedPause)
}

// identity says by what the server takes this replica for another one, and what to do.
func (s *Stream) identity() string {
	if s.flavor == MariaDB {
		return fmt.Sprintf("its server id is %d too: set source.server_id to one that no other replica has", s.cfg.Source.ServerID)
	}
	return fmt.Sprintf("it runs under the name %q too: give one of the two pipelines another name (pipeline)", s.cfg.Source.Pipeline)
}

// countDamage gives up on an event that is damaged however often it is read.
func (s *Stream) countDamage(err error) error {
	s.damaged++
	if s.damaged >= damagedReads {
		return &Stop{What: "a damaged event", Err: fmt.Errorf("after %s: %w", s.applied, err), Hint: "check the server's disk; PURGE or restore its log, or " + allAnew}
	}
	return nil
}

// disconnect drops the connection and everything of the open transaction.
func (s *Stream) disconnect() {
	if s.dump != nil {
		s.dump.Close()
		s.dump = nil
	}
	s.inside, s.replay, s.repeated = false, nil, false
	for _, b := range s.touched {
		s.buffered -= b.bytes()
		b.drop()
		s.buffered += b.bytes()
	}
	s.touched, s.created = s.touched[:0], s.created[:0]
	s.segment.Rows -= s.tx.rows
	s.tx.abandon()
	s.altering = nil
	clear(s.plans)
	s.ignored = s.ignored[:0]
}

// reconnect connects, trying again within reconnectFor where waiting can help.
func (s *Stream) reconnect(ctx context.Context) error {
	attempt := func() (struct{}, error) {
		err := classify(s.connect(ctx))
		if terminal(err) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	_, err := backoff.Retry(ctx, attempt,
		backoff.WithBackOff(backoff.NewExponentialBackOff()),
		backoff.WithMaxElapsedTime(reconnectFor),
		backoff.WithNotify(func(err error, wait time.Duration) {
			s.cfg.Logger.Warn("source not reached", "source", s.cfg.Source, "err", err, "retry_in", wait.Round(time.Millisecond))
		}))
	return err
}

// connect checks that the server can continue our position and opens the dump.
func (s *Stream) connect(ctx context.Context) error {
	server, err := s.checkHistory(ctx)
	if err != nil {
		return err
	}
	if err := s.examine(ctx, server); err != nil {
		return err
	}
	cfg, err := s.dumpConfig(s.applied)
	if err != nil {
		return err
	}
	dump, err := binlog.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	s.dump, s.server = dump, dump.Server()
	s.losses.brought, s.losses.connected = false, time.Now()
	s.repeatsTo = s.applied.repeats()
	s.cfg.Logger.Info("stream connected", "source", s.cfg.Source, "position", s.applied.String())
	return nil
}

// dumpConfig asks for the log behind a position.
func (s *Stream) dumpConfig(p Position) (binlog.Config, error) {
	src := s.cfg.Source
	tlsConfig, err := src.tlsConfig()
	return binlog.Config{
		Address: src.Address, User: src.User, Password: src.Password, TLS: tlsConfig,
		MariaDB: s.flavor == MariaDB, Position: p.ResumeFrom(),
		ServerID: src.ServerID, ReplicaID: src.replicaID(), Heartbeat: Heartbeat,
	}, err
}

// checkHistory compares our position with the server's history, both ways: the protocol
// itself does not notice a server that lacks what we have.
func (s *Stream) checkHistory(ctx context.Context) (Server, error) {
	db, err := s.cfg.Source.Open(nil)
	if err != nil {
		return Server{}, err
	}
	defer db.Close()
	server, err := Describe(ctx, db)
	if err != nil {
		return server, err
	}
	if server.Flavor != s.flavor {
		return server, fmt.Errorf("%w: the server is %v, the position %s is of %v", ErrHistoryLost, server.Flavor, s.applied, s.flavor)
	}
	s.collate, s.fold = server.Collations, server.FoldNames
	if missing := s.applied.Missing(server.Purged); missing != "" {
		return server, fmt.Errorf("%w: purged: %s; %s", ErrPositionLost, missing, loadAll)
	}
	held := s.furthest()
	for deadline := time.Now().Add(visibleWithin); !server.Executed.Covers(held); {
		if time.Now().After(deadline) {
			return server, fmt.Errorf("%w: %s; %s", ErrHistoryLost, server.Executed.Missing(held), startOver)
		}
		if err := sleep(ctx, time.Second); err != nil {
			return server, err
		}
		if server.Executed, err = Executed(ctx, db, s.flavor); err != nil {
			return server, err
		}
	}
	return server, nil
}

// furthest is our position and what tables have beyond it.
func (s *Stream) furthest() Position {
	out := s.applied.Clone()
	for t := range s.each() {
		if t.behind {
			out = out.Union(t.Applied)
		}
	}
	return out
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// terminal tells the errors that trying again does not mend.
func terminal(err error) bool {
	return errors.Is(err, ErrPositionLost) || errors.Is(err, ErrHistoryLost) || errors.Is(err, ErrReplaced) || errors.Is(err, ErrAccess)
}

// Server error codes, the same on both families.
const (
	codeDenied        = 1045
	codeDeniedDB      = 1044
	codeSpecialAccess = 1227
	codeNoPassword    = 1698
	codeFatalDump     = 1236
	codeDeniedTable   = 1142
	codeDeniedColumn  = 1143
	codeSameReplica   = 4052 // of MariaDB; MySQL has a text of codeFatalDump
)

// classify names the errors that the caller can act on.
func classify(err error) error {
	code, message := serverError(err)
	switch code {
	case codeDenied, codeDeniedDB, codeSpecialAccess, codeNoPassword, codeDeniedTable, codeDeniedColumn:
		return fmt.Errorf("%w: %s", ErrAccess, message)
	case codeFatalDump, codeSameReplica:
		return classifyDumpError(message)
	}
	return err
}

// classifyDumpError tells the reasons of error 1236 apart, which only its text gives.
func classifyDumpError(message string) error {
	has := func(s string) bool { return strings.Contains(message, s) }
	switch {
	case has("same server_uuid"), has("same server_id"), has("same server id"):
		return fmt.Errorf("%w: %s", ErrReplaced, message)
	case has("more GTIDs than"), has("not in the master's binlog"), has("not in the primary's binlog"), has("is missing the GTID"):
		return fmt.Errorf("%w: %s; %s", ErrHistoryLost, message, startOver)
	case has("purged"), has("Could not find"), has("could not find"):
		return fmt.Errorf("%w: %s; %s", ErrPositionLost, message, loadAll)
	}
	return fmt.Errorf("server ended the dump: %s", message)
}

// serverError unwraps the error packet in err, in the form of either driver.
func serverError(err error) (code uint16, message string) {
	if e := (*binlog.ServerError)(nil); errors.As(err, &e) {
		return e.Code, e.Message
	}
	if e := (*mysql.MySQLError)(nil); errors.As(err, &e) {
		return e.Number, e.Message
	}
	if e := (*gomysql.MyError)(nil); errors.As(err, &e) {
		return e.Code, e.Message
	}
	return 0, ""
}

// broken reports that a connection ended while it was used.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, mysql.ErrInvalidConn)
}

// Transient reports whether an error of a connection may pass by itself: the connection
// broke, or the server is overloaded or restarting.
func Transient(err error) bool {
	var network net.Error
	switch {
	case terminal(err):
		return false
	case errors.As(err, &network):
		// Every error number of the system passes for one of the network, those of files too.
		_, bare := network.(syscall.Errno)
		return !bare
	case broken(err):
		return true
	}
	switch code, _ := serverError(err); code {
	case 1040, 1053, 1105, 1158, 1159, 1160, 1161, 1205, 1213, 3169: // too many connections, shutdown, network, lock wait, deadlock, killed
		return true
	}
	return false
}
