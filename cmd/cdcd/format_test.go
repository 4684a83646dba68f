package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const formatDoc = "../../docs/format.md"

// declared gives the texts of a package's constants whose names match, and the JSON names of
// the fields of its structs, by struct.
func declared(t *testing.T, dir string, wanted *regexp.Regexp) (constants []string, fields map[string][]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(dir, err)
	}
	fields = map[string][]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) && wanted.MatchString(name.Name) {
						constants = append(constants, literals(n.Values[i])...)
					}
				}
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok {
					fields[n.Name.Name] = jsonNames(s)
				}
			}
			return true
		})
	}
	return constants, fields
}

// literals gives the text of an expression that is one string.
func literals(e ast.Expr) []string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return nil
	}
	text, err := strconv.Unquote(l.Value)
	if err != nil {
		return nil
	}
	return []string{text}
}

func jsonNames(s *ast.StructType) []string {
	var out []string
	for _, f := range s.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue
		}
		if name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ","); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// TestFormatDoc compares the tables of docs/format.md with the names in the code, both ways.
func TestFormatDoc(t *testing.T) {
	column := func(first string) []string {
		var out []string
		for _, row := range docTable(t, formatDoc, first) {
			out = append(out, strings.Trim(row[0], "`"))
		}
		slices.Sort(out)
		return out
	}
	same := func(what string, doc, code []string) {
		t.Helper()
		slices.Sort(code)
		if code = slices.Compact(code); !slices.Equal(doc, code) {
			t.Errorf("%s: docs/format.md has %v, the code %v", what, doc, code)
		}
	}
	keys, tables := declared(t, "../../table", regexp.MustCompile(`^key[A-Z]`))
	keys = slices.DeleteFunc(keys, func(k string) bool { return strings.HasPrefix(k, "cdcd.probe") }) // of the scratch table
	same("keys", column("key"), keys)
	refs, _ := declared(t, "../../table", regexp.MustCompile(`^ref[A-Z]`))
	same("refs", column("ref"), refs)
	kinds, records := declared(t, "../../commit", regexp.MustCompile(`^kind[A-Z]`))
	same("kinds of records", column("kind"), kinds)
	same("lease", column("lease field"), records["leaseRecord"])
	same("intent", column("intent field"), tables["Intent"])
	same("manifests of an intent", column("manifests field"), tables["IntentManifest"])
	same("files of an intent", column("data-files field"), tables["IntentFile"])
	text, err := os.ReadFile(formatDoc)
	if err != nil {
		t.Fatal(err)
	}
	control, err := os.ReadFile("../../commit/control.go")
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, m := range regexp.MustCompile(`(?:text|number|moment)\("([a-z_]+)"`).FindAllStringSubmatch(string(control), -1) {
		columns = append(columns, m[1])
	}
	same("columns of the control table", column("column"), columns)
	checks, _ := declared(t, "../../fsck", regexp.MustCompile(`^rule[A-Z]`))
	same("rules of fsck", column("rule"), checks)
	for _, name := range []string{"_cdcd_commit_ts", "catalog.db", "lease.json"} {
		if !strings.Contains(string(text), name) {
			t.Errorf("docs/format.md does not name %s", name)
		}
	}
}
