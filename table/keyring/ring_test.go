package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cdcd/table/fileio"
	"cdcd/table/s3store"
)

const orders = "s3://lake/shop/orders"

// catalog is one that answers as a test wants.
type catalog struct {
	mu     sync.Mutex
	asked  int
	answer func(asked int) (Answer, error)
}

func (c *catalog) Vend(ctx context.Context, _ []string) (Answer, error) {
	time.Sleep(time.Second) // by the clock of the bubble: it takes its time
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return c.answer(c.asked)
}

// good is a config with keys that are good for a while, and for ever with 0.
func good(id string, life time.Duration) map[string]string {
	c := map[string]string{"s3.access-key-id": id, "s3.secret-access-key": "hunter2", "s3.session-token": "hunter3"}
	if life > 0 {
		c["s3.session-token-expires-at-ms"] = fmt.Sprint(time.Now().Add(life).UnixMilli())
	}
	return c
}

// vending makes a Ring that knows one table, whose catalog hands out keys 2, 3, ... after 1.
func vending(life time.Duration) (*Ring, *catalog) {
	c := &catalog{answer: func(n int) (Answer, error) { return Answer{Config: good(fmt.Sprint(n+1), life)}, nil }}
	r := New(c)
	r.Learn([]string{"shop", "orders"}, orders+"/", Answer{Config: good("1", life)})
	return r, c
}

// wantKeys checks which keys are given for an object.
func wantKeys(t *testing.T, r *Ring, name, id string) *s3store.Keys {
	t.Helper()
	k, err := r.Keys(t.Context(), name)
	if err != nil || k == nil && id != "" || k != nil && k.AccessKeyID != id {
		t.Errorf("%s: %v, %v; want those of %q", name, k, err, id)
	}
	return k
}

func TestLongestPrefixWins(t *testing.T) {
	r := New(nil)
	r.Learn([]string{"shop", "orders"}, orders, Answer{Config: good("config", 0), Storage: []Storage{
		{orders + "/data", good("data", 0)}, {orders + "/data/", good("inner", 0)}, {"s3://lake", good("wide", 0)}, {"gs://lake", map[string]string{"gcs.oauth2.token": "x"}},
	}})
	r.Learn([]string{"shop", "orders2"}, orders+"2", Answer{Config: good("other", 0)})
	for i := range 10 { // a map has no order
		r.Learn([]string{"shop", "inside"}, orders+"/data/"+strings.Repeat("x/", i), Answer{Config: good(fmt.Sprint(i), 0)})
	}
	for name, id := range map[string]string{
		orders + "/data/x/x/x/a":       "3",
		orders + "/dataset/a":          "wide",
		orders + "/metadata/":          "wide",
		orders + "2/data/a.parquet":    "other", // and not those of a prefix of another table
		"s3://lake/_cdcd/p/lease.json": "wide",
		"s3://lake2/x":                 "",
	} {
		wantKeys(t, r, name, id)
	}
	alone := New(nil)
	alone.Learn([]string{"shop", "orders"}, orders, Answer{Storage: []Storage{{orders + "/data", good("data", 0)}, {orders + "/data/", good("inner", 0)}, {orders, good("wide", 0)}}})
	wantKeys(t, alone, orders+"/data/a.parquet", "inner")
	wantKeys(t, alone, orders+"/data", "data")
	wantKeys(t, alone, orders+"/dataset", "wide")
	alone.Learn([]string{"shop", "orders"}, orders, Answer{Config: good("config", 0)})
	wantKeys(t, alone, orders+"/data/a", "config")
	wantKeys(t, alone, "s3://lake/_cdcd/p/lease.json", "")
}

func TestParse(t *testing.T) {
	a, err := Parse([]byte(`{"s3.access-key-id":"a","s3.secret-access-key":"hunter2","client.region":"eu-west-1","s3.endpoint":"https://s3.example","s3.path-style-access":"true"}`),
		[]byte(`[{"prefix":"s3://lake","config":{"s3.access-key-id":"b","s3.secret-access-key":"hunter2","s3.session-token":"t","s3.session-token-expires-at-ms":"86400000","s3.region":"x"}}]`))
	if err != nil {
		t.Fatal(err)
	}
	got := a.grants(time.Now())
	if len(got) != 2 {
		t.Fatalf("%v", got)
	}
	first := s3store.Keys{AccessKeyID: "a", SecretAccessKey: "hunter2", Endpoint: "https://s3.example", Region: "eu-west-1", PathStyle: true}
	second := s3store.Keys{AccessKeyID: "b", SecretAccessKey: "hunter2", SessionToken: "t", Expires: time.UnixMilli(86400000), Endpoint: "https://s3.example", Region: "x", PathStyle: true}
	if *got[0].keys != first || got[0].prefix != "" || *got[1].keys != second || got[1].prefix != "s3://lake" {
		t.Error("other grants")
	}
	if text := fmt.Sprintf("%v %+v %#v %v", got[1].keys, *got[1].keys, got[1].keys, got); strings.Contains(text, "hunter2") {
		t.Error(text)
	}
	for _, bad := range [][2]string{{`["hunter2"]`, ""}, {"", `{"hunter2":1}`}, {`{"a":"hunter2"`, ""}} {
		if _, err := Parse([]byte(bad[0]), []byte(bad[1])); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if a, err := Parse(nil, []byte("null")); err != nil || len(a.grants(time.Now())) != 0 {
		t.Errorf("nothing: %v, %v", a, err)
	}
}

// TestRenewedInTime lets an hour's keys get old: they are replaced in their last five minutes,
// and of many who need them at that moment one asks.
func TestRenewedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := vending(time.Hour)
		time.Sleep(55*time.Minute - time.Second)
		wantKeys(t, r, orders+"/a", "1")
		time.Sleep(time.Second)
		var g sync.WaitGroup
		for range 20 {
			g.Go(func() { wantKeys(t, r, orders+"/a", "2") })
		}
		g.Wait()
		if c.asked != 1 {
			t.Errorf("asked %d times", c.asked)
		}
		time.Sleep(54 * time.Minute)
		wantKeys(t, r, orders+"/a", "2")
	})
}

