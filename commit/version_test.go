package commit

import (
	"errors"
	"strings"
	"testing"

	"cdcd/table"
)

// TestFormatVersion loads and streams into tables of version 2, moves them to version 3 by
// configuration, and is not moved back.
func TestFormatVersion(t *testing.T) {
	l := newLab(t, 3, "a", "b")
	l.format = 2
	l.churn(5)
	l.mustRun()
	l.churn(30)
	l.mustRun()
	l.check()
	if a, b := l.head("a").Version, l.head("b").Version; a != 2 || b != 2 {
		t.Fatalf("versions %d and %d", a, b)
	}
	l.format = 3
	l.mustRun()
	if a, b := l.head("a").Version, l.head("b").Version; a != 3 || b != 3 {
		t.Fatalf("versions %d and %d", a, b)
	}
	l.check()
	l.churn(30)
	l.mustRun()
	l.check()
	before := l.head("a").Fence
	l.format = 2
	err := l.run(t.Context())
	if !errors.Is(err, table.ErrOptionsChanged) || !strings.Contains(err.Error(), "there is no way back: set it to 3") {
		t.Errorf("got %v", err)
	}
	if l.head("a").Fence != before {
		t.Error("the refused start has taken the fence")
	}
}
