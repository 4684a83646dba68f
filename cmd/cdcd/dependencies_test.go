package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDependenciesAreListed compares docs/dependencies.md with what go.mod requires and
// with who imports it.
func TestDependenciesAreListed(t *testing.T) {
	listed := map[string]string{}
	for _, row := range docTable(t, "../../docs/dependencies.md", "module") {
		if _, twice := listed[row[0]]; twice {
			t.Errorf("%s is listed twice", row[0])
		}
		listed[row[0]] = row[1]
		if slices.Contains(row, "") {
			t.Errorf("%s: an empty cell", row[0])
		}
	}
	required := map[string]string{}
	packages := listPackages(t)
	for _, module := range directModules(t) {
		required[module] = usedBy(packages, module)
	}
	if diff := cmp.Diff(required, listed); diff != "" {
		t.Errorf("docs/dependencies.md against go.mod and the imports (-is +listed):\n%s", diff)
	}
}

// directModules gives what go.mod requires directly.
func directModules(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var file struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &file); err != nil {
		t.Fatal(err)
	}
	var modules []string
	for _, r := range file.Require {
		if !r.Indirect {
			modules = append(modules, r.Path)
		}
	}
	return modules
}

// usedBy names the folders whose production code imports a module, or "tests" where only
// tests do. What drives the binary from outside does not count.
func usedBy(packages []listedPackage, module string) string {
	var folders []string
	tests := false
	imports := func(list []string) bool {
		return slices.ContainsFunc(list, func(imp string) bool { return imp == module || strings.HasPrefix(imp, module+"/") })
	}
	for _, p := range packages {
		if from, _ := folder(p.ImportPath); imports(p.Imports) && !drivers()[from] && !slices.Contains(folders, from) {
			folders = append(folders, from)
		}
		tests = tests || imports(p.TestImports) || imports(p.XTestImports)
	}
	if len(folders) == 0 && tests {
		return "tests"
	}
	slices.Sort(folders)
	return strings.Join(folders, ", ")
}

// docTable gives the cells of the rows below the header that begins with the given cell.
func docTable(t *testing.T, path, first string) [][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == first:
			inside = true
		case inside && !strings.HasPrefix(cells[0], "---"):
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no table that begins with %q", path, first)
	}
	return rows
}
