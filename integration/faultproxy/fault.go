package faultproxy

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
)

// Kind is what is done to a request.
type Kind string

const (
	Pass          Kind = "pass"
	LoseRequest   Kind = "lose request"   // it does not arrive, the connection is closed
	LoseReply     Kind = "lose reply"     // it is served, the connection is closed
	Delay         Kind = "delay"          // it arrives late, while the client waits
	Hold          Kind = "hold"           // the connection is closed, it arrives after later ones
	Duplicate     Kind = "duplicate"      // it is served twice, the client gets the second answer
	AnswerBefore  Kind = "answer before"  // a status without the server
	AnswerAfter   Kind = "answer after"   // a status in place of the server's
	CutRequest    Kind = "cut request"    // the server gets half of the body as if that were all
	CutReply      Kind = "cut reply"      // the client gets half of the body, and the connection ends
	ResetRequest  Kind = "reset request"  // both connections end in the middle of the body
	Slow          Kind = "slow"           // the answer trickles
	OutdatedReply Kind = "outdated reply" // the answer to an earlier request for the same
)

// Fault is a kind, with the status where it gives one.
type Fault struct {
	Kind   Kind
	Status int
}

func (f Fault) String() string {
	if f.Status == 0 {
		return string(f.Kind)
	}
	return fmt.Sprintf("%s: %d", f.Kind, f.Status)
}

// Applied reports whether the server does what was asked, before the client hears of it.
func (f Fault) Applied() bool {
	switch f.Kind {
	case LoseRequest, Hold, AnswerBefore, CutRequest, ResetRequest, OutdatedReply:
		return false
	}
	return true
}

// answers gives the fault of answering with each status.
func answers(kind Kind, statuses ...int) []Fault {
	var out []Fault
	for _, s := range statuses {
		out = append(out, Fault{kind, s})
	}
	return out
}

func plain(kinds ...Kind) []Fault {
	var out []Fault
	for _, k := range kinds {
		out = append(out, Fault{Kind: k})
	}
	return out
}

// CatalogWrites are the faults of requests that change a catalog: none is proof that the
// request was done, or that it was not.
func CatalogWrites() []Fault {
	every := []int{400, 401, 404, 409, 429, 500, 502, 503, 504}
	return slices.Concat(answers(AnswerBefore, every...), answers(AnswerAfter, every...),
		plain(LoseRequest, LoseReply, Delay, Hold, Duplicate, CutRequest, CutReply, ResetRequest, Slow))
}

// CatalogReads are the faults of requests that ask a catalog. It may not say that a table is
// gone, or that we are not let in: that is believed.
func CatalogReads() []Fault {
	return slices.Concat(answers(AnswerBefore, 429, 500, 502, 503, 504), plain(LoseRequest, LoseReply, Delay, CutReply, Slow, OutdatedReply))
}

// StoreWrites are the faults of requests that change an object store. Other statuses of 4xx
// are final there by the protocol, a body that is cut breaks its signature, and an answer has
// none that could be cut.
func StoreWrites() []Fault {
	return slices.Concat(answers(AnswerBefore, 409, 429, 500, 502, 503, 504), answers(AnswerAfter, 409, 429, 500, 502, 503, 504),
		plain(LoseRequest, LoseReply, Delay, Hold, ResetRequest, Slow))
}

// StoreReads are the faults of requests that read objects.
func StoreReads() []Fault {
	return slices.Concat(answers(AnswerBefore, 429, 500, 502, 503, 504), plain(LoseRequest, LoseReply, Delay, CutReply, Slow))
}

// deck deals faults in random order, each once before any comes again.
type deck struct {
	faults []Fault
	left   []Fault
}

func (d *deck) deal(random *rand.Rand) Fault {
	if len(d.left) == 0 {
		d.left = slices.Clone(d.faults)
		random.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	}
	f := d.left[0]
	d.left = d.left[1:]
	return f
}

// Plan says which requests are met by which faults.
type Plan struct {
	Seed          uint64
	Every         int // one of so many requests has a fault, on average
	Writes, Reads []Fault
	// IsWrite tells requests that change something.
	IsWrite func(*http.Request) bool
	// Error is a server's answer of a status; nil: that of a REST catalog.
	Error func(status int) (contentType, body string)
}
