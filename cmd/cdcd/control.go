package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"cdcd/commit"
)

// maxCommand bounds what the control socket reads of a command.
const maxCommand = 1 << 20

// badRequest is a command that the daemon does not understand.
type badRequest struct{ error }

// refusalReport is the answer to a command that was not carried out.
type refusalReport struct {
	Error string `json:"error"`
}

// command answers a command on the control socket.
func command(do func(ctx context.Context, body json.RawMessage) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCommand))
		var out any
		if err == nil {
			out, err = do(r.Context(), body)
		}
		switch {
		case err == nil:
			writeJSON(w, http.StatusOK, out)
		case errors.As(err, new(badRequest)):
			writeJSON(w, http.StatusBadRequest, refusalReport{err.Error()})
		case errors.Is(err, commit.ErrBusy), errors.Is(err, commit.ErrNoCut):
			writeJSON(w, http.StatusConflict, refusalReport{err.Error()})
		default:
			writeJSON(w, http.StatusServiceUnavailable, refusalReport{err.Error()})
		}
	}
}

// client sends commands to the daemon that owns a control socket.
type client struct{ socket string }

// commandTimeout bounds a command: the daemon has bounds of its own for each step.
const commandTimeout = 2 * time.Minute

// post sends a command. Whatever the daemon refuses can be tried again later.
func (c client) post(ctx context.Context, path string, what, to any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return c.do(ctx, commandTimeout, http.MethodPost, path, body, to)
}

func (c client) do(ctx context.Context, within time.Duration, method, path string, body []byte, to any) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
		},
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://daemon"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return coded{exitLater, fmt.Errorf("%w %s: %w", errNoDaemon, c.socket, err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return json.NewDecoder(resp.Body).Decode(to)
	}
	var r refusalReport
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil || r.Error == "" {
		return coded{exitLater, fmt.Errorf("the daemon answers %s: it may be of another version", resp.Status)}
	}
	return coded{exitLater, fmt.Errorf("the daemon refuses: %s", r.Error)}
}
