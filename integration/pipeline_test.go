//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// pipeline is one configuration and what runs on it.
type pipeline struct {
	t       testing.TB
	server  *server
	dir     string
	flags   []string // of cdcd run
	cfg     map[string]any
	daemon  *process
	serve   *process
	catalog string // address of the catalog that cdcd serve serves
}

// settings are configuration keys, in YAML's nesting; dots in a key nest too.
type settings map[string]any

// newPipeline configures a pipeline for schemas of a server. The daemon is not started.
func newPipeline(t testing.TB, s *server, include string, more settings) *pipeline {
	t.Helper()
	p := &pipeline{t: t, server: s, dir: t.TempDir(), cfg: map[string]any{}}
	p.set(settings{
		"pipeline":                "it-" + strings.ToLower(filepath.Base(p.dir)) + fmt.Sprint(s.port),
		"source.address":          s.address,
		"source.user":             "cdc",
		"source.password":         "${env:CDCD_IT_PASSWORD}",
		"tables":                  []any{map[string]any{"include": include}},
		"state":                   filepath.Join(p.dir, "state"),
		"warehouse.location":      "file://" + filepath.Join(p.dir, "warehouse"),
		"control.socket":          filepath.Join(p.dir, "ctl.sock"),
		"catalog_endpoint.listen": fmt.Sprintf("127.0.0.1:%d", freePort(t)),
		"http.listen":             fmt.Sprintf("127.0.0.1:%d", freePort(t)),
		"commit.interval":         "200ms",
		"log.level":               "debug",
		"log.format":              "json",
	})
	p.set(more)
	t.Cleanup(func() {
		if t.Failed() && p.daemon != nil {
			t.Logf("the daemon's log ends with:\n%s", lastLines(p.daemon.output.String(), 30))
		}
		for _, x := range []*process{p.daemon, p.serve} {
			if x != nil {
				_ = x.signal(syscall.SIGKILL, time.Second)
			}
		}
	})
	return p
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// set changes the configuration and writes it.
func (p *pipeline) set(more settings) {
	p.t.Helper()
	for key, v := range more {
		at, path := p.cfg, strings.Split(key, ".")
		for _, part := range path[:len(path)-1] {
			inner, ok := at[part].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[part] = inner
			}
			at = inner
		}
		at[path[len(path)-1]] = v
	}
	b, err := yaml.Marshal(p.cfg)
	if err == nil {
		err = os.WriteFile(p.file(), b, 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pipeline) file() string         { return filepath.Join(p.dir, "cdcd.yaml") }
func (p *pipeline) path(k string) string { return filepath.Join(p.dir, k) }

func (p *pipeline) command(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(daemonBinary, append([]string{"-c", p.file()}, args...)...)
	cmd.Env = append(append(os.Environ(), "CDCD_IT_PASSWORD=cdc"), env...)
	return cmd
}

// start starts the daemon and waits until it has recovered.
func (p *pipeline) start(env ...string) {
	p.t.Helper()
	p.launch(env...)
	eventually(p.t, time.Minute, "the daemon recovers", func() error {
		if !p.daemon.alive() {
			return fatalError{fmt.Errorf("it ended: %s", lastLines(p.daemon.output.String(), 10))}
		}
		s, err := p.status()
		if err == nil && s.State == "recovering" {
			err = fmt.Errorf("recovering")
		}
		return err
	})
}

// launch starts the daemon and does not wait for it.
func (p *pipeline) launch(env ...string) {
	p.t.Helper()
	d, err := startProcess(p.command(env, append([]string{"run"}, p.flags...)...))
	if err != nil {
		p.t.Fatal(err)
	}
	p.daemon = d
}

// kill ends the daemon as a power cut would.
func (p *pipeline) kill() {
	p.t.Helper()
	if err := p.daemon.signal(syscall.SIGKILL, time.Minute); err != nil {
		p.t.Fatal(err)
	}
}

// stop ends the daemon in order.
func (p *pipeline) stop() {
	p.t.Helper()
	p.stopBy(syscall.SIGTERM)
}

func (p *pipeline) stopBy(s syscall.Signal) {
	p.t.Helper()
	if err := p.daemon.signal(s, time.Minute); err != nil {
		p.t.Fatal(err)
	}
	if code, _ := p.daemon.exitCode(0); code != 0 {
		p.t.Fatalf("the daemon ended with %d: %s", code, lastLines(p.daemon.output.String(), 10))
	}
}

// wantExit waits until the daemon ends by itself and checks its exit code and its words.
func (p *pipeline) wantExit(code int, words ...string) {
	p.t.Helper()
	const patience = 3 * time.Minute // some causes are tried again for a while
	got, err := p.daemon.exitCode(patience)
	if err != nil {
		p.t.Fatal(err)
	}
	out := p.daemon.output.String()
	if got != code {
		p.t.Fatalf("exit %d, want %d: %s", got, code, lastLines(out, 10))
	}
	wantWords(p.t, out, words...)
}

func wantWords(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in: %s", w, lastLines(text, 20))
		}
	}
}

