package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"cdcd/commit"
)

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
		socket := filepath.Join(t.TempDir(), "ctl")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: command(func(context.Context, json.RawMessage) (any, error) { return struct{}{}, c.err })}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		var none struct{}
		if got := exitCode((client{socket}).post(t.Context(), "/", none, &none)); got != c.want {
			t.Errorf("%s: exit %d, want %d", name, got, c.want)
		}
		if err := errors.Join(s.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}
}
