package statement

import "strings"

// ClauseKind is what a clause of ALTER TABLE does, as far as the columns and the rows of the
// table are concerned.
type ClauseKind uint8

// The kinds of clause. Clauses that change neither columns nor rows are left out.
const (
	AddColumn    ClauseKind = iota // Name is the new column
	DropColumn                     // Name goes
	RenameColumn                   // Name becomes To
	ChangeColumn                   // Name becomes To, as Definition says: CHANGE and MODIFY
	DropKey                        // the index Name goes; PRIMARY stands for the primary key
	RenameKey                      // the index Name becomes To
	Convert                        // all texts are converted to Charset
	Redefault                      // Name gets another default for rows to come, or none
	Beyond                         // rows or columns change in a way that is not told: Name says by what
)

// Clause is one change that an ALTER TABLE makes.
type Clause struct {
	Kind ClauseKind
	Name string
	To   string
	// Tolerant is set for IF EXISTS and IF NOT EXISTS: where the column is not there, or is
	// there already, the clause does nothing.
	Tolerant   bool
	Definition Definition
	First      bool   // the column is put before all others
	After      string // or behind this one; "": it stays, or comes last
	Charset    string // "" for the default of the database
}

// Alteration is what an ALTER TABLE, CREATE INDEX or DROP INDEX changes.
type Alteration struct {
	Clauses []Clause
	// Ignore is set for ALTER IGNORE: rows and values that do not fit are dropped silently.
	Ignore bool
	// Understood is set if every clause was read to its end. Where it is not, Clauses say
	// nothing.
	Understood bool
}

// Primary is the name of every primary key.
const Primary = "PRIMARY"

// Alter reads the clauses of a statement that Scan takes for AlterTable. Unlike Scan it accepts
// only what it knows: what stands in a clause decides what becomes of rows.
func Alter(sql []byte, o Options) Alteration {
	a := Alteration{Understood: true}
	p := parser{lex: lexer{src: sql, opts: o}, out: Statement{Certain: true}, alteration: &a}
	p.next()
	p.statement()
	p.finish()
	if !p.out.Certain || p.out.Kind != AlterTable {
		a.Understood = false
	}
	return a
}

// lost notes a clause that is not understood.
func (p *parser) lost() { p.alteration.Understood = false }

func (p *parser) add(c Clause) { p.alteration.Clauses = append(p.alteration.Clauses, c) }

// beyond notes a clause after which the log does not tell what the rows are, and steps over the
// rest of it.
func (p *parser) beyond(what string) {
	p.add(Clause{Kind: Beyond, Name: what})
	p.skipClause()
}

// ignoring consumes IGNORE in front of TABLE.
func (p *parser) ignoring() {
	p.next()
	if p.alteration != nil {
		p.alteration.Ignore = true
	}
}

// skipClause steps to the comma behind a clause.
func (p *parser) skipClause() {
	for !p.done() && !p.sign(',') {
		p.step()
	}
}

// skipAll steps to the end: behind clauses that stand alone or have commas of their own.
func (p *parser) skipAll() {
	for !p.done() {
		p.step()
	}
}

// column consumes the name of a column.
func (p *parser) column() string {
	name, ok := p.identifier()
	if !ok {
		p.lost()
	}
	return name
}

// clauses reads all clauses.
func (p *parser) clauses() {
	for p.alteration.Understood && !p.done() {
		if p.acceptSign(',') {
			continue
		}
		p.clause()
	}
}

func (p *parser) clause() {
	switch {
	case p.accept("ADD"):
		p.addClause()
	case p.accept("DROP"):
		p.dropClause()
	case p.accept("CHANGE"):
		p.changeClause(true)
	case p.accept("MODIFY"):
		p.changeClause(false)
	case p.accept("RENAME"):
		p.renameClause()
	case p.accept("ALTER"):
		p.alterClause()
	case p.accept("CONVERT"):
		p.convertClause()
	case p.accept("ORDER"):
		p.skipAll()
	default:
		p.otherClause()
	}
}

