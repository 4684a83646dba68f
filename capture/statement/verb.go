package statement

// statement reads from the first token of the text.
func (p *parser) statement() {
	for p.setStatement() || p.acceptSign(';') {
		continue
	}
	switch {
	case p.tok.kind == endToken && !p.lex.malformed:
		p.out.Kind = Harmless
	case p.sign('('):
		p.query()
	default:
		p.verb()
	}
}

// verb reads a statement by the keyword that it starts with.
func (p *parser) verb() {
	var buf [maxKeywordBytes]byte
	switch string(p.tok.keyword(&buf)) {
	case "BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE":
		p.transaction()
	case "XA":
		p.xa()
	case "CREATE":
		p.create()
	case "ALTER":
		p.alter()
	case "DROP":
		p.drop()
	case "RENAME":
		p.rename()
	case "TRUNCATE":
		p.truncate()
	case "LOAD":
		p.load()
	case "ANALYZE":
		p.analyze()
	case "EXPLAIN", "DESCRIBE", "DESC":
		p.explain()
	case "CLONE":
		p.clone()
	case "BACKUP", "BINLOG", "CACHE", "CHANGE", "CHECK", "CHECKSUM", "DEALLOCATE",
		"FLUSH", "GET", "GRANT", "HANDLER", "HELP", "INSTALL", "KILL", "LOCK",
		"OPTIMIZE", "PREPARE", "PURGE", "REPAIR", "RESET", "RESIGNAL", "RESTART",
		"REVOKE", "SET", "SHOW", "SHUTDOWN", "SIGNAL", "STOP", "UNINSTALL",
		"UNLOCK", "USE":
		p.out.Kind = Harmless
	default:
		p.change()
	}
}

// change reads a statement that changes rows, or may by what it calls.
func (p *parser) change() {
	switch {
	case p.oneOf("WITH"):
		p.with()
	case p.accept("INSERT"):
		p.insert(Insert)
	case p.accept("REPLACE"):
		p.insert(Replace)
	case p.accept("UPDATE"):
		p.update()
	case p.accept("DELETE"):
		p.remove()
	case p.accept("CALL"):
		p.out.Kind = Call
		p.doubt()
	case p.accept("DO"):
		p.out.Kind = Do
		p.doubt()
	default:
		p.query()
	}
}

// query reads a statement that can change rows only by the functions in it.
// Which tables these change, the text does not tell.
func (p *parser) query() {
	open := 0
	for p.acceptSign('(') {
		open++
	}
	if !p.oneOf("SELECT", "TABLE", "VALUES", "WITH") {
		p.unknown()
		return
	}
	p.out.Kind = Select
	p.doubt()
	for ; open > 0; open-- {
		p.skipToClose()
		p.acceptSign(')')
	}
}

// setStatement consumes SET STATEMENT variable = value, ... FOR, in front of
// the statement that MariaDB runs with these settings.
func (p *parser) setStatement() bool {
	if !p.is("SET") {
		return false
	}
	saved := *p
	p.next()
	if !p.accept("STATEMENT") || !p.atName() {
		*p = saved
		return false
	}
	for !p.done() && !p.is("FOR") {
		p.step()
	}
	if !p.accept("FOR") || p.done() {
		*p = saved
		p.doubt()
		return false
	}
	return true
}

// analyze reads ANALYZE TABLE, and MariaDB's ANALYZE in front of a statement,
// which does run that statement.
func (p *parser) analyze() {
	p.next()
	if p.accept("FORMAT") {
		p.acceptSign('=')
		p.next()
	}
	if p.oneOf("INSERT", "REPLACE", "UPDATE", "DELETE", "SELECT", "WITH") || p.sign('(') {
		p.change()
		return
	}
	p.out.Kind = Harmless
}

// explain reads EXPLAIN, which runs nothing but with ANALYZE.
func (p *parser) explain() {
	p.next()
	if p.is("ANALYZE") {
		p.analyze()
		return
	}
	p.out.Kind = Harmless
}

// clone reads CLONE. CLONE INSTANCE replaces all that the server has.
func (p *parser) clone() {
	p.next()
	if p.is("LOCAL") {
		p.out.Kind = Harmless
		return
	}
	p.unknown()
}
