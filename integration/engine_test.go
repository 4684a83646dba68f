//go:build integration

package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// engine is a query engine, kept warm, that reads one catalog.
type engine struct {
	name    string
	process *process
	in      io.Writer
	out     *bufio.Reader
}

// result is what an engine answers.
type result struct {
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"` // numbers are json.Number
	Error   string   `json:"error"`
	Seconds float64  `json:"seconds"` // that the engine took
}

var (
	trino     *process
	trinoPort int
)

const enginePatience = 3 * time.Minute

// startEngine starts an engine on the catalog behind a URI. It ends with the test.
func startEngine(t testing.TB, name, uri string, env ...string) *engine {
	t.Helper()
	cmd := exec.Command("engines/query", name, uri, "-")
	cmd.Env = append(append(os.Environ(), "CDCD_CACHE="+cacheDir()), env...)
	if name == "trino" {
		startTrino(t)
		cmd.Env = append(cmd.Env, fmt.Sprintf("TRINO_PORT=%d", trinoPort))
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	p, err := startProcess(cmd)
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{name: name, process: p, in: in, out: bufio.NewReaderSize(r, 1<<20)}
	t.Cleanup(func() {
		_ = p.signal(9, time.Second)
		_ = r.Close()
	})
	return e
}

// startTrino starts the one Trino server that all tests share.
func startTrino(t testing.TB) {
	t.Helper()
	if trino != nil && trino.alive() {
		return
	}
	trinoPort = freePort(t)
	cmd := exec.Command("engines/trino-server", filepath.Join(sharedDir, "trino"), fmt.Sprint(trinoPort))
	cmd.Env = append(os.Environ(), "CDCD_CACHE="+cacheDir())
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	trino = p
	eventually(t, enginePatience, "trino starts", func() error {
		if !p.alive() {
			return fatalError{fmt.Errorf("it ended: %s", p.output)}
		}
		var info struct{ Starting bool }
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/v1/info", trinoPort))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&info); err != nil || info.Starting {
			return fmt.Errorf("starting (%v)", err)
		}
		return nil
	})
}

// query runs one statement.
func (e *engine) query(t testing.TB, sql string) result {
	t.Helper()
	r, err := e.ask(sql)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ask runs one statement. What the engine refuses is an [engineError].
func (e *engine) ask(sql string) (result, error) {
	if _, err := fmt.Fprintln(e.in, strings.ReplaceAll(sql, "\n", " ")); err != nil {
		return result{}, fmt.Errorf("%s: %w: %s", e.name, err, e.process.output)
	}
	line, err := e.out.ReadBytes('\n')
	if err != nil {
		return result{}, fmt.Errorf("%s ended: %w: %s", e.name, err, e.process.output)
	}
	var r result
	d := json.NewDecoder(strings.NewReader(string(line)))
	d.UseNumber()
	if err := d.Decode(&r); err != nil {
		return result{}, fmt.Errorf("%s: %w: %s", e.name, err, line)
	}
	if r.Error != "" {
		return result{}, engineError{fmt.Errorf("%s: %s: %s", e.name, sql, r.Error)}
	}
	return r, nil
}

// engineError is what an engine says of a statement that it did not carry out.
type engineError struct{ error }
