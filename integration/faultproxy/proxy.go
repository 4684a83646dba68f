package faultproxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// longestDelay bounds how late a delayed request arrives.
	longestDelay = 400 * time.Millisecond
	// heldFor is after how many later requests at most a held one is delivered, mostHeld how
	// many are held at a time.
	heldFor  = 6
	mostHeld = 16
	// mostRemembered bounds the answers that are kept to be served once more.
	mostRemembered = 64
	// serverPatience bounds a request to the server.
	serverPatience = time.Minute
)

// Proxy is an http.Handler before a server.
type Proxy struct {
	to     *url.URL
	plan   Plan
	client *http.Transport

	mu            sync.Mutex
	on            bool
	random        *rand.Rand
	writes, reads deck
	armed         []arming
	held          []*heldRequest
	outdated      map[string]*reply // by request, the first answer seen since one was served
	count         map[Fault]int     // of writes
	readCount     map[Fault]int
}

// arming is a fault for the next request that a condition holds for.
type arming struct {
	fault Fault
	match func(*http.Request) bool
}

// request is one as it came, with its body.
type request struct {
	*http.Request
	body []byte
}

// key is the same for requests that ask for the same.
func (r request) key() string { return r.Method + " " + r.URL.String() }

// heldRequest waits for its delivery; after is how many requests have to come first, below
// zero for one that only the test delivers.
type heldRequest struct {
	request
	after int
}

// New makes a proxy before the server at an address. It passes everything on until it is
// turned on.
func New(to *url.URL, plan Plan) *Proxy {
	return &Proxy{
		to: to, plan: plan, random: rand.New(rand.NewPCG(plan.Seed, 0xfa)),
		client:   &http.Transport{DisableCompression: true, ResponseHeaderTimeout: serverPatience, MaxIdleConnsPerHost: 8},
		writes:   deck{faults: plan.Writes},
		reads:    deck{faults: plan.Reads},
		outdated: map[string]*reply{}, count: map[Fault]int{}, readCount: map[Fault]int{},
	}
}

// Set turns the plan's faults on or off. Armed ones do not depend on it.
func (p *Proxy) Set(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on = on
}

// Arm makes the next request that a condition holds for meet a fault. A held one is delivered
// by Release only.
func (p *Proxy) Arm(kind Kind, match func(*http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = append(p.armed, arming{Fault{Kind: kind}, match})
}

// Counts gives how often each fault was injected on requests that change something, and on
// others.
func (p *Proxy) Counts() (writes, reads map[Fault]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.count), maps.Clone(p.readCount)
}

// Missed gives the faults of the plan that no request that changes something has met.
func (p *Proxy) Missed() []Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Fault
	for _, f := range p.plan.Writes {
		if p.count[f] == 0 {
			out = append(out, f)
		}
	}
	return out
}

// Held gives the number of requests that wait for their delivery.
func (p *Proxy) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held)
}

// Release delivers all held requests and gives the server's answers' statuses.
func (p *Proxy) Release() ([]int, error) {
	p.mu.Lock()
	held := p.held
	p.held = nil
	p.mu.Unlock()
	var out []int
	for _, h := range held {
		r, err := p.forward(h.request)
		if err != nil {
			return out, err
		}
		out = append(out, r.status)
	}
	return out, nil
}

// ServeHTTP does to a request what the plan says.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		hangUp()
	}
	r := request{in, body}
	fault, due := p.decide(r)
	for _, h := range due {
		_, _ = p.forward(h.request)
	}
	answer, ok := p.inject(r, fault)
	if ok {
		p.counted(r, fault)
	}
	answer(w)
	if !finishes(fault.Kind) {
		hangUp()
	}
}

// decide draws a request's fault, and gives the held requests whose time has come.
func (p *Proxy) decide(r request) (Fault, []*heldRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := p.takeDue(r)
	for i, a := range p.armed {
		if a.match(r.Request) {
			p.armed = append(p.armed[:i:i], p.armed[i+1:]...)
			if a.fault.Kind == Hold {
				p.held = append(p.held, &heldRequest{r, -1})
			}
			return a.fault, due
		}
	}
	if !p.on || p.random.IntN(p.plan.Every) > 0 {
		return Fault{Kind: Pass}, due
	}
	if !p.plan.IsWrite(r.Request) {
		return p.dealRead(r), due
	}
	fault := p.writes.deal(p.random)
	switch {
	case fault.Kind != Hold:
	case len(p.held) < mostHeld:
		p.held = append(p.held, &heldRequest{r, 1 + p.random.IntN(heldFor)})
	default:
		fault.Kind = LoseRequest
	}
	return fault, due
}

