package statement

// maxJoined is the number of tables that the servers join at most. More are
// not matched with each other.
const maxJoined = 61

// insert reads behind INSERT and REPLACE.
func (p *parser) insert(kind Kind) {
	p.out.Kind = kind
	p.acceptAll("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO")
	p.target()
}

// load reads LOAD. Only of LOAD DATA and LOAD XML the target is known.
func (p *parser) load() {
	p.next()
	switch {
	case p.is("INDEX"):
		p.out.Kind = Harmless
		return
	case !p.accept("DATA", "XML"):
		p.unknown()
		return
	}
	p.out.Kind = LoadData
	for !p.done() {
		if p.accept("INTO") && p.accept("TABLE") {
			p.target()
			return
		}
		p.step()
	}
	p.doubt()
}

// with reads WITH name [(columns)] AS (query), ... and what it is a part of.
func (p *parser) with() {
	p.next()
	p.accept("RECURSIVE")
	p.ctes = map[string]struct{}{}
	for more := true; more; more = p.acceptSign(',') {
		if !p.cte() {
			p.unknown()
			return
		}
	}
	if p.oneOf("WITH", "CALL", "DO") {
		p.unknown()
		return
	}
	p.change()
}

// cte consumes one common table expression, with the CYCLE clause of MariaDB.
func (p *parser) cte() bool {
	name, ok := p.identifier()
	if !ok {
		return false
	}
	p.ctes[name] = struct{}{}
	p.skipParentheses()
	if !p.accept("AS") || !p.sign('(') {
		return false
	}
	p.step()
	if !p.accept("CYCLE") {
		return true
	}
	for !p.done() && !p.is("RESTRICT") {
		p.next()
	}
	return p.accept("RESTRICT")
}

// update reads behind UPDATE. Which of the joined tables it changes depends
// on the columns that it sets, and so all may be targets.
func (p *parser) update() {
	p.out.Kind = Update
	p.acceptAll("LOW_PRIORITY", "IGNORE")
	sources := p.sources()
	if len(sources) == 0 || !p.is("SET") {
		p.doubt()
	}
	p.addSources(sources)
}

// remove reads behind DELETE, in its three forms: FROM a table, targets FROM
// joined tables, and FROM targets USING joined tables. MariaDB has the first
// one with HISTORY, too.
func (p *parser) remove() {
	p.out.Kind = Delete
	p.acceptAll("LOW_PRIORITY", "QUICK", "IGNORE")
	if p.lex.opts.MariaDB && p.is("HISTORY") && p.peek().is("FROM") {
		p.next()
	}
	if !p.accept("FROM") {
		targets := p.removeTargets()
		if !p.accept("FROM") {
			p.doubt()
		}
		p.resolve(targets, p.sources())
		return
	}
	targets := p.removeTargets()
	if p.accept("USING") {
		p.resolve(targets, p.sources())
		return
	}
	if len(targets) != 1 || targets[0].star {
		p.doubt()
	}
	for _, t := range targets {
		p.addTarget(t.name)
	}
}

// removeTargets consumes a list of targets, each with or without .* behind.
func (p *parser) removeTargets() []reference {
	var targets []reference
	for more := true; more; more = p.acceptSign(',') {
		t, ok := p.reference()
		if !ok {
			p.doubt()
			break
		}
		targets = append(targets, t)
	}
	return targets
}

// resolve adds the tables that the targets of a DELETE mean among those that
// it joins. If one cannot be told, all may be targets.
func (p *parser) resolve(targets []reference, sources []source) {
	if len(targets) == 0 || len(targets) > maxJoined || len(sources) > maxJoined {
		p.doubt()
		p.addSources(sources)
		return
	}
	for _, t := range targets {
		n, ok := find(t, sources)
		if !ok || p.isCTE(n) {
			p.doubt()
			p.addSources(sources)
			return
		}
		p.addTarget(n.name)
	}
}

// addSources adds all tables that a statement joins.
func (p *parser) addSources(sources []source) {
	for _, s := range sources {
		if !p.isCTE(s.reference) {
			p.addTarget(s.name)
		}
	}
}

// isCTE tells whether a name means what WITH has bound to it. One in another
// case may mean a table, and so is taken for one.
func (p *parser) isCTE(r reference) bool {
	_, bound := p.ctes[r.name.Table]
	return bound && !r.qualified
}
