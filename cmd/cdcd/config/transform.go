package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Transform is one part of what the rows of a table are divided into partitions by. It is
// written as a column's name alone, or as year(column), bucket(16, column) and the like.
type Transform struct {
	Name   string // identity, bucket, truncate, year, month, day or hour
	Width  int    // of bucket and truncate; else 0
	Column string
}

var transformCall = regexp.MustCompile(`^([A-Za-z]+)\s*\((.*)\)$`)

// String returns the form that reads back as t.
func (t Transform) String() string {
	column := t.Column
	if t.Name == "identity" && transformCall.MatchString(column) || strings.HasPrefix(column, "`") || strings.TrimSpace(column) != column {
		column = "`" + strings.ReplaceAll(column, "`", "``") + "`"
	}
	switch {
	case t.Name == "identity" || t.Name == "":
		return column
	case t.Width != 0:
		return fmt.Sprintf("%s(%d, %s)", t.Name, t.Width, column)
	}
	return t.Name + "(" + column + ")"
}

// MarshalText returns t as String does.
func (t Transform) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

var errTransform = errors.New("want a column, year(column), month(column), day(column), hour(column), bucket(16, column) or truncate(10, column)")

// UnmarshalText reads a column or a call of a transform with one.
func (t *Transform) UnmarshalText(text []byte) error {
	m := transformCall.FindStringSubmatch(strings.TrimSpace(string(text)))
	if m == nil {
		return t.parse("identity", 0, string(text))
	}
	name, args := strings.ToLower(m[1]), m[2]
	switch {
	case slices.Contains([]string{"year", "month", "day", "hour", "identity"}, name):
		return t.parse(name, 0, args)
	case name == "bucket" || name == "truncate":
		number, column, ok := strings.Cut(args, ",")
		width, err := strconv.ParseInt(strings.TrimSpace(number), 10, 32)
		if !ok || err != nil || width < 1 {
			return fmt.Errorf("want %s(n, column) with n from 1 to 2147483647", name)
		}
		return t.parse(name, int(width), column)
	}
	return errTransform
}

// parse takes the column's name, which may stand in backquotes.
func (t *Transform) parse(name string, width int, column string) error {
	column = strings.TrimSpace(column)
	if len(column) > 1 && column[0] == '`' && column[len(column)-1] == '`' {
		column = strings.ReplaceAll(column[1:len(column)-1], "``", "`")
	}
	if column == "" {
		return errTransform
	}
	*t = Transform{name, width, column}
	return nil
}

// rejoin puts together again what YAML takes for two elements of [bucket(16, a), b]: the comma
// inside of the parentheses is none of the list's.
func rejoin(nodes []*yaml.Node) []*yaml.Node {
	var out []*yaml.Node
	for _, n := range nodes {
		if last := len(out) - 1; last >= 0 && isOpen(out[last]) && isPlain(n) {
			whole := *out[last]
			whole.Value += ", " + n.Value
			out[last] = &whole
			continue
		}
		out = append(out, n)
	}
	return out
}

// isOpen reports a text without quotes that ends inside of parentheses.
func isOpen(n *yaml.Node) bool {
	return isPlain(n) && strings.Count(n.Value, "(") > strings.Count(n.Value, ")")
}

func isPlain(n *yaml.Node) bool {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle
	return n.Kind == yaml.ScalarNode && n.Style&quoted == 0
}
