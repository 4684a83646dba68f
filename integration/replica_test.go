//go:build integration

package integration

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"cdcd/capture"
)

// replica is a second server that follows a source and stands still at exact positions, so
// that the source's rows can be read as they were there.
type replica struct {
	*server
	source *server
}

// startReplica starts a replica that has nothing yet. It ends with the test.
func startReplica(t testing.TB, source *server) *replica {
	t.Helper()
	// It is thrown away if it crashes, so nothing needs to be on disk.
	options := []string{"--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--replica-parallel-workers=1", "--skip-replica-start"}
	if source.flavor == capture.MariaDB {
		options = append(options[:3], "--skip-slave-start")
	}
	r := &replica{ownServer(t, source.release, options...), source}
	host, port, err := net.SplitHostPort(source.address)
	if err != nil {
		t.Fatal(err)
	}
	if r.flavor == capture.MariaDB {
		r.exec(t, fmt.Sprintf("CHANGE MASTER TO MASTER_HOST = '%s', MASTER_PORT = %s, MASTER_USER = 'cdc', MASTER_PASSWORD = 'cdc', MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = slave_pos, MASTER_SSL = 0", host, port))
		return r
	}
	r.exec(t, fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '%s', SOURCE_PORT = %s, SOURCE_USER = 'cdc', SOURCE_PASSWORD = 'cdc', SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 1000, SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1", host, port))
	r.exec(t, "START REPLICA IO_THREAD")
	return r
}

// advance applies the log up to a position and no further. The position must not lie before
// the one where the replica stands.
func (r *replica) advance(ctx context.Context, to capture.Position) error {
	at, err := r.position(ctx)
	if err != nil || at.Equal(to) {
		return err
	}
	until := fmt.Sprintf("START REPLICA SQL_THREAD UNTIL SQL_AFTER_GTIDS = '%s'", to)
	if r.flavor == capture.MariaDB {
		until = fmt.Sprintf("START SLAVE UNTIL MASTER_GTID_POS = '%s'", to)
	}
	if _, err := r.db.ExecContext(ctx, until); err != nil {
		return fmt.Errorf("advance the replica from %s to %s: %w", at, to, err)
	}
	if err := r.rest(ctx); err != nil {
		return fmt.Errorf("advance the replica from %s to %s: %w", at, to, err)
	}
	if at, err = r.position(ctx); err == nil && !at.Equal(to) {
		err = fmt.Errorf("the replica stands at %s instead of %s: no transaction ends there, or it is not a prefix of the log", at, to)
	}
	return err
}

// position is what the replica has applied.
func (r *replica) position(ctx context.Context) (capture.Position, error) {
	query := "SELECT @@GLOBAL.gtid_executed"
	if r.flavor == capture.MariaDB {
		query = "SELECT @@GLOBAL.gtid_slave_pos"
	}
	var text string
	if err := r.db.QueryRowContext(ctx, query).Scan(&text); err != nil {
		return capture.Position{}, err
	}
	return capture.ParsePosition(r.flavor, text)
}

// rest waits until the applier stands still.
func (r *replica) rest(ctx context.Context) error {
	const patience, between = 2 * time.Minute, 20 * time.Millisecond
	for deadline := time.Now().Add(patience); ; time.Sleep(between) {
		state, err := r.applier(ctx)
		switch {
		case err != nil:
			return err
		case state["Last_SQL_Errno"] != "0":
			return fmt.Errorf("the applier: %s", state["Last_SQL_Error"])
		case state["running"] == "No":
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("the applier still runs after %v: %v", patience, state)
		}
	}
}

// applier is what the server says of its replication; "running" is the applier's state under
// a name that both flavors share.
func (r *replica) applier(ctx context.Context) (map[string]string, error) {
	query, running := "SHOW REPLICA STATUS", "Replica_SQL_Running"
	if r.flavor == capture.MariaDB {
		query, running = "SHOW SLAVE STATUS", "Slave_SQL_Running"
	}
	rows, err := r.db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	if !rows.Next() {
		return nil, fmt.Errorf("%s is empty: %w", query, rows.Err())
	}
	values := make([]*string, len(names))
	targets := make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	if err := rows.Scan(targets...); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i, v := range values {
		if v != nil {
			out[names[i]] = *v
		}
	}
	out["running"] = out[running]
	return out, rows.Err()
}
