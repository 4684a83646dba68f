//go:build integration

package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestCatalogJourney takes tables through load, stream, crashes and restarts in each catalog
// that needs a server, and reads them with independent engines: in a REST catalog directly,
// in a JDBC catalog through the Iceberg project's implementation of that and cdcd serve.
func TestCatalogJourney(t *testing.T) {
	t.Run("jdbc", func(t *testing.T) {
		uri := startPostgres(t)
		address := strings.TrimPrefix(uri, "postgres://cdc:cdc@")
		java := startIcebergREST(t, "CATALOG_URI=jdbc:postgresql://"+address, "CATALOG_JDBC_USER=cdc", "CATALOG_JDBC_PASSWORD=cdc")
		catalogJourney(t, settings{"catalog.type": "jdbc", "catalog.uri": uri, "catalog.name": "rest_backend"}, java)
	})
	t.Run("rest", func(t *testing.T) {
		uri := startIcebergREST(t)
		catalogJourney(t, settings{"catalog.type": "rest", "catalog.uri": uri, "catalog.credential": "cdcd:secret"}, uri)
	})
}

func catalogJourney(t *testing.T, catalog settings, uri string) {
	s := sharedServer(t, mysql97)
	schema := "journey_" + fmt.Sprint(catalog["catalog.type"])
	s.schema(t, schema)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 2))
	churnTables(t, s, schema, 2000)
	p := newPipeline(t, s, schema+".*", catalog)
	p.set(settings{"commit.max_rows": 2000})
	wantWords(t, p.must("check").out, "\nok")
	p.start()
	p.reach()
	tables := []string{schema + ".kv", schema + ".pair"}
	duckdb := &oracle{p, startEngine(t, "duckdb", uri)}
	duckdb.equal(t, tables...)
	c := startChurn(t, s, schema, 5000, seed)
	hit := map[string]int{}
	for _, name := range []string{"uploaded", "before-swap", "after-swap", "landed", ""} {
		p.kill()
		p.crash(t, crash{name, 3 + random.IntN(6)}, random, hit)
		p.start()
		c.busyFor(t, 20)
		c.pause()
		p.reach()
		duckdb.equal(t, tables...)
		c.resume()
	}
	c.stop(t)
	p.reach()
	for _, name := range []string{"pyiceberg", "spark"} {
		(&oracle{p, startEngine(t, name, uri)}).equal(t, tables...)
	}
	p.oracle("duckdb").equal(t, tables...) // by cdcd serve
	p.verify()
	wantWords(t, p.must("fsck", "--keys").out, "0 rules broken")
	wantWords(t, p.must("inspect").out, "\nok")
	wantWords(t, p.must("show", schema+".kv", "--limit", "1").out, "amount")
	wantWords(t, p.must("status").out, schema+".kv")
	if out := p.must("config", "show").out; strings.Contains(out, "cdc:cdc@") || strings.Contains(out, "cdcd:secret") {
		t.Errorf("shows the catalog's secret: %s", out)
	}
	p.stop()
	t.Logf("kills: %v", hit)
}

// lossy is a proxy before a catalog that damages what it says of commits.
type lossy struct {
	*httputil.ReverseProxy
	on      atomic.Bool
	commits atomic.Int64
	damaged atomic.Int64
}

// losses are the ways in which the answer to a commit is damaged, in turn.
const losses = 6

var errHungUp = errors.New("hung up")

func newLossy(t testing.TB, uri string) (*lossy, string) {
	t.Helper()
	to, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{ReverseProxy: httputil.NewSingleHostReverseProxy(to)}
	l.ModifyResponse = l.damage
	l.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) } // hang up
	s := httptest.NewServer(l)
	t.Cleanup(s.Close)
	return l, s.URL
}

// ServeHTTP keeps every seventh commit from the catalog altogether.
func (l *lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const every = 7
	if l.commit(r) && l.commits.Add(1)%every == 0 {
		l.damaged.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	l.ReverseProxy.ServeHTTP(w, r)
}

// commit reports a request to change a table.
func (l *lossy) commit(r *http.Request) bool {
	return l.on.Load() && r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/tables/") && !strings.HasSuffix(r.URL.Path, "/metrics")
}

// damage lets every second answer to a commit that the catalog has made get lost.
func (l *lossy) damage(resp *http.Response) error {
	n := l.commits.Load()
	if !l.commit(resp.Request) || n%2 == 0 {
		return nil
	}
	l.damaged.Add(1)
	switch n / 2 % losses {
	case 0:
		return errHungUp
	case 1:
		resp.StatusCode = http.StatusConflict
	case 2:
		resp.StatusCode = http.StatusBadGateway
	case 3:
		resp.StatusCode = http.StatusNotFound
	case 4:
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, 100), resp.Body} // and so the answer is cut short
	case 5:
		resp.StatusCode = http.StatusTooManyRequests
	}
	return nil
}

