//go:build failpoint

package main

import (
	"os"
	"strings"
	"time"
)

// clock is the time of day, for leases and for what is written into the lake. It is wrong by
// the duration in the file that CDCD_CLOCK_OFFSET names, so that tests can make it jump.
func clock() time.Time {
	b, _ := os.ReadFile(os.Getenv("CDCD_CLOCK_OFFSET"))
	offset, _ := time.ParseDuration(strings.TrimSpace(string(b)))
	return time.Now().Add(offset)
}
