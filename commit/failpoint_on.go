//go:build failpoint

package commit

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// hits counts the passages of the failpoint that is armed.
var hits atomic.Int64

// failpoint kills the process, as kill -9 does, when it passes the place that
// CDCD_FAILPOINT names for the given time: "before-swap=3". The file that
// CDCD_FAILPOINT_LOG names then says so.
func failpoint(name string) {
	place, count, _ := strings.Cut(os.Getenv("CDCD_FAILPOINT"), "=")
	if place != name {
		return
	}
	if n, err := strconv.ParseInt(count, 10, 64); err == nil && hits.Add(1) != n {
		return
	}
	if log := os.Getenv("CDCD_FAILPOINT_LOG"); log != "" {
		_ = os.WriteFile(log, []byte(name), 0o600)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
