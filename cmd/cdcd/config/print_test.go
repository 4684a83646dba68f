package config

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

func TestPrint(t *testing.T) {
	env := testEnv(
		strings.Replace(minimal, "user: cdcd", "user: 'c$${d', password: '${env:CDCD_MYSQL_PASSWORD}'", 1),
		"/etc/cdcd/conf.d/a.yaml", "\ntables:\n- include:\n  - a.x\n  - a.y\n  exclude: a.z\n  partition: [day(a), 'bucket(4, b)']\n  properties: {x.y: z, w: 1}\n",
	)
	c, _ := mustLoad(t, env)
	const want = `pipeline: "shop" # /etc/cdcd/cdcd.yaml:1
source:
  address: "127.0.0.1:3306" # /etc/cdcd/cdcd.yaml:2
  user: "c$${d" # /etc/cdcd/cdcd.yaml:2
  password: "***" # /etc/cdcd/cdcd.yaml:2
  server_id: 0 # default
  tls:
    mode: "disabled" # default
    ca: "" # default
    cert: "" # default
    key: "" # default
    server_name: "" # default
tables:
  - include: ["shop.*"] # /etc/cdcd/cdcd.yaml:3
    exclude: [] # default
    target: "{schema}.{table}" # default
    commit_timestamp: false # default
    format_version: 3 # default
    mode: "key" # default
    key: [] # default
    load: "all" # default
    partition: [] # default
    properties: {} # default
    lineage: "preserve" # default
    target_file_size: 256MiB # default
  - include: ["a.x", "a.y"] # /etc/cdcd/conf.d/a.yaml:4
    exclude: ["a.z"] # /etc/cdcd/conf.d/a.yaml:6
    target: "{schema}.{table}" # default
    commit_timestamp: false # default
    format_version: 3 # default
    mode: "key" # default
    key: [] # default
    load: "all" # default
    partition: ["day(a)", "bucket(4, b)"] # /etc/cdcd/conf.d/a.yaml:7
    properties: {"w": "1", "x.y": "z"} # /etc/cdcd/conf.d/a.yaml:8
    lineage: "preserve" # default
    target_file_size: 256MiB # default
namespace: "{schema}" # default
types:
  bigint_unsigned: "decimal" # default
  zero_date: "error" # default
on_table_error: "quarantine" # default
on_table_dropped: "keep" # default
on_table_replaced: "resnapshot" # default
state: "/var/lib/cdcd" # /etc/cdcd/cdcd.yaml:4
warehouse:
  location: "file:///var/lib/cdcd/warehouse" # /etc/cdcd/cdcd.yaml:5
  s3:
    endpoint: "" # default
    region: "" # default
    path_style: false # default
catalog:
  type: "embedded" # default
  uri: "" # default
  name: "" # default
  warehouse: "" # default
  credential: "" # default
  token_uri: "" # default
  scope: "" # default
  token: "" # default
  vended_credentials: false # default
catalog_endpoint:
  listen: "127.0.0.1:8181" # default
  writable: false # default
  token: "" # default
  tls:
    cert: "" # default
    key: "" # default
http:
  listen: "127.0.0.1:8080" # default
control:
  socket: "/var/lib/cdcd/ctl.sock" # default
commit:
  interval: 10s # default
  max_rows: 500000 # default
  max_bytes: 64MiB # default
load:
  connections: 2 # default
  chunk_rows: 0 # default
  max_threads_running: 0 # default
compaction:
  enabled: true # default
  cpu_percent: 30 # default
  deleted_percent: 20 # default
garbage:
  grace: 24h # default
  interval: 1h # default
  dry_run: false # default
memory:
  limit: 512MiB # default
log:
  level: "info" # default
  format: "auto" # default
`
	if diff := cmp.Diff(want, printed(t, c, true)); diff != "" {
		t.Error(diff)
	}
	var plain []string
	for line := range strings.Lines(want) {
		text, _, _ := strings.Cut(line, " # ")
		plain = append(plain, strings.TrimSuffix(text, "\n"))
	}
	if diff := cmp.Diff(strings.Join(plain, "\n")+"\n", printed(t, c, false)); diff != "" {
		t.Error(diff)
	}
}

func TestPrintDefault(t *testing.T) {
	if got := printed(t, Default(), true); !strings.Contains(got, "\ntables: [] # default\n") {
		t.Error(got)
	}
}

// brokenWriter takes nothing.
type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestPrintReturnsTheErrorOfTheWriter(t *testing.T) {
	if err := Default().Print(brokenWriter{}, false); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

func printed(t *testing.T, c Config, origins bool) string {
	t.Helper()
	var b strings.Builder
	if err := c.Print(&b, origins); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPrintQuotesEverything prints texts of all characters that a value may hold.
func TestPrintQuotesEverything(t *testing.T) {
	text := rapid.StringOf(rapid.OneOf(
		rapid.RuneFrom([]rune("${}:#'\"\\ \u00a0\u2028\ufeff\ufffe\U0010ffff-null")),
		rapid.Rune().Filter(func(r rune) bool { return !unicode.IsControl(r) }),
	))
	rapid.Check(t, func(rt *rapid.T) {
		c := minimalConfig()
		c.Source.User = text.Draw(rt, "user") + "x"
		c.Tables[0].Exclude = []string{"a." + strings.ReplaceAll(text.Draw(rt, "table"), ".", "?") + "*"}
		back, _, err := Load(mainFile, testEnv(printed(t, c, true)))
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(c, back, equal()); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// checkPrint checks that what Print writes is YAML to others too, loads back equal, and is
// valid by Validate.
func checkPrint(t *testing.T, c Config) {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Errorf("loaded, but not valid: %v", err)
	}
	for _, origins := range []bool{false, true} {
		text := printed(t, c, origins)
		if c.Source.Password != "" && !strings.Contains(text, "\n  password: \"***\"") {
			t.Errorf("shows the secret:\n%s", text)
		}
		var tree map[string]any
		if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
			t.Errorf("no YAML: %v:\n%s", err, text)
		}
		back, _, err := Load(mainFile, testEnv(text))
		if err != nil {
			t.Fatalf("does not load back: %v:\n%s", err, text)
		}
		want := c
		want.Source.Password = Secret(c.Source.Password.String())
		want.Catalog.URI = URI(c.Catalog.URI.String())
		want.Catalog.Credential, want.Catalog.Token = Secret(c.Catalog.Credential.String()), Secret(c.Catalog.Token.String())
		if diff := cmp.Diff(want, back, equal()); diff != "" {
			t.Errorf("loads back different:\n%s\n%s", diff, text)
		}
	}
}
