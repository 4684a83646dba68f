package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// layers orders the top-level folders: a package may import packages of a strictly lower
// layer and of its own folder, nothing else of this module. Folders of equal rank do not
// know each other.
func layers() map[string]int {
	return map[string]int{
		"capture":    0,
		"table":      1,
		"commit":     2,
		"compaction": 2,
		"verify":     2,
		"fsck":       2,
		"cmd":        3,
	}
}

// homes names, for each third-party module that must have one home, the folders that may
// import it from production code.
func homes() map[string][]string {
	return map[string][]string{
		"github.com/go-mysql-org/go-mysql":    {"capture"},
		"github.com/go-sql-driver/mysql":      {"capture"},
		"github.com/apache/iceberg-go":        {"table", "compaction", "fsck"},
		"go.yaml.in/yaml/v4":                  {"cmd"},
		"github.com/alecthomas/kong":          {"cmd"},
		"github.com/prometheus/client_golang": {"cmd"},
	}
}

// drivers are the folders that drive the binary, and may use any package as a tool.
func drivers() map[string]bool { return map[string]bool{"integration": true, "demo": true} }

type listedPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "cdcd/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var ps []listedPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

// folder is the top-level folder of a package of this module; ok is false for others.
func folder(path string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(path, "cdcd/")
	if !ok {
		return "", false
	}
	name, _, _ = strings.Cut(rest, "/")
	return name, true
}

func TestImportsRunOneWay(t *testing.T) {
	rank := layers()
	ps := listPackages(t)
	if len(ps) < 5 {
		t.Fatalf("only %d packages listed", len(ps))
	}
	for _, p := range ps {
		from, _ := folder(p.ImportPath)
		if drivers()[from] {
			continue
		}
		if _, known := rank[from]; !known {
			t.Errorf("%s: folder %q has no place in the layers", p.ImportPath, from)
		}
		for _, imp := range p.Imports {
			to, ours := folder(imp)
			if ours && to != from && rank[to] >= rank[from] {
				t.Errorf("%s imports %s: imports run cmd -> {commit, compaction, verify, fsck} -> table -> capture only", p.ImportPath, imp)
			}
		}
	}
}

func TestThirdPartyHasOneHome(t *testing.T) {
	for _, p := range listPackages(t) {
		from, _ := folder(p.ImportPath)
		if drivers()[from] {
			continue
		}
		for _, imp := range p.Imports {
			for module, allowed := range homes() {
				if (imp == module || strings.HasPrefix(imp, module+"/")) && !contains(allowed, from) {
					t.Errorf("%s imports %s, whose home is %v", p.ImportPath, imp, allowed)
				}
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
