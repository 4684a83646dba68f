package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"cdcd/capture/binlog"
)

func TestNewTablesAreReportedByTheirNames(t *testing.T) {
	all := func(Name) bool { return true }
	s := newTestStream(t, MySQL, all, appTable("orders"))
	if err := feed(s, behind(t, recordedEvents(t, "mysql97"), 14)...); err != nil {
		t.Fatal(err)
	}
	if want := []Name{{"g", "latin"}, {"g", "bücher"}}; !slices.Equal(s.flush().Created, want) {
		t.Errorf("want %v", want)
	}
	s.fold = true
	if err := feed(s, beginOf(1), queryOf("CREATE TABLE New (id INT)")); err != nil {
		t.Fatal(err)
	}
	if got := s.flush().Created; !slices.Equal(got, []Name{{"app", "new"}}) {
		t.Errorf("folded: %v", got)
	}
}

func TestUnreadableEventsAreGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		given bool
	}{
		"checksum":     {fmt.Errorf("x: %w", binlog.ErrChecksum), true},
		"truncated":    {fmt.Errorf("x: %w", binlog.ErrTruncated), true},
		"out of order": {errNotClosed, true},
		"closed":       {io.EOF, false},
		"silent":       {binlog.ErrSilent, false},
		"shut down":    {&binlog.ServerError{Code: 1053}, false},
		"killed":       {&binlog.ServerError{Code: 3169}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStream(t, MySQL, none, appTable("orders"))
			var err error
			tries := 0
			for ; tries < 20 && err == nil; tries++ {
				err = s.afterError(context.Background(), c.err)
			}
			var stop *Stop
			if errors.As(err, &stop) != c.given || c.given && (tries != damagedReads || !strings.Contains(err.Error(), c.err.Error())) {
				t.Errorf("after %d tries: %v", tries, err)
			}
		})
	}
}
