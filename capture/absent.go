package capture

import (
	"errors"
	"fmt"
	"strings"
)

// errUntold reports a row image without a column whose value nothing tells.
var errUntold = errors.New("the row image lacks what its row cannot do without")

// generated reports whether the server computes the column.
func (d described) generated() bool {
	extra := strings.ToUpper(d.extra)
	return strings.Contains(extra, "VIRTUAL GENERATED") || strings.Contains(extra, "STORED GENERATED")
}

// defaultOf gives the column's default where the server's text for it is exact, which leaves
// out what depends on a time zone or is rounded, and what is computed: such columns are in
// every image of an inserted row.
func (d described) defaultOf(c Column) *Default {
	text := d.byDefault.String
	switch {
	case d.generated() || strings.Contains(strings.ToLower(d.extra), "auto_increment"):
		return nil
	case strings.Contains(strings.ToUpper(d.extra), "DEFAULT_GENERATED"):
		return nil
	case !d.byDefault.Valid || d.mariaDB && text == "NULL":
		if !c.Nullable {
			return nil
		}
		return &Default{Null: true}
	}
	if quoted := strings.HasPrefix(text, "'"); d.mariaDB && quoted {
		var rest string
		var err error
		if text, rest, err = cutElement(text); err != nil || rest != "" {
			return nil
		}
	} else if d.mariaDB && !plainNumber(text) {
		return nil
	}
	return exactDefault(c, text)
}

// plainNumber reports that text is a number and no expression.
func plainNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789.eE+-") == ""
}

// exactDefault gives a default of text where that says exactly what is stored.
func exactDefault(c Column, text string) *Default {
	switch c.Type {
	case TypeTinyInt, TypeSmallInt, TypeMediumInt, TypeInt, TypeBigInt, TypeYear, TypeDecimal, TypeDouble,
		TypeDate, TypeDatetime, TypeTime, TypeVarchar, TypeEnum, TypeSet:
	case TypeChar:
		text = strings.TrimRight(text, " ") // as the server stores it
	case TypeFloat:
		if text != "0" { // others are rounded
			return nil
		}
	default:
		return nil
	}
	return &Default{Text: text}
}

// appendDefault closes the open row of column i with the column's default.
func (b *rowBuffer) appendDefault(i int) error {
	c := b.table.Columns[i]
	v := &b.columns[i]
	switch {
	case c.Default == nil:
		return fmt.Errorf("%s: column %q: %w: its default is not known", b.table.Name, c.Name, errUntold)
	case c.Default.Null:
		v.appendNull()
		return nil
	case c.Charset != "": // the text is UTF-8, as the lake wants it
		return b.closeColumn(i, parseBytes(v, []byte(c.Default.Text)))
	}
	parse, err := columnParser(c, b.schema.Field(i).Type)
	if err != nil {
		return err
	}
	return b.closeColumn(i, parse(v, []byte(c.Default.Text)))
}
