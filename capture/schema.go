package capture

import (
	"fmt"
	"slices"
	"strings"
)

// Name is a source table's name.
type Name struct {
	Schema string `json:"schema"`
	Table  string `json:"table"`
}

// String gives schema.table.
func (n Name) String() string { return n.Schema + "." + n.Table }

// SQL quotes the name for a statement.
func (n Name) SQL() string { return quoteName(n.Schema) + "." + quoteName(n.Table) }

// quoteName quotes one identifier.
func quoteName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// Type is a column's type by its lower-case SQL name ("bigint", "varchar"). Sizes, signs
// and charsets are fields of Column.
type Type string

// The supported types. TEXT and BLOB stand for their four sizes each.
const (
	TypeTinyInt   Type = "tinyint"
	TypeSmallInt  Type = "smallint"
	TypeMediumInt Type = "mediumint"
	TypeInt       Type = "int"
	TypeBigInt    Type = "bigint"
	TypeDecimal   Type = "decimal"
	TypeFloat     Type = "float"
	TypeDouble    Type = "double"
	TypeBit       Type = "bit"
	TypeDate      Type = "date"
	TypeDatetime  Type = "datetime"
	TypeTimestamp Type = "timestamp"
	TypeTime      Type = "time"
	TypeYear      Type = "year"
	TypeChar      Type = "char"
	TypeVarchar   Type = "varchar"
	TypeBinary    Type = "binary"
	TypeVarbinary Type = "varbinary"
	TypeText      Type = "text"
	TypeBlob      Type = "blob"
	TypeEnum      Type = "enum"
	TypeSet       Type = "set"
	TypeJSON      Type = "json"
	TypeGeometry  Type = "geometry" // with all its subtypes
	TypeVector    Type = "vector"
	TypeUUID      Type = "uuid"
	TypeInet4     Type = "inet4"
	TypeInet6     Type = "inet6"
)

// Column is one column of a source table: everything that decides how its values are
// stored in the log, and what it means where the log leaves them out.
type Column struct {
	Name      string   `json:"name"`
	Type      Type     `json:"type"`
	Size      int      `json:"size,omitempty"` // bytes of CHAR, VARCHAR, BINARY, VARBINARY, VECTOR; length bytes of TEXT and BLOB; bits of BIT
	Unsigned  bool     `json:"unsigned,omitempty"`
	Precision int      `json:"precision,omitempty"` // DECIMAL: all digits
	Scale     int      `json:"scale,omitempty"`     // DECIMAL: digits after the point
	Fraction  int      `json:"fraction,omitempty"`  // TIME, DATETIME, TIMESTAMP: digits of a second
	Charset   string   `json:"charset,omitempty"`   // CHAR, VARCHAR, TEXT, ENUM, SET
	Elements  []string `json:"elements,omitempty"`  // ENUM, SET: as information_schema shows them, with ? for characters beyond sixteen bits
	Nullable  bool     `json:"nullable,omitempty"`
	// Compressed says that MariaDB compresses values by themselves, in the log too.
	Compressed bool `json:"compressed,omitempty"`
	// Generated tells that the server computes the column; it does not decide how values are stored.
	Generated bool `json:"generated,omitempty"`
	// Default is what a row that is logged without the column was inserted with; nil where that
	// is not known.
	Default *Default `json:"default,omitempty"`
}

// Default is the default value of a column, as the server prints it.
type Default struct {
	Null bool   `json:"null,omitempty"`
	Text string `json:"text,omitempty"` // UTF-8
}

// equal compares all that decides how values are stored.
func (c Column) equal(d Column) bool {
	return c.Name == d.Name && c.Type == d.Type && c.Size == d.Size && c.Unsigned == d.Unsigned &&
		c.Precision == d.Precision && c.Scale == d.Scale && c.Fraction == d.Fraction &&
		c.Charset == d.Charset && c.Compressed == d.Compressed && slices.Equal(c.Elements, d.Elements)
}

// SQLType renders the type as in CREATE TABLE, for messages and documentation.
func (c Column) SQLType() string {
	s := strings.ToUpper(string(c.Type))
	switch c.Type {
	case TypeDecimal:
		s += fmt.Sprintf("(%d,%d)", c.Precision, c.Scale)
	case TypeBit, TypeBinary:
		s += fmt.Sprintf("(%d)", c.Size)
	case TypeVector:
		s += fmt.Sprintf("(%d)", c.Size/4)
	case TypeTime, TypeDatetime, TypeTimestamp:
		if c.Fraction > 0 {
			s += fmt.Sprintf("(%d)", c.Fraction)
		}
	}
	if c.Unsigned {
		s += " UNSIGNED"
	}
	if c.Charset != "" {
		s += " CHARACTER SET " + c.Charset
	}
	if c.Compressed {
		s += " COMPRESSED"
	}
	return s
}

// Table is the shape of one source table.
type Table struct {
	Name    Name     `json:"name"`
	Columns []Column `json:"columns"`
	// Key holds the indexes of the columns that identify a row, in key order: the primary
	// key, or else a unique key without NULLs, or what the user has declared. Empty where the
	// Identity is another.
	Key []int `json:"key"`
	// Identity is how rows are told apart.
	Identity Identity `json:"identity,omitempty"`
	// Described tells that Generated and Default of the columns are what the server says.
	Described bool `json:"described,omitempty"`
	// KeyName is the name of that key's index, "" where it is not known.
	KeyName string `json:"key-name,omitempty"`
	// RowEnd is the column that says until when a row of a system-versioned table was current,
	// "" for other tables. Where Columns lacks it, the log alone has it.
	RowEnd string `json:"row-end,omitempty"`
}

// column gives the index of a column, negative where there is none of that name.
func (t *Table) column(name string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
}

// KeyColumns returns the columns of the key in key order.
func (t *Table) KeyColumns() []Column {
	out := make([]Column, len(t.Key))
	for i, k := range t.Key {
		out[i] = t.Columns[k]
	}
	return out
}

// IsKey reports whether the i-th column is part of the key.
func (t *Table) IsKey(i int) bool { return slices.Contains(t.Key, i) }

// told compares what the text of an ALTER TABLE tells of a column. The character set of a text
// and what follows from it may be the table's own, which the text does not name.
func (c Column) told(d Column) bool {
	if c.Charset != "" && d.Charset != "" {
		d.Charset, d.Size = c.Charset, c.Size
	}
	return c.equal(d)
}

// Difference describes how the columns of u differ from those of t, or "" where they are the
// same but for the character sets of texts. Nullability is left out: it changes no stored value.
func (t *Table) Difference(u *Table) string {
	var out []string
	for i := range max(len(t.Columns), len(u.Columns)) {
		switch {
		case i >= len(u.Columns):
			out = append(out, fmt.Sprintf("column %q is gone", t.Columns[i].Name))
		case i >= len(t.Columns):
			out = append(out, fmt.Sprintf("column %q is new", u.Columns[i].Name))
		case t.Columns[i].Name != u.Columns[i].Name:
			out = append(out, fmt.Sprintf("column %d is %q, was %q", i+1, u.Columns[i].Name, t.Columns[i].Name))
		case !t.Columns[i].told(u.Columns[i]):
			out = append(out, fmt.Sprintf("column %q is %s, was %s", u.Columns[i].Name, u.Columns[i].SQLType(), t.Columns[i].SQLType()))
		}
	}
	return strings.Join(out, "; ")
}
