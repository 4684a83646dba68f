package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestUnitKnowsExitCodes compares what systemd is told not to restart with the exit codes.
func TestUnitKnowsExitCodes(t *testing.T) {
	unit := readText(t, "../../configs/cdcd.service")
	want := fmt.Sprintf("\nRestartPreventExitStatus=%d %d\n", exitUsage, exitHuman)
	if !strings.Contains(unit, want) || !strings.Contains(unit, "\nRestart=on-failure\n") {
		t.Errorf("configs/cdcd.service does not say Restart=on-failure and %q", want)
	}
}

// found gives the first groups of all matches, each once, in order of the alphabet.
func found(text, pattern string) []string {
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// preflightText is the source text of the preflight.
func preflightText(t *testing.T) string {
	t.Helper()
	return readText(t, "../../capture/preflight.go") + readText(t, "../../capture/preflighttables.go")
}

// TestGrantsAreThePreflights compares the privileges of configs/grants.sql with those that
// the preflight misses where they lack.
func TestGrantsAreThePreflights(t *testing.T) {
	preflight, grants := preflightText(t), readText(t, "../../configs/grants.sql")
	const privilege = `((?:REPLICATION|REPLICA|BINLOG) [A-Z]+)`
	asked := append(found(preflight, `"`+privilege+`"`), found(preflight, `"GRANT (SELECT) ON`)...)
	given := append(found(grants, `(?m)^GRANT `+privilege+` ON`), found(grants, `(?m)^GRANT (SELECT) ON`)...)
	if diff := cmp.Diff(asked, given); diff != "" {
		t.Errorf("configs/grants.sql against the preflight (-asked +given):\n%s", diff)
	}
	// Each server's part alone: REPLICATION CLIENT is MySQL's name for two of MariaDB's.
	mysql, mariadb, _ := strings.Cut(grants, "\n-- MariaDB")
	for part, want := range map[string][]string{
		mysql:   {"REPLICATION CLIENT", "REPLICATION SLAVE"},
		mariadb: {"BINLOG MONITOR", "REPLICA MONITOR", "REPLICATION SLAVE"},
	} {
		if diff := cmp.Diff(want, found(part, `(?m)^GRANT `+privilege+` ON`)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestServerSettingsAreThePreflights checks that configs/mysql.cnf sets everything that the
// preflight requires, to the value that it requires.
func TestServerSettingsAreThePreflights(t *testing.T) {
	preflight, settings := preflightText(t), readText(t, "../../configs/mysql.cnf")
	required := map[string]string{
		"gtid_mode": "ON", "enforce_gtid_consistency": "ON", "log_replica_updates": "ON", "log_slave_updates": "ON",
		"sync_binlog": "1", "innodb_flush_log_at_trx_commit": "1",
	}
	for _, m := range regexp.MustCompile(`requirement\{"(\w+)", "(\w*)"`).FindAllStringSubmatch(preflight, -1) {
		required[m[1]] = m[2]
	}
	const least = 8 // more than those named above: the pattern has found the requirements
	if len(required) < least {
		t.Fatalf("only %d requirements found in the preflight", len(required))
	}
	set := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(?:loose_)?(\w+) = "?(\w*)"?$`).FindAllStringSubmatch(settings, -1) {
		set[m[1]] = m[2]
	}
	for name, value := range required {
		got, ok := set[name]
		if !ok || got != value {
			t.Errorf("configs/mysql.cnf: %s is %q, want %q", name, got, value)
		}
		if !strings.Contains(preflight, `"`+name+`"`) && !strings.Contains(preflight, name+" = ") {
			t.Errorf("the preflight does not know %s", name)
		}
	}
	if set["log_bin"] == "" {
		t.Error("configs/mysql.cnf does not turn the log on")
	}
}
