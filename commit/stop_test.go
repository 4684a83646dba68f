package commit

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"cdcd/capture"
)

// TestStop checks that a stop commits what was collected and every position.
func TestStop(t *testing.T) {
	l := newLab(t, 9, "a", "b")
	l.mustRun()
	l.cfg.Interval = time.Hour
	p := l.start()
	l.churn(5)
	for want := l.server.position(len(l.server.log)); !p.Status().Delivered.Equal(want); {
		_ = pause(context.Background(), time.Millisecond)
	}
	p.end(t)
	l.check()
	l.mem.AssertSize(t, 0)
}

// TestStreamEnds checks that what the stream delivered before its error is committed, that
// nothing behind it is, and that a repaired source is continued.
func TestStreamEnds(t *testing.T) {
	for _, open := range []bool{false, true} {
		l := newLab(t, 12, "a", "b")
		l.mustRun()
		l.cfg.Interval = time.Hour
		l.churn(6)
		before := len(l.server.log)
		if open { // the transaction at which the stream ends has been delivered in part
			big := make([]change, 3*partRows)
			for i := range big {
				big[i] = change{"a", int64(i), value("big")}
			}
			l.server.add(big...)
		} else {
			l.churn(6)
		}
		l.server.failure, l.server.failAt, l.server.failInside = &capture.Stop{What: "TRUNCATE TABLE"}, before, open
		var stop *capture.Stop
		if err := l.run(context.Background()); !errors.As(err, &stop) {
			t.Fatalf("got %v", err)
		}
		for _, name := range l.names {
			h := l.head(name)
			if at := l.count(h.Mark.Position); !open && at != before {
				t.Errorf("%s is at %d, the stream ended behind %d", name, at, before)
			}
			if got, want := l.rows(name, 0), l.server.state(name, l.count(h.Mark.Position)); !maps.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
		l.mem.AssertSize(t, 0)
		l.server.failure = nil
		l.mustRun()
		l.check()
	}
}
