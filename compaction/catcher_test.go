package compaction

import (
	"fmt"
	"testing"
)

// catcher lets a test say what failed, and go on.
type catcher struct{ *testing.T }

// caught is what failed.
type caught string

// Fatal ends what is played.
func (catcher) Fatal(args ...any) { panic(caught(fmt.Sprint(args...))) }

// Fatalf ends what is played.
func (catcher) Fatalf(format string, args ...any) { panic(caught(fmt.Sprintf(format, args...))) }

// catch plays something, and gives what failed.
func catch(play func()) (found caught) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case caught:
			found = r
		default:
			panic(r)
		}
	}()
	play()
	return ""
}
