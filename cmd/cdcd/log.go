package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"sync"

	"cdcd/cmd/cdcd/config"
	"golang.org/x/term"
)

// newLogger builds the logger that the configuration asks for. On its own it writes text to
// a terminal, text with priorities to systemd's journal, and JSON elsewhere. It writes
// through w, behind which console is.
func newLogger(c config.Log, console, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // checked by the configuration
	opts := &slog.HandlerOptions{Level: level}
	switch {
	case c.Format == "text", c.Format == "auto" && isTerminal(console):
		return slog.New(slog.NewTextHandler(w, opts))
	case c.Format == "auto" && os.Getenv("JOURNAL_STREAM") != "":
		return slog.New(newJournalHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// journalHandler writes text lines that begin with the priority in the form that systemd
// reads from standard error. The journal has the time.
type journalHandler struct {
	text slog.Handler
	mu   *sync.Mutex
	buf  *bytes.Buffer
	w    io.Writer
}

func newJournalHandler(w io.Writer, opts *slog.HandlerOptions) journalHandler {
	buf := &bytes.Buffer{}
	o := *opts
	o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}
	return journalHandler{text: slog.NewTextHandler(buf, &o), mu: &sync.Mutex{}, buf: buf, w: w}
}

// Enabled reports whether a level is logged.
func (h journalHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.text.Enabled(ctx, l)
}

// Handle writes one line.
func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf.Reset()
	priority := "<7>"
	switch {
	case r.Level >= slog.LevelError:
		priority = "<3>"
	case r.Level >= slog.LevelWarn:
		priority = "<4>"
	case r.Level >= slog.LevelInfo:
		priority = "<6>"
	}
	h.buf.WriteString(priority)
	if err := h.text.Handle(ctx, r); err != nil {
		return err
	}
	_, err := h.w.Write(h.buf.Bytes())
	return err
}

// WithAttrs gives a handler with more attributes.
func (h journalHandler) WithAttrs(as []slog.Attr) slog.Handler {
	h.text = h.text.WithAttrs(as)
	return h
}

// WithGroup gives a handler with a group.
func (h journalHandler) WithGroup(name string) slog.Handler {
	h.text = h.text.WithGroup(name)
	return h
}
