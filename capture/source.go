package capture

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
)

// Source says how to reach a server and as whom.
type Source struct {
	Address  string // host:port, or the path of a unix socket
	User     string
	Password string
	TLS      TLS
	ServerID uint32 // unique among all replicas of the server
	Pipeline string // gives the replica a UUID that stays the same over restarts
}

// TLSMode says how much of the server's certificate is checked.
type TLSMode string

// The modes, in the words of MySQL's own clients.
const (
	TLSDisabled       TLSMode = "disabled"
	TLSRequired       TLSMode = "required"        // encrypted, certificate not checked
	TLSVerifyCA       TLSMode = "verify-ca"       // signed by a trusted CA
	TLSVerifyIdentity TLSMode = "verify-identity" // and issued for this host name
)

// TLS holds the settings of encrypted connections. Files are PEM.
type TLS struct {
	Mode       TLSMode
	CA         string // "": the system's
	Cert, Key  string // client certificate
	ServerName string // "": the host of the address
}

const (
	sqlTimeout       = 10 * time.Second
	sqlReadTimeout   = 10 * time.Minute // a chunk's rows can take long to begin
	maxIdleConns     = 4
	connMaxIdleTime  = time.Minute
	unixSocketPrefix = "/"
)

// network gives the kind of the address for net.Dial.
func (s Source) network() string {
	if strings.HasPrefix(s.Address, unixSocketPrefix) {
		return "unix"
	}
	return "tcp"
}

// replicaID is this pipeline's identity towards the server.
func (s Source) replicaID() string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("cdcd pipeline "+s.Pipeline)).String()
}

// checkID is the identity of a preflight, which must not push a running stream of the same
// pipeline off the server.
func (s Source) checkID() string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("cdcd preflight "+s.Pipeline)).String()
}

// passingID is a server id for a connection that is soon over. MariaDB ends the connection of a
// replica whose id another one shows, so it is none that people choose.
func passingID() uint32 {
	const high = 1 << 31
	return rand.Uint32() | high
}

// ErrTLSFiles reports that a certificate or key which the configuration names cannot be used.
var ErrTLSFiles = errors.New("source.tls")

// tlsConfig builds the TLS settings, nil for plain text.
func (s Source) tlsConfig() (*tls.Config, error) {
	t := s.TLS
	if t.Mode == TLSDisabled || t.Mode == "" {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if cfg.ServerName == "" {
		cfg.ServerName = s.host()
	}
	if err := t.loadFiles(cfg); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTLSFiles, err)
	}
	switch t.Mode {
	case TLSVerifyIdentity:
	case TLSRequired:
		cfg.InsecureSkipVerify = true
	case TLSVerifyCA:
		cfg.InsecureSkipVerify = true // the chain is checked below, only the name is not
		cfg.VerifyConnection = func(c tls.ConnectionState) error { return verifyChain(c, cfg.RootCAs) }
	default:
		return nil, fmt.Errorf("TLS mode %q is not known", t.Mode)
	}
	return cfg, nil
}

func (s Source) host() string {
	if host, _, err := net.SplitHostPort(s.Address); err == nil {
		return host
	}
	return s.Address
}

