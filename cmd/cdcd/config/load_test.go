package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// minBadConfigs guards against a pattern that finds no test data.
const minBadConfigs = 30

func update() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files")
	flag.Parse()
	os.Exit(m.Run())
}

// TestBadConfigs compares the errors of each testdata/bad/NAME.yaml with NAME.golden. The
// files of the directory NAME.d, if there is one, are its drop-ins.
func TestBadConfigs(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < minBadConfigs {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		base := strings.TrimSuffix(file, ".yaml")
		t.Run(filepath.Base(base), func(t *testing.T) {
			_, _, err := Load(mainFile, badEnv(t, base))
			if err == nil {
				t.Fatal("accepted")
			}
			got := err.Error() + "\n"
			if update() {
				if err := os.WriteFile(base+".golden", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(readFile(t, base+".golden"), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// badEnv returns an Env with base.yaml as the main file and base.d as conf.d.
func badEnv(t *testing.T, base string) Env {
	t.Helper()
	var more []string
	dropIns, err := filepath.Glob(base + ".d/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range dropIns {
		more = append(more, "/etc/cdcd/conf.d/"+filepath.Base(file), readFile(t, file))
	}
	return testEnv(readFile(t, base+".yaml"), more...)
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTooManyAliases(t *testing.T) {
	const n = 400
	text := minimal + "x: &i [" + strings.Repeat("a.b, ", n) + "]\n"
	text = strings.Replace(text, `tables: [{include: "shop.*"}]`, "", 1) +
		"tables: [&t {include: *i}" + strings.Repeat(", *t", n) + "]\n"
	_, _, err := Load(mainFile, testEnv(text))
	if err == nil || strings.Count(err.Error(), "more than 100000 values") != 1 {
		t.Errorf("%.300v", err)
	}
}

// TestManyProblems has one problem for each of very many tables: the cost must not be their
// square.
func TestManyProblems(t *testing.T) {
	const n = 50_000
	_, _, err := Load(mainFile, testEnv("tables: ["+strings.Repeat("1,{},", n/2)+"]\n"))
	errs, _ := errors.AsType[Errors](err)
	if len(errs) != n+len([]string{"pipeline", "source.address", "source.user", "state", "warehouse.location"}) {
		t.Error(len(errs))
	}
}

func TestFileTooLarge(t *testing.T) {
	_, _, err := Load(mainFile, testEnv(minimal, "/etc/cdcd/conf.d/a.yaml", strings.Repeat("#", maxFileBytes+1)))
	if err == nil || err.Error() != "/etc/cdcd/conf.d/a.yaml:1:1: the file is larger than 1MiB" {
		t.Errorf("%.300v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(minimal, "")
	f.Add(minimal, "tables: [{include: [a.b], target: x.y}]")
	f.Add(readFile(f, "../../../configs/cdcd.yaml"), "log: {level: debug}")
	bad, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range bad {
		f.Add(readFile(f, file), "")
	}
	f.Fuzz(func(t *testing.T, text, dropIn string) {
		c, _, err := Load(mainFile, testEnv(text, "/etc/cdcd/conf.d/a.yaml", dropIn))
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a text")
			}
			return
		}
		checkPrint(t, c)
	})
}
