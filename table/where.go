package table

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"
)

// ErrCondition reports a condition on rows that cannot be read.
var ErrCondition = errors.New("want comparisons such as id >= 100 and day < '2026-01-01'")

// comparison reads one comparison and what joins it to the next.
const comparison = "^\\s*(`[^`]+`|\"[^\"]+\"|[A-Za-z_][A-Za-z0-9_]*)\\s*(<=|>=|<>|!=|=|<|>)\\s*('(?:[^']|'')*'|[^\\s']+)\\s*(?:(?i:and)\\s|$)"

// operation names the operators.
func operation(text string) iceberg.Operation {
	return map[string]iceberg.Operation{
		"=": iceberg.OpEQ, "!=": iceberg.OpNEQ, "<>": iceberg.OpNEQ, "<": iceberg.OpLT, "<=": iceberg.OpLTEQ, ">": iceberg.OpGT, ">=": iceberg.OpGTEQ,
	}[text]
}

// condition reads comparisons of columns with literals, joined by and.
func (h *Head) condition(text string) (iceberg.BooleanExpression, error) {
	pattern := regexp.MustCompile(comparison)
	var out iceberg.BooleanExpression
	for rest := text; out == nil || strings.TrimSpace(rest) != ""; {
		m := pattern.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("%w; %q is none", ErrCondition, rest)
		}
		rest = rest[len(m[0]):]
		column := strings.Trim(m[1], "`\"")
		field, ok := h.schema().FindFieldByName(column)
		if !ok {
			return nil, fmt.Errorf("%w; %s has no column %q", ErrCondition, h.Name, column)
		}
		literal, err := iceberg.NewLiteral(unquoted(m[3], field.Type)).To(field.Type)
		if err != nil {
			return nil, fmt.Errorf("%w; column %q: %w", ErrCondition, column, err)
		}
		var one iceberg.BooleanExpression = iceberg.LiteralPredicate(operation(m[2]), iceberg.Reference(column), literal)
		if out != nil {
			one = iceberg.NewAnd(out, one)
		}
		out = one
	}
	return out, nil
}

// unquoted gives a literal's text as the library wants it for a type.
func unquoted(text string, typ iceberg.Type) string {
	if inner, ok := strings.CutPrefix(text, "'"); ok {
		text = strings.ReplaceAll(strings.TrimSuffix(inner, "'"), "''", "'")
	}
	switch typ.(type) {
	case iceberg.TimestampType, iceberg.TimestampTzType:
		day, clock, ok := strings.Cut(strings.Replace(text, "T", " ", 1), " ")
		if !ok {
			clock = "00:00:00"
		}
		text = day + "T" + clock
		if _, zoned := typ.(iceberg.TimestampTzType); zoned && !strings.ContainsAny(clock, "Z+-") {
			text += "Z"
		}
	}
	return text
}

// FilesWhere gives the data files of the current snapshot that may hold rows for which a
// condition is true, by partitions and by the bounds in the manifests.
func (h *Head) FilesWhere(ctx context.Context, condition string) (map[string]bool, error) {
	expr, err := h.condition(condition)
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context) (iceio.IO, error) { return h.store.IO(ctx), nil }
	t := icetable.New(h.Name.identifier(), h.meta, h.location, open, nil)
	tasks, err := t.Scan(icetable.WithRowFilter(expr)).PlanFiles(ctx)
	if err != nil {
		return nil, fmt.Errorf("plan a scan of %s: %w", h.Name, err)
	}
	out := map[string]bool{}
	for _, f := range tasks {
		out[f.File.FilePath()] = true
	}
	return out, nil
}