// finished is a command that has ended.
type finished struct {
	code     int
	out, err string
}

// run runs a command to its end.
func (p *pipeline) run(args ...string) finished {
	p.t.Helper()
	const patience = 5 * time.Minute
	cmd := p.command(nil, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	c, err := startProcess(cmd)
	if err != nil {
		p.t.Fatal(err)
	}
	code, err := c.exitCode(patience)
	if err != nil {
		_ = c.signal(syscall.SIGKILL, time.Second)
		p.t.Fatalf("cdcd %s: %v: %s", strings.Join(args, " "), err, lastLines(errs.String(), 20))
	}
	return finished{code, out.String(), errs.String()}
}

// must runs a command that has to succeed.
func (p *pipeline) must(args ...string) finished {
	p.t.Helper()
	f := p.run(args...)
	if f.code != 0 {
		p.t.Fatalf("cdcd %s ended with %d: %s%s", strings.Join(args, " "), f.code, lastLines(f.out, 20), lastLines(f.err, 20))
	}
	return f
}

// catchUp runs the daemon until everything up to now is committed.
func (p *pipeline) catchUp() { p.t.Helper(); p.must("run", "--until", "now") }

// status is what the tests look at of cdcd status --json.
type status struct {
	State     string                           `json:"state"`
	Committed string                           `json:"committed"`
	Reached   string                           `json:"reached"` // with the XA transactions that are prepared only
	Fence     int64                            `json:"fence"`
	Epoch     int64                            `json:"epoch"`
	Cut       int64                            `json:"cut"` // the newest one of this process
	Tables    []tableStatus                    `json:"tables"`
	Refused   []struct{ Table, Reason string } `json:"refused"`
}

// tableStatus is what they look at of a table.
type tableStatus struct {
	Source, Table, State, Position string
	LoadedRows                     int64 `json:"loaded_rows"`
	Rows                           int64
	Inserted, Updated, Deleted     int64
	Commits                        int64
	DataFiles                      int `json:"data_files"`
	DeleteFiles                    int `json:"delete_files"`
	Quarantine                     *struct{ Reason, GTID string }
}

// table gives a source table's status, nil where there is none.
func (s status) table(source string) *tableStatus {
	for i := range s.Tables {
		if s.Tables[i].Source == source {
			return &s.Tables[i]
		}
	}
	return nil
}

// status asks the daemon.
func (p *pipeline) status() (status, error) {
	var s status
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", p.path("ctl.sock"))
		},
	}}
	resp, err := client.Get("http://daemon/status")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// reach waits until the lake has everything that the source has executed by now, and all
// tables are loaded.
func (p *pipeline) reach() {
	p.t.Helper()
	want := p.server.executed(p.t)
	eventually(p.t, 2*time.Minute, "the lake reaches the source", func() error {
		if !p.daemon.alive() {
			return fatalError{fmt.Errorf("the daemon ended: %s", lastLines(p.daemon.output.String(), 10))}
		}
		s, err := p.status()
		if err != nil {
			return err
		}
		return covers(p.server, s, want)
	})
}

// connected is how often the daemon's stream has connected.
func (p *pipeline) connected() int {
	return strings.Count(p.daemon.output.String(), "stream connected")
}

// streams waits until all tables are loaded, however far behind the lake is.
func (p *pipeline) streams() {
	p.t.Helper()
	eventually(p.t, 2*time.Minute, "the tables are loaded", func() error {
		st, err := p.status()
		if err == nil && st.State != "streaming" {
			err = fmt.Errorf("it is %s", st.State)
		}
		return err
	})
}

// uri is the catalog's address. cdcd serve is started where it does not run.
func (p *pipeline) uri() string {
	p.t.Helper()
	if p.serve == nil || !p.serve.alive() {
		own := *p
		own.cfg = maps.Clone(p.cfg)
		port := freePort(p.t)
		own.cfg["catalog_endpoint"] = map[string]any{"listen": fmt.Sprintf("127.0.0.1:%d", port)}
		b, err := yaml.Marshal(own.cfg)
		if err == nil {
			err = os.WriteFile(p.path("serve.yaml"), b, 0o600)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		if p.serve, err = startProcess(exec.Command(daemonBinary, "-c", p.path("serve.yaml"), "serve")); err != nil {
			p.t.Fatal(err)
		}
		p.catalog = fmt.Sprintf("http://127.0.0.1:%d", port)
		eventually(p.t, time.Minute, "cdcd serve starts", func() error {
			if !p.serve.alive() {
				return fatalError{fmt.Errorf("it ended: %s", p.serve.output)}
			}
			resp, err := http.Get(p.catalog + "/v1/config")
			if err == nil {
				_ = resp.Body.Close()
			}
			return err
		})
	}
	return p.catalog
}

// verify runs cdcd verify, which has to find no difference.
func (p *pipeline) verify() {
	p.t.Helper()
	if f := p.run("verify"); f.code != 0 {
		p.t.Fatalf("cdcd verify ended with %d:\n%s%s", f.code, f.out, f.err)
	}
}
