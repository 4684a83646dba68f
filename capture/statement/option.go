package statement

import "strings"

// tableOption reads one option of a table. The option's name decides whether rows are left
// alone.
func (p *parser) tableOption() {
	p.accept("DEFAULT")
	name := p.optionName()
	switch {
	case name == "ENGINE" || name == "TYPE":
		p.engine()
	case harmlessOption(name):
		p.acceptSign('=')
		p.optionValue()
	default:
		p.lost()
	}
}

// optionName consumes the name of an option, of one word or two.
func (p *parser) optionName() string {
	if p.tok.kind != wordToken {
		p.lost()
		return ""
	}
	name := strings.ToUpper(string(p.tok.raw))
	p.next()
	switch name {
	case "CHARACTER", "CHAR":
		p.need("SET")
	case "DATA", "INDEX":
		p.need("DIRECTORY")
	case "START": // of MariaDB's two-phase ALTER
		p.lost()
	}
	return name
}

// optionValue consumes a word, a number, a text or a list.
func (p *parser) optionValue() {
	switch {
	case p.sign('('):
		p.skipParentheses()
	case p.done() || p.sign(','):
		p.lost()
	default:
		p.next()
		if p.is("STORAGE") { // of TABLESPACE
			p.next()
			p.next()
		}
	}
}

// harmlessOption tells whether an option changes no row.
func harmlessOption(name string) bool {
	switch name {
	case "AUTO_INCREMENT", "AUTOEXTEND_SIZE", "AVG_ROW_LENGTH", "CHARACTER", "CHAR", "CHARSET", "CHECKSUM", "TABLE_CHECKSUM",
		"COLLATE", "COMMENT", "COMPRESSION", "DATA", "INDEX", "DELAY_KEY_WRITE", "ENCRYPTION", "ENGINE_ATTRIBUTE",
		"SECONDARY_ENGINE", "SECONDARY_ENGINE_ATTRIBUTE", "KEY_BLOCK_SIZE", "MAX_ROWS", "MIN_ROWS", "PACK_KEYS", "PASSWORD",
		"ROW_FORMAT", "STATS_AUTO_RECALC", "STATS_PERSISTENT", "STATS_SAMPLE_PAGES", "TABLESPACE",
		"PAGE_CHECKSUM", "PAGE_COMPRESSED", "PAGE_COMPRESSION_LEVEL", "ENCRYPTED", "ENCRYPTION_KEY_ID", "TRANSACTIONAL", "IETF_QUOTES":
		return true
	}
	return false
}

// engine consumes the name of a storage engine. One that keeps rows elsewhere, or not at all,
// has other rows than the table had.
func (p *parser) engine() {
	p.acceptSign('=')
	name := p.charsetName()
	switch name {
	case "innodb", "myisam", "aria", "rocksdb", "tokudb", "ndb", "ndbcluster", "memory", "heap", "archive":
	default:
		p.add(Clause{Kind: Beyond, Name: "ENGINE = " + name})
	}
}
