package capture

import (
	"bytes"
	"strings"
	"unicode"

	"cdcd/capture/statement"
)

// verdict is what a statement in the log means for the stream.
type verdict struct {
	stop    string // not "": the stream must not go on; the statement's kind
	table   Name   // the captured table that is hit, where one is
	hint    string
	alone   bool      // no other table than this one is hit by what has to stop
	left    []parting // captured tables whose names mean other tables from now on, or none
	created []Name    // tables that came into being and are to be captured from now on
	altered bool      // table's columns may be others from now on: what becomes of them is to be derived
	emptied bool      // table has no rows from now on
}

// tableSet answers what the stream needs to know of tables to judge a statement.
type tableSet struct {
	captured func(Name) bool // and what the statement did is not in the lake yet
	wanted   func(Name) bool // by the user's patterns, and not captured
	names    func() []Name   // all for which captured holds
}

const loadAnew = "exclude the table, or load it anew under another name (tables[].target)"

// judge decides on a statement. It errs on the side of stopping: a statement that may have
// changed a captured table's rows or shape is never passed over.
func (t tableSet) judge(s statement.Statement, sql []byte) verdict {
	switch s.Kind {
	case statement.DropDatabase:
		return t.judgeDropDatabase(s)
	case statement.Harmless, statement.CreateDatabase, statement.AlterDatabase:
		switch {
		case s.Replaces:
			return t.judgeDropDatabase(s)
		case s.Certain:
			return verdict{}
		}
		s.Kind = statement.Unknown
	case statement.CreateTable, statement.AlterTable, statement.DropTable, statement.RenameTable, statement.TruncateTable:
		return t.judgeDDL(s, sql)
	}
	return t.judgeDML(s, sql)
}

// judgeDropDatabase decides on what drops a database. Where its name may have been misread, it may
// be that of any whose name is not ASCII.
func (t tableSet) judgeDropDatabase(s statement.Statement) verdict {
	var v verdict
	for _, n := range t.names() {
		named := strings.EqualFold(n.Schema, s.Schema)
		if !s.Certain && (named || asciiPrefix([]byte(n.Schema)) < len(n.Schema)) {
			return verdict{stop: s.Kind.String(), table: n, hint: loadAnew, alone: true}
		}
		if named {
			v.left = append(v.left, parting{n, Dropped})
		}
	}
	return v
}

// judgeDDL finds one table that is hit. Where it leaves, the statement is judged again for the
// others.
func (t tableSet) judgeDDL(s statement.Statement, sql []byte) verdict {
	if s.Temporary {
		return t.judgeTemporary(s)
	}
	if v, decided := t.judgeNames(s); decided {
		return v
	}
	kind := s.Kind.String()
	if s.Partition {
		kind += " ... PARTITION"
	}
	for _, n := range s.Tables {
		name := Name{n.Schema, n.Table}
		if t.captured(name) && s.Kind == statement.AlterTable && s.Certain && len(s.Tables) == 1 {
			return verdict{table: name, altered: true}
		}
		if t.captured(name) && s.Kind == statement.TruncateTable && s.Certain {
			return verdict{table: name, emptied: true}
		}
		if t.captured(name) && !(s.Kind == statement.CreateTable && s.IfNotExists) {
			return verdict{stop: kind, table: name, hint: loadAnew, alone: true}
		}
	}
	if !s.Certain {
		if n, hit := t.mentioned(sql); hit {
			return verdict{stop: kind, table: n, hint: loadAnew, alone: true}
		}
	}
	return verdict{}
}

// judgeTemporary decides on a temporary table. Where it hides a captured one, what follows in the log
// of that name may be about either: only sessions that log statements create one in the log.
func (t tableSet) judgeTemporary(s statement.Statement) verdict {
	for _, n := range s.Tables {
		if name := (Name{n.Schema, n.Table}); s.Kind == statement.CreateTable && t.captured(name) {
			return verdict{stop: "CREATE TEMPORARY TABLE of its name", table: name, alone: true, hint: "end the sessions that override binlog_format = 'ROW'; " + loadAnew}
		}
	}
	return verdict{}
}

// parting is a captured table whose name means another table now, or none.
type parting struct {
	table Name
	cause Cause
}

// judgeNames decides on a statement by what it does to names. It leaves one undecided that does
// nothing to them, and one that may do more than its text tells.
func (t tableSet) judgeNames(s statement.Statement) (v verdict, decided bool) {
	if !s.Certain || s.Partition {
		return verdict{}, false
	}
	fates := s.Fates(func(n statement.Name) bool { return t.captured(Name{n.Schema, n.Table}) })
	for _, f := range fates {
		n, gone := Name{f.Name.Schema, f.Name.Table}, f.Kind == statement.Gone
		switch captured := t.captured(n); {
		case captured && gone:
			v.left = append(v.left, parting{n, Dropped})
		case captured:
			v.left = append(v.left, parting{n, Replaced})
		case !gone && t.wanted(n):
			v.created = append(v.created, n)
		}
	}
	return v, len(fates) > 0
}

// judgeDML decides on changes that were logged as statements, and on what was not
// understood. Their rows are not in the log. They pass only where no captured table can be
// hit: none is named, and every target is known and in a schema without captured tables,
// whose triggers could reach one.
func (t tableSet) judgeDML(s statement.Statement, sql []byte) verdict {
	const hint = "SET GLOBAL binlog_format = 'ROW' and end the sessions that override it"
	stop := verdict{stop: s.Kind.String() + " logged as a statement", hint: hint}
	if s.Kind == statement.Unknown {
		stop.stop = "a statement that is not understood"
	}
	if n, hit := t.mentioned(sql); hit {
		stop.table = n
		return stop
	}
	if s.Kind == statement.Unknown {
		return verdict{} // names no captured table, so it changes none
	}
	if !s.Certain || len(s.Tables) == 0 {
		return stop
	}
	for _, n := range s.Tables {
		for _, c := range t.names() {
			if strings.EqualFold(c.Schema, n.Schema) {
				return stop
			}
		}
	}
	return verdict{}
}

// mentioned finds a captured table whose name stands anywhere in the text. Text that is
// not ASCII may be in another character set: then a name that is not ASCII counts as found.
func (t tableSet) mentioned(sql []byte) (Name, bool) {
	lower := unquoted(sql)
	for _, n := range t.names() {
		if bytes.Contains(lower, unquoted([]byte(n.Table))) {
			return n, true
		}
		if asciiPrefix([]byte(n.Table)) < len(n.Table) && asciiPrefix(sql) < len(sql) {
			return n, true
		}
	}
	return Name{}, false
}

// unquoted gives text in lower case and without the quotes of names, which stand doubled
// where a name has one itself.
func unquoted(text []byte) []byte {
	keep := func(r rune) rune {
		if r == '`' || r == '"' {
			return -1
		}
		return unicode.ToLower(r)
	}
	return bytes.Map(keep, text)
}
