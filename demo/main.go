package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// The exit codes.
const (
	exitFailure     = 1
	exitUsage       = 64
	exitInterrupted = 130
)

// settings is what the environment asks for.
type settings struct {
	root, dir string
	dsn       string // empty: a server of the demo's own
	store     string // STORE
	catalog   string // CATALOG
	sell      time.Duration
	keep, ci  bool
}

const (
	defaultSell = 30 * time.Second
	leastSell   = 6 * time.Second // the crash needs room
)

func readSettings() (settings, error) {
	s := settings{root: os.Getenv("DEMO_ROOT"), dir: os.Getenv("CDCD_DEMO_DIR"), dsn: os.Getenv("CDCD_DEMO_DSN"), sell: defaultSell}
	if s.root == "" {
		return s, errors.New("start it with demo/demo")
	}
	if s.dir == "" {
		s.dir = filepath.Join(s.root, "build", "demo")
	}
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return s, err
	}
	s.dir, s.ci = dir, isSet("CI")
	s.keep = isSet("DEMO_KEEP") && !s.ci
	if text := os.Getenv("DEMO_SECONDS"); text != "" {
		n, err := strconv.Atoi(text)
		if s.sell = time.Duration(n) * time.Second; err != nil || s.sell < leastSell {
			return s, fmt.Errorf("DEMO_SECONDS=%s: a number of seconds, at least %d", text, leastSell/time.Second)
		}
	}
	return s, s.readLake()
}

// isSet reads a yes-or-no variable as make and the CI systems set it.
func isSet(name string) bool {
	v := os.Getenv(name)
	return v != "" && v != "0" && v != "false"
}

func main() { os.Exit(run()) }

func run() int {
	set, err := readSettings()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return exitUsage
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	out := newScreen(os.Stdout)
	switch {
	case len(os.Args) == 1:
		err = play(ctx, set, out)
	case len(os.Args) == 2 && os.Args[1] == "stop":
		err = stop(ctx, set, out)
	default:
		fmt.Fprintln(os.Stderr, "usage: demo/demo [stop]")
		return exitUsage
	}
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		out.fail("interrupted: everything that was started is stopped")
		return exitInterrupted
	}
	out.fail("%v", err)
	return exitFailure
}
