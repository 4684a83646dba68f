package faultproxy

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// backend remembers the bodies that it was sent, and answers with their number.
type backend struct {
	mu     sync.Mutex
	bodies []string
}

const answerBody = "this is the answer, number "

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bodies = append(b.bodies, string(body))
	fmt.Fprint(w, answerBody, len(b.bodies))
}

func (b *backend) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.bodies)
}

func writes(r *http.Request) bool { return r.Method == http.MethodPost }

func start(t *testing.T, plan Plan) (*Proxy, *backend, string) {
	t.Helper()
	b := &backend{}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	plan.IsWrite = writes
	p := New(to, plan)
	front := httptest.NewServer(p)
	t.Cleanup(front.Close)
	return p, b, front.URL
}

// post sends one request over a connection of its own.
func post(uri, body string) (status int, answer string, err error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(uri, "text/plain", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(got), err
}

// TestEachFault injects every fault, and looks at what the server and the client have of it.
func TestEachFault(t *testing.T) {
	for _, fault := range slices.Concat(CatalogWrites(), StoreWrites()) {
		t.Run(fault.String(), func(t *testing.T) {
			p, b, uri := start(t, Plan{Every: 1, Writes: []Fault{fault}})
			p.Set(true)
			status, answer, err := post(uri, "0123456789")
			if failed := err != nil; failed == finishes(fault.Kind) {
				t.Errorf("the client has %d %q, %v", status, answer, err)
			}
			if fault.Status != 0 && status != fault.Status {
				t.Errorf("status %d", status)
			}
			want := map[Kind]int{Duplicate: 2, CutRequest: 1}[fault.Kind]
			if want == 0 && fault.Applied() {
				want = 1
			}
			seen := b.seen()
			if len(seen) != want {
				t.Errorf("the server has seen %q", seen)
			}
			if fault.Kind == CutRequest && seen[0] != "01234" {
				t.Errorf("the server has seen %q", seen)
			}
			if counts, _ := p.Counts(); counts[fault] != 1 || len(p.Missed()) > 0 {
				t.Errorf("counted %v, missed %v", counts, p.Missed())
			}
		})
	}
}

// TestHold delivers a held request after later ones, and an armed one on demand only.
func TestHold(t *testing.T) {
	p, b, uri := start(t, Plan{Every: 1, Writes: []Fault{{Kind: Hold}}})
	p.Set(true)
	if _, _, err := post(uri, "held"); err == nil {
		t.Error("the client got an answer")
	}
	p.Set(false)
	for i := range heldFor {
		if _, _, err := post(uri, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if seen := b.seen(); len(seen) != heldFor+1 || !slices.Contains(seen, "held") || p.Held() != 0 {
		t.Errorf("seen %q, held %d", seen, p.Held())
	}
	p.Arm(Hold, writes)
	_, _, _ = post(uri, "armed")
	for range heldFor + 1 {
		_, _, _ = post(uri, "later")
	}
	if seen := b.seen(); slices.Contains(seen, "armed") || p.Held() != 1 {
		t.Errorf("seen %q, held %d", seen, p.Held())
	}
	if statuses, err := p.Release(); err != nil || len(statuses) != 1 || statuses[0] != http.StatusOK {
		t.Errorf("statuses %v, %v", statuses, err)
	}
	if seen := b.seen(); seen[len(seen)-1] != "armed" {
		t.Errorf("seen %q", seen)
	}
}

// TestOutdatedReply serves an answer of before.
func TestOutdatedReply(t *testing.T) {
	p, b, uri := start(t, Plan{Every: 1, Reads: []Fault{{Kind: OutdatedReply}}})
	get := func() string {
		resp, err := http.Get(uri)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	first := get()
	get()
	p.Set(true)
	if again := get(); again != first || len(b.seen()) != 2 {
		t.Errorf("%q after %q; the server was asked %d times", again, first, len(b.seen()))
	}
	if _, reads := p.Counts(); reads[Fault{Kind: OutdatedReply}] != 1 {
		t.Errorf("counted %v", reads)
	}
}

// TestDeck deals every fault before any comes again, in an order that the seed decides.
func TestDeck(t *testing.T) {
	deal := func(seed uint64) []Fault {
		d, random := deck{faults: CatalogWrites()}, rand.New(rand.NewPCG(seed, 1))
		var out []Fault
		for range 2 * len(d.faults) {
			out = append(out, d.deal(random))
		}
		return out
	}
	a, b := deal(1), deal(1)
	if !slices.Equal(a, b) {
		t.Error("one seed gives two orders")
	}
	for _, f := range CatalogWrites() {
		if !slices.Contains(a[:len(a)/2], f) || !slices.Contains(a[len(a)/2:], f) {
			t.Errorf("%v is not dealt in each round", f)
		}
	}
}
