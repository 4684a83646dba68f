//go:build integration

package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cdcd/table/fileio"
	"cdcd/table/s3store"
	"cdcd/table/tabletest"
)

// s3Bucket is the bucket that all tests share, each below a prefix of its own.
const s3Bucket = "lake"

var sharedS3 struct {
	sync.Mutex
	endpoint string
	process  *process
}

// s3Endpoint gives the URL of the S3 server that the tests share, starting it where needed.
func s3Endpoint(t testing.TB) string {
	t.Helper()
	sharedS3.Lock()
	defer sharedS3.Unlock()
	if sharedS3.process != nil {
		return sharedS3.endpoint
	}
	dir, port := filepath.Join(sharedDir, "s3"), freePort(t)
	if err := os.MkdirAll(filepath.Join(dir, s3Bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := startProcess(exec.Command("servers/s3-server", "run", dir, fmt.Sprint(port)))
	if err != nil {
		t.Fatal(err)
	}
	sharedS3.endpoint, sharedS3.process = fmt.Sprintf("http://127.0.0.1:%d", port), p
	eventually(t, serverPatience, "the S3 server starts", func() error {
		if !p.alive() {
			return fatalError{fmt.Errorf("it ended: %s", p.output)}
		}
		answer, err := http.Get(sharedS3.endpoint)
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
	return sharedS3.endpoint
}

func stopS3() {
	sharedS3.Lock()
	defer sharedS3.Unlock()
	if sharedS3.process != nil {
		_ = sharedS3.process.signal(syscall.SIGKILL, time.Second)
	}
}

// s3Credentials are those of the server's account, as the environment gives them.
func s3Credentials() map[string]string {
	return map[string]string{"AWS_ACCESS_KEY_ID": "cdc", "AWS_SECRET_ACCESS_KEY": "cdcsecret"}
}

// openS3 gives a store behind an endpoint.
func openS3(t *testing.T, endpoint string) *s3store.Store {
	t.Helper()
	for k, v := range s3Credentials() {
		t.Setenv(k, v)
	}
	s, err := s3store.Open(t.Context(), s3store.Config{Endpoint: endpoint, Region: "us-east-1", PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// s3Base gives the beginning of the names of one test.
func s3Base(t *testing.T) string {
	return fmt.Sprintf("s3://%s/%s-%d/", s3Bucket, filepath.Base(t.Name()), time.Now().UnixNano())
}

func TestS3Store(t *testing.T) {
	endpoint := s3Endpoint(t)
	tabletest.TestStore(t, func(t *testing.T) (fileio.Store, string) { return openS3(t, endpoint), s3Base(t) })
}

// s3Proxy stands before an S3 server. It counts requests, and fails some.
type s3Proxy struct {
	proxy *httputil.ReverseProxy
	// fault says what becomes of a request; nil lets all through.
	fault  func(r *http.Request) s3Fault
	mu     sync.Mutex
	count  map[string]int // by method
	failed atomic.Int64
}

type s3Fault int

const (
	s3Pass    s3Fault = iota
	s3Applied         // the request is served and its answer is lost
	s3Lost            // the request does not arrive
	s3Expired         // the request is refused, for the credentials have ended
)

func newS3Proxy(t *testing.T) (*s3Proxy, string) {
	t.Helper()
	to, err := url.Parse(s3Endpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &s3Proxy{count: map[string]int{}}
	p.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // it is signed
	}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return p, server.URL
}

// ServeHTTP passes a request on.
func (p *s3Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.count[r.Method]++
	fault := s3Pass
	if p.fault != nil {
		fault = p.fault(r)
	}
	p.mu.Unlock()
	switch fault {
	case s3Pass:
		p.proxy.ServeHTTP(w, r)
		return
	case s3Expired:
		p.failed.Add(1)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>`)
		return
	case s3Applied:
		p.proxy.ServeHTTP(httptest.NewRecorder(), r)
	}
	panic(http.ErrAbortHandler) // closes the connection without an answer
}

// counts gives the requests since it was last asked.
func (p *s3Proxy) counts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.count
	p.count = map[string]int{}
	return out
}

// failFirst fails the first request that a condition holds for.
func (p *s3Proxy) failFirst(how s3Fault, when func(*http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	failed := false
	p.fault = func(r *http.Request) s3Fault {
		if failed || !when(r) {
			return s3Pass
		}
		failed = true
		return how
	}
}

// TestS3LostAnswers loses the first answer to each kind of request. The write is done once,
// and who did it is told so.
func TestS3LostAnswers(t *testing.T) {
	proxy, endpoint := newS3Proxy(t)
	store, rival, base := openS3(t, endpoint), openS3(t, s3Endpoint(t)), s3Base(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	write := func(name string, content []byte) error {
		w, err := store.Create(t.Context(), name)
		if err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return errors.Join(err, w.Abort())
		}
		return w.Close()
	}
	query := func(method, key string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Method == method && (key == "" || r.URL.Query().Has(key)) }
	}
	n := 0
	for what, when := range map[string]func(*http.Request) bool{
		"put": query("PUT", ""), "begin": query("POST", "uploads"), "part": query("PUT", "partNumber"), "complete": query("POST", "uploadId"),
	} {
		for _, how := range []s3Fault{s3Applied, s3Lost} {
			n++
			name, content := fmt.Sprintf("%s%d", base, n), large
			if what == "put" {
				content = []byte("small")
			}
			proxy.failFirst(how, when)
			if err := write(name, content); err != nil {
				t.Errorf("%s, %d: %v", what, how, err)
			}
			if got, _, err := rival.Read(t.Context(), name); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s, %d: %d bytes, %v", what, how, len(got), err)
			}
			proxy.failFirst(how, when)
			if err := write(name, content); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s, %d: again: %v", what, how, err)
			}
		}
	}
}

// TestS3LostRace loses a write's first attempt while a rival wins: the next must not take the
// rival's object for its own.
func TestS3LostRace(t *testing.T) {
	proxy, endpoint := newS3Proxy(t)
	store, rival, base := openS3(t, endpoint), openS3(t, s3Endpoint(t)), s3Base(t)
	ctx, name := t.Context(), base+"state"
	var tag fileio.Tag
	proxy.failFirst(s3Lost, func(*http.Request) (yes bool) {
		var err error
		if tag, err = rival.Put(ctx, name, []byte("same")); err != nil {
			t.Error(err)
		}
		return true
	})
	if _, err := store.Put(ctx, name, []byte("same")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("put: %v", err)
	}
	old := tag
	proxy.failFirst(s3Lost, func(*http.Request) bool {
		var err error
		if tag, err = rival.Replace(ctx, name, []byte("new"), old); err != nil {
			t.Error(err)
		}
		return true
	})
	if _, err := store.Replace(ctx, name, []byte("new"), old); !errors.Is(err, fileio.ErrChanged) {
		t.Errorf("replace: %v", err)
	}
	proxy.failFirst(s3Applied, func(r *http.Request) bool { return r.Method == http.MethodPut })
	next, err := store.Replace(ctx, name, []byte("ours"), tag)
	if err != nil {
		t.Errorf("replace with a lost answer: %v", err)
	}
	if got, now, err := rival.Read(ctx, name); err != nil || now != next || string(got) != "ours" {
		t.Errorf("%q, tag %s after %s, %v", got, now, next, err)
	}
	proxy.failFirst(s3Applied, func(r *http.Request) bool { return r.Method == http.MethodDelete })
	if err := store.Remove(ctx, name); err != nil {
		t.Errorf("remove: %v", err)
	}
}

// TestS3Requests counts what single calls cost.
func TestS3Requests(t *testing.T) {
	proxy, endpoint := newS3Proxy(t)
	store, base := openS3(t, endpoint), s3Base(t)
	ctx := t.Context()
	check := func(what string, err error, want map[string]int) {
		t.Helper()
		if have := proxy.counts(); err != nil || fmt.Sprint(have) != fmt.Sprint(want) {
			t.Errorf("%s: requests %v, want %v; %v", what, have, want, err)
		}
	}
	_, err := store.Put(ctx, base+"a.avro", make([]byte, 100_000))
	check("put", err, map[string]int{"PUT": 1})
	_, _, err = store.Read(ctx, base+"a.avro")
	check("read", err, map[string]int{"GET": 1})
	f, err := store.IO(ctx).Open(base + "a.avro")
	if err == nil {
		_, err = f.ReadAt(make([]byte, 1000), 50_000)
	}
	check("open and read", err, map[string]int{"GET": 1})
	check("remove", store.Remove(ctx, base+"a.avro"), map[string]int{"DELETE": 1})
	w, err := store.Create(ctx, base+"b.parquet")
	if err == nil {
		_, err = w.Write(make([]byte, 20<<20))
		err = errors.Join(err, w.Close())
	}
	check("large stream", err, map[string]int{"PUT": 3, "POST": 2})
	f, err = store.IO(ctx).Open(base + "b.parquet")
	if err == nil {
		_, err = f.ReadAt(make([]byte, 8), 20<<20-8)
	}
	check("footer", err, map[string]int{"GET": 1})
}