// TestCatalogAnswersGetLost runs a pipeline on a REST catalog most of whose answers to
// commits are lost or wrong, with crashes on top: no change is lost, and none is made twice.
func TestCatalogAnswersGetLost(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "lossy")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 2))
	churnTables(t, s, "lossy", 2000)
	uri := startIcebergREST(t)
	proxy, address := newLossy(t, uri)
	p := newPipeline(t, s, "lossy.*", settings{"catalog.type": "rest", "catalog.uri": address, "commit.max_rows": 2000})
	p.start()
	proxy.on.Store(true)
	p.reach()
	c := startChurn(t, s, "lossy", 5000, seed)
	duckdb := &oracle{p, startEngine(t, "duckdb", uri)}
	const rounds = 4
	for range rounds {
		c.busyFor(t, 200)
		p.crash2(t, random)
		c.busyFor(t, 50)
		c.pause()
		p.reach()
		duckdb.equal(t, "lossy.kv", "lossy.pair")
		c.resume()
	}
	c.stop(t)
	p.reach()
	p.verify()
	t.Logf("%d of %d answers to commits damaged", proxy.damaged.Load(), proxy.commits.Load())
	if proxy.damaged.Load() < 10 {
		t.Errorf("only %d answers were damaged", proxy.damaged.Load())
	}
}

// TestCatalogUnfit starts pipelines on catalogs that break a promise in silence: cdcd run and
// cdcd check say which, and write nothing.
func TestCatalogUnfit(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "unfit")
	s.exec(t, "CREATE TABLE unfit.t (id INT PRIMARY KEY)")
	uri := startIcebergREST(t)
	for name, x := range map[string]struct {
		from, to string // in requests
		words    string
	}{
		"ignores asserts": {`"requirements":\[.*?\],"updates"`, `"requirements":[],"updates"`, "it makes a commit although it requires a branch to be absent that exists"},
		"ignores refs":    {`"ref-name":"[^"]*","type":"[^"]*"`, `"ref-name":"main","type":"branch"`, "it commits a snapshot without a parent on a branch and does not set the branch cdcd_fence"},
		"makes version 2": {`"format-version":"3"`, `"format-version":"2"`, "it makes a table of format version 2 where version 3 is asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPipeline(t, s, "unfit.*", settings{"catalog.type": "rest", "catalog.uri": startMeddler(t, uri, regexp.MustCompile(x.from), x.to)})
			for _, command := range []string{"check", "run"} {
				f := p.run(command)
				if f.code != 78 {
					t.Errorf("cdcd %s: exit %d: %s%s", command, f.code, f.out, f.err)
				}
				wantWords(t, f.out+f.err, "the catalog is refused: "+x.words)
			}
			if left, err := filepath.Glob(p.path("warehouse/*/*")); err != nil || len(left) > 0 {
				t.Errorf("files left: %v, %v", left, err)
			}
		})
	}
}

// startMeddler starts a proxy before a catalog that changes requests.
func startMeddler(t testing.TB, uri string, from *regexp.Regexp, to string) string {
	t.Helper()
	target, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		body = from.ReplaceAll(body, []byte(to))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// crash2 kills the daemon and its successor, and starts a third.
func (p *pipeline) crash2(t testing.TB, random *rand.Rand) {
	t.Helper()
	p.kill()
	p.crash(t, crash{}, random, map[string]int{})
	if err := os.RemoveAll(p.path("state")); err != nil {
		t.Fatal(err)
	}
	p.start()
}

// TestCatalogRefused starts pipelines on catalogs that do not let us in, are not there, or
// are not for us.
func TestCatalogRefused(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "refused")
	s.exec(t, "CREATE TABLE refused.t (id INT PRIMARY KEY)")
	postgres := startPostgres(t)
	forgetful := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/config") {
			fmt.Fprint(w, `{"defaults":{},"overrides":{}}`)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"error":{"message":"not for you","type":"ForbiddenException","code":403}}`)
	}))
	t.Cleanup(forgetful.Close)
	for name, x := range map[string]struct {
		catalog  settings
		run, try int // exit codes of cdcd run and cdcd check
		words    []string
	}{
		"wrong password": {settings{"catalog.type": "jdbc", "catalog.uri": strings.Replace(postgres, ":cdc@", ":hunter2@", 1)}, 78, 78, []string{"the catalog refuses access"}},
		"no database":    {settings{"catalog.type": "jdbc", "catalog.uri": postgres + "x"}, 78, 78, []string{"the catalog refuses access"}},
		"nobody":         {settings{"catalog.type": "rest", "catalog.uri": fmt.Sprintf("http://127.0.0.1:%d", freePort(t))}, 75, 75, []string{"connection refused"}},
		"forbidden":      {settings{"catalog.type": "rest", "catalog.uri": forgetful.URL}, 78, 78, []string{"the catalog refuses access", "not for you"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPipeline(t, s, "refused.*", x.catalog)
			for command, code := range map[string]int{"run": x.run, "check": x.try} {
				f := p.run(command)
				if f.code != code {
					t.Errorf("cdcd %s: exit %d, want %d: %s%s", command, f.code, code, f.out, f.err)
				}
				wantWords(t, f.out+f.err, x.words...)
				if strings.Contains(f.out+f.err, "hunter2") {
					t.Errorf("cdcd %s shows the password: %s%s", command, f.out, f.err)
				}
			}
		})
	}
}
