//go:build integration

package integration

import (
	"database/sql"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cdcd/table"
	"cdcd/table/fileio"
	"cdcd/table/tabletest"
)

// startPostgres starts a PostgreSQL server and gives the URI of its database. It ends with
// the test.
func startPostgres(t testing.TB) string {
	t.Helper()
	port := freePort(t)
	p, err := startProcess(exec.Command("servers/postgres", "run", filepath.Join(t.TempDir(), "postgres"), fmt.Sprint(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.signal(syscall.SIGINT, 10*time.Second) })
	uri := fmt.Sprintf("postgres://cdc:cdc@127.0.0.1:%d/cdc", port)
	db, err := sql.Open("pgx", uri)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	eventually(t, serverPatience, "PostgreSQL starts", func() error {
		if !p.alive() {
			return fatalError{fmt.Errorf("it ended: %s", p.output)}
		}
		return db.PingContext(t.Context())
	})
	return uri
}

// startIcebergREST starts the Iceberg project's REST catalog server on local files and gives
// its URI. It ends with the test.
func startIcebergREST(t testing.TB, properties ...string) string {
	t.Helper()
	return startIcebergRESTIn(t, filepath.Join(t.TempDir(), "rest"), properties...)
}

// startIcebergRESTIn is startIcebergREST with its database in a directory.
func startIcebergRESTIn(t testing.TB, dir string, properties ...string) string {
	t.Helper()
	port := freePort(t)
	args := append([]string{"run", dir, fmt.Sprint(port)}, properties...)
	uri := fmt.Sprintf("http://127.0.0.1:%d", port)
	startCatalogServer(t, exec.Command("servers/iceberg-rest", args...), uri)
	return uri
}

// startCatalogServer starts a REST catalog server, which ends with the test, and waits until it
// answers at its URI.
func startCatalogServer(t testing.TB, cmd *exec.Cmd, uri string) {
	t.Helper()
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.signal(syscall.SIGKILL, time.Second) })
	eventually(t, serverPatience, "the REST catalog starts", func() error {
		if !p.alive() {
			return fatalError{fmt.Errorf("it ended: %s", p.output)}
		}
		resp, err := http.Get(uri + "/v1/config")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", resp.Status)
		}
		return nil
	})
}

// eachCatalog runs a test on every kind of catalog that needs a server.
func eachCatalog(t *testing.T, test func(t *testing.T, open func(t *testing.T) table.Lake)) {
	opener := func(location string, open func(t *testing.T, location string) (table.Lake, error)) func(t *testing.T) table.Lake {
		return func(t *testing.T) table.Lake {
			t.Helper()
			l, err := open(t, location)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			return l
		}
	}
	t.Run("jdbc", func(t *testing.T) {
		uri := startPostgres(t)
		test(t, opener("file://"+t.TempDir(), func(t *testing.T, location string) (table.Lake, error) {
			return table.OpenJDBC(t.Context(), table.JDBCConfig{URI: uri, Name: "cdcd", Location: location, Create: true})
		}))
	})
	t.Run("rest", func(t *testing.T) {
		uri := startIcebergREST(t)
		test(t, opener("file://"+t.TempDir(), func(t *testing.T, location string) (table.Lake, error) {
			return table.OpenREST(t.Context(), table.RESTConfig{URI: uri, Credential: "cdcd:secret", Location: location})
		}))
	})
}

// TestCatalogsConform holds real catalogs to what commits are built on.
func TestCatalogsConform(t *testing.T) {
	eachCatalog(t, func(t *testing.T, open func(t *testing.T) table.Lake) {
		tabletest.TestCatalog(t, func(t *testing.T) table.Catalog { return open(t) })
	})
}

// TestCatalogsPassTheProbe lets the probe judge real catalogs, and looks at what it leaves.
func TestCatalogsPassTheProbe(t *testing.T) {
	eachCatalog(t, func(t *testing.T, open func(t *testing.T) table.Lake) {
		l := open(t)
		start := time.Now()
		if err := table.Probe(t.Context(), l, fileio.Disk{}); err != nil {
			t.Error(err)
		}
		t.Logf("it took %v", time.Since(start).Round(time.Millisecond))
		all, err := l.AllTables(t.Context())
		if err != nil || len(all) > 0 {
			t.Errorf("tables left: %v, %v", all, err)
		}
		location := l.Location(table.Name{Namespace: "cdcd_control", Table: "x"})
		left, err := filepath.Glob(filepath.Join(location[len("file://"):], "..", "*"))
		if err != nil || len(left) > 0 {
			t.Errorf("files left: %v, %v", left, err)
		}
	})
}
