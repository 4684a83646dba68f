//go:build integration

package integration

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cdcd/capture"
	_ "github.com/go-sql-driver/mysql"
)

const (
	mysql97    = "mysql97"
	mariadb118 = "mariadb118"
	// mariadb1011 is tested for its types only.
	mariadb1011 = "mariadb1011"
)

// server is a real MySQL or MariaDB server.
type server struct {
	flavor  capture.Flavor
	release string
	dir     string
	port    int
	options []string
	address string
	db      *sql.DB
	process *process
}

func flavorOf(release string) capture.Flavor {
	if strings.HasPrefix(release, "mariadb") {
		return capture.MariaDB
	}
	return capture.MySQL
}

var (
	sharedMu      sync.Mutex
	sharedServers = map[string]*server{}
)

// sharedServer gives the server of a release that the tests share, each in schemas of its
// own, starting it where needed.
func sharedServer(t testing.TB, release string) *server {
	t.Helper()
	sharedMu.Lock()
	defer sharedMu.Unlock()
	if s := sharedServers[release]; s != nil {
		return s
	}
	s := &server{flavor: flavorOf(release), release: release, dir: filepath.Join(sharedDir, release), port: freePort(t)}
	s.start(t)
	sharedServers[release] = s
	return s
}

func stopShared() {
	sharedMu.Lock()
	defer sharedMu.Unlock()
	for _, s := range sharedServers {
		_ = s.process.signal(syscall.SIGKILL, time.Second)
	}
	if trino != nil {
		_ = trino.signal(syscall.SIGKILL, time.Second)
	}
}

// ownServer starts a server that only the calling test uses, with further options.
func ownServer(t testing.TB, release string, options ...string) *server {
	t.Helper()
	s := &server{flavor: flavorOf(release), release: release, dir: t.TempDir(), port: freePort(t), options: options}
	s.start(t)
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := os.ReadFile(filepath.Join(s.dir, "error.log"))
			t.Logf("%s, alive: %v:\n%s", release, s.process.alive(), lastLines(string(said), 40))
		}
		_ = s.db.Close()
		_ = s.process.signal(syscall.SIGKILL, time.Second)
	})
	return s
}

const serverPatience = 60 * time.Second

// start starts the server, on the data it has.
func (s *server) start(t testing.TB) {
	t.Helper()
	args := append([]string{"run", s.release, s.dir, fmt.Sprint(s.port)}, s.options...)
	p, err := startProcess(exec.Command("servers/db-server", args...))
	if err != nil {
		t.Fatal(err)
	}
	s.process, s.address = p, fmt.Sprintf("127.0.0.1:%d", s.port)
	if s.db == nil {
		if s.db, err = sql.Open("mysql", "cdc:cdc@tcp("+s.address+")/?multiStatements=true&interpolateParams=true"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, serverPatience, s.release+" starts", func() error {
		if !p.alive() {
			return fatalError{fmt.Errorf("it ended: %s", p.output)}
		}
		return s.db.PingContext(t.Context())
	})
}

// restart stops the server, lets the caller change its files, and starts it again.
func (s *server) restart(t testing.TB, how syscall.Signal, meanwhile func()) {
	t.Helper()
	if err := s.process.signal(how, serverPatience); err != nil {
		t.Fatal(err)
	}
	if meanwhile != nil {
		meanwhile()
	}
	s.start(t)
}

// data is where the server keeps its files.
func (s *server) data() string { return filepath.Join(s.dir, "data") }

// exec runs statements and fails the test on error.
func (s *server) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := s.db.ExecContext(context.Background(), query, args...); err != nil {
		t.Fatalf("%s: %v", firstLine(query), err)
	}
}

// conn gives a session of its own.
func (s *server) conn(t testing.TB) *sql.Conn {
	t.Helper()
	c, err := s.db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Its settings must not reach another test through the pool.
		_ = c.Raw(func(any) error { return driver.ErrBadConn })
		_ = c.Close()
	})
	return c
}

// text queries one value.
func (s *server) text(t testing.TB, query string, args ...any) string {
	t.Helper()
	var v sql.NullString
	if err := s.db.QueryRowContext(context.Background(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", firstLine(query), err)
	}
	return v.String
}

func firstLine(s string) string {
	const most = 120
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if len(line) > most {
		line = line[:most] + "…"
	}
	return line
}

// schema creates an empty schema for one test and drops it at the end.
func (s *server) schema(t testing.TB, name string) string {
	t.Helper()
	s.exec(t, "DROP DATABASE IF EXISTS `"+name+"`; CREATE DATABASE `"+name+"` CHARACTER SET utf8mb4")
	t.Cleanup(func() { _, _ = s.db.Exec("DROP DATABASE IF EXISTS `" + name + "`") })
	return name
}

// source is the server for package capture.
func (s *server) source(pipeline string) capture.Source {
	return capture.Source{Address: s.address, User: "cdc", Password: "cdc", ServerID: uint32(time.Now().UnixNano()), Pipeline: pipeline}
}

// executed is the server's position now.
func (s *server) executed(t testing.TB) capture.Position {
	t.Helper()
	p, err := capture.Executed(context.Background(), s.db, s.flavor)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// eachRelease runs a test against every server.
func eachRelease(t *testing.T, test func(t *testing.T, s *server)) {
	for _, release := range []string{mysql97, mariadb118} {
		t.Run(release, func(t *testing.T) { test(t, sharedServer(t, release)) })
	}
}

// eachTypesRelease runs a test of types against every server, older ones too.
func eachTypesRelease(t *testing.T, test func(t *testing.T, s *server)) {
	eachRelease(t, test)
	t.Run(mariadb1011, func(t *testing.T) { test(t, sharedServer(t, mariadb1011)) })
}

// vectors tells that the server has the type VECTOR.
func (s *server) vectors() bool { return s.release != mariadb1011 }
