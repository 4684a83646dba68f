package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"cdcd/table/fileio"
)

// answer is an error with what the SDK tells of an answer.
type answer struct {
	status int
	code   string
}

func (a answer) Error() string       { return fmt.Sprintf("%d %s", a.status, a.code) }
func (a answer) HTTPStatusCode() int { return a.status }
func (a answer) ErrorCode() string   { return a.code }

// TestFinal lists what another attempt may mend, and what not.
func TestFinal(t *testing.T) {
	for _, c := range []struct {
		err   error
		final bool
	}{
		{io.ErrUnexpectedEOF, false},
		{context.DeadlineExceeded, false},
		{answer{http.StatusOK, ""}, false}, // it cannot be read
		{answer{http.StatusInternalServerError, "InternalError"}, false},
		{answer{http.StatusServiceUnavailable, "SlowDown"}, false},
		{answer{http.StatusTooManyRequests, ""}, false},
		{answer{http.StatusRequestTimeout, ""}, false},
		{answer{http.StatusBadRequest, "RequestTimeout"}, false},
		{answer{http.StatusBadRequest, "BadDigest"}, false},
		{answer{http.StatusConflict, "ConditionalRequestConflict"}, false},
		{fmt.Errorf("%w: %w", answer{http.StatusForbidden, ""}, &net.OpError{Op: "read", Err: net.ErrClosed}), false}, // but for the status
		{answer{http.StatusPreconditionFailed, "PreconditionFailed"}, true},
		{answer{http.StatusNotFound, "NoSuchKey"}, true},
		{answer{http.StatusForbidden, "AccessDenied"}, true},
		{answer{http.StatusMovedPermanently, "PermanentRedirect"}, true},
		{answer{http.StatusNotImplemented, "NotImplemented"}, true},
	} {
		if got := isFinal(fmt.Errorf("wrapped: %w", c.err)); got != c.final {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

// TestRetryEnds has a server that never says yes, and one that never answers.
func TestRetryEnds(t *testing.T) {
	down := answer{http.StatusServiceUnavailable, ""}
	for what, attempt := range map[string]func(context.Context) error{
		"no":      func(context.Context) error { return down },
		"silence": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		synctest.Test(t, func(t *testing.T) {
			begun, attempts := time.Now(), 0
			_, err := retry(t.Context(), slowest, func(ctx context.Context, again bool) (int, error) {
				if attempts++; again != (attempts > 1) {
					t.Errorf("%s: attempt %d: again %v", what, attempts, again)
				}
				return 0, attempt(ctx)
			})
			took, most := time.Since(begun), callAttempts*(attemptFor+time.Second)
			if !errors.Is(err, down) && !errors.Is(err, context.DeadlineExceeded) || took > most || took < most/2 || attempts < callAttempts {
				t.Errorf("%s: %v after %d attempts in %v", what, err, attempts, took)
			}
		})
	}
}

// TestRetryStops has an error that is final, and a caller that gives up.
func TestRetryStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts, refused := 0, answer{http.StatusForbidden, "AccessDenied"}
		_, err := retry(t.Context(), 0, func(context.Context, bool) (int, error) {
			attempts++
			return 0, refused
		})
		if attempts != 1 || !errors.Is(err, refused) {
			t.Errorf("%d attempts, %v", attempts, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err = retry(ctx, 0, func(context.Context, bool) (int, error) { return 0, io.ErrUnexpectedEOF })
		if err == nil || time.Since(begun) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

func TestNames(t *testing.T) {
	for in, want := range map[string]object{
		"s3://b/k":            {"s3://b/k", "b", "k"},
		"s3://b/a/b%20c d/é+": {"s3://b/a/b%20c d/é+", "b", "a/b%20c d/é+"},
	} {
		if got, err := parse("test", in); err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "s3://", "s3://b", "s3://b/", "s3:///k", "s3://b/a//b", "s3://b/../x", "s3://b/a/", "file:///a", "/a", "S3://b/k"} {
		if got, err := parse("test", in); err == nil {
			t.Errorf("%q: %+v", in, got)
		}
	}
}

// TestErrors checks that an error says what, where, and what to do, and what it is.
func TestErrors(t *testing.T) {
	o := object{"s3://b/k", "b", "k"}
	err := o.fail("put", answer{http.StatusNotFound, "NoSuchBucket"})
	if want := "put s3://b/k: the store cannot be used: 404 NoSuchBucket (make the bucket)"; err.Error() != want || !errors.Is(err, fileio.ErrAccess) {
		t.Errorf("have %s\nwant %s", err, want)
	}
	if err := sameSum("a", nil); err != nil {
		t.Error(err)
	}
	if other := "b"; sameSum("a", &other) == nil {
		t.Error("another checksum is accepted")
	}
}
