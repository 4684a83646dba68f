package table_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cdcd/table"
	"cdcd/table/s3store"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

// restServer answers a REST client's greeting, and its commits as the test wants.
type restServer struct {
	*httptest.Server
	commits  atomic.Int32
	delegate atomic.Bool // a request asked for credentials of the store
}

func newRESTServer(t *testing.T, commit http.HandlerFunc) *restServer {
	t.Helper()
	s := &restServer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/config", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"defaults":{},"overrides":{}}`) })
	mux.HandleFunc("POST /v1/namespaces/shop/tables/orders", func(w http.ResponseWriter, r *http.Request) {
		s.commits.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		commit(w, r)
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Iceberg-Access-Delegation") != "" {
			s.delegate.Store(true)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func openREST(t *testing.T, c table.RESTConfig) *table.REST {
	t.Helper()
	r, err := table.OpenREST(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func hangUp(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	return conn
}

// TestRESTCommitsOnce damages the answers to commits. Each is an error, and none makes the
// client send the commit again: what became of it is for the committer to find out.
func TestRESTCommitsOnce(t *testing.T) {
	damages := map[string]http.HandlerFunc{
		"hangs up": func(w http.ResponseWriter, _ *http.Request) { _ = hangUp(w).Close() },
		"resets": func(w http.ResponseWriter, _ *http.Request) {
			conn := hangUp(w)
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		},
		"is cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"metadata`))
		},
		"is empty": func(http.ResponseWriter, *http.Request) {},
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		},
	}
	for _, code := range []int{400, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504} {
		damages[fmt.Sprint(code)] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			s := newRESTServer(t, damage)
			r := openREST(t, table.RESTConfig{URI: s.URL})
			const times = 3 // the connection is used again after the first
			for n := range times {
				_, _, err := r.CommitTable(t.Context(), icetable.Identifier{"shop", "orders"}, []icetable.Requirement{icetable.AssertTableUUID(uuid.New())}, nil)
				if err == nil {
					t.Error("no error")
				}
				if sent := s.commits.Load(); int(sent) != n+1 {
					t.Fatalf("%d requests for %d commits", sent, n+1)
				}
			}
			if s.delegate.Load() {
				t.Error("asks for credentials that nobody uses")
			}
		})
	}
}

// TestRESTAsksAgain damages the first answers to a question, and then all.
func TestRESTAsksAgain(t *testing.T) {
	damages := map[string]http.HandlerFunc{
		"hangs up": func(w http.ResponseWriter, _ *http.Request) { _ = hangUp(w).Close() },
		"is cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"defaults"`))
		},
	}
	for _, code := range []int{429, 500, 502, 503, 504} {
		damages[fmt.Sprint(code)] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked, damaged atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) <= damaged.Load() {
					damage(w, r)
					return
				}
				fmt.Fprint(w, `{"defaults":{},"overrides":{}}`)
			}))
			t.Cleanup(s.Close)
			damaged.Store(3)
			openREST(t, table.RESTConfig{URI: s.URL})
			asked.Store(0)
			damaged.Store(1000)
			_, err := table.OpenREST(t.Context(), table.RESTConfig{URI: s.URL})
			var network net.Error
			if !errors.As(err, &network) || asked.Load() > 10 {
				t.Errorf("after %d requests: %v", asked.Load(), err)
			}
		})
	}
}

// TestRESTKeepsItsToken lets a catalog redirect to another server.
func TestRESTKeepsItsToken(t *testing.T) {
	var stolen atomic.Bool
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stolen.Store(r.Header.Get("Authorization") != "")
	}))
	defer thief.Close()
	s := newRESTServer(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer secret" {
			t.Errorf("Authorization: %q", got)
		}
		http.Redirect(w, r, thief.URL, http.StatusPermanentRedirect)
	})
	r := openREST(t, table.RESTConfig{URI: s.URL, Token: "secret"})
	_, _, err := r.CommitTable(t.Context(), icetable.Identifier{"shop", "orders"}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "the catalog redirects to") {
		t.Error(err)
	}
	if stolen.Load() {
		t.Error("the token went to another server")
	}
}

