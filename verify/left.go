package verify

import (
	"context"
	"database/sql"
	"fmt"

	"cdcd/capture"
	"cdcd/table"
)

// hasLeft reports that a table is not replicated any more, and so not to be compared: what differs is
// no error of replication. Where the source has no table of its name, that is as it should be.
func (c *comparison) hasLeft(ctx context.Context, conn *sql.Conn, h *table.Head) (bool, error) {
	q := h.Quarantine
	if q == nil {
		return false, nil
	}
	there := true
	if q.OfName() {
		var err error
		if there, err = hasTable(ctx, conn, h.Source.Table.Name); err != nil {
			return false, err
		}
	}
	c.result.Source, c.result.Verdict, c.result.Reason = h.Source.Table.Name.String(), Dropped, q.Reason
	if there {
		c.result.Verdict = Quarantined
		c.result.Reason += "; repair: cdcd resnapshot " + h.Name.String()
	}
	if q.GTID != "" {
		c.result.Reason = "before " + q.GTID + ": " + c.result.Reason
	}
	return true, nil
}

// hasTable reports whether a name means a table of the source, and no view.
func hasTable(ctx context.Context, conn *sql.Conn, n capture.Name) (there bool, err error) {
	err = conn.QueryRowContext(ctx, `SELECT COUNT(*) > 0 FROM information_schema.tables
		WHERE table_schema = ? AND table_name = ? AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')`, n.Schema, n.Table).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", n, err)
	}
	return there, nil
}
