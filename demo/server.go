package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"cdcd/capture"
	"github.com/go-sql-driver/mysql"
)

// server is the MySQL that the shop is in.
type server struct {
	flavor  capture.Flavor
	version string
	schema  string
	address string // as cdcd's configuration wants it
	tls     string // the same
	guest   bool   // the server is the user's own
	login   *mysql.Config
	db      *sql.DB  // without a default schema
	process *process // nil for a guest
	secret  string   // the replication account's password
	made    bool     // the account, and perhaps the schema, are there and the demo's
}

const (
	release     = "mysql97"
	ownSchema   = "shop"
	guestSchema = "cdcd_demo_shop"
	accountName = "cdcd_demo"
	account     = "'" + accountName + "'@'%'"
	// ours marks the tables of the demo, so that nobody else's are ever dropped.
	ours = "made by the cdcd demo"
)

// dbServer is the script that fetches and runs a real MySQL without root.
func (s settings) dbServer() string {
	return filepath.Join(s.root, "integration", "servers", "db-server")
}

// fetchServer puts MySQL into the cache.
func fetchServer(ctx context.Context, set settings) error {
	out, err := exec.CommandContext(ctx, set.dbServer(), "install", release).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fetch MySQL: %w\n%s\nA MySQL of your own does as well: CDCD_DEMO_DSN='user:password@tcp(host:port)/'", err, lastLines(out))
	}
	return nil
}

// runServer starts a MySQL of the demo's own.
func runServer(set settings, port int) (*server, error) {
	dir, address := filepath.Join(set.dir, "mysql"), fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command(set.dbServer(), "run", release, dir, fmt.Sprint(port))
	p, err := start("MySQL", filepath.Join(set.dir, "mysql.log"), set.keep, cmd)
	if err != nil {
		return nil, err
	}
	login, err := mysql.ParseDSN("cdc:cdc@tcp(" + address + ")/")
	if err != nil {
		return nil, err
	}
	return &server{schema: ownSchema, address: address, login: login, process: p}, nil
}

// visitServer uses a server of the user's own.
func visitServer(dsn string) (*server, error) {
	login, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("CDCD_DEMO_DSN: %w", err)
	}
	tls, known := map[string]string{
		"": "disabled", "false": "disabled", "preferred": "disabled", "skip-verify": "required", "true": "verify-identity",
	}[login.TLSConfig]
	if !known {
		return nil, fmt.Errorf("CDCD_DEMO_DSN: tls=%s is not one of true, skip-verify, preferred, false", login.TLSConfig)
	}
	return &server{schema: guestSchema, address: login.Addr, tls: tls, login: login, guest: true}, nil
}

const serverPatience = time.Minute

// connect waits until the server answers.
func (s *server) connect(ctx context.Context) error {
	s.login.InterpolateParams, s.login.DBName, s.login.Logger = true, "", &mysql.NopLogger{}
	connector, err := mysql.NewConnector(s.login)
	if err != nil {
		return err
	}
	s.db = sql.OpenDB(connector)
	for deadline := time.Now().Add(serverPatience); ; {
		err := s.db.PingContext(ctx)
		var refused *mysql.MySQLError
		switch {
		case err == nil:
			return s.describe(ctx)
		case ctx.Err() != nil:
			return ctx.Err()
		case s.process != nil && !s.process.alive():
			return s.process.died()
		case s.guest, errors.As(err, &refused), time.Now().After(deadline):
			return fmt.Errorf("connect to %s: %w", s.address, err)
		}
		if err := pause(ctx, redraw); err != nil {
			return err
		}
	}
}

func (s *server) describe(ctx context.Context) error {
	d, err := capture.Describe(ctx, s.db)
	s.flavor, s.version = d.Flavor, d.Version
	return err
}

// pause waits, unless the demo is interrupted.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// executed is what the server has executed.
func (s *server) executed(ctx context.Context) (capture.Position, error) {
	return capture.Executed(ctx, s.db, s.flavor)
}

// prepare makes the schema, and the account that cdcd replicates with.
func (s *server) prepare(ctx context.Context) error {
	if err := s.clear(ctx); err != nil {
		return err
	}
	s.secret = rand.Text()
	global := "REPLICATION SLAVE, REPLICATION CLIENT"
	if s.flavor == capture.MariaDB {
		global += ", SLAVE MONITOR"
	}
	if err := s.exec(ctx, fmt.Sprintf("CREATE USER %s IDENTIFIED BY '%s'", account, s.secret)); err != nil {
		return fmt.Errorf("%w: if the account is a demo's, drop it", err)
	}
	s.made = true
	return s.exec(
		ctx,
		"CREATE SCHEMA "+s.schema+" CHARACTER SET utf8mb4",
		fmt.Sprintf("GRANT %s ON *.* TO %s", global, account),
		fmt.Sprintf("GRANT SELECT ON %s.* TO %s", s.schema, account),
	)
}

// clear drops what an earlier demo left, and refuses to touch what is not the demo's.
func (s *server) clear(ctx context.Context) error {
	var exists, foreign int
	const look = "SELECT (SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?), " +
		"(SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ? AND table_comment <> ?)"
	if err := s.db.QueryRowContext(ctx, look, s.schema, s.schema, ours).Scan(&exists, &foreign); err != nil {
		return err
	}
	if foreign > 0 {
		return fmt.Errorf("schema %s on %s holds %d tables that are not the demo's: nothing was changed", s.schema, s.address, foreign)
	}
	if exists == 0 {
		return nil
	}
	return s.drop(ctx)
}

// drop removes the demo's schema and account. Whoever calls it knows that they are the demo's.
func (s *server) drop(ctx context.Context) error {
	return s.exec(ctx, "DROP SCHEMA IF EXISTS "+s.schema, "DROP USER IF EXISTS "+account)
}

func (s *server) exec(ctx context.Context, statements ...string) error {
	for _, q := range statements {
		if _, err := s.db.ExecContext(ctx, q); err != nil {
			what, _, _ := strings.Cut(q, " IDENTIFIED")
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// shopDB connects to the shop's schema.
func (s *server) shopDB() (*sql.DB, error) {
	login := s.login.Clone()
	login.DBName = s.schema
	connector, err := mysql.NewConnector(login)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// clientLine is how a person gets at the shop.
func (s *server) clientLine(set settings) string {
	if s.guest {
		return fmt.Sprintf("your own client, schema %s on %s", s.schema, s.address)
	}
	cache := ""
	if dir := os.Getenv("CDCD_CACHE"); dir != "" {
		cache = "CDCD_CACHE=" + dir + " "
	}
	return fmt.Sprintf("%sMYSQL_PWD=cdc %s client %s -h127.0.0.1 -P%d -ucdc %s", cache, short(set.dbServer()), release, s.port(), s.schema)
}

func (s *server) port() int {
	var port int
	_, text, _ := strings.Cut(s.address, ":")
	_, _ = fmt.Sscan(text, &port)
	return port
}

func lastLines(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