func (t TLS) loadFiles(cfg *tls.Config) error {
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return fmt.Errorf("read CA certificates: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no PEM certificate", t.CA)
		}
	}
	if t.Cert != "" {
		cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return fmt.Errorf("read client certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return nil
}

// verifyChain checks that the server's certificate is signed by a trusted CA, whatever
// name it was issued for.
func verifyChain(c tls.ConnectionState, roots *x509.CertPool) error {
	if len(c.PeerCertificates) == 0 {
		return errors.New("server sent no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, cert := range c.PeerCertificates[1:] {
		intermediates.AddCert(cert)
	}
	_, err := c.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
	return err
}

// Open returns a pool of SQL connections whose sessions are in UTC and give stored bytes
// of texts without converting them. No connection is made yet.
func (s Source) Open(params map[string]string) (*sql.DB, error) {
	tlsConfig, err := s.tlsConfig()
	if err != nil {
		return nil, err
	}
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = s.network(), s.Address
	cfg.User, cfg.Passwd = s.User, s.Password
	cfg.TLS = tlsConfig
	cfg.Timeout, cfg.WriteTimeout, cfg.ReadTimeout = sqlTimeout, sqlTimeout, sqlReadTimeout
	cfg.InterpolateParams = true
	cfg.AllowNativePasswords = true
	cfg.Params = map[string]string{"time_zone": "'+00:00'"}
	for k, v := range params {
		cfg.Params[k] = v
	}
	cfg.Logger = silentLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(maxIdleConns)
	db.SetConnMaxIdleTime(connMaxIdleTime)
	return db, nil
}

// silentLogger drops the driver's own messages: every error is returned as well.
type silentLogger struct{}

func (silentLogger) Print(...any) {}

// Server is what a connected server says of itself.
type Server struct {
	Flavor     Flavor
	Version    string
	ID         string // as binlog.Dump.Server: every connection must reach the same one
	Executed   Position
	Purged     Position // what the log no longer holds; empty on MariaDB, which does not tell
	Collations map[uint64]string
	FoldNames  bool // lower_case_table_names is 1: names are kept in lower case
}

// Describe reads what a server says of itself.
func Describe(ctx context.Context, db *sql.DB) (Server, error) {
	var s Server
	if err := db.QueryRowContext(ctx, "SELECT @@version").Scan(&s.Version); err != nil {
		return s, err
	}
	if strings.Contains(strings.ToLower(s.Version), "mariadb") {
		s.Flavor = MariaDB
	}
	var err error
	if s.ID, err = serverID(ctx, db, s.Flavor); err != nil {
		return s, err
	}
	if s.Collations, err = collations(ctx, db, s.Flavor); err != nil {
		return s, err
	}
	if err := db.QueryRowContext(ctx, "SELECT @@lower_case_table_names = 1").Scan(&s.FoldNames); err != nil {
		return s, err
	}
	if s.Executed, err = Executed(ctx, db, s.Flavor); err != nil {
		return s, err
	}
	s.Purged = EmptyPosition(s.Flavor)
	if s.Flavor == MySQL {
		s.Purged, err = queryPosition(ctx, db, s.Flavor, "SELECT @@GLOBAL.gtid_purged")
	}
	return s, err
}

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func serverID(ctx context.Context, q queryer, f Flavor) (id string, err error) {
	query := "SELECT @@server_uuid"
	if f == MariaDB {
		query = "SELECT CONCAT(@@server_id, '@', @@hostname, ':', @@port)"
	}
	err = q.QueryRowContext(ctx, query).Scan(&id)
	return id, err
}

// PreparedTransactions lists the XA transactions that are prepared and not completed. A
// user without the right to see them gets none: an XA COMMIT of one that was prepared before
// our position stops the stream in any case.
func PreparedTransactions(ctx context.Context, db *sql.DB) (map[string]bool, error) {
	rows, err := db.QueryContext(ctx, "XA RECOVER CONVERT XID")
	if code, _ := serverError(err); code == codeSyntax { // MariaDB
		rows, err = db.QueryContext(ctx, "XA RECOVER FORMAT='SQL'")
	}
	if code, _ := serverError(err); code == codeMayNotRecover || errors.Is(classify(err), ErrAccess) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var format, gtrid, bqual int64
		var data string
		if err := rows.Scan(&format, &gtrid, &bqual, &data); err != nil {
			return nil, err
		}
		out[data] = true
	}
	return out, rows.Err()
}

// Unprepared gives the position to, which the server has executed, without the XA transactions
// that were prepared behind the position from and were not completed up to there: the log tells.
// So a stream that begins there meets them.
func (s Source) Unprepared(ctx context.Context, from, to Position, logger *slog.Logger) (Position, error) {
	if from.Reaches(to) {
		return from.Intersect(to), nil
	}
	s.ServerID, s.Pipeline = passingID(), uuid.NewString() // it takes nobody's connection
	stream, err := NewStream(StreamConfig{
		Source: s, Start: from, Wanted: func(Name) bool { return false }, Logger: logger, Memory: memory.DefaultAllocator,
		Limits: Limits{Rows: math.MaxInt, Bytes: math.MaxInt, Linger: time.Second},
	})
	if err != nil {
		return Position{}, err
	}
	defer stream.Close()
	stream.EndAt(to)
	for {
		segment, err := stream.Next(ctx)
		if err != nil {
			return Position{}, fmt.Errorf("look for transactions that are prepared: %w", err)
		}
		segment.Release()
		if segment.End.Reaches(to) {
			return segment.End, nil
		}
	}
}

// codeMayNotRecover is how MySQL answers XA RECOVER without the right to it.
const codeMayNotRecover = 1401

// Executed reads which transactions the server has executed and made visible.
func Executed(ctx context.Context, q queryer, f Flavor) (Position, error) {
	if f == MariaDB {
		return queryPosition(ctx, q, f, "SELECT @@GLOBAL.gtid_binlog_pos")
	}
	return queryPosition(ctx, q, f, "SELECT @@GLOBAL.gtid_executed")
}

func queryPosition(ctx context.Context, q queryer, f Flavor, query string) (Position, error) {
	var text string
	if err := q.QueryRowContext(ctx, query).Scan(&text); err != nil {
		return Position{}, err
	}
	return ParsePosition(f, text)
}

// collations maps collation ids to character sets: the ids differ between servers.
// MariaDB lists ids of its newer collations a character set at a time, in another table.
func collations(ctx context.Context, db *sql.DB, f Flavor) (map[uint64]string, error) {
	table := "collations"
	if f == MariaDB {
		table = "collation_character_set_applicability"
	}
	rows, err := db.QueryContext(ctx, "SELECT id, character_set_name FROM information_schema."+table+" WHERE id IS NOT NULL AND character_set_name IS NOT NULL")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[uint64]string{}
	for rows.Next() {
		var id uint64
		var charset string
		if err := rows.Scan(&id, &charset); err != nil {
			return nil, err
		}
		out[id] = canonicalCharset(charset)
	}
	return out, rows.Err()
}

// canonicalCharset gives the one name of a character set with two.
func canonicalCharset(name string) string {
	if name == "utf8" {
		return "utf8mb3"
	}
	return name
}

// LogValue keeps the password out of logs.
func (s Source) LogValue() slog.Value {
	return slog.StringValue(fmt.Sprintf("%s@%s", s.User, s.Address))
}
