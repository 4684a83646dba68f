package commit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// threads counts how often it is asked.
func (s *fakeServer) threads() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.running, nil
}

// become makes the source as busy as it is said, and gives how often it was asked before.
func (s *fakeServer) become(running int) (asked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, s.running = s.asked, running
	return asked
}

// throttled is a planner that hands jobs out, a reader that takes them, and what the loop is told.
type throttled struct {
	server *fakeServer
	end    func()

	mu    sync.Mutex
	taken int
	last  Throttle
}

// take counts a job.
func (x *throttled) take() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.taken++
}

// tell notes what the loop is told.
func (x *throttled) tell(t Throttle) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.last = t
}

// seen gives how many jobs were taken, and what the loop was told last.
func (x *throttled) seen() (taken int, told Throttle) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.taken, x.last
}

// startThrottled hands jobs out until its end is called.
func startThrottled(t *testing.T, limit int) *throttled {
	x := &throttled{server: newFakeServer(1, memory.DefaultAllocator, "a")}
	ctx, cancel := context.WithCancel(t.Context())
	told, jobs := make(chan Throttle), make(chan job)
	s := &loaders{cfg: Config{Logger: slog.New(slog.DiscardHandler)}, jobs: jobs, throttle: throttle{state: Throttle{Limit: limit}}, throttles: told}
	var g sync.WaitGroup
	g.Go(func() {
		var r Reader = &fakeReader{server: x.server}
		for {
			if err := s.hand(ctx, &r, job{}); err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
		}
	})
	g.Go(func() {
		const chunk = 100 * time.Millisecond
		for {
			select {
			case <-jobs:
				x.take()
				time.Sleep(chunk)
			case <-ctx.Done():
				return
			}
		}
	})
	g.Go(func() {
		for {
			select {
			case now := <-told:
				x.tell(now)
			case <-ctx.Done():
				return
			}
		}
	})
	x.end = func() { cancel(); g.Wait() }
	return x
}

// after lets time pass, and gives how many jobs were taken meanwhile and what the loop was told last.
func (x *throttled) after(d time.Duration) (taken int, told Throttle) {
	before, _ := x.seen()
	time.Sleep(d)
	synctest.Wait()
	taken, told = x.seen()
	return taken - before, told
}

// TestLoadWaitsForABusySource makes the source busy and quiet again: no job is handed out while it
// is busy, the loop knows why, and the source is asked once a second at most.
func TestLoadWaitsForABusySource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := startThrottled(t, 10)
		defer x.end()
		x.server.become(10)
		if n, told := x.after(10 * time.Second); n < 95 || told.Waits() {
			t.Errorf("%d jobs in 10 s from a source that is not busy; told %+v", n, told)
		}
		if asked := x.server.become(11); asked < 9 || asked > 11 {
			t.Errorf("asked %d times in 10 s", asked)
		}
		x.after(2 * time.Second)
		n, told := x.after(time.Minute)
		if n != 0 || !told.Waits() || told.Running != 11 || told.Limit != 10 {
			t.Errorf("%d jobs from a busy source; told %+v", n, told)
		}
		since := told.Since
		x.server.become(400)
		if _, told := x.after(2 * time.Second); told.Running != 400 || told.Since != since {
			t.Errorf("of a busier source the loop is told %+v", told)
		}
		if asked := x.server.become(0); asked > 76 {
			t.Errorf("asked %d times in 74 s", asked)
		}
		x.after(time.Second)
		if n, told := x.after(10 * time.Second); n < 95 || told.Waits() {
			t.Errorf("%d jobs in 10 s after it was busy; told %+v", n, told)
		}
	})
}

// TestLoadWithoutLimit does not ask the source.
func TestLoadWithoutLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := startThrottled(t, 0)
		defer x.end()
		x.server.become(1000)
		if n, _ := x.after(10 * time.Second); n < 95 || x.server.become(0) != 0 {
			t.Errorf("%d jobs in 10 s", n)
		}
	})
}
