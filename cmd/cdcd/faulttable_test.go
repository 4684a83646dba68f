package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFaultTable holds docs/protocol.md to naming a test for every fault, and only tests that
// exist.
func TestFaultTable(t *testing.T) {
	exist := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(t \*testing\.T\)`)
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(b, -1) {
			exist[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "\n## Faults and their tests\n")
	if !ok {
		t.Fatal("docs/protocol.md has no such section")
	}
	const faults, columns = 21, 6
	for n := 1; n <= faults; n++ {
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| F%d \|(.*)\|$`, n)).FindString(section)
		cells := strings.Split(strings.Trim(row, "|"), "|")
		if len(cells) != columns {
			t.Errorf("F%d: %d columns", n, len(cells))
			continue
		}
		for _, c := range cells {
			if strings.TrimSpace(c) == "" {
				t.Errorf("F%d has an empty column", n)
			}
		}
		names := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(cells[4], -1)
		if len(names) == 0 {
			t.Errorf("F%d has no test", n)
		}
		for _, m := range names {
			if !exist[m[1]] {
				t.Errorf("F%d: there is no %s", n, m[1])
			}
		}
	}
}
