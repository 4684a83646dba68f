//go:build !failpoint

package main

import "time"

// clock is the time of day, for leases and for what is written into the lake.
func clock() time.Time { return time.Now() }
