package capture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrUnlogged reports a table of which some changes are not in the log.
var ErrUnlogged = errors.New("rows change without a trace in the log")

// Cascades tells of a foreign key that changes a table without a trace in the log, nil where there
// is none.
func Cascades(ctx context.Context, db *sql.DB, t TableInfo) error {
	p := &preflight{ctx: ctx, db: db}
	var err error
	if p.Server, err = Describe(ctx, db); err != nil {
		return err
	}
	p.Tables = []TableInfo{t}
	if err := p.checkCascades(); err != nil || len(p.Problems) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnlogged, p.Problems[0].What)
}

// checkCascades finds foreign keys whose actions change wanted tables without a trace in
// the log. MySQL logs them from 9.6 on, unless innodb_native_foreign_keys is set; MariaDB
// does not.
func (p *preflight) checkCascades() error {
	logged, err := p.logsCascades()
	if err != nil || logged {
		return err
	}
	wanted := map[Name]bool{}
	for _, t := range p.Tables {
		wanted[t.Name] = true
	}
	rows, err := p.db.QueryContext(p.ctx, `SELECT constraint_schema, table_name, constraint_name, update_rule, delete_rule
		FROM information_schema.referential_constraints
		WHERE update_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT') OR delete_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
		ORDER BY 1, 2, 3`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var child Name
		var constraint, onUpdate, onDelete string
		if err := rows.Scan(&child.Schema, &child.Table, &constraint, &onUpdate, &onDelete); err != nil {
			return err
		}
		if !wanted[child] {
			continue
		}
		repair := fmt.Sprintf("ALTER TABLE %s DROP FOREIGN KEY %s;   -- or recreate it with ON UPDATE RESTRICT ON DELETE RESTRICT, or exclude the table", child.SQL(), quoteName(constraint))
		if p.Server.Flavor == MySQL && p.versionAtLeast(9, 6) {
			repair = "innodb_native_foreign_keys = OFF   -- in the server's configuration, then restart it\n" + repair
		}
		p.problem(child, repair, "foreign key %s (ON UPDATE %s ON DELETE %s) changes rows that the server does not log", constraint, onUpdate, onDelete)
	}
	return rows.Err()
}

func (p *preflight) logsCascades() (bool, error) {
	if p.Server.Flavor == MariaDB || !p.versionAtLeast(9, 6) {
		return false, nil
	}
	native, _, err := p.variable("innodb_native_foreign_keys")
	return native != "ON", err
}

// versionAtLeast compares the first two numbers of the server's version.
func (p *preflight) versionAtLeast(major, minor int) bool {
	fields := strings.FieldsFunc(p.Server.Version, func(r rune) bool { return r < '0' || r > '9' })
	if len(fields) < 2 {
		return false
	}
	a, err1 := strconv.Atoi(fields[0])
	b, err2 := strconv.Atoi(fields[1])
	return err1 == nil && err2 == nil && (a > major || a == major && b >= minor)
}
