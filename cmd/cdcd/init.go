package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"cdcd/capture"
	"cdcd/cmd/cdcd/config"
)

// initCmd is cdcd init.
type initCmd struct {
	Address     string   `default:"127.0.0.1:3306" help:"Server, host:port or the path of a unix socket."`
	User        string   `required:"" help:"User to replicate as."`
	PasswordEnv string   `default:"CDCD_MYSQL_PASSWORD" help:"Environment variable that holds the password."`
	Tables      []string `help:"Tables as schema.table globs; all schemas when not given."`
	Pipeline    string   `default:"main" help:"Name of the pipeline."`
	State       string   `default:"/var/lib/cdcd" help:"Directory of local state; the warehouse is made in it."`
	TLSMode     string   `name:"tls-mode" default:"" help:"disabled, required, verify-ca or verify-identity."`
	Output      string   `short:"o" default:"-" help:"File to write; - prints."`
}

// Run writes a commented configuration that fits the server.
func (i *initCmd) Run(ctx context.Context, c console) error {
	text := i.render(nil)
	cfg, err := i.load(text)
	if err != nil {
		return err
	}
	report, err := capture.Preflight(ctx, captureSource(cfg), func(n capture.Name) bool { return i.matches(cfg, n) }, nil)
	if err != nil {
		return err
	}
	text = i.render(report)
	if _, err := i.load(text); err != nil {
		return fmt.Errorf("the configuration for this server is not valid: %w", err)
	}
	if err := i.write(c.out, text); err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		fmt.Fprintln(c.err, "Before it can be used:")
		printProblems(c.err, report.Problems)
	}
	return nil
}

// matches selects all tables, or those of --tables.
func (i *initCmd) matches(cfg config.Config, n capture.Name) bool {
	_, ok := cfg.Match(n.Schema, n.Table)
	return ok
}

// initEnv is the environment of a configuration that exists only as text.
type initEnv struct {
	config.OS
	text string
}

// ReadFile gives the text for the configuration itself.
func (e initEnv) ReadFile(path string) ([]byte, error) {
	if path == initName {
		return []byte(e.text), nil
	}
	return e.OS.ReadFile(path)
}

// ReadDir finds no drop-ins.
func (e initEnv) ReadDir(string) ([]string, error) { return nil, os.ErrNotExist }

const initName = "generated.yaml"

func (i *initCmd) load(text string) (config.Config, error) {
	cfg, _, err := config.Load(initName, initEnv{text: text})
	if err != nil {
		return cfg, coded{exitUsage, err}
	}
	return cfg, nil
}

// render writes the configuration, with the tables that a report found as comments.
func (i *initCmd) render(report *capture.Report) string {
	var b strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	put("# cdcd configuration. Every key and its default: configs/cdcd.yaml in the distribution.")
	put("# Check it with: cdcd check --config FILE")
	put("pipeline: %s", i.Pipeline)
	put("source:")
	put("  address: %q", i.Address)
	put("  user: %q", i.User)
	put("  password: \"${env:%s}\"", i.PasswordEnv)
	if i.TLSMode != "" {
		put("  tls: {mode: %s}", i.TLSMode)
	}
	globs := i.Tables
	if len(globs) == 0 {
		globs = []string{"*.*"}
	}
	if report != nil && len(i.Tables) == 0 {
		globs = schemasOf(report)
	}
	put("tables:")
	for _, g := range globs {
		put("  - include: %q", g)
		if excluded := problemTables(report, g); len(excluded) > 0 {
			put("    # These cannot be replicated as they are; cdcd check says why.")
			put("    exclude: [%s]", strings.Join(excluded, ", "))
		}
	}
	if report != nil {
		for _, t := range report.Tables {
			put("  # %s: about %d rows", t.Name, t.Rows)
		}
	}
	put("state: %s", i.State)
	put("warehouse: {location: \"file://%s/warehouse\"}", i.State)
	put("# The Iceberg REST catalog for Spark, Trino, DuckDB and PyIceberg.")
	put("catalog_endpoint: {listen: 127.0.0.1:8181}")
	put("# Status page, /healthz, /readyz, /metrics.")
	put("http: {listen: 127.0.0.1:8080}")
	put("# How often changes become visible in the lake.")
	put("commit: {interval: 10s}")
	return b.String()
}

// schemasOf gives a glob for each schema with tables.
func schemasOf(r *capture.Report) []string {
	var out []string
	for _, t := range r.Tables {
		if g := t.Name.Schema + ".*"; !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	if len(out) == 0 {
		return []string{"*.*"}
	}
	return out
}

// problemTables lists, quoted, the tables under a glob's schema that cannot be replicated.
func problemTables(r *capture.Report, glob string) []string {
	if r == nil {
		return nil
	}
	schema, _, _ := strings.Cut(glob, ".")
	var out []string
	for _, t := range r.Tables {
		if t.Problem != nil && (schema == t.Name.Schema || schema == "*") {
			out = append(out, fmt.Sprintf("%q", t.Name.String()))
		}
	}
	return out
}

func (i *initCmd) write(out io.Writer, text string) error {
	if i.Output == "-" {
		_, err := io.WriteString(out, text)
		return err
	}
	f, err := os.OpenFile(i.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return coded{exitUsage, fmt.Errorf("write configuration: %w", err)}
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}
