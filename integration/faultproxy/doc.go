// Package faultproxy stands before an HTTP server, a catalog or an object store, and does to
// requests what networks, gateways and busy servers do: it loses them or their answers, sends
// them twice or late, answers for the server, cuts bodies short and serves what is outdated.
//
// # Invariants
//
// A fault counts as injected only once it has been done to a request, so a count above zero
// says that the client has met it. What a fault does to the server is known: each is either
// applied, not applied, or applied later, and [Fault.Applied] says which.
//
// Faults are drawn from a shuffled deck that holds each of them once. So every run that is
// long enough meets all, and one seed gives one order.
//
// A held request is delivered after some later ones, or when the test says so; never while
// the client still waits for its answer.
package faultproxy