// TestShortLivesAreHalved has keys that are good for less than what is kept in reserve.
func TestShortLivesAreHalved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := vending(time.Minute)
		wantKeys(t, r, orders+"/a", "1")
		time.Sleep(29 * time.Second)
		wantKeys(t, r, orders+"/a", "1")
		time.Sleep(time.Second)
		wantKeys(t, r, orders+"/a", "2")
		if c.asked != 1 {
			t.Errorf("asked %d times", c.asked)
		}
	})
}

// TestCatalogIsDown has a catalog that does not answer: the keys are used to their end, and it
// is asked now and then only.
func TestCatalogIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := vending(time.Hour)
		again, down := c.answer, errors.New("down")
		c.answer = func(int) (Answer, error) { return Answer{}, down }
		time.Sleep(57 * time.Minute)
		for range 100 {
			wantKeys(t, r, orders+"/a", "1")
		}
		if c.asked != 1 {
			t.Errorf("asked %d times", c.asked)
		}
		time.Sleep(4 * time.Minute)
		if _, err := r.Keys(t.Context(), orders+"/a"); !errors.Is(err, down) {
			t.Errorf("they are past their end: %v", err)
		}
		c.answer = again
		time.Sleep(askEvery)
		wantKeys(t, r, orders+"/a", "4")
	})
}

// TestRefused has a store that refuses keys whose end nobody told.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, c := vending(0)
		refused := wantKeys(t, r, orders+"/a", "1")
		var g sync.WaitGroup // they are refused although they are fresh
		for range 20 {
			g.Go(func() {
				if k, err := r.Renew(t.Context(), orders+"/a", refused); err != nil || k.AccessKeyID != "2" {
					t.Errorf("%v, %v", k, err)
				}
			})
		}
		g.Wait()
		fresh := wantKeys(t, r, orders+"/a", "2")
		if k, err := r.Renew(t.Context(), orders+"/a", fresh); err != nil || k != fresh || c.asked != 1 {
			t.Errorf("%v, %v, asked %d times: the catalog has just been asked", k, err, c.asked)
		}
		if k, err := r.Renew(t.Context(), "s3://lake/other", nil); err != nil || k != nil {
			t.Errorf("of no table: %v, %v", k, err)
		}
	})
}

// TestNothingIsVended has catalogs that give no keys, or none for what is needed.
func TestNothingIsVended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &catalog{answer: func(int) (Answer, error) { return Answer{}, nil }}
		r := New(c)
		r.Learn([]string{"shop", "orders"}, orders, Answer{})
		for range 2 {
			if _, err := r.Keys(t.Context(), orders+"/a"); !errors.Is(err, ErrNone) || !errors.Is(err, fileio.ErrAccess) {
				t.Errorf("%v", err)
			}
		}
		if c.asked != 1 {
			t.Errorf("asked %d times", c.asked)
		}
		r.Learn([]string{"shop", "orders"}, orders, Answer{Storage: []Storage{{orders + "/data", good("1", 0)}}})
		if _, err := r.Keys(t.Context(), orders+"/metadata/a"); !errors.Is(err, fileio.ErrAccess) || errors.Is(err, ErrNone) {
			t.Errorf("a prefix that does not cover it: %v", err)
		}
	})
}

// TestCallersGiveUp has callers whose time ends while the catalog is asked: that is not the
// catalog's answer.
func TestCallersGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := vending(time.Minute)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		var g sync.WaitGroup
		for range 3 {
			g.Go(func() {
				if _, err := r.Keys(ctx, orders+"/a"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
			})
		}
		g.Wait()
		wantKeys(t, r, orders+"/a", "2")
	})
}
