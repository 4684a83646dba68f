package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
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
		if err != nil {
			refuse(w, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	}
}

// refuse answers a command that is not carried out.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusServiceUnavailable
	switch {
	case errors.As(err, new(badRequest)), errors.Is(err, commit.ErrUnknownTable):
		code = http.StatusBadRequest
	case errors.Is(err, commit.ErrBusy), errors.Is(err, commit.ErrNoCut), errors.Is(err, commit.ErrNotRenewed):
		code = http.StatusConflict
	}
	writeJSON(w, code, refusalReport{err.Error()})
}

// client sends commands to the daemon that owns a control socket.
type client struct{ socket string }

// commandTimeout bounds a command: the daemon has bounds of its own for each step.
const commandTimeout = 2 * time.Minute

// post sends a command. What the daemon refuses can be tried again later, but for a command that
// it does not understand or a table that it does not write.
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
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(to)
}

// stream sends a command that is answered a line of JSON at a time, for as long as it takes.
func (c client) stream(ctx context.Context, path string, body []byte) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		resp, err := c.send(ctx, http.MethodPost, path, body)
		if err != nil {
			yield(nil, err)
			return
		}
		defer resp.Body.Close()
		for d := json.NewDecoder(resp.Body); ; {
			var line json.RawMessage
			err := d.Decode(&line)
			if errors.Is(err, io.EOF) || !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// send sends a command and gives the answer to it, whose body the caller closes.
func (c client) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
		},
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://daemon"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, coded{exitLater, fmt.Errorf("the daemon at %s has not answered in time, and may still do what it was asked for: see cdcd status", c.socket)}
	}
	if err != nil {
		return nil, coded{exitLater, fmt.Errorf("%w %s: %w", errNoDaemon, c.socket, err)}
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var r refusalReport
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil || r.Error == "" {
		return nil, coded{exitLater, fmt.Errorf("the daemon answers %s: it may be of another version", resp.Status)}
	}
	code := exitLater
	if resp.StatusCode == http.StatusBadRequest {
		code = exitUsage
	}
	return nil, coded{code, fmt.Errorf("the daemon refuses: %s", r.Error)}
}