// otherClause reads what concerns partitions, the way in which the statement runs, and options
// of the table.
func (p *parser) otherClause() {
	switch {
	case p.accept("PARTITION", "REMOVE", "UPGRADE"): // PARTITION BY, REMOVE PARTITIONING: rows move, and stay
		p.skipAll()
	case p.oneOf("COALESCE", "REORGANIZE", "REBUILD", "OPTIMIZE", "ANALYZE", "CHECK", "REPAIR") && p.peek().is("PARTITION"):
		p.skipAll()
	case p.oneOf("TRUNCATE", "EXCHANGE", "DISCARD", "IMPORT"):
		what := strings.ToUpper(string(p.tok.raw))
		p.next()
		p.beyond(what + " " + strings.ToUpper(string(p.tok.raw)))
		p.skipAll()
	case p.accept("FORCE", "SECONDARY_LOAD", "SECONDARY_UNLOAD"):
	case p.accept("ENABLE", "DISABLE"):
		p.need("KEYS")
	case p.accept("ALGORITHM", "LOCK"):
		p.acceptSign('=')
		p.next()
	case p.is("WITH") && p.peek().is("SYSTEM"), p.is("WITHOUT") && p.peek().is("SYSTEM"):
		p.beyond("SYSTEM VERSIONING")
	case p.accept("WITH", "WITHOUT"):
		p.need("VALIDATION")
	default:
		p.tableOption()
	}
}

// need consumes a keyword that has to be there.
func (p *parser) need(keyword string) {
	if !p.accept(keyword) {
		p.lost()
	}
}

// addClause reads behind ADD.
func (p *parser) addClause() {
	switch {
	case p.is("PARTITION"):
		p.skipAll()
	case p.oneOf("INDEX", "KEY", "UNIQUE", "PRIMARY", "FULLTEXT", "SPATIAL", "CHECK"), p.is("VECTOR") && p.vectorIndex():
		p.skipClause()
	case p.oneOf("CONSTRAINT", "FOREIGN"):
		p.constraint()
	case p.is("SYSTEM") && p.peek().is("VERSIONING"), p.is("PERIOD") && p.peek().is("FOR"):
		p.beyond("SYSTEM VERSIONING")
	default:
		p.addColumns()
	}
}

// vectorIndex tells an index of vectors from a column that is called vector.
func (p *parser) vectorIndex() bool {
	t := p.peek()
	return t.is("INDEX") || t.is("KEY") || t.isSign('(')
}

// constraint reads a constraint. A foreign key that changes rows of the table when others
// change may do so without a row event.
func (p *parser) constraint() {
	for !p.done() && !p.sign(',') {
		if p.accept("ON") && p.accept("DELETE", "UPDATE") && (p.is("CASCADE") || p.is("SET")) {
			p.beyond("FOREIGN KEY ... " + strings.ToUpper(string(p.tok.raw)))
			return
		}
		if !p.done() && !p.sign(',') {
			p.step()
		}
	}
}

// addColumns reads one column, or a list of columns and indexes in parentheses.
func (p *parser) addColumns() {
	p.accept("COLUMN")
	tolerant := p.ifExists()
	if !p.acceptSign('(') {
		p.addColumn(tolerant)
		return
	}
	for p.alteration.Understood && !p.acceptSign(')') {
		switch {
		case p.done():
			p.lost()
		case p.acceptSign(','):
		case p.oneOf("INDEX", "KEY", "UNIQUE", "PRIMARY", "FULLTEXT", "SPATIAL", "CHECK", "CONSTRAINT", "FOREIGN"):
			p.listedKey()
		default:
			p.addColumn(tolerant)
		}
	}
}

// listedKey reads an index or constraint in a list of columns.
func (p *parser) listedKey() {
	for !p.done() && !p.sign(',') && !p.sign(')') {
		if p.oneOf("CASCADE", "SET") {
			p.add(Clause{Kind: Beyond, Name: "FOREIGN KEY ... " + strings.ToUpper(string(p.tok.raw))})
		}
		p.step()
	}
}

func (p *parser) addColumn(tolerant bool) {
	c := Clause{Kind: AddColumn, Name: p.column(), Tolerant: tolerant}
	p.define(&c)
	p.add(c)
}

// define reads the definition of a column, and its place.
func (p *parser) define(c *Clause) {
	c.Definition = p.definition()
	switch {
	case p.accept("FIRST"):
		c.First = true
	case p.accept("AFTER"):
		c.After = p.column()
	}
	if !p.done() && !p.sign(',') && !p.sign(')') && !p.is("PARTITION") {
		p.lost()
	}
}

