package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"cdcd/table/fileio"
)

// vendor hands out the keys old, and then the keys new.
type vendor struct {
	endpoint string
	renewed  atomic.Int32
	keys     [2]*Keys
	err      error
}

func newVendor(endpoint string) *vendor {
	v := &vendor{endpoint: endpoint}
	for i, id := range []string{"old", "new"} {
		v.keys[i] = &Keys{AccessKeyID: id, SecretAccessKey: "hunter2", SessionToken: "token-" + id, Endpoint: endpoint, PathStyle: true}
	}
	return v
}

func (v *vendor) Keys(_ context.Context, name string) (*Keys, error) {
	if !strings.HasPrefix(name, "s3://b/t/") {
		return nil, nil
	}
	return v.keys[min(v.renewed.Load(), 1)], v.err
}

func (v *vendor) Renew(context.Context, string, *Keys) (*Keys, error) {
	v.renewed.Add(1)
	return v.keys[1], v.err
}

// newRefusing is a store that lets nobody in but those with one session token.
func newRefusing(t *testing.T, token string) (url string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if !strings.HasPrefix(r.URL.Path, "/b/t/") || r.Header.Get("X-Amz-Security-Token") != token {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<Error><Code>AccessDenied</Code></Error>`)
			return
		}
		fmt.Fprint(w, "content")
	}))
	t.Cleanup(s.Close)
	return s.URL, requests
}

func openVended(t *testing.T, c Config) *Store {
	t.Helper()
	noAWS(t)
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRefusedKeysAreRenewed has keys that the store refuses, in a store whose place the vendor
// says.
func TestRefusedKeysAreRenewed(t *testing.T) {
	url, requests := newRefusing(t, "token-new")
	v := newVendor(url)
	s := openVended(t, Config{Vendor: v})
	for range 2 {
		b, _, err := s.Read(t.Context(), "s3://b/t/x")
		if err != nil || string(b) != "content" {
			t.Errorf("%q, %v", b, err)
		}
	}
	if v.renewed.Load() != 1 || requests.Load() != 3 {
		t.Errorf("renewed %d times, %d requests", v.renewed.Load(), requests.Load())
	}
}

// TestRenewedOnce has a store that refuses all keys, and a vendor that has none.
func TestRenewedOnce(t *testing.T) {
	url, requests := newRefusing(t, "none")
	v := newVendor(url)
	s := openVended(t, Config{Vendor: v})
	_, _, err := s.Read(t.Context(), "s3://b/t/x")
	if !errors.Is(err, fileio.ErrAccess) || v.renewed.Load() != 1 || requests.Load() != 2 || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v, renewed %d times, %d requests", err, v.renewed.Load(), requests.Load())
	}
	v.err = fmt.Errorf("%w: none today", fileio.ErrAccess)
	if _, _, err := s.Read(t.Context(), "s3://b/t/x"); !errors.Is(err, v.err) || requests.Load() != 2 {
		t.Errorf("%v, %d requests", err, requests.Load())
	}
}

// TestOutsideOfTables uses the store's own credentials where the vendor has none, and says so
// where there are none.
func TestOutsideOfTables(t *testing.T) {
	url, requests := newRefusing(t, "own")
	c := Config{Endpoint: url, PathStyle: true, Vendor: newVendor("http://127.0.0.1:1")}
	s := openVended(t, c)
	_, _, err := s.Read(t.Context(), "s3://b/other")
	if !errors.Is(err, fileio.ErrAccess) || !strings.Contains(err.Error(), "outside of its tables' locations") || requests.Load() != 0 {
		t.Errorf("%v, %d requests", err, requests.Load())
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "own")
	if s, err = Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Read(t.Context(), "s3://b/other"); !errors.Is(err, fileio.ErrAccess) || requests.Load() != 1 {
		t.Errorf("%v, %d requests", err, requests.Load())
	}
	if text := fmt.Sprintf("%v %+v %s", c.Vendor.(*vendor).keys[0], *c.Vendor.(*vendor).keys[0], c.Vendor.(*vendor).keys[1]); strings.Contains(text, "hunter2") {
		t.Error(text)
	}
}
