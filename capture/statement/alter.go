package statement

// alterTable reads the actions of ALTER TABLE. Only those are understood that
// change a name, concern another table, or replace rows.
func (p *parser) alterTable() {
	p.out.Kind = AlterTable
	p.ifExists()
	table, ok := p.target()
	if !ok {
		return
	}
	p.wait()
	if p.alteration != nil {
		p.clauses()
		return
	}
	for first := true; !p.done(); {
		if p.acceptSign(',') {
			first = true
			continue
		}
		p.action(table, first)
		first = false
	}
}

// action consumes one token or more of an action. The words that it looks for
// are reserved, except those that count at the start of an action only and
// those that come in pairs.
func (p *parser) action(table Name, first bool) {
	switch {
	case p.accept("RENAME"):
		p.renameTo(table)
	case p.accept("PARTITION"):
		p.out.Partition = true
	case p.accept("REMOVE", "UPGRADE"):
		p.out.Partition = p.accept("PARTITIONING") || p.out.Partition
	case p.accept("TABLE"): // that rows or a partition are exchanged with
		p.target()
	case first && p.accept("DISCARD", "IMPORT"):
		// The rows come and go with a file, and no event shows them.
		if p.oneOf("TABLESPACE", "PARTITION") {
			p.out.Kind = Unknown
		}
	default:
		p.step()
	}
}

// renameTo reads behind RENAME. An unqualified new name belongs to the
// default database, not to that of the table. Of several the last one counts.
func (p *parser) renameTo(table Name) {
	if p.oneOf("COLUMN", "INDEX", "KEY") {
		return
	}
	if !p.accept("TO", "AS") {
		p.acceptSign('=')
	}
	if to, ok := p.target(); ok {
		p.out.Renames = []Rename{{From: table, To: to}}
	}
}
