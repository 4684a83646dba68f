package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// stateDir is the local state in the hands of one daemon.
type stateDir struct {
	path string
	lock *os.File
}

// openState makes the state directory and locks it. A second daemon on it is refused.
func openState(path string) (*stateDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("create state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, coded{exitLater, fmt.Errorf("another daemon runs on the state directory %s", path)}
		}
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	return &stateDir{path: path, lock: f}, nil
}

// indexDir is where the key indexes are.
func (s *stateDir) indexDir() string { return filepath.Join(s.path, "index") }

// garbageDir is where the collector of garbage keeps its journal.
func (s *stateDir) garbageDir() string { return filepath.Join(s.path, "garbage") }

// close gives the lock up.
func (s *stateDir) close() error { return s.lock.Close() }
