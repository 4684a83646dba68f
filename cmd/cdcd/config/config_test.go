package config

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fakeEnv is an Env of fixed variables and files.
type fakeEnv struct {
	vars  map[string]string
	files fstest.MapFS
}

func (e fakeEnv) LookupEnv(name string) (string, bool) {
	v, ok := e.vars[name]
	return v, ok
}

func (e fakeEnv) ReadFile(name string) ([]byte, error) {
	return fs.ReadFile(e.files, strings.TrimPrefix(name, "/"))
}

func (e fakeEnv) ReadDir(name string) ([]string, error) {
	entries, err := fs.ReadDir(e.files, strings.TrimPrefix(name, "/"))
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

const mainFile = "/etc/cdcd/cdcd.yaml"

// testEnv has a main file with the given text, what references in tests name, and more
// files as pairs of path and content.
func testEnv(text string, more ...string) fakeEnv {
	env := fakeEnv{
		vars: map[string]string{
			"CDCD_MYSQL_PASSWORD":   "s3cret",
			"EMPTY":                 "",
			"NESTED":                "${env:CDCD_MYSQL_PASSWORD}",
			"STRUCTURE":             "x\nuser: evil # {",
			"ROWS":                  "1234",
			"BINARY":                "\xff",
			"CREDENTIALS_DIRECTORY": "/run/credentials/cdcd.service",
		},
		files: fstest.MapFS{
			path.Clean(mainFile[1:]): {Data: []byte(text)},
			"run/secret":             {Data: []byte("from file\n\n")},
			"run/crlf":               {Data: []byte("from dos\r\n")},
			"run/large":              {Data: make([]byte, maxReferenceBytes+1)},
			"run/credentials/cdcd.service/cdcd.mysql.p": {Data: []byte("from cred\n")},
		},
	}
	for i := 0; i < len(more); i += 2 {
		env.files[more[i][1:]] = &fstest.MapFile{Data: []byte(more[i+1])}
	}
	return env
}

// minimal is a configuration of only the required keys.
const minimal = `pipeline: shop
source: {address: 127.0.0.1, user: cdcd}
tables: [{include: "shop.*"}]
state: /var/lib/cdcd
warehouse: {location: /var/lib/cdcd/warehouse}
`

// minimalConfig is what minimal means.
func minimalConfig() Config {
	c := Default()
	c.Pipeline = "shop"
	c.Source.Address = "127.0.0.1:3306"
	c.Source.User = "cdcd"
	c.Source.TLS.Mode = TLSDisabled
	c.Tables = []TableRule{plainRule("{schema}.{table}", "shop.*")}
	c.State = "/var/lib/cdcd"
	c.Warehouse.Location = "file:///var/lib/cdcd/warehouse"
	c.Control.Socket = "/var/lib/cdcd/ctl.sock"
	return c
}

// plainRule is a rule of which all that is not given is the default.
func plainRule(target string, include ...string) TableRule {
	return TableRule{Include: include, Target: target, Lineage: LineagePreserve, TargetFileSize: DefaultTargetFileSize, FormatVersion: 3, Mode: ModeKey, Load: LoadAll}
}

// equal compares configurations without the places of their keys.
func equal() cmp.Option { return cmpopts.IgnoreUnexported(Config{}) }

func mustLoad(t *testing.T, env Env) (Config, []Warning) {
	t.Helper()
	c, warnings, err := Load(mainFile, env)
	if err != nil {
		t.Fatal(err)
	}
	return c, warnings
}

func TestLoadMinimal(t *testing.T) {
	c, warnings := mustLoad(t, testEnv(minimal))
	if diff := cmp.Diff(minimalConfig(), c, equal()); diff != "" {
		t.Error(diff)
	}
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestSampleIsTheDefault(t *testing.T) {
	text, err := os.ReadFile("../../../configs/cdcd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, warnings := mustLoad(t, testEnv(string(text)))
	want := minimalConfig()
	want.Source.Password = "s3cret"
	if diff := cmp.Diff(want, c, equal()); diff != "" {
		t.Error(diff)
	}
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	for _, key := range leaves("", reflect.ValueOf(c)) {
		if _, ok := c.origins[key]; !ok {
			t.Errorf("the sample lacks %s", key)
		}
	}
}

// leaves returns the paths of all keys below a section that are not sections.
func leaves(path string, v reflect.Value) (keys []string) {
	for _, f := range fieldsOf(v.Type()) {
		key, fv := join(path, f.key), v.Field(f.index)
		if f.key == "" {
			panic("field " + v.Type().Field(f.index).Name + " has no key")
		}
		switch {
		case fv.Kind() == reflect.Struct:
			keys = append(keys, leaves(key, fv)...)
		case fv.Type() == reflect.TypeFor[[]TableRule]():
			for i := range fv.Len() {
				keys = append(keys, leaves(element(key, i), fv.Index(i))...)
			}
		default:
			keys = append(keys, key)
		}
	}
	return keys
}

func TestDefaultLacksOnlyTheRequiredKeys(t *testing.T) {
	err := Default().Validate()
	errs, ok := errors.AsType[Errors](err)
	if !ok {
		t.Fatalf("%T %v", err, err)
	}
	var keys []string
	for _, p := range errs {
		keys = append(keys, p.Key)
		if p.Place != (Place{}) {
			t.Errorf("%s has a place", p)
		}
	}
	want := []string{"pipeline", "source.address", "source.user", "tables", "state", "warehouse.location"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Error(diff)
	}
}

func TestValidateLeavesTheRulesAlone(t *testing.T) {
	c := minimalConfig()
	c.Tables[0].Target = ""
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.Tables[0].Target != "" {
		t.Error("Validate filled in a target")
	}
}

func TestLoadWithoutFile(t *testing.T) {
	_, _, err := Load("/nowhere/cdcd.yaml", testEnv(""))
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "read config: ") {
		t.Error(err)
	}
}

func TestDropIns(t *testing.T) {
	env := testEnv(
		minimal,
		"/etc/cdcd/conf.d/20-b.yaml", "tables: [{include: b.*}]\nlog: {level: debug}\n",
		"/etc/cdcd/conf.d/10-a.yaml", "tables:\n- include: [a.x, a.y]\n  target: lake.{table}\nlog: {format: json}\n",
		"/etc/cdcd/conf.d/30-empty.yaml", "# tables:\n",
		"/etc/cdcd/conf.d/.hidden.yaml", "nonsense: 1\n",
		"/etc/cdcd/conf.d/readme.txt", "nonsense",
		"/etc/cdcd/conf.d/40.yml", "nonsense: 1\n",
	)
	c, warnings := mustLoad(t, env)
	want := minimalConfig()
	want.Log = Log{Level: "debug", Format: "json"}
	want.Tables = append(want.Tables,
		plainRule("lake.{table}", "a.x", "a.y"), plainRule("{schema}.{table}", "b.*"))
	if diff := cmp.Diff(want, c, equal()); diff != "" {
		t.Error(diff)
	}
	if len(warnings) != 1 || warnings[0].Place.File != "/etc/cdcd/conf.d/40.yml" {
		t.Error(warnings)
	}
}

func TestDropInDirectoryThatCannotBeRead(t *testing.T) {
	_, _, err := Load(mainFile, testEnv(minimal, "/etc/cdcd/conf.d", "a file"))
	if err == nil || !strings.HasPrefix(err.Error(), "/etc/cdcd/conf.d:1:1: ") {
		t.Error(err)
	}
}

func TestDropInThatCannotBeRead(t *testing.T) {
	text := strings.Replace(minimal, "pipeline: shop", "log: {level: loud}", 1)
	_, _, err := Load(mainFile, testEnv(text, "/etc/cdcd/conf.d/dir.yaml/x", ""))
	want := "/etc/cdcd/cdcd.yaml:1:14: log.level: want one of debug, info, warn, error\n/etc/cdcd/conf.d/dir.yaml:1:1: "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Error(err) // the file may hold the missing pipeline
	}
}

func TestErrorsAreInTheOrderOfTheFiles(t *testing.T) {
	env := testEnv("", "/etc/cdcd/z.yaml", minimal+"b: 1\na: 1\n", "/etc/cdcd/conf.d/a.yaml", "c: 1")
	_, _, err := Load("/etc/cdcd/z.yaml", env)
	errs, _ := errors.AsType[Errors](err)
	var got []string
	for _, p := range errs {
		got = append(got, p.Key)
	}
	if diff := cmp.Diff([]string{"b", "a", "c"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNoWarningForAnEmptyPassword(t *testing.T) {
	_, warnings := mustLoad(t, testEnv(strings.Replace(minimal, "user: cdcd", "user: cdcd, password: ''", 1)))
	if len(warnings) > 0 {
		t.Error(warnings)
	}
}

func TestWarnings(t *testing.T) {
	text := strings.Replace(minimal, "user: cdcd", "user: cdcd, password: hunter2", 1) + "http: {listen: :8080}\n"
	_, warnings := mustLoad(t, testEnv(text))
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	want := []string{
		"/etc/cdcd/cdcd.yaml:2:52: source.password: the secret stands in the file; refer to it by ${cred:NAME}, ${file:/path} or ${env:NAME}",
		"/etc/cdcd/cdcd.yaml:6:16: http.listen: the status page and the metrics can be read from other machines",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEffectiveValues(t *testing.T) {
	tests := []struct {
		old, new string // replaced in minimal
		change   func(*Config)
	}{
		{"127.0.0.1", "db.example", func(c *Config) {
			c.Source.Address, c.Source.TLS.Mode = "db.example:3306", TLSVerifyIdentity
		}},
		{"127.0.0.1", "'[::1]'", func(c *Config) { c.Source.Address = "[::1]:3306" }},
		{"127.0.0.1", "'[2001:db8::1]:03307'", func(c *Config) {
			c.Source.Address, c.Source.TLS.Mode = "[2001:db8::1]:3307", TLSVerifyIdentity
		}},
		{"127.0.0.1", "'[::ffff:127.0.0.1]'", func(c *Config) { c.Source.Address = "[::ffff:127.0.0.1]:3306" }},
		{"127.0.0.1", "localhost", func(c *Config) { c.Source.Address = "localhost:3306" }},
		{"127.0.0.1", "/run/mysqld//mysqld.sock", func(c *Config) { c.Source.Address = "/run/mysqld/mysqld.sock" }},
		{"user: cdcd", "user: cdcd, tls: {mode: verify-ca, ca: /ca.pem}", func(c *Config) {
			c.Source.TLS = TLS{Mode: TLSVerifyCA, CA: "/ca.pem"}
		}},
		{"location: /var", "location: file:///var", func(*Config) {}},
		{"cdcd/warehouse", "a//b/../c/", func(c *Config) { c.Warehouse.Location = "file:///var/lib/a/c" }},
		{"state:", "namespace: lake_{schema}\nstate:", func(c *Config) {
			c.Namespace, c.Tables[0].Target = "lake_{schema}", "lake_{schema}.{table}"
		}},
		{"state:", "catalog_endpoint: {listen: off}\nhttp: {listen: ''}\nstate:", func(c *Config) {
			c.CatalogEndpoint.Listen, c.HTTP.Listen = "", ""
		}},
		{"state:", "catalog_endpoint: {listen: 'localhost:0'}\nhttp: {listen: '[::1]:0'}\nstate:", func(c *Config) {
			c.CatalogEndpoint.Listen, c.HTTP.Listen = "localhost:0", "[::1]:0"
		}},
		{"state:", "types: {zero_date: null, bigint_unsigned: long}\nstate:", func(c *Config) {
			c.Types = Types{BigintUnsigned: "long", ZeroDate: "null"}
		}},
		{"state:", "types:\nload:\nlog: ~\nstate:", func(*Config) {}},
		{"state:", "commit: {interval: 1500ms, max_rows: 1000, max_bytes: 2MB}\nstate:", func(c *Config) {
			c.Commit = Commit{Interval: 1_500_000_000, MaxRows: 1000, MaxBytes: 2_000_000}
		}},
		{"state:", "commit: {interval: 1h}\nload: {connections: 64}\nstate:", func(c *Config) {
			c.Commit.Interval, c.Load.Connections = 3_600_000_000_000, 64
		}},
		{"shop.*\"", "shop.*\", partition: [Day(created_at), bucket(16, customer_id), region, 'truncate(3, `a, (b)`)']", func(c *Config) {
			c.Tables[0].Partition = []Transform{{"day", 0, "created_at"}, {"bucket", 16, "customer_id"}, {"identity", 0, "region"}, {"truncate", 3, "a, (b)"}}
		}},
		{"shop.*\"", "shop.*\", partition: hour(t), lineage: off, target_file_size: 1GiB, properties: {a.b: 7, 'c d': \"${env:ROWS}\"}", func(c *Config) {
			r := &c.Tables[0]
			r.Partition, r.Lineage, r.TargetFileSize = []Transform{{"hour", 0, "t"}}, LineageOff, 1<<30
			r.Properties = map[string]string{"a.b": "7", "c d": "1234"}
		}},
		{"shop.*\"", "shop.*\", mode: append, load: none", func(c *Config) {
			c.Tables[0].Mode, c.Tables[0].Load = ModeAppend, LoadNone
		}},
		{"shop.*\"", "shop.*\", key: [a, b]", func(c *Config) { c.Tables[0].Key = []string{"a", "b"} }},
		{"tables: [{include: \"shop.*\"}]", "tables:\n- &t {include: &i [a.b], exclude: *i, target: x.y}\n- *t", func(c *Config) {
			rule := plainRule("x.y", "a.b")
			rule.Exclude = []string{"a.b"}
			c.Tables = []TableRule{rule, rule}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.new, func(t *testing.T) {
			c, _ := mustLoad(t, testEnv(strings.Replace(minimal, tt.old, tt.new, 1)))
			want := minimalConfig()
			tt.change(&want)
			if diff := cmp.Diff(want, c, equal()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestServerID(t *testing.T) {
	// The derived ids are pinned: another id after an upgrade would leave the old dump
	// connection in place.
	tests := map[string]uint32{"shop": 4276407376, "a": 2109279146}
	for pipeline := range tests {
		c := Config{Pipeline: pipeline}
		if got := c.ServerID(); got != tests[pipeline] {
			t.Errorf("%s: %d", pipeline, got)
		}
	}
	if got := (Config{Pipeline: "shop", Source: Source{ServerID: 7}}).ServerID(); got != 7 {
		t.Error(got)
	}
}

func TestOS(t *testing.T) {
	t.Setenv("CDCD_MYSQL_PASSWORD", "from the environment")
	c, _, err := Load("../../../configs/cdcd.yaml", OS{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Source.Password.Reveal() != "from the environment" {
		t.Error(c.Source.Password.Reveal())
	}
	names, err := OS{}.ReadDir("testdata")
	if err != nil || !slices.Contains(names, "bad") {
		t.Error(names, err)
	}
	large := t.TempDir() + "/large.yaml"
	if err := os.WriteFile(large, make([]byte, 3*maxFileBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := (OS{}).ReadFile(large); err != nil || len(data) != maxFileBytes+1 {
		t.Error(len(data), err)
	}
	if _, _, err := Load(large, OS{}); err == nil || err.Error() != large+":1:1: the file is larger than 1MiB" {
		t.Error(err)
	}
}
