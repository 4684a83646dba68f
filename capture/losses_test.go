package capture

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cdcd/capture/binlog"
)

// TestConnectionsAreTakenBack loses the connection to another replica of the same identity, now
// and then, and again and again.
func TestConnectionsAreTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestStream(t, MySQL, none, appTable("orders"))
		lost := []error{
			&binlog.ServerError{Code: codeFatalDump, Message: "A replica with the same server_uuid/server_id as this replica has connected to the source"},
			&binlog.ServerError{Code: codeSameReplica, Message: "A slave with the same server_id is already connected; the first event '.' at 4, ..."},
		}
		for n := range 10 {
			if err := s.afterError(t.Context(), lost[n%2]); err != nil {
				t.Fatalf("lost now and then: %v", err)
			}
			time.Sleep(replacedWithin)
		}
		for try := range replacedTries + 1 {
			if err := s.afterError(t.Context(), lost[try%2]); errors.Is(err, ErrReplaced) != (try == replacedTries) || errors.Is(err, ErrReplaced) != errors.Is(err, ErrRival) {
				t.Errorf("try %d: %v", try, err)
			}
		}
	})
}

// fruitless is a stream whose connections are lost.
type fruitless struct {
	*Stream
	t *testing.T
}

// lose loses a connection a moment after it was made.
func (f fruitless) lose() error {
	f.losses.connected, f.losses.brought = time.Now(), false
	time.Sleep(10 * time.Millisecond)
	return f.afterError(f.t.Context(), &binlog.ServerError{Code: codeFatalDump, Message: "something that is not known here"})
}

// loseAll loses connections until the stream gives up.
func (f fruitless) loseAll() {
	f.t.Helper()
	began, n := time.Now(), 0
	var err error
	for ; err == nil; n++ {
		err = f.lose()
	}
	took := time.Since(began)
	f.t.Logf("%d connections in %v, and then: %v", n, took, err)
	if took < reconnectFor || took > reconnectFor+2*longestRest || n > 60 || n < 10 {
		f.t.Errorf("it was given up after %d connections in %v", n, took)
	}
}

// TestFruitlessConnectionsRest loses connections again and again, directly after each was made: it
// is tried less and less often, and not for ever.
func TestFruitlessConnectionsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fruitless{newTestStream(t, MySQL, none, appTable("orders")), t}.loseAll()
	})
}

// TestSoundConnectionsDoNotRest loses connections that have brought something, or have lasted: each
// is made anew at once, and those before count for nothing.
func TestSoundConnectionsDoNotRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fruitless{newTestStream(t, MySQL, none, appTable("orders")), t}
		lost := &binlog.ServerError{Code: codeFatalDump, Message: "something that is not known here"}
		began := time.Now()
		for n := range uint64(100) {
			f.losses.connected = time.Now()
			if err := feed(f.Stream, transactionOf(n+1)...); err != nil {
				t.Fatal(err)
			}
			if err := f.afterError(t.Context(), lost); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("100 connections of which each brought something were made in %v", took)
		}
		for range 20 {
			if err := f.lose(); err != nil {
				t.Fatal(err)
			}
			f.losses.connected = time.Now()
			time.Sleep(time.Minute)
			if err := f.afterError(t.Context(), lost); err != nil {
				t.Fatal(err)
			}
		}
		f.loseAll()
	})
}
