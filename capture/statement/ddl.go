package statement

// create reads CREATE, up to the kind of object that it is about.
func (p *parser) create() {
	p.next()
	temporary := p.modifiers()
	switch {
	case p.accept("TABLE"):
		p.out.Temporary = temporary
		p.createTable()
	case p.accept("INDEX"):
		p.index(false)
	case p.accept("DATABASE", "SCHEMA"):
		p.database(CreateDatabase)
		p.out.Replaces = p.replaces
	default:
		p.opaque = p.atRoutine()
		p.otherObject()
	}
}

// alter reads ALTER, up to the kind of object that it is about.
func (p *parser) alter() {
	p.next()
	p.modifiers()
	switch {
	case p.accept("TABLE"):
		p.alterTable()
	case p.accept("DATABASE", "SCHEMA"):
		p.alterDatabase()
	default:
		p.opaque = p.atRoutine()
		p.otherObject()
	}
}

// drop reads DROP, up to the kind of object that it is about.
func (p *parser) drop() {
	p.next()
	temporary := p.modifiers()
	switch {
	case p.accept("TABLE", "TABLES"):
		p.out.Temporary = temporary
		p.dropTable()
	case p.accept("INDEX"):
		p.index(true)
	case p.accept("DATABASE", "SCHEMA"):
		p.database(DropDatabase)
		p.end()
	default:
		p.otherObject()
	}
}

// modifiers consumes what may stand before the kind of object. Which of them
// go with which object is the server's affair.
func (p *parser) modifiers() (temporary bool) {
	for {
		switch {
		case p.accept("TEMPORARY"):
			temporary = true
		case p.accept("DEFINER"):
			p.definer()
		case p.accept("ALGORITHM"):
			p.acceptSign('=')
			p.next()
		case p.accept("SQL"):
			p.accept("SECURITY")
			p.next()
		case p.is("IGNORE"):
			p.ignoring()
		case p.accept("REPLACE"):
			p.replaces = true
		case p.accept("OR", "ONLINE", "OFFLINE", "UNIQUE", "FULLTEXT",
			"SPATIAL", "VECTOR", "AGGREGATE", "UNDO", "EXTERNAL", "JSON", "RELATIONAL",
			"DUALITY", "MATERIALIZED"):
		default:
			return temporary
		}
	}
}

// definer consumes = user, user@host, or CURRENT_USER().
func (p *parser) definer() {
	p.acceptSign('=')
	p.next()
	p.skipParentheses()
	if !p.acceptSign('@') {
		return
	}
	p.next()
	for p.acceptSign('.') {
		p.next()
	}
}

// atRoutine tells whether the object is one with a body of statements, or of
// another language.
func (p *parser) atRoutine() bool {
	return p.oneOf("PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE", "LIBRARY")
}

// otherObject reads about objects that are no tables and hold none.
func (p *parser) otherObject() {
	if p.atRoutine() || p.oneOf("VIEW", "USER", "ROLE", "SERVER", "SEQUENCE", "TABLESPACE",
		"LOGFILE", "RESOURCE", "REFERENCE", "INSTANCE", "PREPARE") {
		p.out.Kind = Harmless
		return
	}
	p.unknown()
}

// ifExists consumes IF EXISTS and IF NOT EXISTS, and tells whether it was the latter.
func (p *parser) ifExists() (not bool) {
	if p.accept("IF") {
		not = p.accept("NOT")
		p.accept("EXISTS")
	}
	return not
}

// wait consumes WAIT seconds and NOWAIT.
func (p *parser) wait() {
	if p.accept("WAIT") && !p.done() {
		p.next()
	}
	p.accept("NOWAIT")
}

func (p *parser) createTable() {
	p.out.Kind = CreateTable
	p.out.IfNotExists = p.ifExists()
	p.target()
	depth := 0
	for opened := false; !p.done(); p.next() {
		if p.fills(depth, opened) {
			p.out.AsSelect = true
		}
		opened = p.sign('(')
		switch {
		case opened:
			depth++
		case p.sign(')') && depth == 0:
			p.doubt()
		case p.sign(')'):
			depth--
		}
	}
	if depth > 0 {
		p.doubt()
	}
}

// fills tells whether a token of CREATE TABLE shows that rows go into the
// table: the start of a query, which may be in parentheses, or the mark of a
// query that the server has left out. All words but START are reserved, and
// so name no column.
func (p *parser) fills(depth int, opened bool) bool {
	switch {
	case p.is("SELECT"):
		return true
	case p.oneOf("TABLE", "VALUES"):
		return depth == 0 || opened
	case depth > 0:
		return false
	case p.is("START"):
		return p.peek().is("TRANSACTION")
	}
	return p.is("AS")
}

// index reads CREATE INDEX and DROP INDEX, which alter a table.
func (p *parser) index(drop bool) {
	p.out.Kind = AlterTable
	if drop && p.alteration != nil {
		p.ifExists()
		p.addKeyClause(DropKey)
	}
	for !p.done() && !p.is("ON") {
		p.step()
	}
	p.accept("ON")
	p.target()
}

func (p *parser) database(kind Kind) {
	p.out.Kind = kind
	p.ifExists()
	name, ok := p.identifier()
	if !ok {
		p.doubt()
	}
	p.out.Schema = name
}

// alterDatabase reads ALTER DATABASE, in which the name may be left out.
func (p *parser) alterDatabase() {
	if p.oneOf("CHARACTER", "CHARSET", "COLLATE", "COMMENT", "DEFAULT", "ENCRYPTION", "READ") {
		p.out.Kind = AlterDatabase
		p.out.Schema = p.lex.opts.DefaultSchema
		if p.out.Schema == "" {
			p.doubt()
		}
		return
	}
	p.database(AlterDatabase)
	if p.oneOf("UPGRADE", "DATA") { // UPGRADE DATA DIRECTORY NAME renames the database
		p.doubt()
	}
}

func (p *parser) dropTable() {
	p.out.Kind = DropTable
	p.ifExists()
	p.target()
	for p.acceptSign(',') {
		p.target()
	}
	p.wait()
	p.accept("RESTRICT", "CASCADE")
	p.end()
}

func (p *parser) truncate() {
	p.next()
	p.out.Kind = TruncateTable
	p.accept("TABLE")
	p.target()
	p.wait()
	p.acceptAll("DROP", "REUSE", "STORAGE")
	p.end()
}

// rename reads RENAME TABLE and RENAME USER.
func (p *parser) rename() {
	p.next()
	if p.is("USER") {
		p.out.Kind = Harmless
		return
	}
	if !p.accept("TABLE", "TABLES") {
		p.unknown()
		return
	}
	p.out.Kind = RenameTable
	p.out.IfExists = p.is("IF")
	p.ifExists()
	p.renamePair()
	for p.acceptSign(',') {
		p.renamePair()
	}
	p.end()
}

func (p *parser) renamePair() {
	from, ok := p.target()
	p.wait()
	if !p.accept("TO") {
		p.doubt()
		return
	}
	to, found := p.target()
	if ok && found {
		p.out.Renames = append(p.out.Renames, Rename{From: from, To: to})
	}
}
