//go:build mutant

package commit

import (
	"os"
	"strings"
	"testing"
)

// TestFaultsDoc compares docs/faults.md with the mutants.
func TestFaultsDoc(t *testing.T) {
	b, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "## Mutants")
	table, _, _ = strings.Cut(table, "## Found")
	rows := map[string]string{}
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) > 3 {
			rows[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[3])
		}
	}
	for _, m := range mutants {
		if want := strings.Join(m.broken, ", "); rows[m.rule] != want {
			t.Errorf("%s: caught by %q, the document says %q", m.rule, want, rows[m.rule])
		}
	}
	if extra := len(rows) - len(mutants) - len([]string{"header", "rule"}); extra != 0 {
		t.Errorf("%d more mutants in the document", extra)
	}
}