// dealRead draws a fault for a request that changes nothing: an outdated reply needs one.
func (p *Proxy) dealRead(r request) Fault {
	if len(p.plan.Reads) == 0 {
		return Fault{Kind: Pass}
	}
	fault := p.reads.deal(p.random)
	if fault.Kind == OutdatedReply && p.outdated[r.key()] == nil {
		return Fault{Kind: Pass}
	}
	return fault
}

// takeDue counts a request and takes out the held ones that it brings.
func (p *Proxy) takeDue(r request) []*heldRequest {
	if !p.plan.IsWrite(r.Request) {
		return nil
	}
	var due, rest []*heldRequest
	for _, h := range p.held {
		if h.after > 0 {
			h.after--
		}
		if h.after == 0 {
			due = append(due, h)
		} else {
			rest = append(rest, h)
		}
	}
	p.held = rest
	return due
}

func (p *Proxy) counted(r request, fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case fault.Kind == Pass:
	case p.plan.IsWrite(r.Request):
		p.count[fault]++
	default:
		p.readCount[fault]++
	}
}

// inject does one fault and gives what the client gets; ok says that it came to the fault.
func (p *Proxy) inject(r request, fault Fault) (answer func(http.ResponseWriter), ok bool) {
	nothing := func(http.ResponseWriter) {}
	switch fault.Kind {
	case LoseRequest, Hold:
		return nothing, true
	case AnswerBefore:
		return p.say(fault.Status), true
	case ResetRequest:
		return nothing, p.reset(r)
	case OutdatedReply:
		return p.replay(r)
	case CutRequest:
		r.body = r.body[:len(r.body)/2]
	case Delay:
		p.sleep(r)
	case Duplicate:
		if _, err := p.forward(r); err != nil {
			hangUp()
		}
	}
	got, err := p.forward(r)
	if err != nil {
		hangUp()
	}
	p.remember(r, got)
	switch fault.Kind {
	case LoseReply:
		return nothing, true
	case AnswerAfter:
		return p.say(fault.Status), true
	case CutReply:
		return got.send(len(got.body)/2, 1), len(got.body) > 0
	case Slow:
		return got.send(len(got.body), slowParts), true
	}
	return got.send(len(got.body), 1), true
}

// finishes reports whether the client gets a whole answer.
func finishes(k Kind) bool {
	switch k {
	case LoseRequest, LoseReply, Hold, ResetRequest, CutReply:
		return false
	}
	return true
}

// hangUp closes the client's connection.
func hangUp() { panic(http.ErrAbortHandler) }

func (p *Proxy) sleep(r request) {
	p.mu.Lock()
	d := time.Duration(p.random.Int64N(int64(longestDelay)))
	p.mu.Unlock()
	select {
	case <-time.After(d):
	case <-r.Context().Done(): // it is delivered though nobody waits
	}
}

// forward lets the server serve a request. It is served also when the client has gone.
func (p *Proxy) forward(r request) (*reply, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), serverPatience)
	defer cancel()
	resp, err := p.client.RoundTrip(p.outgoing(ctx, r, bytes.NewReader(r.body)))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &reply{resp.StatusCode, resp.Header, body}, err
}

// outgoing is a request as the server gets it: addressed as it was, since that is signed.
func (p *Proxy) outgoing(ctx context.Context, r request, body io.Reader) *http.Request {
	out := r.Clone(ctx)
	out.RequestURI, out.TransferEncoding = "", nil
	out.URL.Scheme, out.URL.Host = p.to.Scheme, p.to.Host
	out.Header.Del("Connection")
	out.Body, out.ContentLength = http.NoBody, int64(len(r.body))
	if len(r.body) > 0 {
		out.Body = io.NopCloser(body)
	}
	return out
}

var errReset = errors.New("reset")

// reset ends the server's connection in the middle of the request's body.
func (p *Proxy) reset(r request) bool {
	if len(r.body) < 2 {
		return false
	}
	half := io.MultiReader(bytes.NewReader(r.body[:len(r.body)/2]), brokenReader{})
	resp, err := p.client.RoundTrip(p.outgoing(context.WithoutCancel(r.Context()), r, half))
	if err == nil { // it did not wait for the rest
		_ = resp.Body.Close()
	}
	return true
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errReset }

// remember keeps an answer, to be served to a later request for the same.
func (p *Proxy) remember(r request, answer *reply) {
	if r.Method != http.MethodGet || answer.status != http.StatusOK {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if key := r.key(); p.outdated[key] == nil && len(p.outdated) < mostRemembered {
		p.outdated[key] = answer
	}
}

// replay gives an answer of before, once.
func (p *Proxy) replay(r request) (func(http.ResponseWriter), bool) {
	p.mu.Lock()
	got := p.outdated[r.key()]
	delete(p.outdated, r.key())
	p.mu.Unlock()
	if got == nil {
		hangUp()
	}
	return got.send(len(got.body), 1), true
}
