package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ControlNamespace holds the control tables of all pipelines, each under its pipeline's name.
const ControlNamespace = "cdcd_control"

// Target is the Iceberg table that a source table is replicated to.
type Target struct {
	Namespace       string
	Table           string
	CommitTimestamp bool // the table has the column _cdcd_commit_ts
	Rule            int  // the place in Config.Tables of the rule that says so
	FormatVersion   int  // of Iceberg
}

// Match returns the target of a source table by the first rule that includes it and does
// not exclude it; ok is false if there is none.
func (c Config) Match(schema, table string) (target Target, ok bool) {
	for i, rule := range c.Tables {
		if !rule.takes(schema, table, includes) {
			continue
		}
		namespace, name, _ := strings.Cut(cmp.Or(rule.Target, c.Namespace+".{table}"), ".")
		fill := strings.NewReplacer("{schema}", schema, "{table}", table)
		return Target{fill.Replace(namespace), fill.Replace(name), rule.CommitTimestamp, i, rule.FormatVersion}, true
	}
	return Target{}, false
}

// PassedOver reports a source table that no rule takes because its name is that of a [Helper] and
// no pattern says that such are meant.
func (c Config) PassedOver(schema, table string) bool {
	_, ok := c.Match(schema, table)
	return !ok && slices.ContainsFunc(c.Tables, func(r TableRule) bool { return r.takes(schema, table, matchTable) })
}

// takes reports whether a rule includes a table, as a pattern is read for that, and does not
// exclude it.
func (r TableRule) takes(schema, table string, includes func(pattern, schema, table string) bool) bool {
	include := func(pattern string) bool { return includes(pattern, schema, table) }
	exclude := func(pattern string) bool { return matchTable(pattern, schema, table) }
	return slices.ContainsFunc(r.Include, include) && !slices.ContainsFunc(r.Exclude, exclude)
}

// includes matches an include pattern. As a shell's * does not match a leading dot, a wildcard at
// the start of the table's side does not match the underscore of a helper: such a table is only
// meant by a pattern that begins with an underscore itself.
func includes(pattern, schema, table string) bool {
	_, tablePattern, _ := strings.Cut(pattern, ".")
	return matchTable(pattern, schema, table) && (!Helper(table) || strings.HasPrefix(tablePattern, "_"))
}

// Helper reports whether a table has the name of one that a tool makes for a schema change and
// drops again: gh-ost's _t_gho, _t_ghc, _t_ghk and _t_del, and pt-online-schema-change's _t_new and
// _t_old, also with more underscores in front.
func Helper(table string) bool {
	for _, suffix := range [...]string{"_gho", "_ghc", "_ghk", "_del", "_new", "_old"} {
		if strings.HasPrefix(table, "_") && strings.HasSuffix(table, suffix) && len(table) > len("_")+len(suffix) {
			return true
		}
	}
	return false
}

// matchTable matches the two sides of a pattern apart, so that no wildcard crosses the dot.
func matchTable(pattern, schema, table string) bool {
	schemaPattern, tablePattern, _ := strings.Cut(pattern, ".")
	return matchGlob([]rune(schemaPattern), []rune(schema)) && matchGlob([]rune(tablePattern), []rune(table))
}

// matchGlob matches text with a pattern where * is any text and ? any one character. After a
// mismatch only the last * takes one character more, so the cost is at most the product of
// the lengths.
func matchGlob(pattern, text []rune) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// checkTarget checks the template of a target. It needs {table} unless the rule names each
// of its tables exactly.
func checkTarget(target string, exact bool) error {
	namespace, table, _ := strings.Cut(target, ".")
	if namespace == "" || table == "" || strings.Contains(table, ".") {
		return errors.New("want namespace.table with {schema} and {table} as placeholders")
	}
	for _, part := range []string{namespace, table} {
		if err := checkTemplate(part, "{schema}", "{table}"); err != nil {
			return err
		}
	}
	if !exact && !strings.Contains(target, "{table}") {
		return errors.New("needs {table}, for the rule includes tables by wildcard")
	}
	return nil
}

// checkTemplate checks one side of a target. Dots and slashes would change the meaning of
// the name in a catalog or a path.
func checkTemplate(template string, placeholders ...string) error {
	rest := template
	for _, p := range placeholders {
		rest = strings.ReplaceAll(rest, p, "_")
	}
	if i := strings.IndexFunc(rest, func(r rune) bool { return !isNameRune(r) }); i >= 0 {
		return errors.New("want letters, digits, _, - and " + strings.Join(placeholders, " and "))
	}
	return nil
}

// CheckTargets checks the targets of all source tables, by schema and name, and reports
// every target that several tables share or that is cdcd's own. Names are compared in lower
// case, for so Trino sees them.
func CheckTargets(tables map[[2]string]Target) error {
	sources := map[[2]string][]string{}
	for source, target := range tables {
		name := [2]string{strings.ToLower(target.Namespace), strings.ToLower(target.Table)}
		sources[name] = append(sources[name], source[0]+"."+source[1])
	}
	var lines []string
	for name, from := range sources {
		slices.Sort(from)
		if len(from) > 1 {
			lines = append(lines, fmt.Sprintf("target %s.%s is shared by the tables %s (case does not count)", name[0], name[1], strings.Join(from, ", ")))
		}
		if name[0] == ControlNamespace {
			lines = append(lines, fmt.Sprintf("target %s.%s of %s is in the namespace of cdcd's own tables", name[0], name[1], strings.Join(from, ", ")))
		}
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}
