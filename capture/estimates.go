package capture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// estimateAtOnce is how many tables are asked for by one query.
const estimateAtOnce = 500

// EstimateRows puts the server's present estimates in place of those that it keeps for a day: what
// MySQL says of a table without being asked to look may be from before a large import. MariaDB always
// looks. Where the server refuses, what it keeps has to do.
func EstimateRows(ctx context.Context, db *sql.DB, infos []TableInfo) error {
	if len(infos) == 0 {
		return nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.ExecContext(ctx, "SET SESSION information_schema_stats_expiry = 0")
	if refused(err) {
		return nil // MariaDB has no such setting
	}
	if err != nil {
		return fmt.Errorf("estimate rows: %w", err)
	}
	for part := range slices.Chunk(infos, estimateAtOnce) {
		if err = estimate(ctx, conn, part); err != nil {
			break
		}
	}
	_, again := conn.ExecContext(context.WithoutCancel(ctx), "SET SESSION information_schema_stats_expiry = DEFAULT")
	if refused(err) {
		err = nil
	}
	if err = errors.Join(err, again); err != nil {
		return fmt.Errorf("estimate rows: %w", err)
	}
	return nil
}

func refused(err error) bool {
	code, _ := serverError(err)
	return code != 0
}

func estimate(ctx context.Context, conn *sql.Conn, infos []TableInfo) error {
	byName := make(map[Name]*TableInfo, len(infos))
	names := make([]any, 0, 2*len(infos))
	for i := range infos {
		byName[infos[i].Name] = &infos[i]
		names = append(names, infos[i].Name.Schema, infos[i].Name.Table)
	}
	rows, err := conn.QueryContext(ctx, `SELECT table_schema, table_name, COALESCE(table_rows, 0), COALESCE(avg_row_length, 0)
		FROM information_schema.tables WHERE (table_schema, table_name) IN ((?, ?)`+strings.Repeat(", (?, ?)", len(infos)-1)+`)`, names...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n Name
		var count, size int64
		if err := rows.Scan(&n.Schema, &n.Table, &count, &size); err != nil {
			return err
		}
		if t := byName[n]; t != nil {
			t.Rows, t.RowBytes = count, size
		}
	}
	return rows.Err()
}
