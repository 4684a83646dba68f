package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cdcd/integration/nursery"
)

// process is a server that the demo started. Its output goes to a file.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start starts a child in a process group of its own, so that Ctrl-C reaches the demo alone,
// which ends its children in order. It dies with the demo unless it is to stay.
func start(name, log string, stays bool, cmd *exec.Cmd) (*process, error) {
	out, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if stays {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	if err := nursery.Start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // its state says how it ended
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

const stopPatience = 20 * time.Second

// end asks the process to end, and kills it if it does not.
func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(stopPatience):
		p.kill()
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// died describes a process that was not meant to end.
func (p *process) died() error {
	return fmt.Errorf("%s ended by itself: %v\n%s", p.name, p.cmd.ProcessState, tail(p.log))
}

const tailLines = 12

// tail gives the last lines of a log.
func tail(path string) string {
	const most = 16 << 10
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("there is no log: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(b[max(0, len(b)-most):])), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	return fmt.Sprintf("the last lines of %s:\n  %s", short(path), strings.Join(lines, "\n  "))
}

// short gives a path as one would type it here.
func short(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}
