package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdcd/commit"
)

// startDaemon answers on a control socket as h does, until stop is called.
func startDaemon(t *testing.T, h http.Handler) (socket string, stop func()) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "ctl")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	return socket, func() {
		t.Helper()
		if err := errors.Join(s.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}
}

// TestSlowDaemon tells a daemon that takes long from none.
func TestSlowDaemon(t *testing.T) {
	socket, stop := startDaemon(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	var none struct{}
	err := client{socket}.do(t.Context(), 50*time.Millisecond, http.MethodPost, "/", []byte("{}"), &none)
	if exitCode(err) != exitLater || errors.Is(err, errNoDaemon) || !strings.Contains(err.Error(), "may still do") {
		t.Errorf("%v", err)
	}
	stop()
	if err = (client{socket}).do(t.Context(), time.Second, http.MethodPost, "/", []byte("{}"), &none); !errors.Is(err, errNoDaemon) {
		t.Errorf("%v", err)
	}
}

// TestRefusedCommands tells commands that were wrong from those that can be repeated.
func TestRefusedCommands(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"carried out":            {nil, exitOK},
		"not understood":         {badRequest{errors.New("want a condition")}, exitUsage},
		"a table of nobody's":    {fmt.Errorf("%w: shop.nosuch: %w", commit.ErrNotRenewed, commit.ErrUnknownTable), exitUsage},
		"a table that is loaded": {fmt.Errorf("%w: it is being loaded", commit.ErrNotRenewed), exitLater},
		"no cut now":             {commit.ErrNoCut, exitLater},
		"recovering":             {errRecovering, exitLater},
	} {
		socket, stop := startDaemon(t, command(func(context.Context, json.RawMessage) (any, error) { return struct{}{}, c.err }))
		var none struct{}
		if got := exitCode((client{socket}).post(t.Context(), "/", none, &none)); got != c.want {
			t.Errorf("%s: exit %d, want %d", name, got, c.want)
		}
		stop()
	}
}
