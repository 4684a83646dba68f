package capture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Problem is a reason not to start, and what repairs it.
type Problem struct {
	Table  string // "" for the server as a whole
	What   string
	Repair string // statements, or a line of the configuration
	// Shape tells that it is how a table looks now, or that there is none: of no concern for a table
	// that is replicated already, for which the log tells how it looks.
	Shape bool
}

func (p Problem) String() string {
	s := p.What
	if p.Table != "" {
		s = p.Table + ": " + s
	}
	if p.Repair != "" {
		s += "\n    " + strings.ReplaceAll(p.Repair, "\n", "\n    ")
	}
	return s
}

// Report is the result of a preflight.
type Report struct {
	Server   Server
	Tables   []TableInfo // that the user wants, in order of their names
	Problems []Problem   // all of them; none may be left
	Warnings []Problem
	// Retention is how long the server keeps its log, 0 where it keeps it for ever.
	Retention time.Duration
}

const (
	// preflightTries is how often a preflight is made whose connection breaks under way, as
	// it does when the server is restarted, or one of whose tables is altered or dropped;
	// preflightPause is the time between.
	preflightTries = 3
	preflightPause = time.Second
)

// Preflight looks at a server and the wanted tables, and lists everything that would make
// replication lose or misread rows. want and wish are as for Tables. It writes nothing. The
// error is for a server that cannot be looked at.
func Preflight(ctx context.Context, src Source, want func(Name) bool, wish func(Name) Wish) (*Report, error) {
	db, err := src.Open(nil)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	for try := 1; ; try++ {
		report, err := preflightOnce(ctx, db, src, want, wish)
		if again := broken(err) || errors.Is(err, ErrAltered); err == nil || !again || try == preflightTries {
			return report, err
		}
		if err := sleep(ctx, preflightPause); err != nil {
			return nil, err
		}
	}
}

func preflightOnce(ctx context.Context, db *sql.DB, src Source, want func(Name) bool, wish func(Name) Wish) (*Report, error) {
	p := &preflight{ctx: ctx, db: db, src: src}
	var err error
	if p.Server, err = Describe(ctx, db); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", src.Address, classify(err))
	}
	if p.Tables, err = Tables(ctx, db, want, wish); err != nil {
		return nil, err
	}
	if err = EstimateRows(ctx, db, p.Tables); err != nil {
		return nil, err
	}
	for _, check := range []struct {
		what string
		run  func() error
	}{
		{"the log's settings", p.checkLog},
		{"GTIDs", p.checkGTID},
		{"the server's replication", p.checkReplica},
		{"its replicas", p.checkServerID},
		{"the log's filters", p.checkFilters},
		{"durability", p.checkDurability},
		{"the log's retention", p.readRetention},
		{"the case of names", p.checkNames},
		{"tables", p.checkTables},
		{"foreign keys", p.checkCascades},
		{"SELECT", p.checkSelect},
		{"LOCK TABLES", func() error { return p.checkLocks(wish) }},
		{"the log", p.checkDump},
	} {
		if err := check.run(); err != nil {
			return nil, fmt.Errorf("check %s of %s: %w", check.what, src.Address, err)
		}
	}
	return &p.Report, nil
}

// readRetention reads how long the log is kept.
func (p *preflight) readRetention() error {
	var seconds float64
	err := p.db.QueryRowContext(p.ctx, "SELECT @@GLOBAL.binlog_expire_logs_seconds").Scan(&seconds)
	p.Retention = time.Duration(seconds * float64(time.Second))
	return err
}

// preflight is a preflight under way.
type preflight struct {
	Report
	ctx    context.Context // of this one call
	db     *sql.DB
	src    Source
	silent bool // without a log or GTIDs the log cannot be asked for
}

func (p *preflight) problem(table Name, repair, format string, args ...any) {
	pr := Problem{What: fmt.Sprintf(format, args...), Repair: repair}
	if table != (Name{}) {
		pr.Table = table.String()
	}
	p.Problems = append(p.Problems, pr)
}

