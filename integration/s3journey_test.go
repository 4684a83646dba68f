//go:build integration

package integration

import (
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// inS3 are the settings of a pipeline whose warehouse is in S3 behind an endpoint, in a
// catalog that needs no S3 of its own.
func inS3(t *testing.T, endpoint, base string) settings {
	t.Helper()
	for k, v := range s3Credentials() {
		t.Setenv(k, v) // for the daemon and the engines
	}
	return settings{
		"warehouse.location": strings.TrimSuffix(base, "/"), "warehouse.s3.endpoint": endpoint, "warehouse.s3.region": "us-east-1",
		"warehouse.s3.path_style": true, "catalog.type": "jdbc", "catalog.uri": startPostgres(t),
	}
}

// TestS3Journey takes tables in S3 through load, stream, crashes and restarts, while the
// store loses requests and answers, and reads them with independent engines.
func TestS3Journey(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "journey_s3")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 2))
	churnTables(t, s, "journey_s3", 2000)
	proxy, endpoint := newS3Proxy(t)
	base := s3Base(t)
	p := newPipeline(t, s, "journey_s3.*", inS3(t, endpoint, base))
	p.set(settings{"commit.max_rows": 2000})
	wantWords(t, p.must("check").out, "\nok")
	proxy.failEvery(23)
	p.start()
	p.reach()
	tables := []string{"journey_s3.kv", "journey_s3.pair"}
	pyiceberg := &oracle{p, startEngine(t, "pyiceberg", p.uri())}
	pyiceberg.equal(t, tables...)
	c := startChurn(t, s, "journey_s3", 5000, seed)
	hit := map[string]int{}
	for _, name := range []string{"uploaded", "after-swap", ""} {
		p.kill()
		p.crash(t, crash{name, 3 + random.IntN(6)}, random, hit)
		p.start()
		c.busyFor(t, 20)
		c.pause()
		p.reach()
		pyiceberg.equal(t, tables...)
		c.resume()
	}
	c.stop(t)
	p.reach()
	(&oracle{p, startEngine(t, "spark", p.uri())}).equal(t, tables...)
	p.verify()
	wantWords(t, p.must("fsck", "--keys").out, "0 rules broken")
	wantWords(t, p.must("inspect").out, "\nok")
	wantWords(t, p.must("show", "journey_s3.kv", "--limit", "1").out, "amount")
	p.stop()
	if out := p.daemon.output.String(); strings.Contains(out, s3Credentials()["AWS_SECRET_ACCESS_KEY"]) {
		t.Error("the log shows the secret")
	}
	t.Logf("kills: %v, requests: %v, failed: %d", hit, proxy.counts(), proxy.failed.Load())
	store := openS3(t, s3Endpoint(t))
	for o, err := range store.List(t.Context(), base+"_cdcd/probe-") {
		t.Errorf("a probe left %s, %v", o.Name, err)
	}
}