// dropClause reads behind DROP.
func (p *parser) dropClause() {
	switch {
	case p.is("PARTITION"):
		p.add(Clause{Kind: Beyond, Name: "DROP PARTITION"})
		p.skipAll()
	case p.accept("PRIMARY"):
		p.need("KEY")
		p.add(Clause{Kind: DropKey, Name: Primary})
	case p.accept("FOREIGN"):
		p.skipClause()
	case p.accept("INDEX", "KEY", "CONSTRAINT"):
		p.ifExists()
		p.addKeyClause(DropKey)
	case p.is("CHECK"):
		p.skipClause()
	case p.is("SYSTEM") && p.peek().is("VERSIONING"), p.is("PERIOD") && p.peek().is("FOR"):
		p.beyond("SYSTEM VERSIONING")
	default:
		p.accept("COLUMN")
		tolerant := p.accept("IF")
		p.accept("EXISTS")
		p.add(Clause{Kind: DropColumn, Name: p.column(), Tolerant: tolerant})
		p.accept("RESTRICT", "CASCADE")
	}
}

func (p *parser) addKeyClause(kind ClauseKind) {
	c := Clause{Kind: kind, Name: p.column()}
	if kind == RenameKey {
		p.need("TO")
		c.To = p.column()
	}
	p.add(c)
}

// changeClause reads behind CHANGE, which gives a new name, and MODIFY.
func (p *parser) changeClause(renames bool) {
	p.accept("COLUMN")
	tolerant := p.accept("IF")
	p.accept("EXISTS")
	c := Clause{Kind: ChangeColumn, Name: p.column(), Tolerant: tolerant}
	c.To = c.Name
	if renames {
		c.To = p.column()
	}
	p.define(&c)
	p.add(c)
}

// renameClause reads behind RENAME.
func (p *parser) renameClause() {
	switch {
	case p.accept("COLUMN"):
		tolerant := p.accept("IF")
		p.accept("EXISTS")
		c := Clause{Kind: RenameColumn, Name: p.column(), Tolerant: tolerant}
		p.need("TO")
		c.To = p.column()
		p.add(c)
	case p.accept("INDEX", "KEY"):
		p.accept("IF")
		p.accept("EXISTS")
		p.addKeyClause(RenameKey)
	case !p.ownName():
		p.beyond("RENAME")
	}
}

// ownName consumes the name that RENAME gives the table, if it is the one that it has.
func (p *parser) ownName() bool {
	if !p.accept("TO", "AS") {
		p.acceptSign('=')
	}
	to, ok := p.reference()
	return ok && to.name == p.out.Tables[0]
}

// alterClause reads behind ALTER: a default for rows to come, whether a column or an index is
// seen, whether a check is made.
func (p *parser) alterClause() {
	if !p.oneOf("INDEX", "KEY", "CHECK", "CONSTRAINT") {
		p.accept("COLUMN")
		p.accept("IF")
		p.accept("EXISTS")
		p.add(Clause{Kind: Redefault, Name: p.column(), Tolerant: true})
	}
	p.skipClause()
}

// convertClause reads behind CONVERT.
func (p *parser) convertClause() {
	if p.oneOf("PARTITION", "TABLE") {
		p.beyond("CONVERT " + strings.ToUpper(string(p.tok.raw)))
		return
	}
	p.need("TO")
	if !p.accept("CHARSET") {
		if !p.accept("CHARACTER") && !p.accept("CHAR") {
			p.lost()
		}
		p.need("SET")
	}
	c := Clause{Kind: Convert}
	if !p.accept("DEFAULT") {
		c.Charset = p.charsetName()
	}
	if p.accept("COLLATE") {
		p.next()
	}
	p.add(c)
}

// charsetName consumes the name of a character set, which may be quoted in any way.
func (p *parser) charsetName() string {
	name := ""
	switch p.tok.kind {
	case wordToken, nameToken:
		name = p.tok.name()
	case textToken:
		name = string(p.tok.text(false))
	default:
		p.lost()
	}
	p.next()
	return strings.ToLower(name)
}
