package compaction

import (
	"runtime"
	"syscall"
	"time"
)

// computed runs f, which works in the calling goroutine only, and gives the time of the processor
// that it took.
func computed(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	f()
	return threadTime() - before
}

// threadTime is the time that the calling thread has computed.
func threadTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		panic("compaction: the time of a thread: " + err.Error()) // the kernel knows no reason
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
