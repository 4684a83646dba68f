package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// sleeper starts a process that a demo could have left.
func sleeper(t *testing.T) (p leftProcess, ended chan struct{}) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
	})
	return leftProcess{"sleep", cmd.Process.Pid, began(cmd.Process.Pid)}, ended
}

func quietScreen(t *testing.T) *screen {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return newScreen(out)
}

func TestSweepEndsWhatWasLeft(t *testing.T) {
	set := settings{dir: filepath.Join(t.TempDir(), "demo")}
	if err := prepareDir(set, quietScreen(t)); err != nil {
		t.Fatal(err)
	}
	p, ended := sleeper(t)
	other, _ := sleeper(t)
	other.Began += "0" // the number now belongs to another process
	if err := (left{Processes: []leftProcess{p, other}}).write(set.dir); err != nil {
		t.Fatal(err)
	}
	if err := sweep(set, quietScreen(t)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the process that was left still runs")
	}
	if err := syscall.Kill(other.PID, 0); err != nil {
		t.Errorf("a process that was not left was ended: %v", err)
	}
	if _, err := os.Stat(set.dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func TestOnlyItsOwnDirectoryIsRemoved(t *testing.T) {
	set := settings{dir: t.TempDir()}
	file := filepath.Join(set.dir, "precious")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := prepareDir(set, quietScreen(t)); err == nil {
		t.Error("a directory that is not the demo's was taken")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
