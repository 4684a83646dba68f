package capture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cdcd/capture/statement"
)

// TableInfo is a source table as the server describes it now. Problem says why it cannot
// be replicated; Table then may be incomplete.
type TableInfo struct {
	Table
	Rows     int64 // the server's estimate
	RowBytes int64 // the server's estimate of the average row
	Problem  error
	engine   string
}

// Tables describes the base tables that want selects, by name, with what wish says of how their
// rows are told apart (nil: nothing). Views, sequences and system tables are passed over.
func Tables(ctx context.Context, db *sql.DB, want func(Name) bool, wish func(Name) Wish) ([]TableInfo, error) {
	infos, err := listTables(ctx, db, want)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	byName := make(map[Name]*TableInfo, len(infos))
	schemas := map[string]bool{}
	for i := range infos {
		byName[infos[i].Name] = &infos[i]
		schemas[infos[i].Name.Schema] = true
	}
	for schema := range schemas {
		if err := readColumns(ctx, db, schema, "", byName); err != nil {
			return nil, fmt.Errorf("read columns of %s: %w", schema, err)
		}
		if err := readKeys(ctx, db, schema, byName); err != nil {
			return nil, fmt.Errorf("read keys of %s: %w", schema, err)
		}
	}
	for i := range infos {
		infos[i].Described = true
		var w Wish
		if wish != nil {
			w = wish(infos[i].Name)
		}
		infos[i].identify(w)
	}
	return stillThere(ctx, db, want, infos)
}

// stillThere leaves out the tables that were dropped while they were described: what is missing
// then is no fault of theirs.
func stillThere(ctx context.Context, db *sql.DB, want func(Name) bool, infos []TableInfo) ([]TableInfo, error) {
	partial := func(t TableInfo) bool { return len(t.Columns) == 0 || t.Problem != nil }
	if !slices.ContainsFunc(infos, partial) {
		return infos, nil
	}
	now, err := listTables(ctx, db, want)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	there := make(map[Name]bool, len(now))
	for _, t := range now {
		there[t.Name] = true
	}
	return slices.DeleteFunc(infos, func(t TableInfo) bool { return partial(t) && !there[t.Name] }), nil
}

