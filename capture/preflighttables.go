package capture

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cdcd/capture/binlog"
)

// checkTables reports tables that cannot be replicated as they are.
func (p *preflight) checkTables() error {
	if len(p.Tables) == 0 {
		p.problem(Name{}, "check tables[].include in the configuration, and that the user may SELECT", "no table matches the configuration")
		p.Problems[len(p.Problems)-1].Shape = true
	}
	if slices.ContainsFunc(p.Tables, func(t TableInfo) bool { return t.RowEnd != "" }) {
		if err := p.checkPresent(); err != nil {
			return err
		}
	}
	for _, t := range p.Tables {
		if t.Problem == nil {
			continue
		}
		repair := cmp.Or(repairKey(t.Name, t.Problem), LeaveOut(t.Name))
		p.problem(t.Name, repair, "%s", strings.ReplaceAll(t.Problem.Error(), "\n", "; "))
		p.Problems[len(p.Problems)-1].Shape = true
	}
	return nil
}

// checkPresent refuses a server on which SELECT shows system-versioned tables as they were.
func (p *preflight) checkPresent() error {
	const variable, present = "system_versioning_asof", "DEFAULT"
	asOf, _, err := p.variable(variable)
	if err == nil && asOf != present {
		p.problem(Name{}, "SET GLOBAL "+variable+" = "+present+";", "%s is %q, must be %q: SELECT shows rows of the past", variable, asOf, present)
	}
	return err
}

// ErrPast reports a server on which SELECT shows rows that are no more.
var ErrPast = errors.New("the server shows the past")

// ShowsPresent tells of a server on which SELECT shows a system-versioned table as it was, nil where
// it does not, or where the table keeps no history.
func ShowsPresent(ctx context.Context, db *sql.DB, t TableInfo) error {
	if t.RowEnd == "" {
		return nil
	}
	p := &preflight{ctx: ctx, db: db}
	if err := p.checkPresent(); err != nil || len(p.Problems) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s (%s)", ErrPast, p.Problems[0].What, p.Problems[0].Repair)
}

// checkSelect tries to read every column of every table.
func (p *preflight) checkSelect() error {
	for _, t := range p.Tables {
		err := p.trySelect(t.Table)
		switch {
		case err == nil:
		case errors.Is(classify(err), ErrAccess):
			p.problem(t.Name, fmt.Sprintf("GRANT SELECT ON %s.* TO %s;", quoteName(t.Name.Schema), p.account()), "the user may not read the table")
		default:
			return fmt.Errorf("read %s: %w", t.Name, whetherAltered(err))
		}
	}
	return nil
}

func (p *preflight) trySelect(t Table) error {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = quoteName(c.Name)
	}
	rows, err := p.db.QueryContext(p.ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+t.Name.SQL()+" LIMIT 0")
	if err != nil {
		return err
	}
	return rows.Close()
}

// checkLocks warns of tables that the user may not lock on MySQL, as it takes to load one without a
// key. It is no problem for one that is loaded. The table that is asked for does not exist, which
// the server says only to a user who might lock it.
func (p *preflight) checkLocks(wish func(Name) Wish) error {
	const unknown = "cdcd no table"
	told := map[string]bool{}
	for _, t := range p.Tables {
		schema := t.Name.Schema
		if p.Server.Flavor == MariaDB || t.Identity == ByKey || wish != nil && wish(t.Name).Empty || told[schema] {
			continue
		}
		told[schema] = true
		_, err := p.db.ExecContext(p.ctx, "LOCK TABLES "+Name{schema, unknown}.SQL()+" READ")
		switch code, _ := serverError(err); code {
		case codeDeniedDB:
			p.warn(fmt.Sprintf("GRANT LOCK TABLES ON %s.* TO %s;", quoteName(schema), p.account()), "the user may not lock %s, as a load takes for a moment of a table without a key", t.Name)
		case 0:
			return err
		}
	}
	return nil
}

// checkDump opens a dump connection where the log ends, which is the only sure test of the
// right to do so.
func (p *preflight) checkDump() error {
	if p.silent {
		return nil // it would fail for that reason
	}
	const patience = 5 * time.Second
	tlsConfig, err := p.src.tlsConfig()
	if err != nil {
		return err
	}
	d, err := binlog.Dial(p.ctx, binlog.Config{
		Address: p.src.Address, User: p.src.User, Password: p.src.Password, TLS: tlsConfig, MariaDB: p.Server.Flavor == MariaDB,
		Position: p.Server.Executed.ResumeFrom(), ServerID: passingID(), ReplicaID: p.src.checkID(), Heartbeat: Heartbeat,
	})
	if err == nil {
		defer d.Close()
		_, err = d.Next(time.Now().Add(patience))
	}
	switch {
	case err == nil, errors.Is(err, binlog.ErrIdle):
		return nil
	case errors.Is(classify(err), ErrAccess):
		p.missingGrant("REPLICATION SLAVE")
		return nil
	case len(p.Problems) > 0: // one of which may be the reason
		return nil
	}
	return fmt.Errorf("open the log: %w", classify(err))
}
