package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"cdcd/capture"
)

// daemon is cdcd as the demo runs it.
type daemon struct {
	set     settings
	lake    *lake
	config  string
	catalog string // address of the catalog endpoint
	status  string // address of the status page
	process *process
	rows    map[string]int64 // of each lake table, as last seen
}

func (s settings) binary() string { return filepath.Join(s.root, "build", "cdcd") }

// lakeNamespace is where the lake keeps the shop, whatever the source's schema is called.
const lakeNamespace = "shop"

const configText = `# The configuration of the demo's daemon. Every key: configs/cdcd.yaml
pipeline: demo
source:
  address: %q
  user: %s
  password: "${file:%s}"
  tls: {mode: %q}
tables:
  - include: "%s.*"
namespace: %s
state: %q
%scatalog_endpoint: {listen: %q}
http: {listen: %q}
control: {socket: %q}
commit: {interval: 1s}
log: {format: text}
`

// configure writes the daemon's configuration.
func configure(set settings, from *server, to *lake) (*daemon, error) {
	ports, err := freePorts(catalogPort, statusPort)
	if err != nil {
		return nil, err
	}
	in := func(name string) string { return filepath.Join(set.dir, name) }
	d := &daemon{
		set: set, lake: to, config: in("cdcd.yaml"), rows: map[string]int64{},
		catalog: fmt.Sprintf("127.0.0.1:%d", ports[0]), status: fmt.Sprintf("127.0.0.1:%d", ports[1]),
	}
	if err := os.WriteFile(in("password"), []byte(from.secret+"\n"), 0o600); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(configText, from.address, accountName, in("password"), from.tls, from.schema, lakeNamespace,
		in("state"), to.config(), d.catalog, d.status, in("ctl.sock"))
	return d, os.WriteFile(d.config, []byte(text), 0o600)
}

// Where the search for free ports begins: below the range that the kernel gives to outgoing
// connections, so that none takes a port while the daemon is down.
const (
	mysqlPort   = 23306
	catalogPort = 28181
	statusPort  = 28080
)

// freePorts finds a port that nothing listens on behind each start.
func freePorts(starts ...int) ([]int, error) {
	const attempts = 500
	var out []int
	for _, first := range starts {
		port := first
		for ; port < first+attempts; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				out = append(out, port)
				if err := l.Close(); err != nil {
					return nil, err
				}
				break
			}
		}
		if port == first+attempts {
			return nil, fmt.Errorf("no free port from %d on", first)
		}
	}
	return out, nil
}

func (d *daemon) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.set.binary(), append([]string{"--config", d.config}, args...)...)
	cmd.Env = append(os.Environ(), d.lake.env()...)
	return cmd
}

// run starts cdcd run.
func (d *daemon) run() (err error) {
	d.process, err = start("cdcd run", d.log(), d.set.keep, d.command(context.Background(), "run"))
	return err
}

// serve starts cdcd serve, which stays, and waits until it answers.
func (d *daemon) serve(ctx context.Context) (*process, error) {
	p, err := start("cdcd serve", filepath.Join(d.set.dir, "serve.log"), true, d.command(context.Background(), "serve"))
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(answerPatience); ; {
		err := fetch(ctx, "http://"+d.catalog+"/v1/config", &struct{}{})
		switch {
		case err == nil:
			return p, nil
		case !p.alive():
			return nil, p.died()
		case ctx.Err() != nil, time.Now().After(deadline):
			p.kill()
			return nil, fmt.Errorf("cdcd serve does not answer: %w", err)
		}
		time.Sleep(redraw)
	}
}

const answerPatience = 15 * time.Second

func (d *daemon) log() string { return filepath.Join(d.set.dir, "cdcd.log") }

// status is what the demo reads of the daemon's status.
type status struct {
	State     string `json:"state"`
	Committed string `json:"committed"`
	LagMS     int64  `json:"lag_ms"`
	Tables    []struct {
		Table string `json:"table"`
		Rows  int64  `json:"rows"`
	} `json:"tables"`
	Counters struct {
		LoadedRows int64 `json:"loaded_rows"`
	} `json:"counters"`
}

// ask reads the daemon's status. ok is false while it does not answer.
func (d *daemon) ask(ctx context.Context) (s status, ok bool) {
	if err := fetch(ctx, "http://"+d.status+"/status.json", &s); err != nil {
		return s, false
	}
	for _, t := range s.Tables {
		if t.Rows > 0 {
			d.rows[t.Table] = t.Rows
		}
	}
	return s, true
}

// lakeRows is how many rows the lake's tables hold, as far as the daemon has told.
func (d *daemon) lakeRows() (n int64) {
	for _, rows := range d.rows {
		n += rows
	}
	return n
}

// holds reports whether the lake has everything up to a position.
func (s status) holds(p capture.Position) bool {
	committed, err := capture.ParsePosition(p.Flavor(), s.Committed)
	return err == nil && s.State == streaming && committed.Covers(p)
}

// streaming is the state of a daemon whose tables are all loaded.
const streaming = "streaming"

func fetch(ctx context.Context, url string, to any) error {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(to)
}
