package main

import (
	"context"
	"log/slog"
	"maps"
	"sync"
)

// components are the parts of the daemon that log under a name of their own; the rest logs
// as the daemon.
const (
	componentSource     = "source"  // reading the log and the schemas
	componentCommit     = "commit"  // epochs, recovery and the initial load
	componentCatalog    = "catalog" // the endpoint for readers
	componentCompaction = "compaction"
	componentDaemon     = "daemon"
	componentKey        = "component"
	errorKey            = "err"
)

// errorCounter counts the warnings and errors in the log that carry an error, by component.
// An error is logged once, where it is survived or ends the daemon, so each counts once.
type errorCounter struct {
	mu     sync.Mutex
	counts map[string]int64
}

func newErrorCounter() *errorCounter {
	return &errorCounter{counts: map[string]int64{componentSource: 0, componentCommit: 0, componentCatalog: 0, componentCompaction: 0, componentDaemon: 0}}
}

func (c *errorCounter) add(component string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[component]++
}

// all gives the counts.
func (c *errorCounter) all() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// watch gives a logger that counts and hands everything on.
func (c *errorCounter) watch(l *slog.Logger) *slog.Logger {
	return slog.New(countingHandler{l.Handler(), c, componentDaemon})
}

// countingHandler counts errors also where the log's level hides them.
type countingHandler struct {
	slog.Handler
	counter   *errorCounter
	component string
}

// Enabled reports whether a level is to be handled.
func (h countingHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn || h.Handler.Enabled(ctx, l)
}

// Handle counts a record that carries an error.
func (h countingHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == errorKey {
				h.counter.add(h.component)
			}
			return a.Key != errorKey
		})
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs gives a handler with more attributes, among which may be the component.
func (h countingHandler) WithAttrs(as []slog.Attr) slog.Handler {
	for _, a := range as {
		if a.Key == componentKey {
			h.component = a.Value.String()
		}
	}
	h.Handler = h.Handler.WithAttrs(as)
	return h
}

// WithGroup gives a handler with a group.
func (h countingHandler) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}
