//go:build integration

package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"cdcd/capture"
	"cdcd/integration/faultproxy"
)

// changesTable tells requests by which tables of a REST catalog are changed.
func changesTable(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/tables/") && !strings.HasSuffix(r.URL.Path, "/metrics")
}

func catalogPlan(seed uint64) faultproxy.Plan {
	return faultproxy.Plan{Seed: seed, Every: catalogFaultEvery, Writes: faultproxy.CatalogWrites(), Reads: faultproxy.CatalogReads(), IsWrite: changesTable}
}

func storePlan(seed uint64) faultproxy.Plan {
	return faultproxy.Plan{
		Seed: seed, Every: storeFaultEvery, Writes: faultproxy.StoreWrites(), Reads: faultproxy.StoreReads(),
		IsWrite: func(r *http.Request) bool { return r.Method == http.MethodPut }, Error: faultproxy.StoreError,
	}
}

// One of so many requests has a fault. An epoch makes many more requests to the store than to
// the catalog.
const (
	catalogFaultEvery = 15
	storeFaultEvery   = 50
)

// startFaults starts a proxy before the server at an address and gives its own.
func startFaults(t testing.TB, uri string, plan faultproxy.Plan) (*faultproxy.Proxy, string) {
	t.Helper()
	to, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	proxy := faultproxy.New(to, plan)
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	return proxy, front.URL
}

// covers says what a daemon's status lacks of a position with all tables loaded.
func covers(s *server, st status, want capture.Position) error {
	if st.State != "streaming" {
		return fmt.Errorf("it is %s", st.State)
	}
	at, err := capture.ParsePosition(s.flavor, st.Reached)
	if err == nil && !at.Covers(want) {
		err = fmt.Errorf("it is at %s, the source at %s", at, want)
	}
	return err
}
