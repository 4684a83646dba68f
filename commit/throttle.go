package commit

import (
	"context"
	"time"
)

// throttleEvery is how often the source is asked at most whether it is busy. While it is, that is
// also how late the end of it is noticed.
const throttleEvery = time.Second

// Throttle tells whether the initial load waits because the source is busy. There is no bound to
// that: it is for whoever runs the source to see, and the log is followed meanwhile.
type Throttle struct {
	Since   time.Time // since when no chunk is begun; zero: the load does not wait
	Running int       // threads of the source, when it was asked last
	Limit   int       // above how many the load waits
}

// Waits reports that the load waits.
func (t Throttle) Waits() bool { return !t.Since.IsZero() }

// throttling is the loop's view of it.
type throttling struct {
	told chan Throttle // by the planner
	now  Throttle
}

// throttle is the planner's view of how busy the source is. Where it has no limit, nobody is asked.
type throttle struct {
	state Throttle
	asked time.Time
}

// observe takes an answer of the source in, and reports whether the load has just begun to wait or
// just ended it.
func (t *throttle) observe(running int, now time.Time) (turned bool) {
	before := t.state.Waits()
	t.asked, t.state.Running = now, running
	switch busy := running > t.state.Limit; {
	case busy && !before:
		t.state.Since = now
	case !busy:
		t.state.Since = time.Time{}
	}
	return before != t.state.Waits()
}

// hand gives a job to a reader as soon as one is free and the source is not busy.
func (s *loaders) hand(ctx context.Context, r *Reader, j job) error {
	for {
		if err := s.lookAtSource(ctx, r); err != nil {
			return err
		}
		jobs := s.jobs
		if s.throttle.state.Waits() {
			jobs = nil
		}
		select {
		case jobs <- j:
			return nil
		case <-s.nextLook():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// nextLook gives when the source may be asked again: never where the load has no limit.
func (s *loaders) nextLook() <-chan time.Time {
	if s.throttle.state.Limit == 0 {
		return nil
	}
	return time.After(time.Until(s.throttle.asked.Add(throttleEvery)))
}

// lookAtSource asks the source how busy it is, unless that was done just now, and tells the loop
// while the load waits and when it no longer does.
func (s *loaders) lookAtSource(ctx context.Context, r *Reader) error {
	t := &s.throttle
	if t.state.Limit == 0 || time.Since(t.asked) < throttleEvery {
		return nil
	}
	running := 0
	err := s.retry(ctx, r, func() (err error) {
		running, err = (*r).Running(ctx)
		return err
	})
	if err != nil {
		return err
	}
	turned := t.observe(running, time.Now())
	if turned {
		s.logTurn()
	}
	if !turned && !t.state.Waits() {
		return nil
	}
	select {
	case s.throttles <- t.state:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// logTurn says that the load has begun to wait, or that it goes on.
func (s *loaders) logTurn() {
	what := "initial load goes on"
	if s.throttle.state.Waits() {
		what = "initial load waits for a busy source"
	}
	s.cfg.Logger.Info(what, "threads_running", s.throttle.state.Running, "max_threads_running", s.throttle.state.Limit)
}
