package statement

import "strings"

// source is a table that UPDATE or DELETE joins, under its alias if it has
// one.
type source struct {
	reference
	alias string
}

// sources consumes joined tables up to the clause behind them. Of what is
// between the tables, only the words matter that another table follows.
func (p *parser) sources() []source {
	var all []source
	open, expected := 0, true
	for !p.done() && (open > 0 || !p.atClause()) {
		switch {
		case p.acceptSign(','), p.accept("JOIN", "STRAIGHT_JOIN"):
			expected = true
		case p.sign(')'):
			open--
			p.next()
		case !expected:
			p.step()
		case p.acceptSign('('):
			open++
		case p.acceptSign('{'): // {OJ a LEFT JOIN b ON ..}
			p.next()
		default:
			all = p.source(all)
			expected = false
		}
		if open < 0 {
			break
		}
	}
	if open != 0 || expected {
		p.doubt()
	}
	return all
}

// atClause tells whether a clause follows that ends the joined tables.
func (p *parser) atClause() bool {
	return p.oneOf("SET", "WHERE", "ORDER", "LIMIT", "RETURNING")
}

// source consumes one table where one is expected, and adds it to all. A
// subquery, up to its closing parenthesis, adds nothing, and nor does a word
// with parentheses: JSON_TABLE(..), LATERAL (..).
func (p *parser) source(all []source) []source {
	if p.oneOf("SELECT", "WITH", "VALUES", "TABLE") {
		p.skipToClose()
		return all
	}
	r, ok := p.reference()
	if !ok || r.star {
		p.doubt()
		p.step()
		return all
	}
	if p.sign('(') {
		p.step()
		return all
	}
	if p.accept("PARTITION") {
		p.skipParentheses()
	}
	return append(all, source{reference: r, alias: p.alias()})
}

// alias consumes an alias, if there is one.
func (p *parser) alias() string {
	if !p.accept("AS") && (!p.atName() || p.atSourceWord()) {
		return ""
	}
	name, _ := p.identifier()
	return name
}

// atSourceWord tells whether the next word belongs to the join, and so is no
// alias.
func (p *parser) atSourceWord() bool {
	return p.atClause() || p.oneOf("ON", "USING", "JOIN", "STRAIGHT_JOIN", "INNER", "CROSS",
		"LEFT", "RIGHT", "NATURAL", "USE", "FORCE", "IGNORE", "FOR")
}

// find gives the table that a target of DELETE means, by the servers' rules:
// a name with a schema means no alias; a table with an alias is meant only by
// it. Case counts if both spellings are there.
func find(target reference, sources []source) (reference, bool) {
	var found reference
	folded := 0
	for _, s := range sources {
		if s.alias != "" && target.qualified {
			continue
		}
		name := s.name
		if s.alias != "" {
			name = Name{Schema: target.name.Schema, Table: s.alias}
		}
		if name == target.name {
			return s.reference, true
		}
		if strings.EqualFold(name.Schema, target.name.Schema) &&
			strings.EqualFold(name.Table, target.name.Table) {
			found = s.reference
			folded++
		}
	}
	return found, folded == 1
}
