//go:build integration

package integration

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cdcd/capture"
	_ "github.com/go-sql-driver/mysql"
)

// cacheDir is where the scripts keep servers and engines.
func cacheDir(t testing.TB) string {
	t.Helper()
	if d := os.Getenv("CDCD_CACHE"); d != "" {
		return d
	}
	home, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(home, "cdcd")
}

// server is a real MySQL or MariaDB server.
type server struct {
	flavor  capture.Flavor
	release string // as the script names it
	address string
	db      *sql.DB
}

// serverOptions start a server of its own beside the shared one.
type serverOptions struct {
	port  int
	id    int
	dir   string // data and run directories
	extra string // options of the server
}

var (
	sharedMu sync.Mutex
	shared   = map[string]*server{}
)

func releases() map[string]serverOptions {
	return map[string]serverOptions{
		"mysql97":    {port: 33097, id: 97},
		"mariadb118": {port: 33118, id: 118},
	}
}

func flavorOf(release string) capture.Flavor {
	if strings.HasPrefix(release, "mariadb") {
		return capture.MariaDB
	}
	return capture.MySQL
}

// sharedServer gives the server of a release that all tests use, starting it where needed.
func sharedServer(t testing.TB, release string) *server {
	t.Helper()
	sharedMu.Lock()
	defer sharedMu.Unlock()
	if s := shared[release]; s != nil {
		return s
	}
	s := startServer(t, release, releases()[release])
	shared[release] = s
	return s
}

// ownServer starts a server that only the calling test uses.
func ownServer(t testing.TB, release string, o serverOptions) *server {
	t.Helper()
	s := startServer(t, release, o)
	t.Cleanup(func() {
		_ = s.db.Close()
		runServerScript(t, "purge-data", release, o)
	})
	return s
}

func startServer(t testing.TB, release string, o serverOptions) *server {
	t.Helper()
	runServerScript(t, "up", release, o)
	s := &server{flavor: flavorOf(release), release: release, address: fmt.Sprintf("127.0.0.1:%d", o.port)}
	db, err := sql.Open("mysql", "cdc:cdc@tcp("+s.address+")/?multiStatements=true&interpolateParams=true")
	if err != nil {
		t.Fatal(err)
	}
	s.db = db
	return s
}

func runServerScript(t testing.TB, command, release string, o serverOptions) {
	t.Helper()
	c := exec.Command("servers/mysql-server", command, release)
	c.Env = append(os.Environ(), "DBLAB="+filepath.Join(cacheDir(t), "servers"), fmt.Sprintf("PORT=%d", o.port), fmt.Sprintf("SID=%d", o.id), "MYSQLD_EXTRA="+o.extra)
	if o.dir != "" {
		c.Env = append(c.Env, "DATADIR="+filepath.Join(o.dir, "data"), "RUNDIR="+filepath.Join(o.dir, "run"))
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("mysql-server %s %s: %v\n%s", command, release, err, out)
	}
}

// exec runs statements and fails the test on error.
func (s *server) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := s.db.ExecContext(context.Background(), query, args...); err != nil {
		t.Fatalf("%s: %v", firstLine(query), err)
	}
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
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if len(line) > 120 {
		line = line[:120] + "…"
	}
	return line
}

// schema creates an empty schema for one test and drops it at the end.
func (s *server) schema(t testing.TB, name string) string {
	t.Helper()
	s.exec(t, "DROP DATABASE IF EXISTS `"+name+"`; CREATE DATABASE `"+name+"`")
	t.Cleanup(func() { _, _ = s.db.Exec("DROP DATABASE IF EXISTS `" + name + "`") })
	return name
}

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
	for _, release := range []string{"mysql97", "mariadb118"} {
		t.Run(release, func(t *testing.T) { test(t, sharedServer(t, release)) })
	}
}
