package capture

import (
	"errors"
	"fmt"
)

// checkServerID refuses a server id that the server or a replica of it goes by. MariaDB ends the
// connection of the replica that was there before, and that one the other's; MySQL tells replicas
// apart by their UUIDs. Where the user may not see the replicas, it shows when the stream is taken.
func (p *preflight) checkServerID() error {
	own, _, err := p.variable("server_id")
	if err != nil {
		return err
	}
	const repair = "source: {server_id: ...}   # which no server of this replication has"
	if own == fmt.Sprint(p.src.ServerID) {
		p.problem(Name{}, repair, "source.server_id is %d, which is the server's own", p.src.ServerID)
	}
	ids, err := p.replicas()
	if errors.Is(classify(err), ErrAccess) {
		return nil
	}
	switch {
	case err != nil || !ids[fmt.Sprint(p.src.ServerID)]:
	case p.Server.Flavor == MariaDB:
		p.problem(Name{}, repair, "a replica with the server id %d is connected: the server would end its connection for that of cdcd (source.server_id)", p.src.ServerID)
	default:
		p.warn(repair, "a replica with the server id %d, which is that of cdcd too (source.server_id), is connected", p.src.ServerID)
	}
	return err
}

// replicas gives the server ids of the replicas that have registered, which cdcd itself does not.
func (p *preflight) replicas() (map[string]bool, error) {
	rows, err := p.db.QueryContext(p.ctx, "SHOW REPLICAS")
	if code, _ := serverError(err); code == codeSyntax { // MariaDB, and MySQL before 8.0.22
		rows, err = p.db.QueryContext(p.ctx, "SHOW SLAVE HOSTS")
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, targets := rawTargets(len(columns)) // the first is the server id
	ids := map[string]bool{}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		ids[string(values[0])] = true
	}
	return ids, rows.Err()
}
