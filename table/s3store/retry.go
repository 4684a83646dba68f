package s3store

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"cdcd/table/fileio"
	"github.com/cenkalti/backoff/v5"
)

const (
	// attemptFor bounds an attempt that moves no bytes; those get the time that they take at
	// slowest bytes a second.
	attemptFor = 30 * time.Second
	slowest    = 1 << 20
	// callsAttempts bounds a call, in full attempts. Ones that fail at once are more often.
	callAttempts = 3
	// firstWait is about how long the first pause between two attempts is; it grows.
	firstWait = 100 * time.Millisecond
	maxWait   = 5 * time.Second
)

// retry makes attempts until one succeeds, none can, or the time is over. again tells an
// attempt that one before may have done its work.
func retry[T any](ctx context.Context, bytes int, attempt func(ctx context.Context, again bool) (T, error)) (T, error) {
	one := attemptFor + time.Duration(bytes)*time.Second/slowest
	ctx, cancel := context.WithTimeout(ctx, callAttempts*one)
	defer cancel()
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = firstWait, maxWait
	again := false
	try := func() (T, error) {
		attemptCtx, cancel := context.WithTimeout(ctx, one)
		defer cancel()
		out, err := attempt(attemptCtx, again)
		if err != nil && (ctx.Err() != nil || isFinal(err)) {
			err = backoff.Permanent(err)
		}
		again = true
		return out, err
	}
	return backoff.Retry(ctx, try, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(callAttempts*one))
}

// isFinal reports an answer that another attempt will not change. Without an answer, or with
// one that cannot be read, it is not known what was done.
func isFinal(err error) bool {
	if errors.Is(err, fileio.ErrAccess) {
		return true
	}
	switch codeOf(err) {
	case "RequestTimeout", "SlowDown", "ConditionalRequestConflict", "OperationAborted", "BadDigest", "XAmzContentSHA256Mismatch":
		return false
	case preconditionFailed:
		return true
	}
	if _, cut := errors.AsType[net.Error](err); cut || errors.Is(err, io.ErrUnexpectedEOF) {
		return false // the status has come, and what it means has not
	}
	switch status := statusOf(err); status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	case http.StatusNotImplemented:
		return true
	default:
		return status >= http.StatusMultipleChoices && status < http.StatusInternalServerError
	}
}

// codeOf is the code in an answer that says no, "" if there is none.
func codeOf(err error) string {
	if e, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// statusOf is the HTTP status of an answer that says no, 0 without an answer.
func statusOf(err error) int {
	if e, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}

// isMissing reports that there is no such object, which a missing bucket does not say.
func isMissing(err error) bool {
	code := codeOf(err)
	return code == "NoSuchKey" || code == "NotFound"
}

// isRefused reports that a write's condition does not hold.
func isRefused(err error) bool {
	return statusOf(err) == http.StatusPreconditionFailed || codeOf(err) == preconditionFailed
}

// preconditionFailed may also come behind a status of success, where the answer is late.
const preconditionFailed = "PreconditionFailed"