// TestRESTInS3 takes tables in S3, in a REST catalog that keeps its metadata there too,
// through load, stream, and kills, and reads them with independent engines: by the catalog,
// and by cdcd serve.
func TestRESTInS3(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "rest_s3")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 2))
	churnTables(t, s, "rest_s3", 1000)
	for k, v := range s3Credentials() {
		t.Setenv(k, v)
	}
	t.Setenv("AWS_REGION", "us-east-1")
	endpoint, base := s3Endpoint(t), strings.TrimSuffix(s3Base(t), "/")
	t.Setenv("S3_ENDPOINT", strings.TrimPrefix(endpoint, "http://"))
	uri := startIcebergREST(t, "CATALOG_IO__IMPL=org.apache.iceberg.aws.s3.S3FileIO", "CATALOG_S3_ENDPOINT="+endpoint,
		"CATALOG_S3_PATH__STYLE__ACCESS=true", "CATALOG_WAREHOUSE="+base)
	p := newPipeline(t, s, "rest_s3.*", settings{
		"warehouse.location": base, "warehouse.s3.endpoint": endpoint, "warehouse.s3.region": "us-east-1", "warehouse.s3.path_style": true,
		"catalog.type": "rest", "catalog.uri": uri, "commit.max_rows": 2000,
	})
	wantWords(t, p.must("check").out, "\nok")
	p.start()
	p.reach()
	tables := []string{"rest_s3.kv", "rest_s3.pair"}
	duckdb := &oracle{p, startEngine(t, "duckdb", uri)}
	duckdb.equal(t, tables...)
	c := startChurn(t, s, "rest_s3", 2000, seed)
	hit := map[string]int{}
	for _, name := range []string{"uploaded", "after-swap", ""} {
		p.kill()
		p.crash(t, crash{name, 3 + random.IntN(6)}, random, hit)
		p.start()
		c.busyFor(t, 20)
	}
	c.stop(t)
	p.reach()
	duckdb.equal(t, tables...)
	p.oracle("pyiceberg").equal(t, tables...) // by cdcd serve
	p.verify()
	wantWords(t, p.must("fsck", "--keys").out, "0 rules broken")
	wantWords(t, p.must("inspect").out, "\nok")
	p.stop()
	t.Logf("kills: %v", hit)
}

// TestS3Refused starts pipelines on a store that does not let us in, is not there, or does not
// keep its conditions.
func TestS3Refused(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "s3refused")
	s.exec(t, "CREATE TABLE s3refused.t (id INT PRIMARY KEY)")
	good := inS3(t, s3Endpoint(t), s3Base(t))
	proxy, careless := newS3Proxy(t)
	proxy.proxy.ModifyResponse = func(r *http.Response) error {
		if r.StatusCode == http.StatusPreconditionFailed {
			r.StatusCode = http.StatusOK
			r.Header = http.Header{"Etag": {`"etag"`}}
			r.Body, r.ContentLength = http.NoBody, 0
		}
		return nil
	}
	for name, x := range map[string]struct {
		change settings
		env    map[string]string
		code   int // exit code of cdcd run
		words  []string
	}{
		"wrong secret": {nil, map[string]string{"AWS_SECRET_ACCESS_KEY": "hunter2"}, 78, []string{"SignatureDoesNotMatch", "the credentials must allow"}},
		"no bucket":    {settings{"warehouse.location": "s3://nowhere/x"}, nil, 78, []string{"NoSuchBucket", "make the bucket"}},
		"embedded":     {settings{"catalog": map[string]any{"type": "embedded"}}, nil, 78, []string{"the embedded catalog needs a warehouse on a local disk"}},
		"careless":     {settings{"warehouse.s3.endpoint": careless}, nil, 78, []string{"the store of the warehouse is refused", "although there is one"}},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range x.env {
				t.Setenv(k, v)
			}
			p := newPipeline(t, s, "s3refused.*", good)
			p.set(x.change)
			f := p.run("run")
			if f.code != x.code {
				t.Errorf("exit %d, want %d: %s%s", f.code, x.code, f.out, f.err)
			}
			wantWords(t, f.out+f.err, x.words...)
			for _, secret := range []string{"hunter2", s3Credentials()["AWS_SECRET_ACCESS_KEY"]} {
				if strings.Contains(f.out+f.err, secret) {
					t.Errorf("shows the secret: %s%s", f.out, f.err)
				}
			}
			if _, err := os.Stat(p.path("warehouse")); err == nil {
				t.Error("made a warehouse on disk")
			}
		})
	}
}

// failEvery fails every n-th request, in turn before and after it took effect.
func (p *s3Proxy) failEvery(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := int64(0)
	p.fault = func(*http.Request) s3Fault {
		if seen++; seen%n != 0 {
			return s3Pass
		}
		if p.failed.Add(1)%2 == 0 {
			return s3Lost
		}
		return s3Applied
	}
}
