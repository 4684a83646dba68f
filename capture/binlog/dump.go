package binlog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// Config says where to dump from and what to ask for.
type Config struct {
	Address  string // host:port, or the path of a unix socket
	User     string
	Password string
	TLS      *tls.Config // nil: plain text

	MariaDB   bool
	Position  string // MySQL: GTID set that is already applied; MariaDB: last GTID per domain
	ServerID  uint32 // unique among the source's replicas
	ReplicaID string // a UUID that stays the same over restarts: the server drops our older dump by it

	// Heartbeat is how often an idle server writes; three silent periods end the connection.
	Heartbeat time.Duration
	// ToEnd has MySQL end the dump behind the last transaction instead of waiting for the next.
	ToEnd bool
}

const (
	connectTimeout = 10 * time.Second
	// stallTimeout is how long the server waits for a reader that does not read: commits to
	// slow storage must not cost the connection.
	stallTimeout = time.Hour
	// silentPeriods without a byte, heartbeats included, mean that the server is gone.
	silentPeriods = 3
)

// ErrIdle reports that no whole event arrived in time. The connection is sound.
var ErrIdle = errors.New("no event in time")

// ErrSilent reports that the server sent nothing, not even heartbeats, for too long.
var ErrSilent = errors.New("server fell silent")

// ErrChecksum reports an event whose bytes do not match its checksum.
var ErrChecksum = errors.New("event checksum does not match its bytes")

// ServerError is an error packet in the dump: the server ends the stream with it.
type ServerError struct {
	Code    uint16
	Message string
}

func (e *ServerError) Error() string { return fmt.Sprintf("server error %d: %s", e.Code, e.Message) }

// Dump is an open dump connection. It is used by one goroutine at a time.
type Dump struct {
	packets   *packetReader
	conn      *client.Conn
	release   func() bool
	serverID  string
	silence   time.Duration // for how long Next may hear nothing
	waited    time.Duration // how long it has heard nothing, not counting the time between its calls
	checksums bool
}

// Dial connects, authenticates and asks for the binlog after cfg.Position. Cancelling ctx
// closes the connection.
func Dial(ctx context.Context, cfg Config) (*Dump, error) {
	conn, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	release := context.AfterFunc(ctx, func() { _ = conn.Close() })
	d := &Dump{conn: conn, release: release, silence: silentPeriods * cfg.Heartbeat}
	if err := d.request(cfg); err != nil {
		d.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	d.packets = newPacketReader(conn.Conn.Conn)
	return d, nil
}

func connect(ctx context.Context, cfg Config) (*client.Conn, error) {
	dialer := &net.Dialer{Timeout: connectTimeout}
	withTLS := func(c *client.Conn) error {
		if cfg.TLS != nil {
			c.SetTLSConfig(cfg.TLS)
		}
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var raw net.Conn
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			raw = c
			err = c.SetDeadline(time.Now().Add(connectTimeout)) // the handshake reads without a context
		}
		return c, err
	}
	conn, err := client.ConnectWithDialer(limited, "", cfg.Address, cfg.User, cfg.Password, "", dial, withTLS)
	if err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return conn, nil
}

// request prepares the session and sends the dump command.
func (d *Dump) request(cfg Config) error {
	for _, q := range sessionStatements(cfg) {
		if _, err := d.conn.Execute(q); err != nil {
			return fmt.Errorf("prepare dump session: %w", err)
		}
	}
	if err := d.identify(cfg.MariaDB); err != nil {
		return err
	}
	command := dumpCommand(cfg.ServerID)
	if !cfg.MariaDB {
		set, err := encodeGTIDSet(cfg.Position)
		if err != nil {
			return err
		}
		command = dumpGTIDCommand(cfg.ServerID, set, cfg.ToEnd)
	}
	d.conn.ResetSequence()
	return d.conn.WritePacket(command)
}

