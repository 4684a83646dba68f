package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestResnapshotAll asks daemons in several states to load all tables anew.
func TestResnapshotAll(t *testing.T) {
	for _, c := range []struct {
		report statusReport
		code   int
		asked  []string
		words  []string
	}{
		{report: statusReport{State: stateRecovering}, code: exitLater, words: []string{"the daemon is recovering"}},
		{
			report: statusReport{State: stateLoading, Tables: []tableReport{
				{Table: "s.a", State: stateStreaming},
				{Table: "s.b", State: stateLoading, Anew: true},
				{Table: "s.first", State: stateLoading},
				{Table: "s.c", State: stateDropped},
				{Table: "s.refused", State: stateStreaming},
				{Table: "s.d", State: stateQuarantined},
			}},
			code: exitLater, asked: []string{"s.a", "s.refused", "s.d"},
			words: []string{"s.a is loaded anew", "s.b is loaded anew", "s.first is being loaded for the first time", "s.d is loaded anew", "s.refused: the daemon refuses: no"},
		},
	} {
		var asked []string
		mux := http.NewServeMux()
		mux.HandleFunc("/status", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(c.report) })
		mux.HandleFunc("/resnapshot", func(w http.ResponseWriter, r *http.Request) {
			var req resnapshotRequest
			_ = json.NewDecoder(r.Body).Decode(&req)
			if asked = append(asked, req.Table); req.Table == "s.refused" {
				w.WriteHeader(http.StatusConflict)
				_ = json.NewEncoder(w).Encode(refusalReport{Error: "no"})
				return
			}
			fmt.Fprint(w, "{}")
		})
		socket, stop := startDaemon(t, mux)
		dir := t.TempDir()
		file := filepath.Join(dir, "cdcd.yaml")
		text := fmt.Sprintf("pipeline: p\nsource: {address: \"127.0.0.1:1\", user: u, password: x, server_id: 7}\nwarehouse: {location: \"file://%[1]s/w\"}\ntables: [{include: \"s.*\"}]\nstate: %[1]s/s\ncontrol: {socket: %[2]s}\n", dir, socket)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, failed bytes.Buffer
		code := run(t.Context(), []string{"-c", file, "resnapshot", "--all"}, console{&out, &failed})
		if code != c.code || !slices.Equal(asked, c.asked) {
			t.Errorf("%s: exit %d, asked for %v: %s%s", c.report.State, code, asked, &out, &failed)
		}
		for _, w := range c.words {
			if !strings.Contains(out.String()+failed.String(), w) {
				t.Errorf("%s: no %q in %s%s", c.report.State, w, &out, &failed)
			}
		}
		stop()
	}
}
