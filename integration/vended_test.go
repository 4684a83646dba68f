//go:build integration

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// withoutAWS takes every credential out of the environment of this process and its children.
func withoutAWS(t *testing.T) {
	t.Helper()
	for _, k := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ROLE_ARN"} {
		t.Setenv(k, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// startVendingREST starts a REST catalog that keeps its metadata in S3 with credentials that
// nobody else has, and hands them out if vends is set.
func startVendingREST(t *testing.T, base string, vends bool) string {
	t.Helper()
	c := s3Credentials()
	return startIcebergREST(t, "CATALOG_IO__IMPL=org.apache.iceberg.aws.s3.S3FileIO", "CATALOG_S3_ENDPOINT="+s3Endpoint(t),
		"CATALOG_S3_PATH__STYLE__ACCESS=true", "CATALOG_WAREHOUSE="+base, "AWS_REGION=us-east-1", fmt.Sprint("CATALOG_INCLUDE__CREDENTIALS=", vends),
		"CATALOG_S3_ACCESS__KEY__ID="+c["AWS_ACCESS_KEY_ID"], "CATALOG_S3_SECRET__ACCESS__KEY="+c["AWS_SECRET_ACCESS_KEY"])
}

// vendingProxy stands before a catalog that hands out credentials. It adds where the store is,
// and an end to the credentials, to the answers for which they were asked.
type vendingProxy struct {
	*httputil.ReverseProxy
	endpoint string
	life     time.Duration
	vended   atomic.Int64 // answers with credentials
}

func newVendingProxy(t *testing.T, uri, endpoint string, life time.Duration) (*vendingProxy, string) {
	t.Helper()
	to, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	p := &vendingProxy{endpoint: endpoint, life: life, ReverseProxy: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Header.Del("Accept-Encoding") // the answer is read here
	}}}
	p.ModifyResponse = p.vend
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return p, s.URL
}

func (p *vendingProxy) vend(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var parts map[string]json.RawMessage
	var config map[string]string
	if json.Unmarshal(body, &parts) == nil && json.Unmarshal(parts["config"], &config) == nil && config["s3.access-key-id"] != "" {
		if resp.Request.Header.Get("X-Iceberg-Access-Delegation") == "vended-credentials" {
			config["s3.session-token-expires-at-ms"] = fmt.Sprint(time.Now().Add(p.life).UnixMilli())
			config["s3.endpoint"], config["s3.path-style-access"], config["client.region"] = p.endpoint, "true", "us-east-1"
			p.vended.Add(1)
		} else {
			config = map[string]string{}
		}
		if parts["config"], err = json.Marshal(config); err != nil {
			return err
		}
		if body, err = json.Marshal(parts); err != nil {
			return err
		}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
	return nil
}

// TestVendedJourney takes tables in S3 through load, stream, kills and restarts, by a daemon
// that knows neither where the store is nor any credentials but those that the catalog hands
// out. They are replaced before they end, and when the store refuses them.
func TestVendedJourney(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "vended")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 2))
	churnTables(t, s, "vended", 1000)
	withoutAWS(t)
	const life = 30 * time.Second
	store, endpoint := newS3Proxy(t)
	base := strings.TrimSuffix(s3Base(t), "/")
	catalog, uri := newVendingProxy(t, startVendingREST(t, base, true), endpoint, life)
	p := newPipeline(t, s, "vended.*", settings{
		"warehouse.location": base, "catalog.type": "rest", "catalog.uri": uri, "catalog.vended_credentials": true, "commit.max_rows": 2000,
	})
	wantWords(t, p.must("check").out, "\nok")
	p.start()
	p.reach()
	c := startChurn(t, s, "vended", 2000, seed)
	hit := map[string]int{}
	for _, name := range []string{"uploaded", "after-swap", ""} {
		p.kill()
		p.crash(t, crash{name, 3 + random.IntN(6)}, random, hit)
		p.start()
		c.busyFor(t, 20)
	}
	before := catalog.vended.Load()
	eventually(t, 2*life, "credentials are replaced while the daemon runs", func() error {
		if catalog.vended.Load() == before {
			return fmt.Errorf("none were handed out")
		}
		return nil
	})
	c.stop(t)
	p.reach()
	p.verify()
	wantWords(t, p.must("fsck", "--keys").out, "0 rules broken")
	wantWords(t, p.must("inspect").out, "\nok")
	wantWords(t, p.must("show", "vended.kv", "--limit", "1").out, "amount")

	catalog.life = time.Hour // the daemon learns of it when it asks
	p.stop()
	p.start()
	p.reach()
	store.mu.Lock()
	asked := int64(-1) // when the first request was refused
	store.fault = func(*http.Request) s3Fault {
		if asked < 0 {
			asked = catalog.vended.Load()
		}
		if catalog.vended.Load() == asked {
			return s3Expired
		}
		return s3Pass
	}
	store.mu.Unlock()
	s.exec(t, "INSERT INTO vended.pair SELECT a + 1000000, b, v FROM vended.pair LIMIT 10")
	p.reach()
	if store.failed.Load() == 0 {
		t.Error("the store has refused nothing")
	}
	p.stop()
	log := p.daemon.output.String()
	for _, secret := range s3Credentials() {
		if len(secret) > len("cdc") && strings.Contains(log, secret) {
			t.Error("the log shows the secret")
		}
	}
	t.Logf("kills: %v, vended: %d times", hit, catalog.vended.Load())
	for k, v := range s3Credentials() {
		t.Setenv(k, v) // for the engine
	}
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("S3_ENDPOINT", strings.TrimPrefix(s3Endpoint(t), "http://"))
	(&oracle{p, startEngine(t, "duckdb", uri)}).equal(t, "vended.kv", "vended.pair")
	for o, err := range openS3(t, s3Endpoint(t)).List(t.Context(), base+"/_cdcd/") {
		t.Errorf("beside the tables: %s, %v", o.Name, err)
	}
}

// TestNothingIsVended starts pipelines on a catalog that is asked for credentials and gives
// none: cdcd check and cdcd run say that, and no more.
func TestNothingIsVended(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "unvended")
	s.exec(t, "CREATE TABLE unvended.t (id INT PRIMARY KEY)")
	withoutAWS(t)
	base := strings.TrimSuffix(s3Base(t), "/")
	p := newPipeline(t, s, "unvended.*", settings{
		"warehouse.location": base, "warehouse.s3.endpoint": s3Endpoint(t), "warehouse.s3.region": "us-east-1", "warehouse.s3.path_style": true,
		"catalog.type": "rest", "catalog.uri": startVendingREST(t, base, false), "catalog.vended_credentials": true,
	})
	const words = "catalog.vended_credentials is set, and the catalog hands out no S3 credentials with its tables"
	f := p.run("check")
	if f.code != 78 || !strings.Contains(f.out, "problem  "+words) {
		t.Errorf("cdcd check: exit %d: %s%s", f.code, f.out, f.err)
	}
	f = p.run("run")
	if f.code != 78 {
		t.Errorf("cdcd run: exit %d: %s%s", f.code, f.out, f.err)
	}
	wantWords(t, f.out+f.err, words)
}
