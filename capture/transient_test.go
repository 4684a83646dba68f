package capture

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"testing"
)

// TestTransient tells errors of the network from those of files, which have the same numbers.
func TestTransient(t *testing.T) {
	for _, x := range []struct {
		err  error
		want bool
	}{
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true},
		{fmt.Errorf("read: %w", &net.OpError{Op: "read", Err: syscall.ECONNRESET}), true},
		{&fs.PathError{Op: "open", Path: "file", Err: syscall.ENOENT}, false},
		{&fs.PathError{Op: "open", Path: "file", Err: syscall.EACCES}, false},
		{fmt.Errorf("%w: %w", ErrHistoryLost, &net.OpError{Op: "read", Err: syscall.ECONNRESET}), false},
		{fmt.Errorf("load: %w", sql.ErrConnDone), true}, // it broke when it was used before
		{errors.New("something else"), false},
	} {
		if got := Transient(x.err); got != x.want {
			t.Errorf("%v: %v", x.err, got)
		}
	}
}