// sessionStatements are set before the dump command. Old and new variable names are both
// given; servers read the one they know.
func sessionStatements(cfg Config) []string {
	beat := cfg.Heartbeat.Nanoseconds()
	qs := []string{
		"SET @master_binlog_checksum='CRC32', @source_binlog_checksum='CRC32'",
		fmt.Sprintf("SET @master_heartbeat_period=%d, @source_heartbeat_period=%d", beat, beat),
		fmt.Sprintf("SET SESSION net_write_timeout=%d", int(stallTimeout.Seconds())),
		fmt.Sprintf("SET @slave_uuid='%s', @replica_uuid='%s'", cfg.ReplicaID, cfg.ReplicaID),
	}
	if cfg.MariaDB {
		qs = append(qs,
			"SET @mariadb_slave_capability=4",
			"SET @slave_gtid_strict_mode=1, @slave_gtid_ignore_duplicates=0",
			fmt.Sprintf("SET @slave_connect_state='%s'", cfg.Position))
	}
	return qs
}

// identify reads which server this is: every other connection must reach the same one.
func (d *Dump) identify(mariadb bool) error {
	q := "SELECT @@server_uuid"
	if mariadb {
		q = "SELECT CONCAT(@@server_id, '@', @@hostname, ':', @@port)"
	}
	r, err := d.conn.Execute(q)
	if err != nil {
		return fmt.Errorf("identify server: %w", err)
	}
	defer r.Close()
	d.serverID, err = r.GetString(0, 0)
	return err
}

// Server identifies the server process: server_uuid on MySQL, server id, host and port on
// MariaDB.
func (d *Dump) Server() string { return d.serverID }

// Close ends the connection.
func (d *Dump) Close() {
	d.release()
	_ = d.conn.Close() // nothing of ours is in flight: there is nothing to lose
}

// Next returns the next event, waiting until the given time. It returns ErrIdle when none
// arrived, ErrSilent when the server seems gone, a *ServerError when it refused, and ErrEnd
// when it ended the stream. A caller that does not call for long has not heard a silence: what
// the server sent meanwhile may lie in the socket.
func (d *Dump) Next(until time.Time) (Event, error) {
	for {
		began := time.Now()
		raw, err := d.packets.next(earlier(until, began.Add(d.silence-d.waited)))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return Event{}, d.quiet(began)
		}
		if err != nil {
			return Event{}, err
		}
		d.waited = 0
		e, err := d.open(raw)
		if err != nil || (e.Type != TypeHeartbeat && e.Type != TypeHeartbeatV2) {
			return e, err
		}
	}
}

// quiet says what it means that no whole event has arrived since a call began to wait.
func (d *Dump) quiet(began time.Time) error {
	if heard := d.packets.heard; heard.After(began) {
		began, d.waited = heard, 0
	}
	if d.waited += time.Since(began); d.waited < d.silence {
		return ErrIdle
	}
	return ErrSilent
}

// Heard is when bytes last arrived from the server.
func (d *Dump) Heard() time.Time { return d.packets.heard }

// Buffered reports that part of a further event has already been read from the socket.
func (d *Dump) Buffered() bool { return d.packets.buffered() > 0 }

// open checks one packet of the dump and cuts it into an event.
func (d *Dump) open(packet []byte) (Event, error) {
	if len(packet) == 0 {
		return Event{}, ErrTruncated
	}
	switch packet[0] {
	case mysql.ERR_HEADER:
		return Event{}, parseServerError(packet)
	case mysql.EOF_HEADER:
		return Event{}, ErrEnd
	}
	raw := packet[1:]
	if len(raw) < headerSize {
		return Event{}, ErrTruncated
	}
	switch {
	case Type(raw[4]) == TypeFormatDescription:
		var err error
		if d.checksums, err = checksummed(raw); err != nil {
			return Event{}, err
		}
		if !d.checksums {
			return parseHeader(raw)
		}
	case !d.checksums:
		return parseHeader(raw)
	}
	raw, err := verifyChecksum(raw)
	if err != nil {
		return Event{}, err
	}
	return parseHeader(raw)
}

func parseServerError(packet []byte) error {
	c := cursor{b: packet[1:]}
	e := &ServerError{Code: c.u16()}
	if len(c.b) > 6 && c.b[0] == '#' {
		c.take(6) // SQL state
	}
	e.Message = string(c.b)
	return e
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