func listTables(ctx context.Context, db *sql.DB, want func(Name) bool) ([]TableInfo, error) {
	rows, err := db.QueryContext(ctx, `SELECT table_schema, table_name, table_type, COALESCE(table_rows, 0), COALESCE(avg_row_length, 0), COALESCE(engine, '')
		FROM information_schema.tables
		WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
		  AND table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
		ORDER BY table_schema, table_name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []TableInfo
	for rows.Next() {
		var t TableInfo
		var kind string
		if err := rows.Scan(&t.Name.Schema, &t.Name.Table, &kind, &t.Rows, &t.RowBytes, &t.engine); err != nil {
			return nil, err
		}
		if !want(t.Name) {
			continue
		}
		if kind != "BASE TABLE" {
			t.RowEnd = hiddenRowEnd
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// described is a row of information_schema.columns.
type described struct {
	name               Name
	column             string
	dataType, fullType string
	nullable           string
	octets             sql.NullInt64
	precision, scale   sql.NullInt64
	fraction           sql.NullInt64
	charset            sql.NullString
	byDefault          sql.NullString
	extra              string
	expression         sql.NullString
	mariaDB            bool
}

// querier is a connection, or a pool of them.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// readColumns reads the columns of one table of a schema or, where it is "", of all.
func readColumns(ctx context.Context, db querier, schema, table string, byName map[Name]*TableInfo) error {
	rows, err := db.QueryContext(ctx, `SELECT table_schema, table_name, column_name, data_type, column_type, is_nullable,
		       character_octet_length, numeric_precision, numeric_scale, datetime_precision, character_set_name,
		       column_default, extra, generation_expression, INSTR(VERSION(), 'MariaDB') > 0
		FROM information_schema.columns WHERE table_schema = ? AND (? = '' OR table_name = ?) ORDER BY table_name, ordinal_position`, schema, table, table)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var d described
		if err := rows.Scan(&d.name.Schema, &d.name.Table, &d.column, &d.dataType, &d.fullType, &d.nullable,
			&d.octets, &d.precision, &d.scale, &d.fraction, &d.charset, &d.byDefault, &d.extra, &d.expression, &d.mariaDB); err != nil {
			return err
		}
		t := byName[d.name]
		if t == nil {
			continue
		}
		c, err := d.toColumn()
		c.Default, c.Generated = d.defaultOf(c), d.generated()
		if err != nil {
			t.Problem = errors.Join(t.Problem, fmt.Errorf("column %q: %w", d.column, err))
		}
		if t.RowEnd != "" && d.expression.String == "ROW END" {
			t.RowEnd = c.Name
			if c.Type != TypeTimestamp {
				t.Problem = errors.Join(t.Problem, fmt.Errorf("column %q: %w: a system-versioned table with numbers of transactions, whose changes MariaDB logs as statements", d.column, ErrUnsupportedType))
			}
		}
		t.Columns = append(t.Columns, c)
	}
	return rows.Err()
}

// toColumn gives the column in the terms of the log.
func (d described) toColumn() (Column, error) {
	c := Column{Name: d.column, Nullable: d.nullable == "YES"}
	t, full := strings.ToLower(d.dataType), strings.ToLower(d.fullType)
	unsigned := strings.Contains(full, "unsigned")
	switch t {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "float", "double":
		c.Type, c.Unsigned = Type(t), unsigned
	case "decimal":
		c.Type, c.Unsigned = TypeDecimal, unsigned
		c.Precision, c.Scale = int(d.precision.Int64), int(d.scale.Int64)
	case "bit":
		c.Type, c.Size = TypeBit, int(d.precision.Int64)
	case "date", "year", "json":
		c.Type = Type(t)
	case "datetime", "timestamp", "time":
		c.Type, c.Fraction = Type(t), int(d.fraction.Int64)
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geomcollection", "geometrycollection":
		c.Type = TypeGeometry
	case "vector":
		c.Type, c.Size = TypeVector, int(d.octets.Int64)
	case "uuid", "inet4", "inet6":
		if full != t { // stored in another way
			return c, fmt.Errorf("%w: %s", ErrUnsupportedType, d.fullType)
		}
		c.Type = Type(t)
	default:
		return d.textual(c, t)
	}
	return c, nil
}

func (d described) textual(c Column, dataType string) (Column, error) {
	sizes := map[string]int{"tiny": 1, "": 2, "medium": 3, "long": 4}
	c.Charset = canonicalCharset(d.charset.String)
	c.Compressed = dataType != "enum" && dataType != "set" && strings.Contains(strings.ToLower(d.fullType), "compressed") // which may be an element
	switch dataType {
	case "char", "varchar":
		c.Type, c.Size = Type(dataType), int(d.octets.Int64)
	case "binary", "varbinary":
		c.Type, c.Size, c.Charset = Type(dataType), int(d.octets.Int64), ""
	case "tinytext", "text", "mediumtext", "longtext":
		c.Type, c.Size = TypeText, sizes[strings.TrimSuffix(dataType, "text")]
	case "tinyblob", "blob", "mediumblob", "longblob":
		c.Type, c.Size, c.Charset = TypeBlob, sizes[strings.TrimSuffix(dataType, "blob")], ""
	case "enum", "set":
		c.Type = Type(dataType)
		var err error
		if c.Elements, err = parseElements(d.fullType); err != nil {
			return c, err
		}
	default:
		return c, fmt.Errorf("%w: %s", ErrUnsupportedType, d.fullType)
	}
	if c.Charset != "" && textDecoder(c.Charset) == nil {
		return c, fmt.Errorf("%w: %s with character set %s", ErrUnsupportedType, dataType, c.Charset)
	}
	return c, nil
}

// parseElements reads the elements out of "enum('a','b”c')", where quotes are doubled and
// control characters and backslashes escaped.
func parseElements(columnType string) ([]string, error) {
	_, list, ok := strings.Cut(columnType, "(")
	list, closed := strings.CutSuffix(list, ")")
	if !ok || !closed {
		return nil, fmt.Errorf("elements of %q", columnType)
	}
	var out []string
	for len(list) > 0 {
		element, rest, err := cutElement(list)
		if err != nil {
			return nil, fmt.Errorf("elements of %q: %w", columnType, err)
		}
		out = append(out, element)
		list = strings.TrimPrefix(rest, ",")
	}
	return out, nil
}

// cutElement reads the quoted element at the front of s.
func cutElement(s string) (element, rest string, err error) {
	if s[0] != '\'' {
		return "", "", errors.New("no quote")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			b.WriteByte('\'')
			i++
		case s[i] == '\'':
			return b.String(), s[i+1:], nil
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(unescape(s[i]))
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", errors.New("no closing quote")
}

func unescape(c byte) byte {
	switch c {
	case '0':
		return 0
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	}
	return c
}

// readKeys finds each table's primary key or, without one, the unique key that can stand
// in: no NULLs, no expressions, fewest columns, then by name.
func readKeys(ctx context.Context, db *sql.DB, schema string, byName map[Name]*TableInfo) error {
	rows, err := db.QueryContext(ctx, `SELECT table_schema, table_name, index_name, column_name
		FROM information_schema.statistics WHERE table_schema = ? AND non_unique = 0
		ORDER BY table_name, index_name, seq_in_index`, schema)
	if err != nil {
		return err
	}
	defer rows.Close()
	type index struct {
		table Name
		name  string
	}
	found := map[index][]string{}
	var order []index
	for rows.Next() {
		var ix index
		var column sql.NullString
		if err := rows.Scan(&ix.table.Schema, &ix.table.Table, &ix.name, &column); err != nil {
			return err
		}
		if _, seen := found[ix]; !seen {
			order = append(order, ix)
		}
		found[ix] = append(found[ix], column.String) // "" for an expression
	}
	for _, ix := range order {
		if t := byName[ix.table]; t != nil {
			t.offerKey(ix.name, found[ix])
		}
	}
	return rows.Err()
}

// offerKey takes the key where it is better than what the table has.
func (t *TableInfo) offerKey(name string, columns []string) {
	key := make([]int, 0, len(columns))
	for _, c := range columns {
		if c != "" && c == t.RowEnd { // the same in all current rows
			continue
		}
		i := t.column(c)
		if i < 0 || t.Columns[i].Nullable {
			return
		}
		key = append(key, i)
	}
	if len(key) == 0 {
		return
	}
	better := t.Key == nil || t.KeyName != primary && len(key) < len(t.Key)
	if name == primary || better {
		t.Key, t.KeyName = key, name
	}
}

// primary is the name of every primary key.
const primary = statement.Primary