func (p *preflight) warn(repair, format string, args ...any) {
	p.Warnings = append(p.Warnings, Problem{What: fmt.Sprintf(format, args...), Repair: repair})
}

// variable reads a global variable; ok is false where the server has none of that name.
func (p *preflight) variable(name string) (value string, ok bool, err error) {
	var unused string
	err = p.db.QueryRowContext(p.ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name = ?", name).Scan(&unused, &value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, err
}

// set renders the statement that sets a variable for good.
func (p *preflight) set(name, value string) string {
	if p.Server.Flavor == MariaDB {
		return fmt.Sprintf("SET GLOBAL %s = %s;   -- and %s = %s under [mariadbd] in its configuration", name, value, name, strings.Trim(value, "'"))
	}
	return fmt.Sprintf("SET PERSIST %s = %s;", name, value)
}

// requirement is a variable with the only value that works.
type requirement struct{ name, value, sql string }

func (p *preflight) require(rs ...requirement) error {
	for _, r := range rs {
		got, ok, err := p.variable(r.name)
		switch {
		case err != nil:
			return err
		case !ok:
			p.problem(Name{}, "", "the server (%s) has no %s: it takes MySQL 8.0 or MariaDB 10.5 at least", p.Server.Version, r.name)
		case !strings.EqualFold(got, r.value):
			p.problem(Name{}, p.set(r.name, r.sql), "%s is %q, must be %q", r.name, got, r.value)
		}
	}
	return nil
}

func (p *preflight) checkLog() error {
	on, _, err := p.variable("log_bin")
	if err != nil {
		return err
	}
	if on != "ON" {
		p.silent = true
		p.problem(Name{}, "log_bin = binlog   -- under [mysqld] in the server's configuration, then restart it", "the binary log is off")
		return nil
	}
	if err := p.require(
		requirement{"binlog_format", "ROW", "'ROW'"},
		requirement{"binlog_row_metadata", "FULL", "'FULL'"},
	); err != nil {
		return err
	}
	return p.warnOfImage()
}

// warnOfImage tells which updates cannot be read where images are incomplete.
func (p *preflight) warnOfImage() error {
	image, _, err := p.variable("binlog_row_image")
	if err != nil || strings.EqualFold(image, "FULL") {
		return err
	}
	if p.Server.Flavor == MariaDB {
		p.warn(p.set("binlog_row_image", "'FULL'"), "binlog_row_image is %q: updates of tables with generated columns, and such that may come from REPLACE, cannot be followed", image)
		return nil // it logs whole rows of tables without a key
	}
	for _, t := range p.Tables {
		if t.Identity.matched() {
			p.warn(p.set("binlog_row_image", "'FULL'"), "binlog_row_image is %q: updates and deletes in %s cannot be followed, whose rows no key of the server tells apart", image, t.Name)
		}
	}
	return nil
}

func (p *preflight) checkGTID() error {
	if p.Server.Flavor == MariaDB {
		return nil // always on
	}
	mode, _, err := p.variable("gtid_mode")
	if err != nil {
		return err
	}
	if mode != "ON" {
		p.silent = true
		p.problem(Name{}, "SET PERSIST enforce_gtid_consistency = ON;\nSET PERSIST gtid_mode = OFF_PERMISSIVE; SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON;",
			"gtid_mode is %q, must be \"ON\"", mode)
	}
	return nil
}

// checkReplica asks a replica to log what it applies.
func (p *preflight) checkReplica() error {
	query, variable, grant := "SHOW REPLICA STATUS", "log_replica_updates", "REPLICATION CLIENT"
	if p.Server.Flavor == MariaDB {
		query, variable, grant = "SHOW ALL SLAVES STATUS", "log_slave_updates", "REPLICA MONITOR"
	}
	replica, err := p.hasRows(query)
	if errors.Is(classify(err), ErrAccess) {
		p.missingGrant(grant)
		return nil
	}
	if err != nil || !replica {
		return err
	}
	on, _, err := p.variable(variable)
	if err == nil && on != "ON" {
		p.problem(Name{}, variable+" = ON   -- under [mysqld] in the server's configuration, then restart it", "the server is a replica and does not log what it applies")
	}
	return err
}

// checkNames refuses a server that keeps the case of names and does not tell cases apart: its
// log and its statements then name one table in two ways.
func (p *preflight) checkNames() error {
	mode, _, err := p.variable("lower_case_table_names")
	if err == nil && mode == "2" {
		p.problem(Name{}, "", "lower_case_table_names is 2, must be 0 or 1 (fixed when the server was set up)")
	}
	return err
}

func (p *preflight) hasRows(query string) (bool, error) {
	rows, err := p.db.QueryContext(p.ctx, query)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	return rows.Next(), rows.Err()
}

// missingGrant says once that a privilege is missing.
func (p *preflight) missingGrant(privilege string) {
	pr := Problem{What: "the user lacks the privilege " + privilege, Repair: fmt.Sprintf("GRANT %s ON *.* TO %s;", privilege, p.account())}
	if !slices.Contains(p.Problems, pr) {
		p.Problems = append(p.Problems, pr)
	}
}

// account is the user as GRANT wants it.
func (p *preflight) account() string {
	var account string
	if err := p.db.QueryRowContext(p.ctx, "SELECT CURRENT_USER()").Scan(&account); err != nil {
		return quoteString(p.src.User)
	}
	user, host, _ := strings.Cut(account, "@")
	return quoteString(user) + "@" + quoteString(host)
}

func quoteString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}

