package nursery

import (
	"os/exec"
	"runtime"
	"sync"
)

// thread runs jobs on a thread that never ends.
var thread = sync.OnceValue(func() chan func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// Start is cmd.Start for a command whose SysProcAttr names a signal for the parent's death.
func Start(cmd *exec.Cmd) error {
	started := make(chan error)
	thread() <- func() { started <- cmd.Start() }
	return <-started
}
