package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cdcd/capture"
	"cdcd/cmd/cdcd/config"
	"golang.org/x/sys/unix"
)

// directoryWarnings tells of local directories of the configuration that whoever runs this may not
// write to. It is the daemon's user who has to, so that is no problem yet.
func directoryWarnings(c config.Config) []capture.Problem {
	var out []capture.Problem
	warn := func(key, dir string) {
		if err := writable(dir); err != nil {
			out = append(out, capture.Problem{
				What:   fmt.Sprintf("%s: this user (uid %d) may not write to %s: %v", key, os.Geteuid(), dir, err),
				Repair: "run this as the daemon's user; if that one may not either, give it the directory",
			})
		}
	}
	warn("state", c.State)
	if dir, ok := strings.CutPrefix(c.Warehouse.Location, "file://"); ok {
		warn("warehouse", dir)
	}
	return out
}

// writable asks the system whether files could be made in a directory. Where it is not there yet, its
// nearest parent has to let it be made.
func writable(dir string) error {
	for {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir):
			dir = filepath.Dir(dir)
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is not a directory", dir)
		default:
			if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
				return fmt.Errorf("%s: %w", dir, err)
			}
			return nil
		}
	}
}
