//go:build integration

package integration

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cdcd/integration/nursery"
)

// cacheDir is where the scripts keep servers and engines.
func cacheDir() string {
	if d := os.Getenv("CDCD_CACHE"); d != "" {
		return d
	}
	home, err := os.UserCacheDir()
	if err != nil {
		panic(err)
	}
	return filepath.Join(home, "cdcd")
}

// daemonBinary is the cdcd that is tested. Its failpoints cost nothing while none is armed.
var daemonBinary string

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the tables of character sets anew")
	flag.Parse()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cdcd-it-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	daemonBinary, sharedDir = filepath.Join(dir, "cdcd"), dir
	if out, err := exec.Command("go", "build", "-tags", "failpoint", "-o", daemonBinary, "cdcd/cmd/cdcd").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	defer stopS3()
	defer stopShared()
	return m.Run()
}

// sharedDir holds what all tests share: servers and engines.
var sharedDir string

// process is a child that dies with the test process, whatever becomes of that.
type process struct {
	cmd    *exec.Cmd
	output *tail
	done   chan struct{}
	err    error // of Wait, once done is closed
}

// startProcess starts a child. Its output goes to a tail, but for what cmd has taken.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, output: &tail{}, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.output
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.output
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := nursery.Start(cmd); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// signal sends a signal and waits for the end.
func (p *process) signal(s syscall.Signal, patience time.Duration) error {
	_ = p.cmd.Process.Signal(s)
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %v of %v", filepath.Base(p.cmd.Path), patience, s)
	}
}

// exitCode waits for the end; -1 stands for a signal.
func (p *process) exitCode(patience time.Duration) (int, error) {
	if !p.alive() {
		return p.cmd.ProcessState.ExitCode(), nil // without patience, too
	}
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		return 0, fmt.Errorf("%s still runs after %v", filepath.Base(p.cmd.Path), patience)
	}
}

// memory gives the most resident memory that a process has had, in MiB, once it
// has ended. What the kernel tells of an ended child may be its parent's, from before it became
// another program.
func (p *process) memory() <-chan float64 {
	out := make(chan float64, 1)
	go func() {
		most := 0.0
		for p.alive() {
			said, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)) // it may just have ended
			if _, rest, ok := strings.Cut(string(said), "VmHWM:"); ok {
				kib, _ := strconv.Atoi(strings.Fields(rest)[0])
				most = max(most, float64(kib)/1024)
			}
			select {
			case <-p.done:
			case <-time.After(20 * time.Millisecond):
			}
		}
		out <- most
	}()
	return out
}

// alive reports that the process has not ended.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// tail keeps the end of a child's output.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 256 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if len(t.buf) > 2*tailBytes {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-tailBytes:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.ToValidUTF8(t.buf, []byte("?")))
}

// The ports of servers are below those that the kernel gives to clients: nobody takes a
// server's port while it is restarted.
const firstPort, lastPort = 10_000, 32_000

// nextPort is the last one given out. It begins anywhere: other runs may be under way.
var nextPort atomic.Int64

// freePort finds a port that nothing listens on, another one each time.
func freePort(t testing.TB) int {
	t.Helper()
	nextPort.CompareAndSwap(0, 1+rand.Int64N(lastPort-firstPort))
	for range lastPort - firstPort {
		port := firstPort + int(nextPort.Add(1)%(lastPort-firstPort))
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		return port
	}
	t.Fatal("no port is free")
	return 0
}

// eventually waits until a condition holds. It ends the test with what the condition last
// said if that takes too long.
func eventually(t testing.TB, patience time.Duration, what string, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		var fatal fatalError
		if errors.As(err, &fatal) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// fatalError is an error that waiting does not mend.
type fatalError struct{ error }