// TestRESTAccess opens catalogs that do not let us in, and one that is not there.
func TestRESTAccess(t *testing.T) {
	answer := func(code int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	for name, x := range map[string]struct {
		c      table.RESTConfig
		denied bool
	}{
		"unauthorized":      {table.RESTConfig{URI: answer(401, "{}")}, true},
		"forbidden":         {table.RESTConfig{URI: answer(403, "{}"), Token: "secret"}, true},
		"unknown client":    {table.RESTConfig{URI: answer(401, `{"error":"invalid_client"}`), Credential: "me:secret"}, true},
		"broken":            {table.RESTConfig{URI: answer(500, "{}"), Credential: "me:secret"}, false},
		"nobody":            {table.RESTConfig{URI: "http://127.0.0.1:1"}, false},
		"nobody has tokens": {table.RESTConfig{URI: answer(200, "{}"), Credential: "me:secret", TokenURI: "http://127.0.0.1:1/token"}, false},
	} {
		_, err := table.OpenREST(t.Context(), x.c)
		if err == nil || errors.Is(err, table.ErrCatalogAccess) != x.denied || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJDBCAddress(t *testing.T) {
	for _, uri := range []string{"mysql://me:secret@db/lake", "postgres://me:sec/ret@db/lake", "postgres://me:secret@db:port/lake"} {
		_, err := table.OpenJDBC(t.Context(), table.JDBCConfig{URI: uri})
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "ret@") {
			t.Errorf("%s: %v", uri, err)
		}
	}
	var network net.Error
	_, err := table.OpenJDBC(t.Context(), table.JDBCConfig{URI: "postgres://me:secret@127.0.0.1:1/lake", Name: "cdcd"})
	if !errors.As(err, &network) || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
}

// TestRESTVends has a catalog that hands out credentials where it is asked for them. The keys
// come from loading and creating a table, and from no other answer; they are in nothing that
// the library keeps.
func TestRESTVends(t *testing.T) {
	var asked sync.Map // by method and path
	const config = `"config":{"s3.access-key-id":"id%d","s3.secret-access-key":"hunter2","other":"x"},"storage-credentials":[{"prefix":"s3://lake/shop/orders/data","config":{"s3.access-key-id":"data%d","s3.secret-access-key":"hunter2"}}]`
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Iceberg-Access-Delegation") == "vended-credentials" {
			asked.Store(r.Method+" "+r.URL.Path, true)
		}
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/config") {
			fmt.Fprint(w, `{"defaults":{},"overrides":{}}`)
			return
		}
		i := n.Add(1)
		fmt.Fprintf(w, `{"metadata-location":"s3://lake/shop/orders/metadata/1.metadata.json","metadata":`+vendedMetadata+`,`+config+`}`, i, i)
	}))
	defer s.Close()
	r := openREST(t, table.RESTConfig{URI: s.URL, Vended: true})
	orders := icetable.Identifier{"shop", "orders"}
	schema := iceberg.NewSchema(0, iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64, Required: true})
	if _, err := r.CreateTable(t.Context(), orders, schema); err != nil {
		t.Fatal(err)
	}
	want := func(name, id string) *s3store.Keys {
		t.Helper()
		k, err := r.Keyring().Keys(t.Context(), name)
		if err != nil || k == nil || k.AccessKeyID != id {
			t.Errorf("%s: %v, %v; want those of %s", name, k, err, id)
		}
		return k
	}
	want("s3://lake/shop/orders/metadata/x", "id1")
	loaded, err := r.LoadTable(t.Context(), orders)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Metadata().TableUUID().String() != "7a6d38a4-8f0e-4a39-9a4a-2f2f8f2b9e11" || strings.Contains(fmt.Sprintf("%#v", loaded), "hunter2") {
		t.Error("the library has another table, or a secret")
	}
	want("s3://lake/shop/orders/metadata/x", "id2")
	want("s3://lake/shop/orders/data/x", "data2")
	if _, _, err := r.CommitTable(t.Context(), orders, nil, nil); err != nil {
		t.Error(err)
	}
	want("s3://lake/shop/orders/data/x", "data2")
	for call, delegates := range map[string]bool{"POST /v1/namespaces/shop/tables": true, "GET /v1/namespaces/shop/tables/orders": true, "POST /v1/namespaces/shop/tables/orders": false} {
		if _, ok := asked.Load(call); ok != delegates {
			t.Errorf("%s asks for credentials: %v", call, ok)
		}
	}
}

const vendedMetadata = `{"format-version":2,"table-uuid":"7a6d38a4-8f0e-4a39-9a4a-2f2f8f2b9e11","location":"s3://lake/shop/orders","last-sequence-number":0,` +
	`"last-updated-ms":1,"last-column-id":1,"schemas":[{"type":"struct","schema-id":0,"fields":[{"id":1,"name":"id","required":true,"type":"long"}]}],"current-schema-id":0,` +
	`"partition-specs":[{"spec-id":0,"fields":[]}],"default-spec-id":0,"last-partition-id":999,"sort-orders":[{"order-id":0,"fields":[]}],"default-sort-order-id":0}`
