package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// left is what a demo leaves behind, as its directory remembers it.
type left struct {
	Processes []leftProcess `json:"processes"`
	// Server is the address of a server of the user's own that holds a schema and an account
	// of the demo.
	Server string `json:"server,omitempty"`
}

// leftProcess names a process so that another one that got its number is not mistaken for it.
type leftProcess struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Began string `json:"began"` // in the kernel's clock ticks
}

// leftFile also marks a directory as the demo's own, which it may remove.
const leftFile = "demo.json"

func readLeft(dir string) (left, error) {
	var l left
	b, err := os.ReadFile(filepath.Join(dir, leftFile))
	if err != nil {
		return l, err
	}
	return l, json.Unmarshal(b, &l)
}

func (l left) write(dir string) error {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, leftFile), append(b, '\n'), 0o600)
}

// began gives the time a process started; empty: there is none, or it is only a corpse.
func began(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name of the program stands in parentheses and may hold anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	const state, startTime = 0, 19
	if len(fields) <= startTime || fields[state] == "Z" {
		return ""
	}
	return fields[startTime]
}

func (p leftProcess) alive() bool { return p.Began != "" && began(p.PID) == p.Began }

// end ends a process that another demo started.
func (p leftProcess) end() {
	const poll = 50 * time.Millisecond
	for deadline := time.Now().Add(stopPatience); p.alive() && time.Now().Before(deadline); time.Sleep(poll) {
		_ = syscall.Kill(p.PID, syscall.SIGTERM) // it may have ended
	}
	if p.alive() {
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
}

// prepareDir gives a fresh directory, after ending what an earlier demo left in it.
func prepareDir(set settings, out *screen) error {
	if err := sweep(set, out); err != nil {
		return err
	}
	if entries, err := os.ReadDir(set.dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not a directory of the demo and not empty: name another with CDCD_DEMO_DIR", short(set.dir))
	}
	const longestSocket = 100 // bytes of a path that the kernel takes as a socket, less some
	if len(set.dir)+len("/mysql/mysqld.sock") > longestSocket {
		return fmt.Errorf("%s is too long for the path of a unix socket: name another directory with CDCD_DEMO_DIR", set.dir)
	}
	if err := os.MkdirAll(set.dir, 0o700); err != nil {
		return err
	}
	return left{}.write(set.dir)
}

// sweep ends what an earlier demo left, and removes its directory.
func sweep(set settings, out *screen) error {
	l, err := readLeft(set.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(set.dir, leftFile), err)
	}
	for _, p := range slices.Backward(l.Processes) {
		if p.alive() {
			out.say("stopping %s (process %d), which an earlier demo left", p.Name, p.PID)
			p.end()
		}
	}
	if l.Server != "" && set.dsn == "" {
		out.alert("An earlier demo left a schema and an account on %s. To drop them there:", l.Server)
		out.raw(fmt.Sprintf("DROP SCHEMA IF EXISTS %s; DROP USER IF EXISTS %s;", guestSchema, account))
	}
	return os.RemoveAll(set.dir)
}