// checkFilters finds wanted schemas that the server keeps out of its log.
func (p *preflight) checkFilters() error {
	query, grant := "SHOW BINARY LOG STATUS", "REPLICATION CLIENT"
	if p.Server.Flavor == MariaDB {
		query, grant = "SHOW MASTER STATUS", "BINLOG MONITOR"
	}
	do, ignore, err := p.logFilters(query)
	if code, _ := serverError(err); code == codeSyntax { // MySQL before 8.2
		do, ignore, err = p.logFilters("SHOW MASTER STATUS")
	}
	if errors.Is(classify(err), ErrAccess) {
		p.missingGrant(grant)
		return nil
	}
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for _, t := range p.Tables {
		schema := t.Name.Schema
		if hidden := len(do) > 0 && !do[schema] || ignore[schema]; !hidden || told[schema] {
			continue
		}
		told[schema] = true
		p.problem(Name{}, "remove binlog_do_db and binlog_ignore_db from the server's configuration, then restart it", "binlog_do_db or binlog_ignore_db keeps schema %q out of the log", schema)
	}
	return nil
}

const codeSyntax = 1064

func (p *preflight) logFilters(query string) (do, ignore map[string]bool, err error) {
	rows, err := p.db.QueryContext(p.ctx, query)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, nil, err
	}
	values := make([]sql.NullString, len(columns))
	targets := make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	do, ignore = map[string]bool{}, map[string]bool{}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return nil, nil, err
		}
		for i, c := range columns {
			set := map[string]map[string]bool{"binlog_do_db": do, "binlog_ignore_db": ignore}[strings.ToLower(c)]
			for _, schema := range strings.FieldsFunc(values[i].String, func(r rune) bool { return r == ',' }) {
				if set != nil {
					set[strings.TrimSpace(schema)] = true
				}
			}
		}
	}
	return do, ignore, rows.Err()
}

// checkDurability warns where a crash of the server could take transactions back that were
// already read.
func (p *preflight) checkDurability() error {
	for _, name := range []string{"sync_binlog", "innodb_flush_log_at_trx_commit"} {
		got, _, err := p.variable(name)
		if err != nil {
			return err
		}
		if got != "1" {
			p.warn(p.set(name, "1"), "%s is %q: a crash of the server can lose transactions that are already replicated", name, got)
		}
	}
	return nil
}
