package catalogserver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cdcd/table"
	icetable "github.com/apache/iceberg-go/table"
)

// fakeCatalog has one namespace with one table. Commits to it end in an error.
type fakeCatalog struct{ err error }

func (f fakeCatalog) CommitTable(context.Context, icetable.Identifier, []icetable.Requirement, []icetable.Update) (icetable.Metadata, string, error) {
	return nil, "", f.err
}

func (f fakeCatalog) Namespaces(context.Context) ([]string, error) { return []string{"shop"}, f.err }

func (f fakeCatalog) TableNames(context.Context, string) ([]string, error) {
	return []string{"orders"}, f.err
}

func (f fakeCatalog) Metadata(_ context.Context, n table.Name) (string, []byte, bool, error) {
	if n != (table.Name{Namespace: "shop", Table: "orders"}) {
		return "", nil, false, f.err
	}
	return "file:///w/metadata/1.json", []byte(`{"format-version": 3, "unknown": [1.0]}`), f.err == nil, f.err
}

func ask(t *testing.T, c Catalog, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return send(t, New(c, Config{}, slog.New(slog.DiscardHandler)), method, path, "", header...)
}

func send(t *testing.T, s *Server, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		method, path string
		code         int
		body         string // substring
	}{
		{"GET", "/v1/config", 200, `"GET /v1/{prefix}/namespaces/{namespace}/tables/{table}"`},
		{"GET", "/v1/namespaces", 200, `{"namespaces":[["shop"]]}`},
		{"GET", "/v1/namespaces?parent=shop", 200, `{"namespaces":[]}`},
		{"GET", "/v1/namespaces/shop", 200, `"namespace":["shop"]`},
		{"HEAD", "/v1/namespaces/shop", 200, ``},
		{"GET", "/v1/namespaces/none", 404, `"type":"NoSuchNamespaceException"`},
		{"GET", "/v1/namespaces/shop/tables", 200, `{"identifiers":[{"name":"orders","namespace":["shop"]}]}`},
		{"GET", "/v1/namespaces/none/tables", 404, `NoSuchNamespaceException`},
		{"GET", "/v1/namespaces/shop/views", 200, `{"identifiers":[]}`},
		{"GET", "/v1/namespaces/shop/tables/orders", 200, `"metadata":{"format-version":3,"unknown":[1.0]}`},
		{"GET", "/v1/namespaces/shop/tables/none", 404, `"type":"NoSuchTableException"`},
		{"HEAD", "/v1/namespaces/shop/tables/orders", 200, ``},
		{"GET", "/v1/namespaces/shop/tables/orders/credentials", 404, `NotFoundException`},
		{"POST", "/v1/namespaces/shop/tables/orders/metrics", 204, ``},
		{"POST", "/v1/namespaces/shop/tables/orders", 403, `read-only`},
		{"DELETE", "/v1/namespaces/shop/tables/orders", 403, `ForbiddenException`},
		{"POST", "/v1/namespaces", 403, `read-only`},
		{"POST", "/v1/transactions/commit", 403, `read-only`},
		{"POST", "/v1/tables/rename", 403, `read-only`},
	} {
		w := ask(t, fakeCatalog{}, c.method, c.path)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.path, w.Code, w.Body, c.code, c.body)
		}
		if w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: not JSON: %s", c.method, c.path, w.Body)
		}
	}
}

func TestETag(t *testing.T) {
	first := ask(t, fakeCatalog{}, "GET", "/v1/namespaces/shop/tables/orders")
	tag := first.Header().Get("ETag")
	if again := ask(t, fakeCatalog{}, "GET", "/v1/namespaces/shop/tables/orders", "If-None-Match", tag); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
		t.Errorf("same version: %d %s", again.Code, again.Body)
	}
	if other := ask(t, fakeCatalog{}, "GET", "/v1/namespaces/shop/tables/orders", "If-None-Match", `"other"`); other.Code != http.StatusOK {
		t.Errorf("other version: %d", other.Code)
	}
}

func TestOwnErrorsAreNotShown(t *testing.T) {
	for _, path := range []string{"/v1/namespaces", "/v1/namespaces/shop", "/v1/namespaces/shop/tables", "/v1/namespaces/shop/tables/orders"} {
		w := ask(t, fakeCatalog{errors.New("secret path")}, "GET", path)
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
